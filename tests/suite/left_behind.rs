//! What a job leaves on its thread, and what becomes of such a thread.

use std::sync::{Arc, mpsc};
use std::thread;

use nsgate::{Gate, GateOptions, MountNamespace, Status};

use crate::differential::user::user;
use crate::host::{self, close, host, soon};

/// Returns whether the calling thread blocked SIGUSR1 and SIGSEGV before.
pub(crate) fn change_signals(how: i32, signal: i32) -> [bool; 2] {
    // SAFETY: sets of signals, which are plain data, and signals that there are.
    unsafe {
        let (mut set, mut before): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        assert_eq!(libc::pthread_sigmask(how, &set, &mut before), 0);
        [libc::SIGUSR1, libc::SIGSEGV].map(|signal| libc::sigismember(&before, signal) == 1)
    }
}

#[test]
fn what_a_job_leaves_on_its_thread_does_not_reach_the_next() {
    let _host = host();
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    let gate = Gate::open(options).unwrap();
    let namespace = MountNamespace::create(&gate).unwrap();
    let look = |mask| nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask)).bits();
    let first = namespace.run(|| look(0o777)).unwrap();
    assert_eq!(namespace.run(|| look(0o777)).unwrap(), first);
    // This job lets the one in, and blocks the other.
    let job = || {
        change_signals(libc::SIG_UNBLOCK, libc::SIGUSR1);
        change_signals(libc::SIG_BLOCK, libc::SIGSEGV)
    };
    let next = || change_signals(libc::SIG_BLOCK, libc::SIGUSR1);
    assert_eq!(namespace.run(job).unwrap(), [false, false]);
    assert_eq!(namespace.run(next).unwrap(), [true, false]);
    // Nor does a panic of whoever is told about the end.
    let (sender, receiver) = mpsc::channel();
    let done = Box::new(move |_| {
        sender.send(()).unwrap();
        panic!("on purpose");
    });
    namespace.start(Box::new(|| ()), done).unwrap();
    receiver.recv().unwrap();
    assert_eq!(namespace.run(|| look(0o777)).unwrap(), first);
    drop(namespace);
    close(&gate);
}

#[test]
fn a_thread_that_cannot_come_home_ends_and_is_replaced() {
    let _host = host();
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    let gate = Gate::open(options).unwrap();
    let namespace = Arc::new(MountNamespace::create(&gate).unwrap());
    let own = MountNamespace::current(&gate).unwrap();
    let mut tainted = 0;
    let error = namespace
        .run(|| {
            tainted = nix::unistd::gettid().as_raw();
            drop_admin();
        })
        .unwrap_err();
    assert_eq!(error.status(), Status::Tainted);
    assert_eq!(error.os_error(), Some(libc::EPERM));
    assert!(error.to_string().contains("setns("), "{error}");
    for _ in 0..8 {
        let id = namespace.run(|| nix::unistd::gettid().as_raw()).unwrap();
        assert_ne!(id, tainted);
    }
    let deadline = soon();
    while host::thread_ids().contains(&tainted) {
        assert!(
            std::time::Instant::now() < deadline,
            "the tainted thread lives on"
        );
        thread::yield_now();
    }
    assert_eq!(MountNamespace::current(&gate).unwrap().id(), own.id());
    drop((namespace, own));
    close(&gate);
}

#[test]
fn a_thread_that_a_job_left_with_another_user_ends_and_is_replaced() {
    let _host = host();
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    let gate = Gate::open(options).unwrap();
    let namespace = MountNamespace::create(&gate).unwrap();
    // SAFETY: no memory is involved; no user has the number, nothing is changed.
    let file_user = || unsafe { libc::setfsuid(u32::MAX) };
    let own = file_user();
    // In a user namespace with one user there is nobody else to become.
    let other = user() as i32;
    let panicking = || {
        // SAFETY: changes this thread's user alone.
        unsafe { libc::setfsuid(other as u32) };
        panic!("on purpose");
    };
    let error = namespace.run::<()>(panicking).unwrap_err();
    match other == own {
        true => assert_eq!(error.status(), Status::Panic),
        false => {
            assert_eq!(error.status(), Status::Tainted);
            let text = error.to_string();
            assert!(
                text.contains("on purpose") && text.contains("fsuid 1000"),
                "{text}"
            );
        }
    }
    assert_eq!(namespace.run(file_user).unwrap(), own);
    // Whoever puts it back may become another.
    let brief = || {
        // SAFETY: as above.
        unsafe { (libc::setfsuid(other as u32), libc::setfsuid(own as u32)).1 }
    };
    assert_eq!(namespace.run(brief).unwrap(), other);
    drop(namespace);
    close(&gate);
}

/// Takes CAP_SYS_ADMIN from the calling thread alone, for good.
pub(crate) fn drop_admin() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let none = Data {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
    // SAFETY: header and data are of version 3's layout; capset(2) reads both.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &header, &[none; 2]) };
    assert_eq!(answer, 0);
}
