//! Foreign code on threads that the library keeps: what it enters, or lets in of signals, must not be
//! there for the next. Namespace threads have a way home of their own.

use crate::error::Result;
use crate::kernel::signals;
use crate::stays;

/// Runs foreign code, and brings the calling thread back from what that entered and did not restore.
/// TAINTED where that can't be done, and with nothing run on a thread that it could not be done for
/// before.
pub(crate) fn run<R>(code: impl FnOnce() -> R) -> Result<R> {
    /// For code that panics.
    struct Back;

    impl Drop for Back {
        fn drop(&mut self) {
            // Where it fails the thread is lost, as whoever keeps it will find.
            let _ = come_back();
        }
    }

    // From what an end of foreign code entered that nobody ran: a last reference that was dropped.
    stays::bring_back_from_all()?;
    let back = Back;
    let result = code();
    std::mem::forget(back);
    come_back().map(|()| result)
}

fn come_back() -> Result<()> {
    signals::block();
    stays::bring_back_from_all()
}

/// Whether the calling thread can't be brought back. It runs nothing foreign any more and has to end.
pub(crate) fn has_lost_thread() -> bool {
    // As above.
    stays::bring_back_from_all().is_err()
}
