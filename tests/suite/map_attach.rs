//! What is attached to a life: released with its network, or not at all, and never lost.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use nsgate::{Chroot, ChrootOptions, Gate, Outcome, Status};

use crate::host::{Volume, close, gate, host, soon};
use crate::map_support::*;

#[test]
fn what_is_attached_is_released_with_the_network() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("recorder", Recorder::new("recorder", &log))
        .unwrap();
    let life = register(&map, "sandbox", "life");
    let runs = Arc::new(Mutex::new(0));
    for _ in 0..5 {
        life.attach_job(&counting_job(&gate, &runs)).unwrap();
    }
    assert_eq!((life.attached(), *runs.lock().unwrap()), (5, 0));
    life.network_released().unwrap();
    eventually("all came to their end", || life.attached() == 0);
    assert_eq!(*runs.lock().unwrap(), 5);
    let releases = || {
        calls(&log)
            .iter()
            .filter(|(_, what, _)| *what == "release")
            .count()
    };
    eventually("all ends were told", || releases() == 5);
    close(&gate);
    assert_eq!(releases(), 5);
}

#[test]
fn what_comes_too_late_stays_the_caller_s() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let runs = Arc::new(Mutex::new(0));
    let life = register(&map, "sandbox", "life");
    life.network_released().unwrap();
    let late = counting_job(&gate, &runs);
    assert_eq!(status(life.attach_job(&late)), Status::Closed);
    assert_eq!(life.attached(), 0);
    let ticket = late.submit().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert!(matches!(event.outcome, Outcome::Released(_)));
    assert_eq!(*runs.lock().unwrap(), 1);
    // The same for a life that ended without a network.
    let ended = register(&map, "sandbox", "ended");
    ended.mark_stopped().unwrap();
    assert_eq!(
        status(ended.attach_job(&counting_job(&gate, &runs))),
        Status::Closed
    );
    close(&gate);
}

#[test]
fn a_life_that_stops_without_a_network_releases_what_it_has() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let runs = Arc::new(Mutex::new(0));
    let life = register(&map, "sandbox", "life");
    life.attach_job(&counting_job(&gate, &runs)).unwrap();
    life.mark_stopping().unwrap();
    assert_eq!(life.attached(), 1);
    life.mark_stopped().unwrap();
    eventually("it came to its end", || life.attached() == 0);
    assert_eq!((*runs.lock().unwrap(), map.lifecycles()), (1, 0));
    close(&gate);
}

#[test]
fn a_thing_belongs_to_one_life_at_a_time() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let runs = Arc::new(Mutex::new(0));
    let (one, other) = (register(&map, "a", "one"), register(&map, "b", "other"));
    let job = counting_job(&gate, &runs);
    one.attach_job(&job).unwrap();
    assert_eq!(status(one.attach_job(&job)), Status::AlreadyExists);
    assert_eq!(status(other.attach_job(&job)), Status::AlreadyExists);
    assert_eq!((one.attached(), other.attached()), (1, 0));
    close_map(&map);
    close(&gate);
    assert_eq!(*runs.lock().unwrap(), 1);
}

#[test]
fn what_is_released_by_itself_is_no_longer_attached() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("recorder", Recorder::new("recorder", &log))
        .unwrap();
    let runs = Arc::new(Mutex::new(0));
    let life = register(&map, "sandbox", "life");
    let job = counting_job(&gate, &runs);
    life.attach_job(&job).unwrap();
    job.submit().unwrap();
    eventually("it came to its end", || life.attached() == 0);
    life.network_released().unwrap();
    close(&gate);
    assert_eq!(*runs.lock().unwrap(), 1);
    let calls = calls(&log);
    let releases = calls.iter().filter(|(_, what, _)| *what == "release");
    assert_eq!(releases.count(), 1);
}

#[test]
fn a_chroot_goes_with_its_life_also_when_the_caller_dropped_it() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("recorder", Recorder::new("recorder", &log))
        .unwrap();
    let volume = Volume::new();
    volume.file("file", "content");
    let life = register(&map, "sandbox", "life");
    let kept = open(&gate, &volume);
    life.attach(&kept).unwrap();
    life.attach(&open(&gate, &volume)).unwrap();
    assert_eq!(status(life.attach(&kept)), Status::AlreadyExists);
    assert_eq!((life.attached(), gate.stats().reserved), (2, 2));
    kept.stat("file").unwrap();
    life.network_released().unwrap();
    assert_eq!(status(kept.stat("file")), Status::Closed);
    assert_eq!(status(kept.release()), Status::Closed);
    eventually("all came to their end", || life.attached() == 0);
    close(&gate);
    let releases = calls(&log)
        .iter()
        .filter(|(_, what, _)| *what == "release")
        .count();
    assert_eq!((releases, gate.stats().released), (2, 2));
}

#[test]
fn a_chroot_that_comes_too_late_stays_open_and_the_caller_s() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let volume = Volume::new();
    volume.file("file", "content");
    let life = register(&map, "sandbox", "life");
    life.network_released().unwrap();
    let late = open(&gate, &volume);
    assert_eq!(status(life.attach(&late)), Status::Closed);
    late.stat("file").unwrap();
    // It is nobody's: another life may have it.
    let other = register(&map, "sandbox", "other");
    other.attach(&late).unwrap();
    map.close();
    assert!(late.is_closed());
    close(&gate);
}

#[test]
fn a_detached_chroot_is_the_caller_s_again() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("recorder", Recorder::new("recorder", &log))
        .unwrap();
    let volume = Volume::new();
    let (one, other) = (register(&map, "a", "one"), register(&map, "b", "other"));
    let chroot = open(&gate, &volume);
    assert!(!one.detach(&chroot).unwrap());
    one.attach(&chroot).unwrap();
    assert_eq!(status(other.attach(&chroot)), Status::AlreadyExists);
    assert!(!other.detach(&chroot).unwrap());
    assert!(one.detach(&chroot).unwrap());
    assert!(!one.detach(&chroot).unwrap());
    one.network_released().unwrap();
    assert!(!chroot.is_closed());
    other.attach(&chroot).unwrap();
    // Once its release is asked for it can't be taken back, and its end is told.
    chroot.release().unwrap();
    assert!(!other.detach(&chroot).unwrap());
    eventually("it came to its end", || other.attached() == 0);
    assert_eq!(status(other.attach(&chroot)), Status::Closed);
    close(&gate);
    let calls = calls(&log);
    let releases = calls.iter().filter(|(_, what, _)| *what == "release");
    assert_eq!(
        releases.collect::<Vec<_>>(),
        [&("recorder", "release", "other".to_string())]
    );
}

#[test]
fn a_job_that_runs_in_a_chroot_holds_its_end_and_not_the_network_s() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let volume = Volume::new();
    let life = register(&map, "sandbox", "life");
    let chroot = open(&gate, &volume);
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel();
    life.attach(&chroot).unwrap();
    std::thread::scope(|scope| {
        // A running job keeps the release from starting.
        let job = scope.spawn({
            let chroot = chroot.clone();
            move || {
                let job = move || {
                    entered.send(()).unwrap();
                    may_go_on.recv().unwrap();
                };
                chroot.run(job).unwrap();
            }
        });
        has_entered.recv().unwrap();
        life.network_released().unwrap();
        assert_eq!(status(chroot.run(|| ())), Status::Closed);
        assert_eq!(life.attached(), 1);
        go_on.send(()).unwrap();
        job.join().unwrap();
    });
    eventually("it came to its end", || life.attached() == 0);
    close(&gate);
}

fn open(gate: &Gate, volume: &Volume) -> Chroot {
    Chroot::open(gate, volume.path(), &ChrootOptions::default()).unwrap()
}

fn close_map(map: &Map) {
    map.close();
    assert_eq!(map.lifecycles(), 0);
}

#[test]
fn what_a_job_holds_up_until_the_gate_closes_is_told_as_abandoned_once() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("recorder", Recorder::new("recorder", &log))
        .unwrap();
    let life = register(&map, "sandbox", "life");
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    life.attach(&chroot).unwrap();
    let (inside, is_inside) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let told = || {
        let calls = calls(&log);
        calls
            .iter()
            .filter(|(_, what, _)| *what == "release")
            .count()
    };
    std::thread::scope(|scope| {
        let job = move || {
            inside.send(()).unwrap();
            may_leave.recv().unwrap_err();
        };
        let user = scope.spawn(|| chroot.run(job));
        is_inside.recv().unwrap();
        life.network_released().unwrap();
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(gate.close(deadline).unwrap().abandoned, 1);
        eventually("it was told", || told() == 1);
        eventually("it is attached no more", || life.attached() == 0);
        assert!(!life.detach(&chroot).unwrap());
        drop(leave);
        user.join().unwrap().unwrap();
    });
    // The submit comes after the end, which is no second one.
    drop(chroot);
    eventually("it is destroyed", || gate.stats().reserved == 0);
    close(&gate);
    assert_eq!(told(), 1);
}
