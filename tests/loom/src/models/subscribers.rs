//! Callbacks against the end of their subscription.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use loom::thread;

use super::harness::check;
use crate::release::Event;
use crate::release::subscribers::{Calls, Subscribers};
use crate::sync::{Arc, Time};

/// Counts its calls and its drops; it must be called neither after its drop nor after its end.
struct Callback {
    calls: AtomicU32,
    drops: AtomicU32,
    ended: AtomicBool,
}

struct Dropped(StdArc<Callback>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}

fn subscribe(
    subscribers: &Subscribers,
) -> (
    StdArc<Callback>,
    crate::release::subscribers::ReleaseSubscription,
) {
    let callback = StdArc::new(Callback {
        calls: AtomicU32::new(0),
        drops: AtomicU32::new(0),
        ended: AtomicBool::new(false),
    });
    let dropped = Dropped(callback.clone());
    let id = subscribers.add(Box::new(move |_| {
        let callback = &dropped.0;
        assert_eq!(callback.drops.load(Ordering::SeqCst), 0);
        assert!(!callback.ended.load(Ordering::SeqCst));
        callback.calls.fetch_add(1, Ordering::SeqCst);
        // A place for other threads to come in while the call runs.
        thread::yield_now();
        assert_eq!(callback.drops.load(Ordering::SeqCst), 0);
    }));
    (callback, id)
}

fn notify(subscribers: &Subscribers) {
    let mut calls = Calls::default();
    subscribers.call(&Event::default(), Duration::MAX, &mut calls);
    assert_eq!(calls.panics, 0, "a callback was called at a wrong time");
}

#[test]
fn after_the_waiting_end_there_is_no_call_and_one_drop() {
    check(3, Time::StandsStill, || {
        let subscribers = Arc::new(Subscribers::default());
        let (callback, id) = subscribe(&subscribers);
        let notifier = {
            let subscribers = subscribers.clone();
            thread::spawn(move || {
                notify(&subscribers);
                notify(&subscribers);
            })
        };
        subscribers.end_and_wait(id, false).unwrap();
        assert_eq!(callback.drops.load(Ordering::SeqCst), 1);
        callback.ended.store(true, Ordering::SeqCst);
        notifier.join().unwrap();
        assert_eq!(callback.drops.load(Ordering::SeqCst), 1);
        assert_eq!(subscribers.len(), 0);
    });
}

#[test]
fn of_two_ends_at_once_both_return_and_one_drops() {
    check(2, Time::StandsStill, || {
        let subscribers = Arc::new(Subscribers::default());
        let (callback, id) = subscribe(&subscribers);
        let notifier = {
            let subscribers = subscribers.clone();
            thread::spawn(move || notify(&subscribers))
        };
        let other = {
            let subscribers = subscribers.clone();
            // NOT_FOUND where the first was quicker.
            thread::spawn(move || drop(subscribers.end_and_wait(id, false)))
        };
        drop(subscribers.end(id));
        notifier.join().unwrap();
        other.join().unwrap();
        assert_eq!(callback.drops.load(Ordering::SeqCst), 1);
        assert!(callback.calls.load(Ordering::SeqCst) <= 1);
        assert_eq!(subscribers.len(), 0);
    });
}
