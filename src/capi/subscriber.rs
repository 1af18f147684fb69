//! Subscribers of a map
//!
//! Subscribers are called on the thread that changed the map, in the order of subscription, under no
//! lock, and for one life never two at a time. A callback may call everything, also on the same map,
//! also its own unsubscribe; what would wait for itself answers NSGATE_WOULD_DEADLOCK. A callback should
//! not block; nsgate_gate_options.callback_budget_ns measures it. An answer other than NSGATE_OK is
//! counted for that subscriber, and the others are called all the same.

use std::ffi::c_void;
use std::sync::Arc;

use super::callback::{UserData, nsgate_destroy_function};
use super::entry::{Out, entry};
use super::event::nsgate_event;
use super::handle::{Handle, nsgate_map, nsgate_sandbox};
use super::life::{self, Value};
use super::status::{NSGATE_OK, nsgate_error, nsgate_status, nsgate_status_name};
use super::string::{name, nsgate_string};
use super::structs::{self, Extensible, OutStruct};
use super::time::nanoseconds;
use crate::sandbox::Observer;
use crate::{Error, Event, Result, Sandbox, Status, SubscriberStats, Subscription};

/// Is told of a change. The handle is lent for the call (nsgate_sandbox_retain keeps it);
/// call_context is what the changing call was given.
pub type nsgate_sandbox_function = Option<
    extern "C" fn(
        user_data: *mut c_void,
        sandbox: nsgate_sandbox,
        sandbox_user_data: *mut c_void,
        call_context: *mut c_void,
    ) -> nsgate_status,
>;

/// Is told that something that was attached has come to its end. The handle is lent for the call,
/// the event is valid during it.
pub type nsgate_sandbox_release_function = Option<
    extern "C" fn(
        user_data: *mut c_void,
        sandbox: nsgate_sandbox,
        sandbox_user_data: *mut c_void,
        event: *const nsgate_event,
    ) -> nsgate_status,
>;

/// Callbacks for what happens to the sandboxes of a map. Any of them may be NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_subscriber {
    /// sizeof(nsgate_subscriber).
    pub size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Handed to all of the callbacks first.
    pub user_data: *mut c_void,
    /// Destroys user_data after the last call.
    pub destroy: nsgate_destroy_function,
    /// The life began to run.
    pub on_insert: nsgate_sandbox_function,
    /// The life's network was released; what was attached has been handed to the release queue.
    pub on_network_release: nsgate_sandbox_function,
    /// Something that was attached has come to its end. On a thread of the library, in no order with
    /// the other two.
    pub on_release: nsgate_sandbox_release_function,
}

// SAFETY: integers, pointers, and functions as Option, for which NULL is a value; the size first.
unsafe impl Extensible for nsgate_subscriber {
    const FIRST: usize = 48;
}

/// What a subscriber did so far.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_subscriber_stats {
    /// sizeof(nsgate_subscriber_stats), set by the caller.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Calls that ended.
    pub calls: u64,
    /// Of these, how many were over the budget.
    pub slow: u64,
    /// Of these, how many answered something other than NSGATE_OK.
    pub failures: u64,
    /// Of these, how many panicked.
    pub panics: u64,
    /// The time that the longest took.
    pub longest_ns: u64,
}

// SAFETY: integers only, the size first.
unsafe impl Extensible for nsgate_subscriber_stats {
    const FIRST: usize = 48;
}

impl From<&SubscriberStats> for nsgate_subscriber_stats {
    fn from(stats: &SubscriberStats) -> nsgate_subscriber_stats {
        nsgate_subscriber_stats {
            size: 0,
            reserved: 0,
            calls: stats.calls,
            slow: stats.slow,
            failures: stats.failures,
            panics: stats.panics,
            longest_ns: nanoseconds(stats.longest),
        }
    }
}

/// A C subscriber as the map calls it.
struct Callbacks {
    data: Arc<UserData>,
    on_insert: nsgate_sandbox_function,
    on_network_release: nsgate_sandbox_function,
    on_release: nsgate_sandbox_release_function,
}

fn answer(status: nsgate_status) -> Result<()> {
    if status == NSGATE_OK {
        return Ok(());
    }
    // SAFETY: the name is a static string.
    let name = unsafe { std::ffi::CStr::from_ptr(nsgate_status_name(status)) };
    Err(Error::new(
        Status::CallbackFailed,
        format!(
            "the callback answered {} ({status})",
            name.to_string_lossy()
        ),
    ))
}

impl Callbacks {
    fn tell(
        &self,
        function: nsgate_sandbox_function,
        sandbox: &Sandbox<Value>,
        context: usize,
    ) -> Result<()> {
        let Some(function) = function else {
            return Ok(());
        };
        answer(function(
            self.data.get(),
            life::borrow(sandbox),
            sandbox.value().user_data(),
            context as *mut c_void,
        ))
    }
}

impl Observer<Value> for Callbacks {
    fn on_insert(&self, sandbox: &Sandbox<Value>, context: usize) -> Result<()> {
        self.tell(self.on_insert, sandbox, context)
    }

    fn on_network_release(&self, sandbox: &Sandbox<Value>, context: usize) -> Result<()> {
        self.tell(self.on_network_release, sandbox, context)
    }

    fn on_release(&self, sandbox: &Sandbox<Value>, event: &Event) -> Result<()> {
        let Some(function) = self.on_release else {
            return Ok(());
        };
        answer(function(
            self.data.get(),
            life::borrow(sandbox),
            sandbox.value().user_data(),
            &nsgate_event::from(event),
        ))
    }
}

/// Adds a subscriber after those there are. Events that are being told just now do not reach it.
///
/// name has 1 to 255 bytes of UTF-8; it is for reports.
///
/// Ownership: the struct is borrowed, its user_data is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_subscribe(
    map: nsgate_map,
    name: nsgate_string,
    subscriber: *const nsgate_subscriber,
    subscription: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(subscription)?;
        let name = self::name(name)?;
        let subscriber = structs::read(subscriber)?;
        if subscriber.reserved != 0 {
            let message = "nsgate_subscriber.reserved is not 0";
            return Err(Error::new(Status::InvalidArgument, message));
        }
        let map = map.get()?;
        let data = UserData::new(subscriber.user_data, subscriber.destroy);
        let callbacks = Callbacks {
            data: data.clone(),
            on_insert: subscriber.on_insert,
            on_network_release: subscriber.on_network_release,
            on_release: subscriber.on_release,
        };
        let subscription = map
            .0
            .subscribe_observer(name, Box::new(callbacks))
            .map_err(|(error, _)| error)?;
        data.taken();
        out.write(subscription.as_raw());
        Ok(())
    })
}

/// Ends a subscriber and returns at once: no new call of it starts. Calls under way go on; destroy is
/// called after the last.
///
/// Threads: any, also from inside a callback of the same subscriber.
/// Errors: NSGATE_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_unsubscribe(
    map: nsgate_map,
    subscription: u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let subscription = Subscription::from_raw(subscription);
        map.get()?.0.unsubscribe(subscription)
    })
}

/// Ends a subscriber and returns after its last call ended and destroy was called; also waits for one
/// that was only unsubscribed before.
///
/// Errors: NSGATE_WOULD_DEADLOCK, with nothing changed, from inside that subscriber, or from inside
/// what it waits for; NSGATE_NOT_FOUND when there is none, or its last call is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_unsubscribe_wait(
    map: nsgate_map,
    subscription: u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let subscription = Subscription::from_raw(subscription);
        map.get()?.0.unsubscribe_wait(subscription)
    })
}

/// Tells what a subscriber did so far.
///
/// Ownership: out.size is the caller's.
/// Errors: NSGATE_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_subscriber_stats(
    map: nsgate_map,
    subscription: u64,
    out: *mut nsgate_subscriber_stats,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = OutStruct::new(out)?;
        let subscription = Subscription::from_raw(subscription);
        let stats = map.get()?.0.subscriber(subscription)?;
        out.write(&nsgate_subscriber_stats::from(&stats));
        Ok(())
    })
}
