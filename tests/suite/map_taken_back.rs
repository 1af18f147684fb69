//! What is attached and released by its owner, who takes the release back: it is attached no more, and
//! may be attached anew.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, Outcome, Status};

use crate::host::{LONG, Volume, close, host, soon};
use crate::map_support::*;

/// A gate whose one worker for what may block is held up until the answer is dropped.
fn held_up() -> (Gate, mpsc::Sender<()>) {
    let mut options = GateOptions::default();
    options.blocking_workers = 1;
    options.blocking_budget = LONG + Duration::from_secs(600);
    let gate = Gate::open(options).unwrap();
    let (end, ended) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let job = move || {
        begin.send(()).unwrap();
        let _ = ended.recv();
        Ok(())
    };
    let job = gate.releases().reserve_job("holds up", job).unwrap();
    job.submit().unwrap();
    begun.recv().unwrap();
    (gate, end)
}

/// What was told, sorted: ends come from another thread, in no order with the rest.
fn told(log: &Log) -> Vec<&'static str> {
    let mut told: Vec<_> = log.lock().unwrap().iter().map(|one| one.what).collect();
    told.sort_unstable();
    told
}

#[test]
fn a_job_that_is_taken_back_can_be_attached_anew() {
    let _host = host();
    let (gate, end) = held_up();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("log", Recorder::new("log", &log)).unwrap();
    let (first, second) = (register(&map, "s", "first"), register(&map, "s", "second"));
    let runs = Arc::new(Mutex::new(0));
    let job = counting_job(&gate, &runs);
    first.attach_job(&job).unwrap();
    job.submit().unwrap();
    job.cancel().unwrap();
    eventually("it is attached no more", || first.attached() == 0);
    second.attach_job(&job).unwrap();
    assert_eq!(status(first.attach_job(&job)), Status::AlreadyExists);
    first.network_released().unwrap();
    assert_eq!((second.attached(), job.ticket()), (1, None));
    second.network_released().unwrap();
    drop(end);
    eventually("it came to its end", || second.attached() == 0);
    assert_eq!(*runs.lock().unwrap(), 1);
    close(&gate);
    // Each end once: of what was taken back, and of what was not.
    assert_eq!(
        told(&log),
        ["network release", "network release", "release", "release"]
    );
    map.close();
}

#[test]
fn a_chroot_that_is_taken_back_can_be_detached_and_attached_anew() {
    let _host = host();
    let (gate, end) = held_up();
    let map = Map::new(&gate);
    let (first, second) = (register(&map, "s", "first"), register(&map, "s", "second"));
    let volume = Volume::new();
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    // So that its release waits on the lane that is held up.
    chroot.before_release(|| Ok(())).unwrap();
    for round in 0..100 {
        first.attach(&chroot).unwrap();
        let ticket = chroot.release().unwrap();
        chroot.cancel_release().unwrap();
        let event = gate.releases().wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Cancelled);
        // Before or after the life has heard of it: both count once.
        if round % 2 == 0 {
            first.detach(&chroot).unwrap();
        }
        eventually("it is attached no more", || first.attached() == 0);
    }
    second.attach(&chroot).unwrap();
    assert_eq!(status(first.attach(&chroot)), Status::AlreadyExists);
    first.network_released().unwrap();
    assert!(!chroot.is_closed());
    second.network_released().unwrap();
    assert!(chroot.is_closed());
    drop(end);
    eventually("it came to its end", || second.attached() == 0);
    drop(chroot);
    close(&gate);
}

#[test]
fn a_chroot_that_is_taken_back_keeps_its_step() {
    let _host = host();
    let (gate, end) = held_up();
    let volume = Volume::new();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("log", Recorder::new("log", &log)).unwrap();
    let life = register(&map, "sandbox", "life");
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let (steps, stepped) = mpsc::channel();
    let step = move || {
        steps.send(()).unwrap();
        Ok(())
    };
    chroot.before_release(step).unwrap();
    life.attach(&chroot).unwrap();
    // It waits for the lane that its step runs on.
    chroot.release().unwrap();
    chroot.cancel_release().unwrap();
    eventually("the cancelled release is told", || life.attached() == 0);
    assert_eq!(
        status(chroot.before_release(|| Ok(()))),
        Status::InvalidState
    );
    drop(end);
    let ticket = chroot.release().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert!(matches!(event.outcome, Outcome::Released(_)), "{event:?}");
    stepped.recv().unwrap();
    life.network_released().unwrap();
    life.mark_stopped().unwrap();
    close(&gate);
    assert_eq!(told(&log), ["network release", "release"]);
    map.close();
}
