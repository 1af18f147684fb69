//! Copies of the test program, for what must not happen to itself.

use nix::unistd::{ForkResult, Pid, fork};

/// The exit status of a copy whose code panicked.
pub(crate) const PANICKED: i32 = 101;

/// Runs `code` in a copy of this process, which ends with it and with the status that it returns.
pub(crate) fn forked(code: impl FnOnce() -> i32) -> Pid {
    // SAFETY: the child is this thread alone. It uses the allocator, whose locks fork(3) hands over
    // free, and no lock that another thread of the test program may hold.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            // SAFETY: no memory is involved. The child dies with the test.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(code));
            // SAFETY: ends the process, without what belongs to the parent.
            unsafe { libc::_exit(ended.unwrap_or(PANICKED)) };
        }
    }
}
