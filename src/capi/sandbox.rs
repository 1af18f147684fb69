//! Sandboxes
//!
//! Every change tells whether it changed anything, so that a host can call it from each of its
//! clean-up paths; where there is nothing to change any more, changed is 0 and the status NSGATE_OK.
//! Outputs named changed may be NULL. call_context is handed to the callbacks of that very call.
//!
//! A handle of a sandbox stays valid as long as the life is in its map, and as long as a reference to
//! it is held; registering, finding and listing give one, nsgate_sandbox_retain another, and
//! nsgate_sandbox_free takes one back.

use std::ffi::{c_char, c_void};

use super::address::nsgate_address;
use super::entry::{Out, entry};
use super::handle::{Handle, nsgate_chroot, nsgate_job, nsgate_sandbox};
use super::life;
use super::status::{fixed, nsgate_error, nsgate_status};
use super::structs::{Extensible, OutStruct};
use crate::{Network, State};

/// In the map, not running yet.
pub const NSGATE_SANDBOX_REGISTERED: u32 = 1;
/// Found by its sandbox id.
pub const NSGATE_SANDBOX_RUNNING: u32 = 2;
/// About to end; no longer found by its sandbox id.
pub const NSGATE_SANDBOX_STOPPING: u32 = 3;
/// Ended.
pub const NSGATE_SANDBOX_STOPPED: u32 = 4;

/// No address yet.
pub const NSGATE_NETWORK_NONE: u32 = 0;
/// The life owns its address.
pub const NSGATE_NETWORK_ASSIGNED: u32 = 1;
/// The address is given up, and what was attached is handed over.
pub const NSGATE_NETWORK_RELEASED: u32 = 2;

/// How a life stands.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_sandbox_details {
    /// sizeof(nsgate_sandbox_details), set by the caller.
    pub size: u32,
    /// NSGATE_SANDBOX_...
    pub state: u32,
    /// NSGATE_NETWORK_...
    pub network: u32,
    /// 0.
    pub reserved: u32,
    /// The address that was assigned, also after its release.
    pub address: nsgate_address,
    /// 0.
    pub reserved_too: u32,
    /// How many attached things have not come to their end.
    pub attached: u64,
    /// Ends in a NUL.
    pub sandbox_id: [c_char; 256],
    /// Ends in a NUL.
    pub lifecycle_id: [c_char; 256],
}

// SAFETY: integers only, the size first.
unsafe impl Extensible for nsgate_sandbox_details {
    const FIRST: usize = 560;
}

/// Assigns the life its address.
///
/// Errors: NSGATE_ALREADY_EXISTS when another life owns the address; NSGATE_INVALID_STATE when this one
/// has another, or its network is released, or it has ended; NSGATE_CLOSED when the map is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_assign_network(
    sandbox: nsgate_sandbox,
    address: *const nsgate_address,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(changed);
        let address = nsgate_address::read(address)?;
        let changed = life::get(sandbox)?.assign_network(address)?;
        out.write(changed.into());
        Ok(())
    })
}

/// Says that the life runs: it is found by its sandbox id from here on, and subscribers are told
/// (on_insert) before the call returns.
///
/// Errors: NSGATE_INVALID_STATE when it is stopping or stopped; NSGATE_CLOSED when the map is closed;
/// NSGATE_WOULD_DEADLOCK, with nothing changed, from inside a callback that the callback being called
/// for this life waits for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_mark_running(
    sandbox: nsgate_sandbox,
    call_context: *mut c_void,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(changed);
        let changed = life::get(sandbox)?.mark_running_with(call_context as usize)?;
        out.write(changed.into());
        Ok(())
    })
}

/// Says that the life is about to end: it is no longer found by its sandbox id. No subscriber is told;
/// call_context is for later versions.
///
/// Errors: NSGATE_CLOSED when the map is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_mark_stopping(
    sandbox: nsgate_sandbox,
    call_context: *mut c_void,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    let _ = call_context;
    entry!(error, {
        let out = Out::optional(changed);
        let changed = life::get(sandbox)?.mark_stopping()?;
        out.write(changed.into());
        Ok(())
    })
}

/// Says that the life has ended. It leaves the map once its network is released, too, or at once if it
/// had none. No subscriber is told; call_context is for later versions.
///
/// Errors: NSGATE_CLOSED when the map is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_mark_stopped(
    sandbox: nsgate_sandbox,
    call_context: *mut c_void,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    let _ = call_context;
    entry!(error, {
        let out = Out::optional(changed);
        let changed = life::get(sandbox)?.mark_stopped()?;
        out.write(changed.into());
        Ok(())
    })
}

/// Says that the life's network is gone: nothing can be attached from here on, the address is free for
/// another life, what is attached is handed to the release queue, and subscribers are told
/// (on_network_release) before the call returns. It waits for no release.
///
/// Errors: as nsgate_sandbox_mark_running, without NSGATE_INVALID_STATE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_network_released(
    sandbox: nsgate_sandbox,
    call_context: *mut c_void,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(changed);
        let changed = life::get(sandbox)?.network_released_with(call_context as usize)?;
        out.write(changed.into());
        Ok(())
    })
}

/// Makes a chroot part of the life: it is released when the life's network is, and subscribers are told
/// of its end (on_release). It may still be released by itself.
///
/// Ownership: the life keeps the chroot open; the handle stays the caller's, to free at any time.
/// Errors: NSGATE_CLOSED when the network is released or the life has ended (the chroot stays the
/// caller's), or when the chroot is released; NSGATE_ALREADY_EXISTS when it is attached already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_attach(
    sandbox: nsgate_sandbox,
    chroot: nsgate_chroot,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let sandbox = life::get(sandbox)?;
        sandbox.attach(&*chroot.get()?)
    })
}

/// Makes a job part of the life: it is submitted when the life's network is released.
///
/// Ownership: the life keeps the job; the handle stays the caller's, to free at any time.
/// Errors: as nsgate_sandbox_attach; NSGATE_INVALID_STATE when the job was submitted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_attach_job(
    sandbox: nsgate_sandbox,
    job: nsgate_job,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let sandbox = life::get(sandbox)?;
        sandbox.attach_job(&*job.get()?)
    })
}

/// Makes a chroot the caller's again. changed is 0 when it was not attached to this life, or its
/// release has been asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_detach(
    sandbox: nsgate_sandbox,
    chroot: nsgate_chroot,
    changed: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(changed);
        let sandbox = life::get(sandbox)?;
        let changed = sandbox.detach(&*chroot.get()?)?;
        out.write(changed.into());
        Ok(())
    })
}

/// Tells how the life stands.
///
/// Ownership: out.size is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_info(
    sandbox: nsgate_sandbox,
    out: *mut nsgate_sandbox_details,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = OutStruct::new(out)?;
        let sandbox = life::get(sandbox)?;
        let state = match sandbox.state() {
            State::Registered => NSGATE_SANDBOX_REGISTERED,
            State::Running => NSGATE_SANDBOX_RUNNING,
            State::Stopping => NSGATE_SANDBOX_STOPPING,
            State::Stopped => NSGATE_SANDBOX_STOPPED,
        };
        let network = match sandbox.network() {
            Network::None => NSGATE_NETWORK_NONE,
            Network::Assigned(_) => NSGATE_NETWORK_ASSIGNED,
            Network::Released => NSGATE_NETWORK_RELEASED,
        };
        let address = sandbox.address().map(nsgate_address::from);
        out.write(&nsgate_sandbox_details {
            size: 0,
            state,
            network,
            reserved: 0,
            address: address.unwrap_or(nsgate_address::NONE),
            reserved_too: 0,
            attached: sandbox.attached() as u64,
            sandbox_id: fixed(sandbox.id()),
            lifecycle_id: fixed(sandbox.lifecycle_id()),
        });
        Ok(())
    })
}

/// Gives the user data that the life was registered with.
///
/// Ownership: it is the sandbox's, valid as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_user_data(
    sandbox: nsgate_sandbox,
    out: *mut *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        out.write(life::get(sandbox)?.value().user_data());
        Ok(())
    })
}

/// Takes one more reference, to keep the handle beyond a callback or beyond the map.
///
/// Ownership: freed by nsgate_sandbox_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_retain(
    sandbox: nsgate_sandbox,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { life::give(life::get(sandbox)?).map(drop) })
}

/// Frees one reference. The life itself is not touched: it stays in the map until it is stopped and its
/// network released.
///
/// Ownership: the handle ends with the last reference, or when the life has left the map, whatever is
/// later.
/// Errors: NSGATE_INVALID_STATE when all references were freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_sandbox_free(
    sandbox: nsgate_sandbox,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { life::take(sandbox) })
}
