//! Whether the calling thread can be cancelled (pthread_cancel(3)).
//!
//! A cancelled thread unwinds at the next cancellation point, such as close(2), through whatever frames
//! there are. Through ours it must not: that ends the process.

use std::ffi::c_int;

/// PTHREAD_CANCEL_DISABLE of glibc.
const DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

fn set(state: c_int) -> c_int {
    let mut before = state;
    // SAFETY: it changes nothing but the calling thread's own state, and writes the former one.
    unsafe { pthread_setcancelstate(state, &mut before) };
    before
}

/// Puts a cancellation of this thread off for good.
pub(crate) fn refuse() {
    set(DISABLE);
}

/// Puts a cancellation of this thread off until it is dropped.
pub(crate) struct PutOff {
    before: c_int,
}

impl PutOff {
    pub(crate) fn begin() -> PutOff {
        PutOff {
            before: set(DISABLE),
        }
    }
}

impl Drop for PutOff {
    fn drop(&mut self) {
        set(self.before);
    }
}
