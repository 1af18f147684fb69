//! Fails one system call of a thread and of all threads that come of it, by a seccomp filter that
//! asks this process (seccomp_unotify(2)). The filter goes with the threads that it is on.

use std::collections::BTreeMap;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;

use super::calls::{Call, NEVER_FAILS};
use crate::host::LONG;

/// The `occurrence`th call of this kind, counted from 1 over all threads, fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    pub(crate) occurrence: u32,
    /// With this errno, or [`KILL`].
    pub(crate) errno: i32,
}

/// Instead of an errno: the process is killed with SIGKILL at that call.
pub(crate) const KILL: i32 = 0;

// _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp).
const NOTIF_RECV: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
const NOTIF_SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;

/// The threads that run code of the test's own. Who watches must not wait for a lock, nor allocate:
/// a watched thread may be in the allocator.
static ASIDE: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];

fn thread_id() -> u32 {
    nix::unistd::gettid().as_raw() as u32
}

/// Runs code of the test on a watched thread: its calls neither count nor fail.
pub(crate) fn aside<R>(code: impl FnOnce() -> R) -> R {
    let thread = thread_id();
    if is_aside(thread) {
        return code();
    }
    let (exchanged, ignored) = (Ordering::SeqCst, Ordering::SeqCst);
    let mut places = ASIDE.iter();
    let place = places
        .find(|place| {
            place
                .compare_exchange(0, thread, exchanged, ignored)
                .is_ok()
        })
        .expect("few threads are aside at once");
    let result = code();
    place.store(0, Ordering::SeqCst);
    result
}

fn is_aside(thread: u32) -> bool {
    ASIDE
        .iter()
        .any(|place| place.load(Ordering::SeqCst) == thread)
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
    for (index, (call, _)) in NEVER_FAILS.iter().enumerate() {
        let to_the_end = NEVER_FAILS.len() - index;
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

/// What a watched scenario did.
pub(crate) struct Watched<R> {
    pub(crate) result: R,
    /// The calls that it made, and how often.
    pub(crate) calls: BTreeMap<Call, u32>,
    /// Whether one was made to fail.
    pub(crate) fired: bool,
}

/// Runs `scenario` on a thread of its own with the fault. Returns once that thread and every thread
/// that came of it have ended.
pub(crate) fn watch<R: Send + 'static>(
    fault: Option<Fault>,
    scenario: impl FnOnce() -> R + Send + 'static,
) -> Watched<R> {
    // Handed over without a system call, which would be the first to be watched.
    let descriptor = Arc::new(AtomicI32::new(-1));
    let place = descriptor.clone();
    // Made by the allocator before anybody is watched.
    let mut counts = vec![0_u32; Call::INDEXES];
    let thread = thread::spawn(move || {
        place.store(install().into_raw_fd(), Ordering::SeqCst);
        scenario()
    });
    while descriptor.load(Ordering::SeqCst) < 0 && !thread.is_finished() {
        thread::sleep(Duration::from_micros(50));
    }
    let descriptor = descriptor.load(Ordering::SeqCst);
    assert!(descriptor >= 0, "no filter");
    // SAFETY: an open descriptor, which `install` gave and the thread gave up.
    let listener = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let mut fired = false;
    while let Some(request) = next(&listener) {
        let call = Call::of(&request.data);
        let mut error = None;
        if !is_aside(request.pid) {
            let count = &mut counts[call.index()];
            *count += 1;
            error = fault
                .filter(|fault| (fault.call, fault.occurrence) == (call, *count))
                .map(|fault| fault.errno);
        }
        fired |= error.is_some();
        answer(&listener, &request, error);
    }
    let result = thread.join();
    let counts = counts.into_iter().enumerate();
    let made = counts.filter(|(_, count)| *count > 0);
    Watched {
        result: result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        calls: made
            .map(|(index, count)| (Call::from_index(index), count))
            .collect(),
        fired,
    }
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
