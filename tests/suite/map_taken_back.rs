//! What is attached and released by its owner, who takes the release back: it is attached no more, and
//! may be attached anew.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use nsgate::{Chroot, ChrootOptions, Event, Gate, GateOptions, Outcome, Status};

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

/// Holds up every notice of the gate until the answer is dropped.
fn hold_notices(gate: &Gate) -> mpsc::Sender<()> {
    let (end, ended) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let ended = Mutex::new(ended);
    let slow = move |_: &Event| {
        let _ = begin.send(());
        let _ = ended.lock().unwrap().recv();
    };
    gate.releases().subscribe(slow).unwrap();
    let volume = Volume::new();
    let chroot = open(gate, &volume);
    chroot.release().unwrap();
    begun.recv().unwrap();
    end
}

fn open(gate: &Gate, volume: &Volume) -> Chroot {
    Chroot::open(gate, volume.path(), &ChrootOptions::default()).unwrap()
}

/// A chroot whose release waits on the lane that is held up.
fn open_with_step(gate: &Gate, volume: &Volume) -> Chroot {
    let chroot = open(gate, volume);
    chroot.before_release(|| Ok(())).unwrap();
    chroot
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
    let chroot = open_with_step(&gate, &volume);
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
    let chroot = open(&gate, &volume);
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

#[test]
fn a_chroot_that_is_taken_back_is_not_detached_from_the_next_life() {
    let _host = host();
    let (gate, end) = held_up();
    let notices = hold_notices(&gate);
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("log", Recorder::new("log", &log)).unwrap();
    let (first, second) = (register(&map, "s", "first"), register(&map, "s", "second"));
    let volume = Volume::new();
    let chroot = open_with_step(&gate, &volume);
    first.attach(&chroot).unwrap();
    chroot.release().unwrap();
    chroot.cancel_release().unwrap();
    second.attach(&chroot).unwrap();
    // The first life has not been told yet that its release was cancelled.
    assert!(!first.detach(&chroot).unwrap());
    assert_eq!((first.attached(), second.attached()), (0, 1));
    second.network_released().unwrap();
    drop((end, notices));
    eventually("it came to its end", || second.attached() == 0);
    drop(chroot);
    close(&gate);
    let lives: Vec<_> = calls(&log)
        .into_iter()
        .map(|call| (call.1, call.2))
        .collect();
    for life in ["first", "second"] {
        let told = ("release", life.to_string());
        assert_eq!(lives.iter().filter(|call| **call == told).count(), 1);
    }
}

#[test]
fn what_is_taken_back_is_not_released_with_the_network() {
    let _host = host();
    let (gate, end) = held_up();
    let notices = hold_notices(&gate);
    let map = Map::new(&gate);
    let (first, second) = (register(&map, "s", "first"), register(&map, "s", "second"));
    let volume = Volume::new();
    let runs = Arc::new(Mutex::new(0));
    let (chroot, job) = (open_with_step(&gate, &volume), counting_job(&gate, &runs));
    first.attach(&chroot).unwrap();
    first.attach_job(&job).unwrap();
    chroot.release().unwrap();
    job.submit().unwrap();
    chroot.cancel_release().unwrap();
    job.cancel().unwrap();
    // The first life has not been told yet that they are their owner's again.
    second.attach_job(&job).unwrap();
    first.network_released().unwrap();
    assert!(!chroot.is_closed());
    assert_eq!((job.ticket(), second.attached()), (None, 1));
    second.network_released().unwrap();
    assert!(job.ticket().is_some());
    drop((end, notices));
    eventually("it came to its end", || second.attached() == 0);
    assert_eq!((first.attached(), *runs.lock().unwrap()), (0, 1));
    chroot.release().unwrap();
    close(&gate);
}

#[test]
fn what_is_taken_back_of_a_released_life_is_its_owners_alone() {
    let _host = host();
    let (gate, end) = held_up();
    let map = Map::new(&gate);
    let life = register(&map, "s", "life");
    let runs = Arc::new(Mutex::new(0));
    life.attach_job(&counting_job(&gate, &runs)).unwrap();
    let volume = Volume::new();
    let chroot = open_with_step(&gate, &volume);
    life.attach(&chroot).unwrap();
    life.network_released().unwrap();
    chroot.cancel_release().unwrap();
    assert_eq!(life.attached(), 1);
    // The last handle: the life, whose job is still to end, has none.
    let before = gate.stats().adds;
    drop(chroot);
    assert_eq!(gate.stats().adds, before + 1);
    drop(end);
    close(&gate);
    assert_eq!((life.attached(), *runs.lock().unwrap()), (0, 1));
}

/// One thread releases a chroot and takes it back, again and again, while the network of its life is
/// released: either that has it, or it stays with its owner, who gives it to another life.
#[test]
fn taking_back_races_with_the_release_of_the_network() {
    const ROUNDS: usize = 500;
    let _host = host();
    let (gate, end) = held_up();
    let map = Map::new(&gate);
    let volume = Volume::new();
    let runs = Arc::new(Mutex::new(0));
    for round in 0..ROUNDS {
        let (first, second) = (
            register(&map, "s", &format!("first-{round}")),
            register(&map, "s", &format!("second-{round}")),
        );
        // They are handed over before it.
        for _ in 0..30 {
            first.attach_job(&counting_job(&gate, &runs)).unwrap();
        }
        let chroot = open_with_step(&gate, &volume);
        first.attach(&chroot).unwrap();
        let (begin, begun) = mpsc::channel();
        let is_kept = std::thread::scope(|scope| {
            let owner = scope.spawn(|| {
                begin.send(()).unwrap();
                while chroot.release().is_ok() {
                    chroot.cancel_release().unwrap();
                    if first.attach(&chroot).is_err() {
                        second.attach(&chroot).unwrap();
                        return true;
                    }
                }
                false
            });
            begun.recv().unwrap();
            first.network_released().unwrap();
            owner.join().unwrap()
        });
        assert_eq!(chroot.is_closed(), !is_kept, "round {round}");
        assert_eq!(second.attached(), usize::from(is_kept));
        second.network_released().unwrap();
        for life in [first, second] {
            life.mark_stopped().unwrap();
        }
    }
    drop(end);
    close(&gate);
    assert_eq!(*runs.lock().unwrap(), 30 * ROUNDS as u32);
}
