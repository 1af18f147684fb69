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
/// threads take none but those that their own instructions cause.
pub(crate) fn block() {
    change(libc::SIG_SETMASK, &all_but(&OF_INSTRUCTIONS));
}

/// The same after foreign code ran. SIGPROF stays as that left it: Go's runtime lets it in on each
/// thread that it is called on, once, and profiles by it.
pub(crate) fn block_again() {
    let mut blocked = all_but(&OF_INSTRUCTIONS);
    // SAFETY: a filled set of signals, and a signal that there is.
    unsafe { libc::sigdelset(&mut blocked, libc::SIGPROF) };
    let before = change(libc::SIG_BLOCK, &blocked);
    // SAFETY: a filled set of signals, and signals that there are.
    let was_blocked = |signal: &i32| unsafe { libc::sigismember(&before, *signal) } == 1;
    if OF_INSTRUCTIONS.iter().any(was_blocked) {
        change(libc::SIG_UNBLOCK, &only(&OF_INSTRUCTIONS));
    }
}

fn all_but(exceptions: &[i32]) -> libc::sigset_t {
    // SAFETY: the set is plain data on this stack, filled before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for signal in exceptions {
            libc::sigdelset(&mut set, *signal);
        }
        set
    }
}

fn only(members: &[i32]) -> libc::sigset_t {
    // SAFETY: the set is plain data on this stack, emptied before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in members {
            libc::sigaddset(&mut set, *signal);
        }
        set
    }
}

fn change(how: i32, set: &libc::sigset_t) -> libc::sigset_t {
    // SAFETY: plain data; with a filled set and a known `how` the call has no way to fail.
    unsafe {
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(how, set, &mut before);
        before
    }
}
