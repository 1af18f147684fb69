//! A worker that hangs, the one that replaces it, and its return.

use std::time::{Duration, Instant};

use loom::thread;

use super::harness::{Door, Queue, check, scripted};
use crate::release::{Lane, Outcome, Proof};
use crate::sync::Time;

/// When every budget has run out.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(7200)
}

#[test]
fn nothing_waits_behind_a_stuck_worker_whenever_it_returns() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let door = Door::new();
        let (resource, record) = scripted(0, Some(door.clone()));
        let hanging = queue.submit(Lane::Native, resource);
        door.wait_for_somebody();
        let chores = queue.0.with(|state| state.tick(later()));
        assert_eq!(chores.inspect.len(), 1);
        let replacements = queue.attend(chores);
        assert_eq!(replacements.len(), 1);
        let behind = queue.submit(Lane::Native, scripted(0, None).0);
        assert_eq!(
            queue.wait(behind).outcome,
            Outcome::Released(Proof::Verified)
        );
        door.open();
        assert_eq!(
            queue.wait(hanging).outcome,
            Outcome::Released(Proof::Verified)
        );
        assert_eq!(record.drops(), 1);
        queue.seal();
        for worker in replacements {
            worker.join().unwrap();
        }
        worker.join().unwrap();
        queue.is_empty_after(2);
    });
}

/// The stuck one comes back at any moment: of the two workers one retires, and what is submitted
/// meanwhile is taken by the other.
#[test]
fn the_extra_worker_retires_and_leaves_nothing_behind() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let door = Door::new();
        queue.submit(Lane::Native, scripted(0, Some(door.clone())).0);
        door.wait_for_somebody();
        let chores = queue.0.with(|state| state.tick(later()));
        let replacements = queue.attend(chores);
        let opener = thread::spawn(move || door.open());
        for _ in 0..2 {
            queue.submit(Lane::Native, scripted(0, None).0);
        }
        queue.drain();
        opener.join().unwrap();
        queue.0.with(|state| {
            let stats = state.stats(Instant::now());
            assert_eq!((stats.released, stats.stuck), (3, 0));
            assert!(stats.workers >= 1);
        });
        queue.seal();
        for worker in replacements {
            worker.join().unwrap();
        }
        worker.join().unwrap();
        queue.is_empty_after(3);
    });
}
