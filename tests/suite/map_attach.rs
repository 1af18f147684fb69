//! What is attached to a life: released with its network, or not at all, and never lost.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

use nsgate::{
    Chroot, ChrootOptions, Event, Gate, Job, Outcome, Result, Sandbox, SandboxMap, Status,
    Subscriber,
};

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

/// Counts the ends that it is told of, by life.
struct CountEnds(Arc<AtomicU64>);

impl Subscriber<AtomicUsize> for CountEnds {
    fn on_release(&self, sandbox: &Sandbox<AtomicUsize>, event: &Event) -> Result<()> {
        assert!(matches!(event.outcome, Outcome::Released(_)));
        sandbox.value().fetch_add(1, SeqCst);
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

/// Several threads attach to lives whose network another one is releasing. Each job either belongs
/// to its life, and is released with it, or was refused and is still the caller's: all of them run
/// exactly once, and every end of an attached one is told once.
#[test]
fn attaching_races_with_the_release_of_the_network_and_nothing_is_lost() {
    const ATTACHERS: usize = 2;
    const LIVES: usize = 1_000;
    let rounds = match std::env::var_os("NSGATE_LONG") {
        Some(_) => 1_000_000,
        None => 50_000,
    };
    let _host = host();
    let gate = gate();
    let map = SandboxMap::new(&gate);
    let told = Arc::new(AtomicU64::new(0));
    map.subscribe("counter", CountEnds(Arc::clone(&told)))
        .unwrap();
    let runs = Arc::new(AtomicU64::new(0));
    let (mut accepted, mut refused) = (0, 0);
    for batch in 0..rounds / LIVES {
        let lives: Vec<_> = (0..LIVES)
            .map(|number| {
                let id = format!("{batch}-{number}");
                map.register("sandbox", &id, AtomicUsize::new(0))
                    .map_err(|(error, _)| error)
                    .unwrap()
            })
            .collect();
        let jobs: Vec<Vec<Job>> = (0..ATTACHERS)
            .map(|_| lives.iter().map(|_| run_counter(&gate, &runs)).collect())
            .collect();
        let progress: Vec<AtomicUsize> = (0..=ATTACHERS).map(|_| AtomicUsize::new(0)).collect();
        let attached: Vec<Vec<bool>> = std::thread::scope(|scope| {
            let attachers: Vec<_> = (0..ATTACHERS)
                .map(|own| {
                    let (lives, jobs, progress) = (&lives, &jobs[own], &progress);
                    scope.spawn(move || {
                        let attach = |place: usize| {
                            keep_together(progress, own, place);
                            match lives[place].attach_job(&jobs[place]) {
                                Ok(()) => true,
                                Err(error) => {
                                    assert_eq!(error.status(), Status::Closed);
                                    false
                                }
                            }
                        };
                        (0..LIVES).map(attach).collect()
                    })
                })
                .collect();
            for (place, life) in lives.iter().enumerate() {
                keep_together(&progress, ATTACHERS, place);
                assert!(life.network_released().unwrap());
            }
            progress[ATTACHERS].store(usize::MAX, SeqCst);
            attachers
                .into_iter()
                .map(|attacher| attacher.join().unwrap())
                .collect()
        });
        for (place, life) in lives.iter().enumerate() {
            let expected = attached.iter().filter(|accepted| accepted[place]).count();
            eventually("all ends were told", || {
                life.value().load(SeqCst) == expected
            });
            assert_eq!(life.attached(), 0);
            life.mark_stopped().unwrap();
            accepted += expected as u64;
        }
        assert_eq!(runs.load(SeqCst), accepted + refused);
        // What was refused is still ours.
        for (attached, job) in attached.iter().flatten().zip(jobs.iter().flatten()) {
            match attached {
                true => assert_eq!(status(job.submit()), Status::InvalidState),
                false => {
                    job.submit().unwrap();
                    refused += 1;
                }
            }
        }
        gate.releases().fence(Some(soon())).unwrap();
        assert_eq!(runs.load(SeqCst), accepted + refused);
    }
    assert_eq!(accepted + refused, (rounds * ATTACHERS) as u64);
    assert_eq!((told.load(SeqCst), map.lifecycles()), (accepted, 0));
    let stats = gate.stats();
    assert_eq!((stats.released, stats.reserved), (accepted + refused, 0));
    close(&gate);
}

fn run_counter(gate: &Gate, runs: &Arc<AtomicU64>) -> Job {
    let runs = Arc::clone(runs);
    let job = move || {
        runs.fetch_add(1, SeqCst);
        Ok(())
    };
    gate.releases().reserve_job("race", job).unwrap()
}

/// Lets no thread get more than a few lives ahead of another, so that they meet.
fn keep_together(progress: &[AtomicUsize], own: usize, place: usize) {
    progress[own].store(place, SeqCst);
    let is_behind = |other: &AtomicUsize| other.load(SeqCst).saturating_add(8) < place;
    while progress.iter().any(is_behind) {
        std::thread::yield_now();
    }
}
