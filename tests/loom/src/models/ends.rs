//! The ends that no worker brings: cancelling and closing, against workers and submitters.

use std::time::Instant;

use loom::thread;

use super::harness::{Door, Queue, check, scripted};
use crate::error::Status;
use crate::release::{Lane, Outcome, Proof};
use crate::sync::Time;

#[test]
fn a_release_is_either_cancelled_or_released() {
    check(3, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let (resource, record) = scripted(0, None);
        let ticket = queue.submit(Lane::Native, resource);
        let waiter = {
            let queue = queue.clone();
            thread::spawn(move || queue.wait(ticket).outcome)
        };
        match queue.0.with(|state| state.cancel(ticket, Instant::now())) {
            Ok(cancelled) => {
                // It is ours again, with a place, and untouched.
                assert_eq!((record.attempts(), record.drops()), (0, 0));
                queue.0.with(|state| {
                    state.announce_cancelled(cancelled.index, cancelled.event, None);
                });
                let again = queue.submit_to(cancelled.index, Lane::Native, cancelled.resource);
                assert_eq!(again, cancelled.ticket);
                assert_eq!(
                    queue.wait(again).outcome,
                    Outcome::Released(Proof::Verified)
                );
                assert_eq!(waiter.join().unwrap(), Outcome::Cancelled);
            }
            Err(error) => {
                assert_eq!(error.status(), Status::InvalidState);
                assert_eq!(waiter.join().unwrap(), Outcome::Released(Proof::Verified));
            }
        }
        queue.drain();
        assert_eq!((record.attempts(), record.drops()), (1, 1));
        queue.seal();
        worker.join().unwrap();
        let cancelled = queue.0.with(|state| state.stats(Instant::now()).cancelled);
        queue.is_empty_after(1 + cancelled);
    });
}

/// The place of a cancelled release may be free before its end is announced: a wait that begins then
/// must neither free it again nor miss the end.
#[test]
fn a_wait_finds_a_cancelled_release_whose_place_is_free_already() {
    check(3, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Blocking);
        let (resource, record) = scripted(0, None);
        let ticket = queue.submit(Lane::Native, resource);
        let waiter = {
            let queue = queue.clone();
            thread::spawn(move || queue.wait(ticket).outcome)
        };
        let now = Instant::now();
        let cancelled = queue.0.with(|state| state.cancel(ticket, now)).unwrap();
        queue.0.with(|state| {
            let (index, resource) = (cancelled.index, Some(cancelled.resource));
            state.discard(index, resource, cancelled.callbacks, now);
        });
        queue
            .0
            .with(|state| state.announce_cancelled(cancelled.index, cancelled.event, None));
        assert_eq!(waiter.join().unwrap(), Outcome::Cancelled);
        queue.seal();
        worker.join().unwrap();
        assert_eq!((record.attempts(), record.drops()), (0, 1));
        queue.is_empty_after(1);
    });
}

/// Closing as the library does it once the deadline has passed.
fn close(queue: &Queue) {
    queue.0.with(|state| {
        state.close();
        let _ = state.abandon(Instant::now());
        state.seal(Instant::now());
    });
}

#[test]
fn a_submit_against_a_closing_queue_ends_once_and_is_dropped_once() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let workers = [Lane::Native, Lane::Blocking].map(|lane| queue.worker(lane));
        let (index, ticket) = queue.reserve().unwrap();
        let (resource, record) = scripted(0, None);
        let submitter = {
            let queue = queue.clone();
            thread::spawn(move || queue.submit_to(index, Lane::Native, resource))
        };
        close(&queue);
        submitter.join().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(record.drops(), 1);
        let outcome = queue.wait(ticket).outcome;
        assert!(
            matches!(
                outcome,
                Outcome::Abandoned | Outcome::Released(Proof::Verified)
            ),
            "{outcome:?}"
        );
        assert!(queue.reserve().is_err());
        queue.is_empty_after(1);
    });
}

/// An announced release whose place was abandoned before its submit came is dropped all the same.
#[test]
fn an_announced_release_against_a_closing_queue_ends_once() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let workers = [Lane::Native, Lane::Blocking].map(|lane| queue.worker(lane));
        let (index, ticket) = queue.reserve().unwrap();
        let (resource, record) = scripted(0, None);
        queue
            .0
            .with(|state| state.announce(ticket, None, Instant::now()));
        let submitter = {
            let queue = queue.clone();
            thread::spawn(move || queue.submit_to(index, Lane::Native, resource))
        };
        close(&queue);
        submitter.join().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(record.drops(), 1);
        queue.is_empty_after(1);
    });
}

/// What a worker hangs in while the queue closes is abandoned; what it comes back with is dropped.
#[test]
fn what_hangs_at_the_close_is_abandoned_and_dropped_when_it_returns() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let workers = [Lane::Native, Lane::Blocking].map(|lane| queue.worker(lane));
        let door = Door::new();
        // It fails once it returns: the resource comes back and has to be dropped by somebody.
        let (resource, record) = scripted(1, Some(door.clone()));
        let ticket = queue.submit(Lane::Native, resource);
        door.wait_for_somebody();
        let opener = thread::spawn(move || door.open());
        close(&queue);
        // The attempt may have failed before the close, and wait for its next one: abandoned, too.
        assert_eq!(queue.wait(ticket).outcome, Outcome::Abandoned);
        opener.join().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!((record.attempts(), record.drops()), (1, 1));
        queue.is_empty_after(1);
    });
}
