//! Mount namespaces, and jobs on namespace threads.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Barrier, mpsc};
use std::thread;

use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, MountNamespace, Status};

use crate::host::{self, LONG, Volume, close, gate, host, soon};

#[test]
fn the_same_namespace_has_the_same_id_whatever_way_it_was_found() {
    let _host = host();
    let gate = gate();
    let current = MountNamespace::current(&gate).unwrap();
    let by_path = MountNamespace::from_path(&gate, Path::new("/proc/self/ns/mnt")).unwrap();
    let by_pid = MountNamespace::from_pid(&gate, std::process::id() as i32).unwrap();
    let by_fd = MountNamespace::from_fd(&gate, current.try_clone_fd().unwrap()).unwrap();
    for other in [&by_path, &by_pid, &by_fd] {
        assert_eq!(other.id(), current.id());
    }
    let created = MountNamespace::create(&gate).unwrap();
    assert_ne!(created.id(), current.id());
    drop((current, by_path, by_pid, by_fd, created));
    close(&gate);
}

#[test]
fn what_is_no_mount_namespace_is_refused() {
    let _host = host();
    let gate = gate();
    let refused = |result: nsgate::Result<MountNamespace>| result.unwrap_err().status();
    for path in ["/proc/self/ns/net", "/dev/null", "/tmp", "a\0b"] {
        let answer = refused(MountNamespace::from_path(&gate, Path::new(path)));
        assert_eq!(answer, Status::InvalidArgument, "{path:?}");
    }
    let missing = MountNamespace::from_path(&gate, Path::new("/no/such/file")).unwrap_err();
    assert_eq!(missing.os_error(), Some(libc::ENOENT));
    assert!(
        missing
            .to_string()
            .contains("openat(AT_FDCWD, \"/no/such/file\"")
    );
    assert_eq!(
        refused(MountNamespace::from_pid(&gate, 0)),
        Status::InvalidArgument
    );
    assert_eq!(
        refused(MountNamespace::from_pid(&gate, i32::MAX)),
        Status::Os
    );
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    assert_eq!(
        refused(MountNamespace::from_fd(&gate, null)),
        Status::InvalidArgument
    );
    close(&gate);
}

#[test]
fn a_job_sees_the_namespace_and_the_caller_stays_where_it_is() {
    let _host = host();
    let gate = gate();
    let before = host::standing();
    let created = MountNamespace::create(&gate).unwrap();
    let inside = created.run(host::standing).unwrap();
    assert_ne!(inside[0], before[0]);
    assert_eq!(inside[2], Path::new("/"));
    assert_eq!(host::standing(), before);
    drop(created);
    close(&gate);
}

#[test]
fn a_panic_of_a_job_comes_back_as_an_error_and_the_thread_goes_on() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let error = namespace.run(|| panic!("on purpose")).unwrap_err();
    assert_eq!(error.status(), Status::Panic);
    assert!(error.to_string().contains("on purpose"), "{error}");
    assert_eq!(namespace.run(|| 7).unwrap(), 7);
    drop(namespace);
    close(&gate);
}

#[test]
fn several_jobs_are_inside_at_once_and_threads_are_bounded() {
    let _host = host();
    let mut options = GateOptions::default();
    options.namespace_threads = 4;
    let gate = Gate::open(options).unwrap();
    let namespace = MountNamespace::create(&gate).unwrap();
    let together = Barrier::new(4);
    let ids: HashSet<i32> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    namespace.run(|| {
                        together.wait();
                        nix::unistd::gettid().as_raw()
                    })
                })
            })
            .collect();
        jobs.into_iter()
            .map(|job| job.join().unwrap().unwrap())
            .collect()
    });
    assert_eq!(ids.len(), 4);
    // Many more jobs than threads: they queue up, and all are done.
    let seen: HashSet<i32> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..32)
            .map(|_| scope.spawn(|| namespace.run(|| nix::unistd::gettid().as_raw()).unwrap()))
            .collect();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    assert!(seen.len() <= 4, "{seen:?}");
    drop(namespace);
    close(&gate);
}

#[test]
fn a_nested_run_answers_also_when_no_thread_is_left() {
    let _host = host();
    let mut options = GateOptions::default();
    options.namespace_threads = 2;
    let gate = Gate::open(options).unwrap();
    let outer = MountNamespace::create(&gate).unwrap();
    let inner = MountNamespace::create(&gate).unwrap();
    let depth = outer
        .run(|| {
            inner.run(|| {
                let third = outer.run(|| ()).unwrap_err();
                assert_eq!(third.status(), Status::WouldDeadlock);
                2
            })
        })
        .unwrap();
    assert_eq!(depth.unwrap(), 2);
    let closing = outer.run(|| gate.close(soon()).unwrap_err()).unwrap();
    assert_eq!(closing.status(), Status::WouldDeadlock);
    drop((outer, inner));
    close(&gate);
}

#[test]
fn releasing_from_inside_ends_after_the_job() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let ticket = chroot
        .run(|| {
            let ticket = chroot.release().unwrap();
            assert_eq!(chroot.release().unwrap_err().status(), Status::Closed);
            ticket
        })
        .unwrap();
    gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(chroot.run(|| ()).unwrap_err().status(), Status::Closed);
    close(&gate);
}

#[test]
fn started_jobs_tell_once_from_outside() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, receiver) = mpsc::channel();
    for _ in 0..100 {
        let (ran, done) = (sender.clone(), sender.clone());
        namespace
            .start(
                Box::new(move || ran.send(host::standing()[0].clone()).unwrap()),
                Box::new(move |outcome| {
                    outcome.unwrap();
                    done.send("done".into()).unwrap();
                }),
            )
            .unwrap();
    }
    drop(sender);
    let all: Vec<_> = receiver.iter().collect();
    assert_eq!(
        all.iter().filter(|what| what.as_os_str() == "done").count(),
        100
    );
    assert_eq!(all.len(), 200);
    drop(namespace);
    close(&gate);
}

#[test]
fn who_is_told_of_an_end_and_dawdles_delays_no_other_job() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (told, telling) = mpsc::channel();
    let (let_go, held) = mpsc::channel();
    let (sender, was_let_go) = mpsc::channel();
    let done = move |outcome: nsgate::Result<()>| {
        told.send(outcome).unwrap();
        sender.send(held.recv_timeout(LONG)).unwrap();
    };
    namespace.start(Box::new(|| ()), Box::new(done)).unwrap();
    telling.recv().unwrap().unwrap();
    namespace.run(|| ()).unwrap();
    let_go.send(()).unwrap();
    assert_eq!(was_let_go.recv().unwrap(), Ok(()));
    drop(namespace);
    close(&gate);
}

#[test]
fn a_start_waits_for_no_thread_not_even_to_make_a_namespace() {
    let _host = host();
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    let gate = Gate::open(options).unwrap();
    let volume = Volume::new();
    let busy = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let fresh = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let (let_go, held) = mpsc::channel::<()>();
    let (sender, receiver) = mpsc::channel();
    let start = |chroot: &Chroot, job: Box<dyn FnOnce() + Send>| {
        let sender = sender.clone();
        let done = move |outcome: nsgate::Result<()>| sender.send(outcome).unwrap();
        chroot.start(job, Box::new(done)).unwrap();
    };
    start(&busy, Box::new(move || held.recv().unwrap()));
    for _ in 0..2 {
        start(&fresh, Box::new(|| ()));
    }
    assert!(receiver.try_recv().is_err(), "the only thread is held");
    // The starts are running uses: they come to their end although the chroot is released.
    let ticket = fresh.release().unwrap();
    let_go.send(()).unwrap();
    for _ in 0..3 {
        receiver.recv().unwrap().unwrap();
    }
    gate.releases().wait(ticket, Some(soon())).unwrap();
    drop((busy, fresh));
    close(&gate);
}

#[test]
fn a_closed_gate_refuses_jobs() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::current(&gate).unwrap();
    let kept = namespace.try_clone_fd().unwrap();
    namespace.release().unwrap();
    close(&gate);
    assert!(gate.is_closed());
    let refused = MountNamespace::from_fd(&gate, kept.as_fd().try_clone_to_owned().unwrap());
    assert_eq!(refused.unwrap_err().status(), Status::Closed);
    // Closing again finds the same.
    close(&gate);
}
