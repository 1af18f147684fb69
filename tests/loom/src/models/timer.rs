//! The timer: retries when they are due, workers when there are too few.

use super::harness::{Queue, check, scripted};
use crate::release::{Lane, Outcome, Proof};
use crate::sync::Time;

#[test]
fn a_failed_attempt_is_repeated_by_the_sleeping_timer() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let timer = queue.timer();
        let (resource, record) = scripted(2, None);
        let ticket = queue.submit(Lane::Native, resource);
        let event = queue.wait(ticket);
        assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
        assert_eq!((event.attempts, record.attempts()), (3, 3));
        queue.seal();
        assert!(timer.join().unwrap().is_empty());
        worker.join().unwrap();
        queue.is_empty_after(1);
    });
}

#[test]
fn two_failures_at_once_are_both_repeated() {
    check(1, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let timer = queue.timer();
        for _ in 0..2 {
            queue.submit(Lane::Native, scripted(1, None).0);
        }
        queue.drain();
        queue.seal();
        assert!(timer.join().unwrap().is_empty());
        worker.join().unwrap();
        queue.is_empty_after(2);
    });
}

#[test]
fn a_submit_to_a_lane_without_workers_has_one_hired() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let native = queue.worker(Lane::Native);
        let timer = queue.timer();
        let ticket = queue.submit(Lane::Blocking, scripted(0, None).0);
        queue.wait(ticket);
        queue.seal();
        let hired = timer.join().unwrap();
        assert_eq!(hired.len(), 1);
        for worker in hired {
            worker.join().unwrap();
        }
        native.join().unwrap();
        queue.is_empty_after(1);
    });
}

/// The worker's idle time is over at any moment, also at that of the submit.
#[test]
fn a_worker_that_retires_idle_leaves_no_submit_behind() {
    check(1, Time::Flies, || {
        let queue = Queue::new(|_| ());
        let blocking = queue.worker(Lane::Blocking);
        let timer = queue.timer();
        let ticket = queue.submit(Lane::Blocking, scripted(0, None).0);
        queue.wait(ticket);
        queue.seal();
        for worker in timer.join().unwrap() {
            worker.join().unwrap();
        }
        blocking.join().unwrap();
        queue.is_empty_after(1);
    });
}
