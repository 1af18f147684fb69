//! Entering and restoring
//!
//! A thread that enters a namespace sees its mounts until it restores; then it stands exactly where it
//! stood: namespace, root and working directory. From its first enter on it has a root, working
//! directory and umask of its own (CLONE_FS, see unshare(2)). A program whose scheduler moves work
//! between threads uses nsgate_namespace_run instead.

use super::entry::{Out, entry};
use super::handle::{Handle, nsgate_entered, nsgate_namespace};
use super::status::{nsgate_error, nsgate_status};
use crate::namespace;
use crate::stays::{StayId, Thread};

/// Whose stay a handle stands for. What it leads back to is kept for the thread, not here.
pub(super) struct Stay {
    owner: Thread,
    id: StayId,
}

/// Puts the calling thread into the namespace.
///
/// Enters nest; they are restored in the reverse order. While inside, the thread must not start other
/// threads.
///
/// Ownership: the stay is ended by nsgate_entered_restore, which this thread must call before it ends;
/// a destructor that runs while it ends is early enough. What is left of a thread that has ended is let
/// go when any other thread restores it, or a gate closes.
/// Errors: NSGATE_CLOSED; NSGATE_OS, and the thread stands where it stood.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_enter(
    ns: nsgate_namespace,
    out: *mut nsgate_entered,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        // First, so that nothing can fail once the thread is inside.
        let handle = nsgate_entered::vacancy()?;
        let owner = Thread::current();
        let id = ns.get()?.enter()?.into_stay();
        out.write(nsgate_entered::from_id(handle.fill(Stay { owner, id })));
        Ok(())
    })
}

/// Brings the calling thread back to where it stood before the enter.
///
/// Ownership: ends the handle, except for NSGATE_WRONG_THREAD and NSGATE_WRONG_ORDER.
/// Threads: the one that entered.
/// Errors: NSGATE_WRONG_THREAD; NSGATE_INVALID_STATE, with nothing changed, when that thread has ended,
/// or the library has brought it back because a callback returned without a restore; NSGATE_WRONG_ORDER
/// when something entered later has to be restored first; NSGATE_OS when namespace and root are restored
/// but the working directory is gone (the thread then stands in the root); NSGATE_TAINTED when the thread
/// could not be brought back: it is in a place that it must not be in, and must end without doing
/// anything else.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_entered_restore(
    entered: nsgate_entered,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let stay = entered.get()?;
        let (is_over, result) = namespace::restore(stay.owner, stay.id);
        if is_over {
            // Where its thread has ended another may have been quicker.
            let _ = entered.close();
        }
        result
    })
}
