//! The rundown counter: uses against closing, and the release that follows the last use.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::thread;

use super::harness::{Queue, Record, check, scripted};
use crate::releasable::{Open, Releasable};
use crate::release::{Lane, Outcome, Proof, ReleaseQueue, Resource, Ticket};
use crate::rundown::{Closing, Rundown};
use crate::sync::{Arc, Time};

/// Reads are uses, the write is what comes after the last: loom finds a read that isn't over.
struct Value(UnsafeCell<u32>);

// SAFETY: the rundown is what makes it so, and what the models check.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl Value {
    fn new() -> Value {
        Value(UnsafeCell::new(0))
    }

    fn read(&self) -> u32 {
        // SAFETY: loom checks this access against every other.
        self.0.with(|value| unsafe { *value })
    }

    fn take_down(&self) {
        // SAFETY: loom checks this access against every other.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }
}

fn use_it(rundown: &Arc<Rundown<Value>>) -> Option<Value> {
    let usage = Rundown::enter(&**rundown)?;
    assert_eq!(usage.read(), 0);
    usage.end()
}

fn close_it(rundown: &Arc<Rundown<Value>>) -> Option<Value> {
    match rundown.close() {
        Closing::Idle(value) => Some(value),
        Closing::Busy(usage) => usage.end(),
        Closing::AlreadyClosed => None,
    }
}

#[test]
fn of_two_uses_and_two_closings_one_takes_the_value() {
    check(3, Time::StandsStill, || {
        let rundown = Arc::new(Rundown::new(Value::new()));
        let taken = StdArc::new(AtomicU32::new(0));
        let ways: [fn(&Arc<Rundown<Value>>) -> Option<Value>; 3] = [use_it, use_it, close_it];
        let threads = ways.map(|way| {
            let (rundown, taken) = (rundown.clone(), taken.clone());
            thread::spawn(move || {
                if let Some(value) = way(&rundown) {
                    value.take_down();
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        if let Some(value) = close_it(&rundown) {
            value.take_down();
            taken.fetch_add(1, Ordering::SeqCst);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(taken.load(Ordering::SeqCst), 1);
        assert!(rundown.is_closed());
        assert!(Rundown::enter(&*rundown).is_none());
    });
}

#[test]
fn a_use_that_unwinds_drops_the_value_it_was_the_last_of() {
    struct Counted(StdArc<AtomicU32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    check(3, Time::StandsStill, || {
        let drops = StdArc::new(AtomicU32::new(0));
        let rundown = Arc::new(Rundown::new(Counted(drops.clone())));
        let user = {
            let rundown = rundown.clone();
            thread::spawn(move || drop(Rundown::enter(&*rundown)))
        };
        drop(rundown.close());
        user.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn what_was_put_back_is_whole_for_every_later_use() {
    check(3, Time::StandsStill, || {
        let rundown = Arc::new(Rundown::new(Value::new()));
        let users = [(); 2].map(|()| {
            let rundown = rundown.clone();
            thread::spawn(move || match Rundown::enter(&*rundown) {
                // 0 before the closing, 1 after the value was worked on and put back.
                Some(usage) => {
                    assert!(usage.read() <= 1);
                    usage.end()
                }
                None => None,
            })
        });
        let again = |value: Value| {
            value.take_down();
            rundown.open_again(value);
        };
        let idle = close_it(&rundown).map(again).is_some();
        let ends = users.map(|user| user.join().unwrap());
        let last = ends.into_iter().flatten().map(again).count();
        assert_eq!(usize::from(idle) + last, 1);
        let usage = Rundown::enter(&*rundown).expect("it is open again");
        assert_eq!(usage.read(), 1);
        drop(usage);
        assert!(close_it(&rundown).is_some());
    });
}

struct Opened {
    queue: Queue,
    index: u32,
    ticket: Ticket,
    resource: Box<dyn Resource>,
}

impl Open for Opened {
    const NAME: &'static str = "released";

    fn ticket(&self) -> Ticket {
        self.ticket
    }

    fn announce(&self) {
        self.queue
            .0
            .with(|state| state.announce(self.ticket, None, Instant::now()));
    }

    fn submit(self) {
        self.queue
            .submit_to(self.index, Lane::Native, self.resource);
    }
}

fn open(queue: &Queue) -> (Arc<Releasable<Opened>>, Ticket, StdArc<Record>) {
    let (index, ticket) = queue.reserve().unwrap();
    let (resource, record) = scripted(0, None);
    let opened = Opened {
        queue: queue.clone(),
        index,
        ticket,
        resource,
    };
    let handle = ReleaseQueue(queue.0.clone());
    let releasable = Releasable::new(&handle, ticket, opened);
    (Arc::new(releasable), ticket, record)
}

#[test]
fn a_release_during_a_use_can_be_waited_for_and_ends_once() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let (releasable, ticket, record) = open(&queue);
        let worker = queue.worker(Lane::Native);
        let user = {
            let releasable = releasable.clone();
            thread::spawn(move || drop(releasable.begin()))
        };
        assert_eq!(releasable.release(), Ok(ticket));
        // Known from here on, whether it was submitted or waits for the use.
        assert_eq!(
            queue.wait(ticket).outcome,
            Outcome::Released(Proof::Verified)
        );
        assert!(releasable.release().is_err());
        user.join().unwrap();
        drop(releasable);
        queue.seal();
        worker.join().unwrap();
        assert_eq!((record.attempts(), record.drops()), (1, 1));
        queue.is_empty_after(1);
    });
}

#[test]
fn a_fence_counts_a_release_that_waits_for_its_last_use() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let (releasable, _, record) = open(&queue);
        let worker = queue.worker(Lane::Native);
        let user = {
            let releasable = releasable.clone();
            thread::spawn(move || drop(releasable.begin()))
        };
        releasable.release().unwrap();
        queue.0.wait_past(None, None, &[]).unwrap();
        assert_eq!(record.drops(), 1);
        user.join().unwrap();
        drop(releasable);
        queue.seal();
        worker.join().unwrap();
        queue.is_empty_after(1);
    });
}

/// Takes back the release that was asked for last, if it has got that far.
fn take_back(queue: &Queue, releasable: &Releasable<Opened>, ticket: Ticket) -> bool {
    let now = Instant::now();
    let Ok(cancelled) = queue.0.with(|state| state.cancel(ticket, now)) else {
        return false;
    };
    let opened = Opened {
        queue: queue.clone(),
        index: cancelled.index,
        ticket: cancelled.ticket,
        resource: cancelled.resource,
    };
    releasable.open_again(opened);
    queue
        .0
        .with(|state| state.announce_cancelled(cancelled.index, cancelled.event, None));
    true
}

fn is_pending(queue: &Queue, ticket: Ticket) -> bool {
    queue.0.with_quietly(|state| state.slots.is_pending(ticket))
}

/// Releases what is still to be, and finds nothing left.
fn finish(queue: Queue, releasable: Arc<Releasable<Opened>>, record: &Record) {
    drop(releasable);
    let worker = queue.worker(Lane::Native);
    queue.drain();
    queue.seal();
    worker.join().unwrap();
    assert_eq!((record.attempts(), record.drops()), (1, 1));
    let cancelled = queue.0.with(|state| state.stats(Instant::now()).cancelled);
    queue.is_empty_after(1 + cancelled);
}

/// What was released, cancelled and released again has the ticket of the last release, whoever asked
/// for it, and whenever he began to.
#[test]
fn a_release_against_a_cancel_answers_with_the_ticket_that_it_submits() {
    for has_user in [false, true] {
        check(2, Time::StandsStill, move || {
            let queue = Queue::new(|_| ());
            let (releasable, first, record) = open(&queue);
            let user = has_user.then(|| {
                let releasable = releasable.clone();
                thread::spawn(move || drop(releasable.begin()))
            });
            let other = {
                let (queue, releasable) = (queue.clone(), releasable.clone());
                thread::spawn(move || {
                    if let Ok(ticket) = releasable.release() {
                        // Only the first release is cancelled.
                        assert!(is_pending(&queue, ticket));
                    }
                })
            };
            if releasable.release() == Ok(first) {
                take_back(&queue, &releasable, first);
            }
            other.join().unwrap();
            if let Some(user) = user {
                user.join().unwrap();
            }
            finish(queue, releasable, &record);
        });
    }
}

/// A release that was cancelled between the end of its last use and its announcement announces nothing:
/// the thing is open, and its next ticket is not asked for.
#[test]
fn what_is_open_again_is_not_announced_by_the_release_before() {
    check(3, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let (releasable, first, record) = open(&queue);
        let usage = releasable.begin().unwrap();
        let other = {
            let releasable = releasable.clone();
            thread::spawn(move || releasable.release())
        };
        drop(usage);
        let is_open = take_back(&queue, &releasable, first);
        assert_eq!(other.join().unwrap(), Ok(first));
        assert_eq!(is_pending(&queue, first), !is_open);
        assert_eq!(is_pending(&queue, releasable.ticket()), !is_open);
        finish(queue, releasable, &record);
    });
}
