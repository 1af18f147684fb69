//! What was attached to a life, was released by itself, and was taken back before it began.

use std::sync::mpsc;

use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, Outcome, Status};

use crate::host::{Volume, close, host, soon};
use crate::map_support::{Log, Map, Recorder, eventually, register, status};

/// A gate whose blocking lane has one worker, and that worker in a job until the sender is dropped.
fn busy_gate() -> (Gate, mpsc::Sender<()>) {
    let mut options = GateOptions::default();
    options.blocking_workers = 1;
    options.replacement_workers = 0;
    let gate = Gate::open(options).unwrap();
    let (end, ended) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let mut begin = Some(begin);
    let job = gate.releases().reserve_job("busy", move || {
        drop(begin.take());
        let _ = ended.recv();
        Ok(())
    });
    job.unwrap().submit().unwrap();
    let _ = begun.recv() as Result<(), _>;
    (gate, end)
}

/// What was told, sorted: ends come from another thread, in no order with the rest.
fn told(log: &Log) -> Vec<&'static str> {
    let mut told: Vec<_> = log.lock().unwrap().iter().map(|one| one.what).collect();
    told.sort_unstable();
    told
}

#[test]
fn a_cancelled_job_can_be_attached_again_and_is_told_once() {
    let _host = host();
    let (gate, busy) = busy_gate();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("log", Recorder::new("log", &log)).unwrap();
    let (first, second) = (register(&map, "s", "first"), register(&map, "s", "second"));
    let job = gate.releases().reserve_job("job", || Ok(())).unwrap();
    first.attach_job(&job).unwrap();
    job.submit().unwrap();
    job.cancel().unwrap();
    eventually("the job's cancelled release is told", || {
        first.attached() == 0
    });
    second.attach_job(&job).unwrap();
    assert_eq!(status(first.attach_job(&job)), Status::AlreadyExists);
    drop(busy);
    second.network_released().unwrap();
    eventually("the job is released", || second.attached() == 0);
    close(&gate);
    assert_eq!(told(&log), ["network release", "release", "release"]);
    map.close();
}

#[test]
fn a_chroot_whose_release_was_cancelled_is_no_longer_attached_and_keeps_its_step() {
    let _host = host();
    let (gate, busy) = busy_gate();
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
    drop(busy);
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
