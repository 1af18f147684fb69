//! Entering and restoring
//!
//! A thread that enters a namespace sees its mounts until it restores; then it stands exactly where it
//! stood: namespace, root and working directory. From its first enter on it has a root, working
//! directory and umask of its own (CLONE_FS, see unshare(2)). A program whose scheduler moves work
//! between threads uses nsgate_namespace_run instead.

use std::sync::Mutex;
use std::thread::{self, ThreadId};

use super::entry::{Out, entry};
use super::handle::{Handle, nsgate_entered, nsgate_namespace};
use super::status::{nsgate_error, nsgate_status};
use crate::sync::lock;
use crate::{Entered, Error, Result, Status};

/// A guard that the table keeps for its thread.
pub(super) struct Stay {
    thread: ThreadId,
    guard: Mutex<Option<Guard>>,
}

struct Guard(Entered);

// SAFETY: the guard is bound to its thread, and only touched there: `restore` compares the threads
// first, and `Stay` never drops a guard elsewhere.
unsafe impl Send for Guard {}

impl Stay {
    fn new(entered: Entered) -> Stay {
        Stay {
            thread: thread::current().id(),
            guard: Mutex::new(Some(Guard(entered))),
        }
    }

    /// Whether the stay is over, and how the restore went.
    fn restore(&self) -> (bool, Result<()>) {
        if thread::current().id() != self.thread {
            let message = "the thread that entered has to restore";
            return (false, Err(Error::new(Status::WrongThread, message)));
        }
        let guard = lock(&self.guard).take();
        let Some(Guard(entered)) = guard else {
            let message = "the stay is over";
            return (true, Err(Error::new(Status::InvalidHandle, message)));
        };
        match entered.restore() {
            Ok(()) => (true, Ok(())),
            Err(failure) => {
                let over = failure.entered.is_none();
                *lock(&self.guard) = failure.entered.map(Guard);
                (over, Err(failure.error))
            }
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // Unreachable while the handle stays in the table until its thread restored; were it not,
        // restoring on another thread would move that one.
        if thread::current().id() != self.thread {
            std::mem::forget(lock(&self.guard).take());
        }
    }
}

/// Puts the calling thread into the namespace.
///
/// Enters nest; they are restored in the reverse order. While inside, the thread must not start other
/// threads.
///
/// Ownership: the stay is ended by nsgate_entered_restore, which this thread must call before it ends.
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
        let stay = Stay::new(ns.get()?.enter()?);
        // Without a handle the stay is dropped here, which brings the thread back.
        out.write(nsgate_entered::make(stay)?);
        Ok(())
    })
}

/// Brings the calling thread back to where it stood before the enter.
///
/// Ownership: ends the handle, except for NSGATE_WRONG_THREAD and NSGATE_WRONG_ORDER.
/// Threads: the one that entered.
/// Errors: NSGATE_WRONG_THREAD; NSGATE_WRONG_ORDER when something entered later has to be restored
/// first; NSGATE_OS when namespace and root are restored but the working directory is gone (the thread
/// then stands in the root); NSGATE_TAINTED when the thread could not be brought back: it is in a
/// place that it must not be in, and must end without doing anything else.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_entered_restore(
    entered: nsgate_entered,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let stay = entered.get()?;
        let (over, result) = stay.restore();
        if over {
            // Only this thread comes so far, so the handle is still there.
            let _ = entered.close();
        }
        result
    })
}
