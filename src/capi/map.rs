//! Sandbox map
//!
//! A map knows which sandboxes there are. A sandbox id may live several times, as checkpoint and
//! resume make it; a lifecycle id is one life, and a nsgate_sandbox handle is one life, too. The
//! running life is found by its sandbox id, the owner of an address by that. A life leaves the map when
//! it is stopped and its network is released or was never assigned.
//!
//! Subscribers are called on the thread that changed the map, in the order of subscription, under no
//! lock, and for one life never two at a time. A callback may call everything, also on the same map,
//! also its own unsubscribe; what would wait for itself answers NSGATE_WOULD_DEADLOCK. A callback should
//! not block; nsgate_gate_options.callback_budget_ns measures it. An answer other than NSGATE_OK is
//! counted for that subscriber, and the others are called all the same.

use std::ffi::c_void;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::callback::{UserData, nsgate_destroy_function};
use super::entry::{Out, OutArray, entry};
use super::event::nsgate_event;
use super::handle::{Handle, nsgate_gate, nsgate_map, nsgate_sandbox};
use super::life::{self, Value};
use super::status::{NSGATE_OK, nsgate_error, nsgate_status, nsgate_status_name};
use super::string::{name, nsgate_string};
use super::structs::{self, Extensible, OutStruct};
use super::time::{deadline, nanoseconds};
use crate::sandbox::Observer;
use crate::{Error, Event, Result, Sandbox, SandboxMap, Status, SubscriberStats, Subscription};

/// An IP address. An IPv4 address that is mapped into IPv6 is the same as the IPv4 address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_address {
    /// 4 or 6; 0 in an output: no address.
    pub family: u32,
    /// In network order; of an IPv4 address the first four, the others 0.
    pub bytes: [u8; 16],
}

impl nsgate_address {
    pub(super) const NONE: nsgate_address = nsgate_address {
        family: 0,
        bytes: [0; 16],
    };

    pub(super) fn read(&self) -> Result<IpAddr> {
        let [a, b, c, d, rest @ ..] = self.bytes;
        match self.family {
            4 if rest == [0; 12] => Ok(Ipv4Addr::new(a, b, c, d).into()),
            4 => Err(Error::new(
                Status::InvalidArgument,
                "an IPv4 address has four bytes, the others are 0",
            )),
            6 => Ok(Ipv6Addr::from(self.bytes).into()),
            family => Err(Error::new(
                Status::InvalidArgument,
                format!("{family} is no family of addresses"),
            )),
        }
    }
}

impl From<IpAddr> for nsgate_address {
    fn from(address: IpAddr) -> nsgate_address {
        match address {
            IpAddr::V4(address) => {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&address.octets());
                nsgate_address { family: 4, bytes }
            }
            IpAddr::V6(address) => nsgate_address {
                family: 6,
                bytes: address.octets(),
            },
        }
    }
}

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
unsafe impl Extensible for nsgate_subscriber {}

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
unsafe impl Extensible for nsgate_subscriber_stats {}

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

/// For nsgate_map_snapshot: all lives.
pub const NSGATE_SNAPSHOT_ALL: u32 = 0;
/// For nsgate_map_snapshot: those that run.
pub const NSGATE_SNAPSHOT_RUNNING: u32 = 1;

/// The map, which its handle alone holds.
pub(super) struct Map(SandboxMap<Value>);

impl Drop for Map {
    fn drop(&mut self) {
        self.0.close();
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

/// Makes an empty map.
///
/// Ownership: the handle is ended by nsgate_map_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_create(
    gate: nsgate_gate,
    out: *mut nsgate_map,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let map = SandboxMap::new(&*gate.get()?);
        out.write(nsgate_map::make(Map(map))?);
        Ok(())
    })
}

/// Closes a map: all lives leave it, what is attached to them is handed to the release queue, the
/// subscribers are ended without being told. Waits for nothing.
///
/// Ownership: ends the handle. References to its sandboxes stay valid until they are freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_free(
    map: nsgate_map,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { map.close().map(drop) })
}

/// Registers a life of a sandbox.
///
/// Both ids have 1 to 255 bytes of UTF-8. A sandbox id may have other lives; a lifecycle id may not.
///
/// Ownership: user_data is taken; destroy is called with it when the life has left the map and the
/// last reference is freed. The handle is one reference, freed by nsgate_sandbox_free.
/// Errors: NSGATE_ALREADY_EXISTS when the lifecycle id is in the map.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_register(
    map: nsgate_map,
    sandbox_id: nsgate_string,
    lifecycle_id: nsgate_string,
    user_data: *mut c_void,
    destroy: nsgate_destroy_function,
    out: *mut nsgate_sandbox,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let (sandbox_id, lifecycle_id) = (name(sandbox_id)?, name(lifecycle_id)?);
        let map = map.get()?;
        let data = UserData::new(user_data, destroy);
        let value = Value::new(data.clone())?;
        let sandbox = map
            .0
            .register(sandbox_id, lifecycle_id, value)
            .map_err(|(error, _)| error)?;
        data.taken();
        out.write(life::give(sandbox)?);
        Ok(())
    })
}

/// A sandbox that was found, as C gets it.
fn found(
    sandbox: Option<Sandbox<Value>>,
    what: std::fmt::Arguments<'_>,
    out: Out<nsgate_sandbox>,
    user_data: Out<*mut c_void>,
) -> Result<()> {
    let sandbox = sandbox.ok_or_else(|| Error::new(Status::NotFound, what.to_string()))?;
    let data = sandbox.value().user_data();
    out.write(life::give(sandbox)?);
    user_data.write(data);
    Ok(())
}

/// Finds the running life of a sandbox: of several the one that began to run last.
///
/// Ownership: the handle is one reference, freed by nsgate_sandbox_free. user_data may be NULL; what it
/// gets is the sandbox's, valid as long as the reference.
/// Errors: NSGATE_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_find(
    map: nsgate_map,
    sandbox_id: nsgate_string,
    out: *mut nsgate_sandbox,
    user_data: *mut *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (out, user_data) = (Out::new(out)?, Out::optional(user_data));
        let id = name(sandbox_id)?;
        let sandbox = map.get()?.0.find(id);
        let what = format_args!("no life of sandbox {id} runs");
        found(sandbox, what, out, user_data)
    })
}

/// Finds the life that owns an address: from its assignment until its network is released.
///
/// Ownership, errors: as nsgate_map_find.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_find_by_address(
    map: nsgate_map,
    address: nsgate_address,
    out: *mut nsgate_sandbox,
    user_data: *mut *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (out, user_data) = (Out::new(out)?, Out::optional(user_data));
        let address = address.read()?;
        let sandbox = map.get()?.0.find_by_address(address);
        let what = format_args!("no life owns {address}");
        found(sandbox, what, out, user_data)
    })
}

/// Finds a life by its own id, in whatever state, as long as it is in the map.
///
/// Ownership, errors: as nsgate_map_find.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_find_by_lifecycle(
    map: nsgate_map,
    lifecycle_id: nsgate_string,
    out: *mut nsgate_sandbox,
    user_data: *mut *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (out, user_data) = (Out::new(out)?, Out::optional(user_data));
        let id = name(lifecycle_id)?;
        let sandbox = map.get()?.0.find_by_lifecycle(id);
        let what = format_args!("no life {id} is in the map");
        found(sandbox, what, out, user_data)
    })
}

/// Counts the lives that run, and all of them.
///
/// Ownership: either output may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_count(
    map: nsgate_map,
    running: *mut usize,
    lifecycles: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (running, lifecycles) = (Out::optional(running), Out::optional(lifecycles));
        let map = map.get()?;
        running.write(map.0.count());
        lifecycles.write(map.0.lifecycles());
        Ok(())
    })
}

/// Lists the lives there are now, in no order.
///
/// which: NSGATE_SNAPSHOT_ALL or NSGATE_SNAPSHOT_RUNNING.
///
/// Ownership: buffer takes as many as fit, each one reference, freed by nsgate_sandbox_free; it may be
/// NULL with a capacity of 0. count is how many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_snapshot(
    map: nsgate_map,
    which: u32,
    buffer: *mut nsgate_sandbox,
    capacity: usize,
    count: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let buffer = OutArray::new(buffer, capacity)?;
        let count = Out::new(count)?;
        let map = map.get()?;
        let sandboxes = match which {
            NSGATE_SNAPSHOT_ALL => map.0.snapshot(),
            NSGATE_SNAPSHOT_RUNNING => map.0.running(),
            _ => {
                let message = format!("{which} is no kind of snapshot");
                return Err(Error::new(Status::InvalidArgument, message));
            }
        };
        count.write(sandboxes.len());
        let wanted = sandboxes.into_iter().take(buffer.capacity());
        buffer.write(wanted.filter_map(|sandbox| life::give(sandbox).ok()));
        Ok(())
    })
}

/// Releases the network of the life that owns an address, as nsgate_sandbox_network_released, if it is
/// this life: an address that has gone to a successor cannot release that.
///
/// Ownership: call_context is handed to the callbacks of this call. changed may be NULL; it gets 1, or
/// 0 when that life's network was released before.
/// Errors: NSGATE_WRONG_LIFECYCLE when the address is another life's; NSGATE_NOT_FOUND when there is no
/// such life; NSGATE_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_network_released(
    map: nsgate_map,
    address: nsgate_address,
    lifecycle_id: nsgate_string,
    call_context: *mut c_void,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(changed);
        let address = address.read()?;
        let id = name(lifecycle_id)?;
        let context = call_context as usize;
        let map = map.get()?;
        let changed = map.0.network_released_with(address, id, context)?;
        out.write(changed.into());
        Ok(())
    })
}

/// Waits until no life is in the map and no event of one is being told any more. The releases of what
/// was attached may still go on; nsgate_gate_drain waits for those.
///
/// Errors: NSGATE_TIMED_OUT; NSGATE_WOULD_DEADLOCK from inside a callback of a map.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_wait_idle(
    map: nsgate_map,
    timeout_ns: i64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let map = map.get()?;
        map.0.wait_idle(deadline(timeout_ns)?)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_both_ways_and_odd_ones_nowhere() {
        for text in ["10.0.0.7", "::", "fd00::1", "::ffff:10.0.0.7"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(nsgate_address::from(address).read().unwrap(), address);
        }
        let mut odd = nsgate_address::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        odd.bytes[15] = 1;
        assert!(odd.read().is_err());
        assert!(nsgate_address::NONE.read().is_err());
        let other = nsgate_address {
            family: 10,
            bytes: [0; 16],
        };
        assert!(other.read().is_err());
    }
}
