//! Fails one system call of a thread and of all threads that come of it, by a seccomp filter that
//! asks this process (seccomp_unotify(2)). The filter goes with the threads that it is on.

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, mpsc};
use std::thread;

use nix::errno::Errno;

use crate::host::LONG;

/// The `occurrence`th call of this kind, counted from 1 over all threads, fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) call: i64,
    pub(crate) occurrence: u32,
    /// With this errno, or [`KILL`].
    pub(crate) errno: i32,
}

/// Instead of an errno: the process is killed with SIGKILL at that call.
pub(crate) const KILL: i32 = 0;

/// What has no way to fail, is the allocator's, or belongs to the scheduler and to thread start-up.
const LEFT_ALONE: &[libc::c_long] = &[
    libc::SYS_futex,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_prctl,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_membarrier,
    libc::SYS_getrandom,
    libc::SYS_seccomp,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

// _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp).
const NOTIF_RECV: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
const NOTIF_SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;

static ASIDE: Mutex<Option<HashSet<u32>>> = Mutex::new(None);

fn thread_id() -> u32 {
    nix::unistd::gettid().as_raw() as u32
}

/// Runs code of the test on a watched thread: its calls neither count nor fail.
pub(super) fn aside<R>(code: impl FnOnce() -> R) -> R {
    let mut aside = ASIDE.lock().unwrap();
    let added = aside.get_or_insert_default().insert(thread_id());
    drop(aside);
    let result = code();
    if added {
        let mut aside = ASIDE.lock().unwrap();
        aside.get_or_insert_default().remove(&thread_id());
    }
    result
}

fn is_aside(thread: u32) -> bool {
    let aside = ASIDE.lock().unwrap();
    aside.as_ref().is_some_and(|aside| aside.contains(&thread))
}

/// Puts the filter on the calling thread.
fn install() -> OwnedFd {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let answer = libc::BPF_RET | libc::BPF_K;
    // The number is the first field of struct seccomp_data.
    let mut program = vec![statement(load, 0)];
    for (index, call) in LEFT_ALONE.iter().enumerate() {
        let to_the_end = LEFT_ALONE.len() - index;
        let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(libc::sock_filter {
            jt: to_the_end as u8,
            ..statement(jump, *call as u32)
        });
    }
    program.push(statement(answer, libc::SECCOMP_RET_USER_NOTIF));
    program.push(statement(answer, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: a program of the length that it says, which the kernel copies.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &program,
        )
    };
    assert!(fd >= 0, "seccomp: {}", Errno::last());
    // SAFETY: the kernel just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Runs `scenario` on a thread of its own with the fault. Returns once that thread and every thread
/// that came of it have ended: what it returned, the calls that were made, and whether one failed.
pub(crate) fn watch<R: Send + 'static>(
    fault: Option<Fault>,
    scenario: impl FnOnce() -> R + Send + 'static,
) -> (R, BTreeMap<i64, u32>, bool) {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        sender.send(install()).unwrap();
        scenario()
    });
    let listener = receiver.recv().unwrap();
    let mut calls = BTreeMap::new();
    let mut fired = false;
    while let Some(request) = next(&listener) {
        let call = i64::from(request.data.nr);
        let mut error = None;
        if !is_aside(request.pid) {
            let count: &mut u32 = calls.entry(call).or_default();
            *count += 1;
            error = fault
                .filter(|fault| (fault.call, fault.occurrence) == (call, *count))
                .map(|fault| fault.errno);
        }
        fired |= error.is_some();
        answer(&listener, &request, error);
    }
    let result = thread.join();
    (
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        calls,
        fired,
    )
}

/// The next call; `None` once no thread has the filter any more.
fn next(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    loop {
        let mut poll = libc::pollfd {
            fd: listener.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one structure, as is said.
        let ready = unsafe { libc::poll(&mut poll, 1, LONG.as_millis() as i32) };
        assert!(ready != 0, "threads of the scenario are left");
        if poll.revents & libc::POLLIN == 0 {
            if poll.revents & libc::POLLHUP != 0 {
                return None;
            }
            continue;
        }
        // SAFETY: plain data, all zero is what the kernel wants to see.
        let mut request: libc::seccomp_notif = unsafe { mem::zeroed() };
        // SAFETY: an open descriptor and a structure of the size that the request says.
        let value = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &mut request) };
        if value == 0 {
            return Some(request);
        }
    }
}

fn answer(listener: &OwnedFd, request: &libc::seccomp_notif, error: Option<i32>) {
    if error == Some(KILL) {
        // SAFETY: no memory is involved.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
    if error.is_some() && i64::from(request.data.nr) == libc::SYS_close {
        // Whatever close says, the descriptor is gone: as the kernel does it.
        // SAFETY: the thread that closes it waits for this, and gave it up by its call.
        unsafe { libc::close(request.data.args[0] as i32) };
    }
    // SAFETY: plain data.
    let mut response: libc::seccomp_notif_resp = unsafe { mem::zeroed() };
    response.id = request.id;
    match error {
        Some(errno) => response.error = -errno,
        None => response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
    }
    // The one failure that is possible, that the thread is gone, is none.
    // SAFETY: an open descriptor and a structure of the size that the request says.
    unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &response) };
}
