//! Which signals the calling thread takes.

/// What a thread's own instructions cause; a thread that blocks these dies of them.
const OF_INSTRUCTIONS: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// A signal handler of the host must not run in a customer's root, nor interrupt a release: library
/// threads take none but those that their own instructions cause. Again after foreign code ran.
pub(crate) fn block() {
    // SAFETY: the set is plain data on this stack, filled before it is used; with a filled set and a
    // known `how` the last call has no way to fail.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for signal in OF_INSTRUCTIONS {
            libc::sigdelset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
    }
}
