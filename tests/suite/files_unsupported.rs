//! A kernel, or a filter, without openat2: no gate, rather than a weaker way to look paths up.

use std::thread;

use nsgate::{Gate, GateOptions, Status};

use crate::host::host;

/// Makes `call` fail with `error` on the calling thread and those it makes, for good.
fn forbid(call: libc::c_long, error: i32) {
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
        statement(answer, libc::SECCOMP_RET_ERRNO | error as u32),
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

#[test]
fn without_openat2_there_is_no_gate() {
    let _host = host();
    let opened = thread::spawn(|| {
        forbid(libc::SYS_openat2, libc::ENOSYS);
        Gate::open(GateOptions::default()).map(drop)
    });
    let error = opened.join().unwrap().unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert_eq!(error.os_error(), Some(libc::ENOSYS));
    assert!(error.to_string().contains("openat2"), "{error}");
}
