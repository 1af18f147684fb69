//! Every system call that the library makes in a scenario of opening, running, entering, restoring
//! and releasing fails once, each at every one of its occurrences. Whatever fails: what is said is
//! true, and nothing is left, no descriptor, mount, thread or place.
//!
//! The calls are not listed anywhere: a first run without a fault finds them.

mod errnos;
pub(crate) mod scenario;
pub(crate) mod seccomp;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::forbid::forbid;
use crate::host::{Volume, assert_no_thread_abroad, descriptors, host, mounts, soon, thread_ids};
use nsgate::{Error, Status};
use scenario::Ending;
use seccomp::Fault;

/// The kernels that the scenario runs on.
#[derive(Clone, Copy)]
enum Kernel {
    AsItIs,
    /// Without mount_setattr(2).
    Linux5_10,
}

/// One run of the scenario; how it ended, and which calls were made how often.
fn play(kernel: Kernel, fault: Option<Fault>) -> (Ending, BTreeMap<i64, u32>, bool) {
    let before = (mounts(), descriptors(), thread_ids().len());
    let volume = Volume::new();
    volume.file("marker", "inside");
    let place = volume.path().to_owned();
    let told = fault.map(|fault| fault.errno);
    let watched = seccomp::watch(fault, move || {
        if let Kernel::Linux5_10 = kernel {
            forbid(libc::SYS_mount_setattr);
        }
        scenario::play(&place, told, true)
    });
    drop(volume);
    let deadline = soon();
    loop {
        let now = (mounts(), descriptors(), thread_ids().len());
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

fn check(kernel: Kernel, fault: Fault, lies: &mut Vec<String>) -> &'static str {
    let (ending, _, fired) = play(kernel, Some(fault));
    for (step, error) in &ending.errors {
        if !fired || !is_true(error, fault) {
            let name = errnos::name(fault.call);
            lies.push(format!("{name} {fault:?}: {step} says {error}"));
        }
    }
    match (fired, ending.errors.is_empty()) {
        (false, _) => "not reached",
        (true, true) => "made up for",
        (true, false) => "told",
    }
}

/// Whether the error is what such a failure has to be told as.
fn is_true(error: &Error, fault: Fault) -> bool {
    // This is how what is no namespace answers when it is asked whether it is one.
    let is_no_namespace = (fault.call, fault.errno) == (libc::SYS_ioctl, libc::ENOTTY);
    error.os_error() == Some(fault.errno)
        || (is_no_namespace && error.status() == Status::InvalidArgument)
        || (fault.errno == libc::ENOSYS && error.status() == Status::Unsupported)
}

#[test]
fn whatever_call_fails_the_answer_is_true_and_nothing_is_left() {
    fail_each_call(Kernel::AsItIs);
}

#[test]
fn nor_is_it_where_namespaces_are_made_at_once() {
    fail_each_call(Kernel::Linux5_10);
}

fn fail_each_call(kernel: Kernel) {
    let _host = host();
    let long = std::env::var_os("NSGATE_LONG").is_some();
    let (ending, calls, _) = play(kernel, None);
    assert!(ending.errors.is_empty(), "{ending:?}");
    let mut lies = Vec::new();
    let mut results: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for (call, count) in &calls {
        let errnos = errnos::of(*call);
        let errnos = if long { errnos } else { &errnos[..1] };
        for &errno in errnos {
            for occurrence in 1..=*count {
                let fault = Fault {
                    call: *call,
                    occurrence,
                    errno,
                };
                let result = check(kernel, fault, &mut lies);
                *results.entry((errnos::name(*call), result)).or_default() += 1;
            }
        }
    }
    println!("{results:#?}");
    assert!(lies.is_empty(), "{}", lies.join("\n"));
    let told: u32 = results
        .iter()
        .filter(|((_, result), _)| *result == "told")
        .map(|(_, count)| count)
        .sum();
    // A filter that never bites would let everything pass.
    assert!(told >= 20, "{results:?}");
}
