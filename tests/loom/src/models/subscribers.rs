//! Subscribers that end themselves, each other and while they are called: no wait is for ever, no call
//! comes after the end, and each is destroyed exactly once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loom::thread;

use crate::error::{Result, Status};
use crate::subscriber::{SubscriberList, Subscription};
use crate::sync::{Arc, Time};

use super::harness::check;

type List = SubscriberList<dyn Fn() -> Result<()> + Send + Sync>;

/// What became of one subscriber. Not for synchronisation: loom does not see it.
#[derive(Default)]
struct Record {
    id: OnceLock<Subscription>,
    calls: AtomicU32,
    late_calls: AtomicU32,
    destroyed: AtomicU32,
}

impl Record {
    fn id(&self) -> Subscription {
        *self.id.get().expect("subscribed")
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Ended as it has to: destroyed once, and not called after that.
    fn has_ended(&self) -> bool {
        let destroyed = self.destroyed.load(Ordering::SeqCst);
        assert_eq!(self.late_calls.load(Ordering::SeqCst), 0);
        assert!(destroyed <= 1);
        destroyed == 1
    }
}

struct Destroy(std::sync::Arc<Record>);

impl Drop for Destroy {
    fn drop(&mut self) {
        self.0.destroyed.fetch_add(1, Ordering::SeqCst);
    }
}

fn list() -> Arc<List> {
    Arc::new(SubscriberList::new(Duration::MAX))
}

fn record() -> std::sync::Arc<Record> {
    std::sync::Arc::default()
}

/// Adds a subscriber that does `work` when it is called.
fn subscribe(
    list: &List,
    record: &std::sync::Arc<Record>,
    work: impl Fn() -> Result<()> + Send + Sync + 'static,
) {
    let destroy = Destroy(record.clone());
    let call = move || {
        let record = &destroy.0;
        record.calls.fetch_add(1, Ordering::SeqCst);
        let answer = work();
        // It can't be gone while it is called.
        let gone = record.destroyed.load(Ordering::SeqCst);
        record.late_calls.fetch_add(gone, Ordering::SeqCst);
        answer
    };
    let subscribed = list.subscribe("model", Box::new(call));
    let id = subscribed
        .map_err(|(error, _)| error)
        .expect("an open list");
    record.id.set(id).expect("subscribed once");
}

fn dispatch(list: &List) {
    let calls = list.dispatch(crate::trace::Callback::of_queue("event"), |call| call());
    assert_eq!(calls.panics, 0);
}

/// Two callbacks on two threads, each waiting for the end of the other.
#[test]
fn of_two_callbacks_that_wait_for_each_other_at_most_one_does() {
    check(2, Time::StandsStill, || {
        let lists = [list(), list()];
        let records = [record(), record()];
        let refusals = std::sync::Arc::new(AtomicU32::new(0));
        for own in 0..2 {
            let (other_list, other) = (lists[1 - own].clone(), records[1 - own].clone());
            let refusals = refusals.clone();
            subscribe(&lists[own], &records[own], move || {
                match other_list.unsubscribe_wait(other.id()) {
                    Ok(()) => assert!(other.has_ended()),
                    Err(error) => {
                        assert_eq!(error.status(), Status::WouldDeadlock);
                        refusals.fetch_add(1, Ordering::SeqCst);
                    }
                }
                Ok(())
            });
        }
        let second = {
            let list = lists[1].clone();
            thread::spawn(move || dispatch(&list))
        };
        dispatch(&lists[0]);
        second.join().unwrap();
        let ended = records.iter().filter(|record| record.has_ended()).count() as u32;
        // Who was called first has ended the other, unless that one was refused.
        assert_eq!(ended, 1, "{}", refusals.load(Ordering::SeqCst));
        assert!(refusals.load(Ordering::SeqCst) <= 1);
        for list in &lists {
            list.close();
        }
        assert!(records.iter().all(|record| record.has_ended()));
    });
}

/// One that ends itself in its call, on two threads at once, and somebody who waits for its end.
#[test]
fn a_subscriber_that_ends_itself_is_waited_for() {
    check(2, Time::StandsStill, || {
        let (list, record) = (list(), record());
        let (own_list, own) = (std::sync::Arc::new(OnceLock::new()), record.clone());
        let place = own_list.clone();
        subscribe(&list, &record, move || {
            let list: &Arc<List> = place.get().expect("set");
            // From inside it can't be waited for, and can be ended once.
            match list.unsubscribe_wait(own.id()) {
                Err(error) => assert!(matches!(
                    error.status(),
                    Status::WouldDeadlock | Status::NotFound
                )),
                Ok(()) => panic!("it waited for itself"),
            }
            let _ = list.unsubscribe(own.id());
            Ok(())
        });
        assert!(own_list.set(list.clone()).is_ok());
        let other = {
            let list = list.clone();
            thread::spawn(move || dispatch(&list))
        };
        dispatch(&list);
        match list.unsubscribe_wait(record.id()) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.status(), Status::NotFound),
        }
        // Either way it is over, whoever made the last call.
        assert!(record.has_ended());
        other.join().unwrap();
        assert!(matches!(record.calls(), 1 | 2));
        assert_eq!(list.len(), 0);
    });
}

/// The end of a list, while one thread calls it and another ends a subscriber in it.
#[test]
fn a_list_is_closed_while_it_is_called() {
    check(2, Time::StandsStill, || {
        let list = list();
        let records = [record(), record()];
        for record in &records {
            subscribe(&list, record, || Ok(()));
        }
        let caller = {
            let list = list.clone();
            thread::spawn(move || dispatch(&list))
        };
        let ender = {
            let (list, last) = (list.clone(), records[1].clone());
            thread::spawn(move || {
                if list.unsubscribe_wait(last.id()).is_ok() {
                    assert!(last.has_ended());
                }
            })
        };
        list.close();
        ender.join().unwrap();
        caller.join().unwrap();
        assert!(records.iter().all(|record| record.has_ended()));
        assert!(records.iter().all(|record| record.calls() <= 1));
    });
}
