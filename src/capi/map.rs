//! Sandbox map
//!
//! A map knows which sandboxes there are. A sandbox id may live several times, as checkpoint and
//! resume make it; a lifecycle id is one life, and an nsgate_sandbox handle is one life, too. The
//! running life is found by its sandbox id, the owner of an address by that. A life leaves the map when
//! it is stopped and its network is released or was never assigned.

use std::ffi::c_void;
use std::sync::Arc;

use super::address::nsgate_address;
use super::callback::{UserData, nsgate_destroy_function};
use super::entry::{Out, OutArray, brief_entry, entry};
use super::handle::{Handle, nsgate_gate, nsgate_map, nsgate_sandbox};
use super::life::{self, Until, Value};
use super::status::{nsgate_error, nsgate_status};
use super::string::{name, nsgate_string};
use super::time::deadline;
use crate::sandbox::{By, address_changes};
use crate::{Error, Result, Sandbox, SandboxMap, Status};

/// For nsgate_map_snapshot: all lives.
pub const NSGATE_SNAPSHOT_ALL: u32 = 0;
/// For nsgate_map_snapshot: those that run.
pub const NSGATE_SNAPSHOT_RUNNING: u32 = 1;

/// The map, which its handle alone holds.
pub(super) struct Map(pub(super) SandboxMap<Value>);

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
    entry!(error, {
        // At once, and not by the last call that uses the map: that may wait for what this does.
        map.close()?.0.close();
        Ok(())
    })
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
        let data = UserData::new(user_data, destroy);
        register(map, sandbox_id, lifecycle_id, data, Until::Freed, out)
    })
}

/// As nsgate_map_register, but references don't keep user_data: for a host whose user data have
/// references of their own life, such as one with a garbage collector.
///
/// Ownership: user_data is taken; destroy is called with it when nobody is told of the life any more: it
/// has left the map, its events are told, and what was attached has come to its end. A reference that is
/// held longer is still good for everything but nsgate_sandbox_user_data.
/// Errors: as nsgate_map_register.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_register_weak(
    map: nsgate_map,
    sandbox_id: nsgate_string,
    lifecycle_id: nsgate_string,
    user_data: *mut c_void,
    destroy: nsgate_destroy_function,
    out: *mut nsgate_sandbox,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let data = UserData::new(user_data, destroy);
        register(map, sandbox_id, lifecycle_id, data, Until::Told, out)
    })
}

/// # Safety
/// `out` is NULL or can be written; the strings can be read.
unsafe fn register(
    map: nsgate_map,
    sandbox_id: nsgate_string,
    lifecycle_id: nsgate_string,
    data: Arc<UserData>,
    until: Until,
    out: *mut nsgate_sandbox,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (out, sandbox_id, lifecycle_id) =
        unsafe { (Out::new(out)?, name(sandbox_id)?, name(lifecycle_id)?) };
    let map = map.get()?;
    let (value, keepsake) = Value::new(data.clone(), until)?;
    let sandbox = map
        .0
        .register_with(sandbox_id, lifecycle_id, value, keepsake)
        .map_err(|(error, _)| error)?;
    data.taken();
    out.write(life::give(sandbox)?);
    Ok(())
}

/// Finds a life and hands out what is asked for.
///
/// # Safety
/// `out` and `user_data` are NULL or can be written.
#[inline(always)]
unsafe fn find(
    map: nsgate_map,
    by: By<'_>,
    out: *mut nsgate_sandbox,
    user_data: *mut *mut c_void,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (wants_handle, out, user_data) =
        unsafe { (!out.is_null(), Out::optional(out), Out::optional(user_data)) };
    let map = map.get()?;
    let data = if wants_handle {
        let sandbox = map.0.look(by, Sandbox::clone).ok_or_else(|| lacking(by))?;
        let data = sandbox.value().user_data();
        out.write(life::give(sandbox)?);
        data
    } else {
        let data = map.0.look(by, |sandbox| sandbox.value().user_data());
        data.ok_or_else(|| lacking(by))?
    };
    user_data.write(data);
    Ok(())
}

#[cold]
fn lacking(by: By<'_>) -> Error {
    let message = match by {
        By::Sandbox(id) => format!("no life of sandbox {id} runs"),
        By::Address(address) => format!("no life owns {address}"),
        By::Lifecycle(id) => format!("no life {id} is in the map"),
    };
    Error::new(Status::NotFound, message)
}

/// Finds the running life of a sandbox: of several the one that began to run last.
///
/// Ownership: the handle is one reference, freed by nsgate_sandbox_free. Either output may be NULL. What
/// user_data gets is the sandbox's, valid as long as the reference; where out is NULL no reference is
/// made, which is far cheaper, and the caller has to know how long user_data is valid.
/// Errors: NSGATE_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_find(
    map: nsgate_map,
    sandbox_id: nsgate_string,
    out: *mut nsgate_sandbox,
    user_data: *mut *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    brief_entry!(error, {
        find(map, By::Sandbox(name(sandbox_id)?), out, user_data)
    })
}

/// Finds the life that owns an address: from its assignment until its network is released.
///
/// Ownership, errors: as nsgate_map_find.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_find_by_address(
    map: nsgate_map,
    address: *const nsgate_address,
    out: *mut nsgate_sandbox,
    user_data: *mut *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    brief_entry!(error, {
        find(
            map,
            By::Address(nsgate_address::read(address)?.into()),
            out,
            user_data,
        )
    })
}

/// Points to a number that grows whenever an address gets an owner or loses it, in whatever map: what
/// nsgate_map_find_by_address answered still holds as long as the number is what it was before that call.
/// For callers that keep answers, because a call costs them more than the look-up.
///
/// Ownership: the number is the library's, and there for good. It is read atomically, with acquire order.
#[unsafe(no_mangle)]
pub extern "C" fn nsgate_address_changes() -> *const u64 {
    address_changes().as_ptr()
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
    brief_entry!(error, {
        find(map, By::Lifecycle(name(lifecycle_id)?), out, user_data)
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

/// Something of each life of a kind of snapshot.
fn collect<R>(map: &Map, which: u32, look: impl FnMut(&Sandbox<Value>) -> R) -> Result<Vec<R>> {
    match which {
        NSGATE_SNAPSHOT_ALL => Ok(map.0.look_at_all(look)),
        NSGATE_SNAPSHOT_RUNNING => Ok(map.0.look_at_running(look)),
        _ => Err(Error::new(
            Status::InvalidArgument,
            format!("{which} is no kind of snapshot"),
        )),
    }
}

/// Lists the lives there are now, in no order.
///
/// which: NSGATE_SNAPSHOT_ALL or NSGATE_SNAPSHOT_RUNNING.
///
/// Ownership: buffer takes as many as fit, each one reference, freed by nsgate_sandbox_free; user_data
/// takes those of the same lives. Both have the capacity; either may be NULL, and both with a capacity of
/// 0. Where buffer is NULL no references are made, and the caller has to know how long the user data are
/// valid. count is how many lives there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_map_snapshot(
    map: nsgate_map,
    which: u32,
    buffer: *mut nsgate_sandbox,
    user_data: *mut *mut c_void,
    capacity: usize,
    count: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let count = Out::new(count)?;
        let map = map.get()?;
        if buffer.is_null() {
            let user_data = OutArray::new(user_data, capacity)?;
            let data = collect(&map, which, |sandbox| sandbox.value().user_data())?;
            count.write(data.len());
            user_data.write(data);
            return Ok(());
        }
        let buffer = OutArray::new(buffer, capacity)?;
        let user_data = OutArray::new(user_data, if user_data.is_null() { 0 } else { capacity })?;
        let sandboxes = collect(&map, which, Sandbox::clone)?;
        count.write(sandboxes.len());
        let wanted = sandboxes.into_iter().take(capacity);
        let (handles, data): (Vec<_>, Vec<_>) = wanted
            .filter_map(|sandbox| {
                let data = sandbox.value().user_data();
                Some((life::give(sandbox).ok()?, data))
            })
            .unzip();
        buffer.write(handles);
        user_data.write(data);
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
    address: *const nsgate_address,
    lifecycle_id: nsgate_string,
    call_context: *mut c_void,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(changed);
        let address = nsgate_address::read(address)?;
        let id = name(lifecycle_id)?;
        let context = call_context as usize;
        let map = map.get()?;
        let changed = map.0.network_released_with(address, id, context)?;
        out.write(changed.into());
        Ok(())
    })
}

/// Waits until no life is in the map, no event of one is being told any more, and all that was attached
/// is handed over. The releases may still go on; nsgate_gate_drain waits for those.
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
