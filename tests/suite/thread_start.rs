//! What is called on each namespace thread before it goes anywhere.

use std::sync::{Arc, Mutex, mpsc};

use nsgate::{Gate, GateOptions, MountNamespace, NamespaceId, Status, ThreadStart};

use crate::host::{close, gate, host};
use crate::left_behind::drop_admin;

fn gate_with(start: impl Fn() + Send + Sync + 'static) -> Gate {
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    options.thread_start = Some(ThreadStart::new(start));
    Gate::open(options).unwrap()
}

#[test]
fn each_thread_is_made_known_once_where_the_process_is_and_before_its_first_job() {
    let _host = host();
    let other = gate();
    let home = MountNamespace::current(&other).unwrap().id();
    let seen: Arc<Mutex<Vec<NamespaceId>>> = Arc::default();
    let gate = gate_with({
        let (seen, other) = (seen.clone(), other.clone());
        move || {
            let here = MountNamespace::current(&other).unwrap().id();
            seen.lock().unwrap().push(here);
        }
    });
    let namespace = MountNamespace::create(&gate).unwrap();
    let seen = || seen.lock().unwrap().clone();
    assert_eq!(seen(), []);
    assert_eq!(namespace.run(seen).unwrap(), [home]);
    assert_eq!(namespace.run(seen).unwrap(), [home]);
    // The thread does not come back, another takes its place.
    let lost = namespace.run(drop_admin).unwrap_err();
    assert_eq!(lost.status(), Status::Tainted);
    assert_eq!(namespace.run(seen).unwrap(), [home, home]);
    drop(namespace);
    close(&gate);
    drop(gate);
    close(&other);
}

#[test]
fn a_thread_whose_start_panics_takes_no_job() {
    let _host = host();
    let panics = Mutex::new(true);
    let gate = gate_with(move || {
        let panics = std::mem::replace(&mut *panics.lock().unwrap(), false);
        assert!(!panics, "no such runtime");
    });
    let namespace = MountNamespace::create(&gate).unwrap();
    let refused = namespace.run(|| ()).unwrap_err();
    assert_eq!(refused.status(), Status::Panic);
    assert!(refused.to_string().contains("no such runtime"), "{refused}");
    namespace.run(|| ()).unwrap();
    drop(namespace);
    close(&gate);
}

/// The signals that the calling thread blocks.
fn blocked() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("SigBlk"));
    line.unwrap().to_string()
}

#[test]
fn no_job_runs_with_signals_that_the_start_let_in() {
    let _host = host();
    let (sender, before) = mpsc::channel();
    let gate = gate_with(move || {
        sender.send(blocked()).unwrap();
        // SAFETY: a set of our own, which the first call fills.
        unsafe {
            let mut signals = std::mem::zeroed();
            libc::sigemptyset(&mut signals);
            libc::sigaddset(&mut signals, libc::SIGUSR2);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &signals, std::ptr::null_mut());
        }
    });
    let namespace = MountNamespace::current(&gate).unwrap();
    let inside = namespace.run(blocked).unwrap();
    assert_eq!(inside, before.recv().unwrap());
    drop(namespace);
    close(&gate);
}

#[test]
fn the_hosts_code_after_a_job_does_not_have_its_umask() {
    use nix::sys::stat::{Mode, umask};
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, seen) = mpsc::channel();
    let job = || {
        umask(Mode::from_bits_truncate(0o555));
    };
    let done = move |_| {
        let mask = umask(Mode::empty());
        umask(mask);
        sender.send(mask).unwrap();
    };
    namespace.start(Box::new(job), Box::new(done)).unwrap();
    assert_ne!(seen.recv().unwrap(), Mode::from_bits_truncate(0o555));
    drop(namespace);
    close(&gate);
}
