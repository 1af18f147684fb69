//! A kernel without a system call, for a thread and all threads that come of it. The filter goes with
//! the threads that it is on.

use std::thread;

/// Runs `body` on a thread that has no such call.
pub(crate) fn without<R: Send>(call: libc::c_long, body: impl FnOnce() -> R + Send) -> R {
    let ended = thread::scope(|scope| {
        let body = || {
            forbid(call);
            body()
        };
        scope.spawn(body).join()
    });
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Makes `call` ENOSYS on the calling thread and those it makes, for good.
pub(crate) fn forbid(call: libc::c_long) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut compare = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32);
    compare.jf = 1;
    let answer = libc::BPF_RET | libc::BPF_K;
    let mut filter = [
        // The number of the call is the first word of what a filter sees.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        compare,
        statement(answer, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        statement(answer, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: a program of the length that it says, which the kernel copies.
    let value = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &program,
        )
    };
    assert_eq!(value, 0, "{}", std::io::Error::last_os_error());
}
