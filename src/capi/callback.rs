//! Callbacks
//!
//! A callback gets the user_data it was given with first. Where a destroy function goes with it, the
//! library calls that exactly once, after the last call of the callback, on some thread and under no
//! lock; it may be NULL. When the function that takes a callback fails, nothing was taken: neither
//! the callback nor its destroy function is ever called.
//!
//! A callback may call every function of this library. It must return: neither longjmp nor a C++
//! exception may leave it, nor may it end its thread (pthread_exit), or have it cancelled by letting that
//! in again; the process would end.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result, Status};

/// Destroys the user data of a callback.
pub type nsgate_destroy_function = Option<extern "C" fn(user_data: *mut c_void)>;

/// A caller's pointer, that only its own functions look at.
#[derive(Clone, Copy)]
pub(super) struct Pointer(pub(super) *mut c_void);

// SAFETY: the library never looks behind the pointer; the header says on which threads it is used.
unsafe impl Send for Pointer {}
// SAFETY: as above.
unsafe impl Sync for Pointer {}

impl Pointer {
    /// A method, so that closures capture the whole and not the raw pointer inside.
    pub(super) fn get(&self) -> *mut c_void {
        self.0
    }
}

/// User data with its destroy function. Before [`UserData::taken`] it is still the caller's.
pub(super) struct UserData {
    pointer: Pointer,
    destroy: nsgate_destroy_function,
    taken: AtomicBool,
}

impl UserData {
    pub(super) fn new(pointer: *mut c_void, destroy: nsgate_destroy_function) -> Arc<UserData> {
        Arc::new(UserData {
            pointer: Pointer(pointer),
            destroy,
            taken: AtomicBool::new(false),
        })
    }

    pub(super) fn get(&self) -> *mut c_void {
        self.pointer.get()
    }

    /// From here on the last reference destroys it. Whoever calls this holds a reference, so it
    /// is never too late.
    pub(super) fn taken(&self) {
        self.taken.store(true, Ordering::Release);
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if *self.taken.get_mut()
            && let Some(destroy) = self.destroy
        {
            destroy(self.pointer.get());
        }
    }
}

/// The callback, which must not be NULL.
pub(super) fn required<F>(function: Option<F>) -> Result<F> {
    function.ok_or_else(|| Error::new(Status::InvalidArgument, "a callback is NULL"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    extern "C" fn count(user_data: *mut c_void) {
        // SAFETY: the tests pass a counter that outlives the call.
        unsafe { &*user_data.cast::<AtomicU32>() }.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn destroyed_once_when_taken_and_never_otherwise() {
        let destroyed = AtomicU32::new(0);
        let pointer = (&raw const destroyed).cast_mut().cast();
        drop(UserData::new(pointer, Some(count)));
        assert_eq!(destroyed.load(Ordering::Relaxed), 0);
        let data = UserData::new(pointer, Some(count));
        let callback = data.clone();
        drop(callback);
        data.taken();
        assert_eq!(destroyed.load(Ordering::Relaxed), 0);
        drop(data);
        assert_eq!(destroyed.load(Ordering::Relaxed), 1);
    }
}
