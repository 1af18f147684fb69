//! When a map has nothing left to wait for.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Instant;

use nsgate::{Job, Status, Subscriber};

use crate::host::{close, gate, host, soon};
use crate::map_support::*;

#[test]
fn waiting_for_an_idle_map() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    map.wait_idle(None).unwrap();
    let life = register(&map, "sandbox", "life");
    life.assign_network(address("10.0.0.1")).unwrap();
    assert_eq!(
        status(map.wait_idle(Some(Instant::now()))),
        Status::TimedOut
    );
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| map.wait_idle(Some(soon())));
        life.mark_stopped().unwrap();
        assert_eq!(map.lifecycles(), 1);
        life.network_released().unwrap();
        waiter.join().unwrap().unwrap();
    });
    close(&gate);
}

/// Also of one that nobody is told of any more: the callback that runs when the map is closed.
#[test]
fn a_map_that_is_closed_is_idle_when_its_last_event_is_told() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let (begin, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let (ended, is_over) = (Mutex::new(ended), Arc::new(AtomicBool::new(false)));
    let told = is_over.clone();
    let slow = Recorder::with("slow", &log, move |what, life| {
        if what == "insert" {
            // Told by this thread once the insert is.
            life.network_released()?;
            begin.send(()).unwrap();
            let _ = ended.lock().unwrap().recv();
            told.store(true, SeqCst);
        }
        Ok(())
    });
    map.subscribe("slow", slow).unwrap();
    let (life, other) = (register(&map, "s", "life"), register(&map, "s", "other"));
    std::thread::scope(|scope| {
        let changer = scope.spawn(|| life.mark_running());
        begun.recv().unwrap();
        map.close();
        map.close();
        let too_early = map.wait_idle(Some(Instant::now()));
        let waiter = scope.spawn(|| {
            map.wait_idle(Some(soon())).unwrap();
            is_over.load(SeqCst)
        });
        end.send(()).unwrap();
        assert!(changer.join().unwrap().unwrap());
        assert!(waiter.join().unwrap());
        assert_eq!(status(too_early), Status::TimedOut);
    });
    map.wait_idle(Some(Instant::now())).unwrap();
    drop((life, other));
    close(&gate);
}

fn attached_jobs(gate: &nsgate::Gate, life: &Life) -> Vec<Job> {
    let runs = Arc::default();
    let jobs: Vec<Job> = (0..20).map(|_| counting_job(gate, &runs)).collect();
    jobs.iter().for_each(|job| life.attach_job(job).unwrap());
    jobs
}

fn are_handed_over(jobs: &[Job]) -> bool {
    jobs.iter().all(|job| job.ticket().is_some())
}

/// A gate that is closed next has it to wait for.
#[test]
fn what_was_attached_to_a_life_that_stopped_is_handed_over_before_the_map_is_idle() {
    let _host = host();
    let gate = gate();
    for round in 0..200 {
        let map = Map::new(&gate);
        let life = register(&map, "sandbox", "life");
        let jobs = attached_jobs(&gate, &life);
        let both = Barrier::new(2);
        let in_time = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                both.wait();
                eventually("the map is idle", || {
                    map.wait_idle(Some(Instant::now())).is_ok()
                });
                are_handed_over(&jobs)
            });
            both.wait();
            life.mark_stopped().unwrap();
            waiter.join().unwrap()
        });
        assert!(in_time, "round {round}");
    }
    close(&gate);
}

/// Looks at its map, on another thread, when it is dropped.
struct Looking {
    map: Map,
    jobs: Vec<Job>,
    seen: mpsc::Sender<(bool, bool)>,
}

impl Subscriber<&'static str> for Looking {}

impl Drop for Looking {
    fn drop(&mut self) {
        let look = || {
            let is_idle = self.map.wait_idle(Some(Instant::now())).is_ok();
            (is_idle, are_handed_over(&self.jobs))
        };
        let seen = std::thread::scope(|scope| scope.spawn(look).join());
        self.seen.send(seen.unwrap()).unwrap();
    }
}

#[test]
fn a_map_is_not_idle_while_its_closing_hands_over() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let life = register(&map, "sandbox", "life");
    let jobs = attached_jobs(&gate, &life);
    let (seen, sees) = mpsc::channel();
    let looking = Looking {
        map: map.clone(),
        jobs: jobs.clone(),
        seen,
    };
    map.subscribe("looking", looking).unwrap();
    map.close();
    let (is_idle, are_out) = sees.recv().unwrap();
    assert!(are_out || !is_idle);
    map.wait_idle(Some(Instant::now())).unwrap();
    assert!(are_handed_over(&jobs));
    drop(life);
    close(&gate);
}

/// It would keep the address, and itself in the map, for good.
#[test]
fn a_life_that_stopped_while_an_event_is_told_takes_no_address() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let (answer, answers) = mpsc::channel();
    let stopping = Recorder::with("stopping", &log, move |_, life| {
        life.mark_stopped()?;
        answer
            .send(life.assign_network(address("10.0.0.1")))
            .unwrap();
        Ok(())
    });
    map.subscribe("stopping", stopping).unwrap();
    let life = register(&map, "sandbox", "life");
    life.mark_running().unwrap();
    let refused = answers.recv().unwrap().unwrap_err();
    assert_eq!(refused.status(), Status::InvalidState);
    assert_eq!(refused.message(), "sandbox life: it has ended");
    assert!(map.find_by_address(address("10.0.0.1")).is_none());
    map.wait_idle(Some(soon())).unwrap();
    close(&gate);
}
