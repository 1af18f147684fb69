//! Releases: waiting, reading, subscribing

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;

use super::callback::{UserData, nsgate_destroy_function, required};
use super::entry::{Out, OutArray, entry};
use super::event::{nsgate_event, nsgate_report_item, nsgate_stats};
use super::gate::nsgate_report;
use super::handle::{Handle, nsgate_gate};
use super::status::{nsgate_error, nsgate_status};
use super::structs::OutStruct;
use super::time::{date, deadline};
use crate::{Event, Report, Subscription, Ticket};

/// Is told of an event, on a thread of the library. The event is valid during the call.
pub type nsgate_event_function =
    Option<extern "C" fn(user_data: *mut c_void, event: *const nsgate_event)>;

/// Reads the release queue's figures.
///
/// Ownership: out.size is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_stats(
    gate: nsgate_gate,
    out: *mut nsgate_stats,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = OutStruct::new(out)?;
        out.write(&nsgate_stats::from(&gate.get()?.stats()));
        Ok(())
    })
}

/// Waits for the end of one release.
///
/// Outcomes are remembered for as long as there is room; an old one may be forgotten.
///
/// Ownership: event may be NULL.
/// Threads: any.
/// Errors: NSGATE_TIMED_OUT; NSGATE_NOT_FOUND when there never was such a ticket, or its outcome was
/// forgotten; NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a function that
/// runs inside of what the release is of.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_wait(
    gate: nsgate_gate,
    ticket: u64,
    timeout_ns: i64,
    event: *mut nsgate_event,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(event);
        let gate = gate.get()?;
        let deadline = deadline(timeout_ns)?;
        let event = gate.releases().wait(Ticket::from_raw(ticket), deadline)?;
        out.write(nsgate_event::from(&event));
        Ok(())
    })
}

/// Takes back a release that no worker has begun. Its outcome is NSGATE_OUTCOME_CANCELLED, and the
/// chroot or job is its owner's again, as before the submit.
///
/// What nobody has a handle of any more can't be given back. A chroot or namespace is released again,
/// under a ticket of its own: always so a namespace, whose handle its release ended. A job is dropped.
///
/// Errors: NSGATE_INVALID_STATE once it has begun or ended; NSGATE_NOT_FOUND when there never was such
/// a ticket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_cancel(
    gate: nsgate_gate,
    ticket: u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        gate.get()?.releases().cancel(Ticket::from_raw(ticket))
    })
}

/// Waits until everything that was submitted before the call has ended.
///
/// Errors: NSGATE_TIMED_OUT; NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a
/// function that runs inside of something that was released before the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_fence(
    gate: nsgate_gate,
    timeout_ns: i64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let gate = gate.get()?;
        gate.releases().fence(deadline(timeout_ns)?)
    })
}

/// Waits until the first so many submissions have ended: a fence for event loops.
///
/// adds is what nsgate_stats.adds was at some time before; of what was submitted later nothing is waited
/// for. With a timeout of 0 it only looks, as a host may whenever nsgate_gate_event_fd is readable.
/// UINT64_MAX waits until nothing is left.
///
/// Errors: NSGATE_TIMED_OUT; NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a
/// function that runs inside of something that is to be released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_fence_at(
    gate: nsgate_gate,
    adds: u64,
    timeout_ns: i64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let gate = gate.get()?;
        gate.releases().fence_at(adds, deadline(timeout_ns)?)
    })
}

/// Waits until nothing is left to release, or the time is over, and reports. It can be called again.
///
/// That time ran out is no failure: report.remaining tells.
///
/// Ownership: report may be NULL; its size is the caller's.
/// Errors: NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a function that runs
/// inside of something that was released, or is during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_drain(
    gate: nsgate_gate,
    timeout_ns: i64,
    report: *mut nsgate_report,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = OutStruct::optional(report)?;
        let gate = gate.get()?;
        let report = gate.releases().drain_and_count(date(timeout_ns)?)?;
        if let Some(out) = out {
            out.write(&nsgate_report::from(&report));
        }
        Ok(())
    })
}

/// Lists what has not ended, the oldest 1,024 of it, and then what was given up.
///
/// Ownership: buffer takes as many as fit; it may be NULL with a capacity of 0. count is how many
/// there are at that moment, also when that is more than are listed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_report_items(
    gate: nsgate_gate,
    buffer: *mut nsgate_report_item,
    capacity: usize,
    count: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let buffer = OutArray::new(buffer, capacity)?;
        let count = Out::new(count)?;
        let (there_are, items) = gate
            .get()?
            .releases()
            .items(buffer.capacity().min(Report::MAX_ITEMS));
        count.write(there_are);
        buffer.write(items.iter().map(nsgate_report_item::from));
        Ok(())
    })
}

/// Tries a release that was given up once more, under a new ticket.
///
/// Errors: NSGATE_NOT_FOUND when it is not in the list of failed releases; NSGATE_FULL; NSGATE_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_retry_failed(
    gate: nsgate_gate,
    ticket: u64,
    new_ticket: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(new_ticket)?;
        let new = gate.get()?.releases().retry(Ticket::from_raw(ticket))?;
        out.write(new.as_raw());
        Ok(())
    })
}

/// Takes a release that was given up off the list. What it owns is let go.
///
/// Errors: NSGATE_NOT_FOUND when it is not in the list of failed releases.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_forget_failed(
    gate: nsgate_gate,
    ticket: u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        gate.get()?.releases().forget(Ticket::from_raw(ticket))
    })
}

/// Gives the descriptor that is readable while events are in the ring, for poll(2) and its like.
///
/// Ownership: the descriptor stays the gate's: do not read, write or close it. It is valid until the
/// gate and everything made from it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_event_fd(
    gate: nsgate_gate,
    out: *mut c_int,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        out.write(gate.get()?.releases().event_fd().as_raw_fd());
        Ok(())
    })
}

/// Takes events out of the ring, oldest first, without waiting. Each is read by one reader.
///
/// Ownership: buffer takes as many as fit; count is how many it got, 0 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_read_events(
    gate: nsgate_gate,
    buffer: *mut nsgate_event,
    capacity: usize,
    count: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let buffer = OutArray::new(buffer, capacity)?;
        let count = Out::new(count)?;
        let gate = gate.get()?;
        let mut batch = [Event::default(); BATCH];
        let mut total = 0;
        while total < buffer.capacity() {
            let room = (buffer.capacity() - total).min(BATCH);
            let read = gate.releases().read_events(&mut batch[..room]);
            buffer.write_from(total, batch[..read].iter().map(nsgate_event::from));
            total += read;
            if read < room {
                break;
            }
        }
        count.write(total);
        Ok(())
    })
}

/// So many at a time, without an allocation.
const BATCH: usize = 32;

/// Has a function called with every event from now on, in order, on one thread of the library.
///
/// Ownership: user_data is taken; destroy is called with it after the last call, also when the gate
/// is gone.
/// Threads: the function must not block; nsgate_gate_options.callback_budget_ns measures it.
/// Errors: NSGATE_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_subscribe(
    gate: nsgate_gate,
    function: nsgate_event_function,
    user_data: *mut c_void,
    destroy: nsgate_destroy_function,
    subscription: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(subscription)?;
        let function = required(function)?;
        let gate = gate.get()?;
        let data = UserData::new(user_data, destroy);
        let callback = {
            let data = data.clone();
            move |event: &Event| function(data.get(), &nsgate_event::from(event))
        };
        let subscription = gate.releases().subscribe(callback)?;
        data.taken();
        out.write(subscription.as_raw());
        Ok(())
    })
}

/// Ends a subscription and returns at once: no new call starts after it. A call that runs goes on;
/// destroy is called after it.
///
/// Threads: any, also from inside the subscription's own function.
/// Errors: NSGATE_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_unsubscribe(
    gate: nsgate_gate,
    subscription: u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let subscription = Subscription::from_raw(subscription);
        gate.get()?.releases().unsubscribe(subscription)
    })
}

/// Ends a subscription and returns after its last call ended and destroy was called.
///
/// Errors: NSGATE_NOT_FOUND; NSGATE_WOULD_DEADLOCK from inside the subscription's own function, with
/// nothing changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_unsubscribe_wait(
    gate: nsgate_gate,
    subscription: u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let subscription = Subscription::from_raw(subscription);
        gate.get()?.releases().unsubscribe_wait(subscription)
    })
}
