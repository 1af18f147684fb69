//! Every system call that the library makes in a scenario of opening, running, entering, restoring
//! and releasing fails once, each at every one of its occurrences, those of std and of the C library
//! below it included. Whatever fails: what is said is true, and nothing is left, no descriptor,
//! mount, thread or place.
//!
//! Which calls there are is found by a run without a fault. Each must be in a table of `calls`, so
//! that a new one is thought about.

mod calls;
pub(crate) mod scenario;
pub(crate) mod seccomp;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};

use crate::child::forked;
use crate::forbid::forbid;
use crate::host::{Volume, assert_no_thread_abroad, descriptors, host, mounts, soon, thread_ids};
use calls::Call;
use nsgate::{Error, Status};
use scenario::Ending;
use seccomp::{Fault, Watched};

/// The kernels that the scenario runs on.
#[derive(Clone, Copy)]
enum Kernel {
    AsItIs,
    /// Without mount_setattr(2).
    Linux5_10,
}

/// One run of the scenario, on a volume of its own.
fn play(kernel: Kernel, fault: Option<Fault>) -> Watched<Ending> {
    let before = mounts();
    let volume = volume();
    let watched = play_on(kernel, volume.path(), fault);
    drop(volume);
    assert_eq!(mounts(), before, "{fault:?}");
    watched
}

fn volume() -> Volume {
    let volume = Volume::new();
    volume.file("marker", "inside");
    volume
}

fn play_on(kernel: Kernel, volume: &Path, fault: Option<Fault>) -> Watched<Ending> {
    forget_stacks();
    let before = (mounts(), descriptors(), thread_ids().len());
    let place = volume.to_owned();
    let told = fault.map(|fault| fault.errno);
    let watched = seccomp::watch(fault, move || {
        if let Kernel::Linux5_10 = kernel {
            forbid(libc::SYS_mount_setattr);
        }
        scenario::play(&place, told, true)
    });
    // What the fault kept mounted is the scenario's own; it is below the volume.
    let place = volume.to_str().unwrap();
    let without_own = |mounts: String| {
        let lines = mounts.lines().map(str::to_owned);
        let kept = lines.filter(|line| !line.contains(&format!("{place}/")));
        kept.collect::<Vec<_>>().join("\n")
    };
    let before = (without_own(before.0), before.1, before.2);
    let deadline = soon();
    loop {
        let now = (without_own(mounts()), descriptors(), thread_ids().len());
        if now == before {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{fault:?} left something behind: {now:#?} where {before:#?} was"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_no_thread_abroad();
    watched
}

/// The C library keeps the stacks of ended threads for later ones, which then need no memory. A
/// larger one pushes them all out.
fn forget_stacks() {
    let large = std::thread::Builder::new().stack_size(64 << 20);
    large.spawn(|| ()).unwrap().join().unwrap();
}

/// How a fault was taken, unless what was said about it is a lie.
fn taken(fault: Fault, watched: &Watched<Ending>) -> Result<Taken, String> {
    for (step, error) in &watched.result.errors {
        if !watched.fired || !is_true(error, fault) {
            let name = fault.call.name();
            return Err(format!("{name} {fault:?}: {step} says {error}"));
        }
    }
    Ok(match (watched.fired, watched.result.errors.is_empty()) {
        (false, _) => Taken::NotReached,
        (true, true) => Taken::MadeUpFor,
        (true, false) => Taken::Told,
    })
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Taken {
    NotReached,
    MadeUpFor,
    Told,
    /// By std, which then ended the process.
    Aborted,
}

impl Taken {
    const ALL: [Taken; 3] = [Taken::NotReached, Taken::MadeUpFor, Taken::Told];
}

/// As `taken`, of a run in a copy of this process, which std may end.
fn taken_apart(kernel: Kernel, fault: Fault) -> Result<Taken, String> {
    let before = mounts();
    let volume = volume();
    let child = forked(|| {
        silence();
        match taken(fault, &play_on(kernel, volume.path(), Some(fault))) {
            Ok(taken) => taken as i32,
            Err(lie) => panic!("{lie}"),
        }
    });
    let ended = waitpid(child, None).unwrap();
    drop(volume);
    assert_eq!(mounts(), before, "{fault:?}");
    match ended {
        WaitStatus::Signaled(_, Signal::SIGABRT, _) => Ok(Taken::Aborted),
        WaitStatus::Exited(_, status) => {
            let taken = Taken::ALL.into_iter().find(|taken| *taken as i32 == status);
            taken.ok_or_else(|| format!("{fault:?}: the copy ended with {status}"))
        }
        ended => Err(format!("{fault:?}: {ended:?}")),
    }
}

/// No core file and no backtraces of what is meant to abort.
fn silence() {
    std::panic::set_hook(Box::new(|panic| eprintln!("in a copy: {panic}")));
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a structure that outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

/// Whether the error is what such a failure has to be told as.
fn is_true(error: &Error, fault: Fault) -> bool {
    // This is how what is no namespace answers when it is asked whether it is one.
    let is_no_namespace = fault.call.is(libc::SYS_ioctl) && fault.errno == libc::ENOTTY;
    error.os_error() == Some(fault.errno)
        || (is_no_namespace && error.status() == Status::InvalidArgument)
        || (fault.errno == libc::ENOSYS && error.status() == Status::Unsupported)
        || (fault.call.makes_threads()
            && fault.errno == libc::ENOMEM
            && error.os_error() == Some(libc::EAGAIN))
}

#[test]
fn whatever_call_fails_the_answer_is_true_and_nothing_is_left() {
    fail_each_call(Kernel::AsItIs);
}

#[test]
fn so_it_is_where_namespaces_are_made_at_once() {
    fail_each_call(Kernel::Linux5_10);
}

fn fail_each_call(kernel: Kernel) {
    let _host = host();
    let long = std::env::var_os("NSGATE_LONG").is_some();
    let first = play(kernel, None);
    assert!(first.result.errors.is_empty(), "{:?}", first.result);
    let mut seen: BTreeSet<Call> = first.calls.keys().copied().collect();
    let mut lies = Vec::new();
    let mut results: BTreeMap<(&str, Taken), u32> = BTreeMap::new();
    for (call, count) in &first.calls {
        let errnos = call.errnos().unwrap_or_default();
        for &errno in errnos.iter().take(if long { usize::MAX } else { 1 }) {
            for occurrence in 1..=*count {
                let fault = Fault {
                    call: *call,
                    occurrence,
                    errno,
                };
                let taken = match call.may_abort() {
                    true => taken_apart(kernel, fault),
                    false => {
                        let watched = play(kernel, Some(fault));
                        seen.extend(watched.calls.keys());
                        taken(fault, &watched)
                    }
                };
                match taken {
                    Ok(taken) => *results.entry((call.name(), taken)).or_default() += 1,
                    Err(lie) => lies.push(lie),
                }
            }
        }
    }
    println!("{results:#?}");
    assert!(lies.is_empty(), "{}", lies.join("\n"));
    let unknown: Vec<_> = seen.iter().filter(|call| call.errnos().is_none()).collect();
    assert!(
        unknown.is_empty(),
        "calls that are in no table of tests/suite/fault/calls.rs: {unknown:?}"
    );
    // A filter that never bites would let everything pass.
    let all = |wanted| {
        let counts = results.iter().filter(|((_, taken), _)| *taken == wanted);
        counts.map(|(_, count)| count).sum::<u32>()
    };
    assert!(all(Taken::Told) >= 50, "{results:?}");
    // No thread can be had without a stack, and that is told.
    assert!(
        results.contains_key(&("mmap of a stack", Taken::Told)),
        "{results:?}"
    );
}
