//! Subscriber lists: named callbacks, called in the order in which they came, under no lock.
//!
//! A list is a snapshot that is replaced when it changes, so a dispatch only takes the present one
//! and calls it through. Each callback has a [`Revocable`] of its own: unsubscribing stops new calls
//! at once, whatever snapshots are under way, and the callback is dropped after its last call. This
//! module knows neither events nor sandboxes; who dispatches says how a callback is called.
//!
//! Keeps rules 18 to 21 of the design.

use std::time::{Duration, Instant};

use crate::error::{Error, Result, Status};
use crate::panic::{caught, drop_caught};
use crate::sync::{Arc, Mutex, lock};
use crate::trace;

mod revocable;
mod statistics;
pub(crate) mod waits;

pub use statistics::SubscriberStats;

use revocable::Revocable;
pub(crate) use statistics::Calls;
use statistics::Counters;
use waits::Node;

const LONGEST_NAME: usize = 255;

/// The id of one subscriber, unique in the process; ends it.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// let subscription = gate.releases().subscribe(|event| println!("{event:?}"))?;
/// // From here on no call is under way, and what the callback owned is dropped.
/// gate.releases().unsubscribe_wait(subscription)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Subscription(Node);

impl Subscription {
    /// The id as a number, never 0.
    pub fn as_raw(self) -> u64 {
        self.0.as_raw()
    }

    /// The id that [`as_raw`](Subscription::as_raw) gave. Any number is safe to pass: one that
    /// belongs to no subscriber is answered with NOT_FOUND.
    pub fn from_raw(raw: u64) -> Subscription {
        Subscription(Node::from_raw(raw))
    }
}

/// Callbacks of the type `C`, usually a trait object.
pub(crate) struct SubscriberList<C: ?Sized> {
    entries: Mutex<Entries<C>>,
    budget: Duration,
}

struct Entries<C: ?Sized> {
    current: Snapshot<C>,
    /// Unsubscribed, but perhaps still in a call: what `unsubscribe_wait` may be asked for.
    ending: Vec<Arc<Entry<C>>>,
    closed: bool,
}

type Snapshot<C> = Arc<Vec<Arc<Entry<C>>>>;

struct Entry<C: ?Sized> {
    subscription: Subscription,
    name: Box<str>,
    callback: Revocable<Callback<C>>,
    counters: Counters,
}

/// A callback whose end counts as a call of it: it is foreign code that may panic, and that must not
/// wait for itself.
struct Callback<C: ?Sized> {
    subscription: Subscription,
    function: Option<Box<C>>,
}

impl<C: ?Sized> Drop for Callback<C> {
    fn drop(&mut self) {
        let function = self.function.take();
        // Nobody is left to tell about a panic in the end of a subscriber.
        let _ = self.subscription.0.hold(|| drop_caught(function));
    }
}

impl<C: ?Sized> SubscriberList<C> {
    /// An empty list, whose calls are slow when they take longer than `budget`.
    pub(crate) fn new(budget: Duration) -> SubscriberList<C> {
        SubscriberList {
            entries: Mutex::new(Entries {
                current: Arc::new(Vec::new()),
                ending: Vec::new(),
                closed: false,
            }),
            budget,
        }
    }

    /// Adds a callback to the end of the list. Dispatches under way don't call it yet. An error gives
    /// it back, untouched.
    pub(crate) fn subscribe(
        &self,
        name: &str,
        function: Box<C>,
    ) -> Result<Subscription, (Error, Box<C>)> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            let error = Error::new(
                Status::InvalidArgument,
                "the name of a subscriber has 1 to 255 bytes",
            );
            return Err((error, function));
        }
        let subscription = Subscription(Node::new());
        let mut entries = lock(&self.entries);
        if entries.closed {
            drop(entries);
            return Err((Error::closed("the list of subscribers is closed"), function));
        }
        let entry = Entry {
            subscription,
            name: name.into(),
            callback: Revocable::new(Callback {
                subscription,
                function: Some(function),
            }),
            counters: Counters::default(),
        };
        let mut list = entries.current.to_vec();
        list.push(Arc::new(entry));
        entries.current = Arc::new(list);
        Ok(subscription)
    }

    /// Calls every subscriber in order, on this thread, under no lock. What they answer is recorded;
    /// an error or a panic of one keeps none of the others from being called.
    pub(crate) fn dispatch(
        &self,
        what: trace::Callback<'_>,
        call: impl Fn(&C) -> Result<()>,
    ) -> Calls {
        let mut calls = Calls::default();
        let snapshot = Arc::clone(&lock(&self.entries).current);
        for entry in snapshot.iter() {
            let Some(callback) = entry.callback.enter() else {
                continue;
            };
            let Some(function) = callback.function.as_deref() else {
                continue;
            };
            let (took, answer) = what.during(&entry.name, || {
                let began = Instant::now();
                let answer = entry.subscription.0.hold(|| caught(|| call(function)));
                (began.elapsed(), answer)
            });
            let counted = entry.counters.record(took, self.budget, answer);
            calls.slow += counted.slow;
            calls.panics += counted.panics;
            // Before the next one is called: this may be the last use, which ends the subscriber.
            drop(callback);
        }
        calls
    }

    /// How many callbacks there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.entries).current.len()
    }

    /// Ends a subscriber: no new call of it starts afterwards. A call under way goes on; the callback
    /// is dropped after the last one, here or on the thread that made that call.
    ///
    /// NOT_FOUND: there is none, or it was ended before.
    pub(crate) fn unsubscribe(&self, subscription: Subscription) -> Result<()> {
        let entry = lock(&self.entries)
            .remove(subscription)
            .ok_or_else(unknown_subscription)?;
        entry.callback.revoke();
        Ok(())
    }

    /// As [`unsubscribe`](SubscriberList::unsubscribe), and returns after the last call has ended and
    /// the callback is dropped. Also waits for one that was only unsubscribed before.
    ///
    /// WOULD_DEADLOCK (and nothing changed): called from inside that subscriber, or from one that it
    /// is waiting for. NOT_FOUND: there is none, or its last call is over.
    pub(crate) fn unsubscribe_wait(&self, subscription: Subscription) -> Result<()> {
        let waiting;
        let entry = {
            let mut entries = lock(&self.entries);
            let entry = entries
                .find(subscription)
                .ok_or_else(unknown_subscription)?;
            waiting = subscription.0.wait_for()?;
            entries.remove(subscription);
            entry
        };
        entry.callback.revoke();
        entry.callback.wait_ended();
        drop(waiting);
        Ok(())
    }

    /// Ends all subscribers and takes no new one. Waits for nobody.
    pub(crate) fn close(&self) {
        let ended = {
            let mut entries = lock(&self.entries);
            entries.closed = true;
            let ended = std::mem::replace(&mut entries.current, Arc::new(Vec::new()));
            entries.ending.extend(ended.iter().map(Arc::clone));
            ended
        };
        for entry in ended.iter() {
            entry.callback.revoke();
        }
    }

    /// What each subscriber did, in the order of subscription.
    pub(crate) fn statistics(&self) -> Vec<SubscriberStats> {
        let snapshot = Arc::clone(&lock(&self.entries).current);
        snapshot.iter().map(|entry| entry.statistics()).collect()
    }

    /// What one subscriber did, also while its last call is under way.
    pub(crate) fn statistics_of(&self, subscription: Subscription) -> Result<SubscriberStats> {
        let entry = lock(&self.entries).find(subscription);
        entry
            .map(|entry| entry.statistics())
            .ok_or_else(unknown_subscription)
    }
}

impl<C: ?Sized> Entries<C> {
    /// The subscriber, if it is in the list or in its last calls.
    fn find(&self, subscription: Subscription) -> Option<Arc<Entry<C>>> {
        let all = self.current.iter().chain(&self.ending);
        all.filter(|entry| !entry.callback.has_ended())
            .find(|entry| entry.subscription == subscription)
            .map(Arc::clone)
    }

    /// Takes the subscriber out of the list.
    fn remove(&mut self, subscription: Subscription) -> Option<Arc<Entry<C>>> {
        self.ending.retain(|entry| !entry.callback.has_ended());
        let is_it = |entry: &Arc<Entry<C>>| entry.subscription == subscription;
        let entry = Arc::clone(self.current.iter().find(|entry| is_it(entry))?);
        let mut list = self.current.to_vec();
        list.retain(|entry| !is_it(entry));
        self.current = Arc::new(list);
        self.ending.push(Arc::clone(&entry));
        Some(entry)
    }
}

impl<C: ?Sized> Entry<C> {
    fn statistics(&self) -> SubscriberStats {
        self.counters.read(self.subscription, &self.name)
    }
}

fn unknown_subscription() -> Error {
    Error::new(Status::NotFound, "there is no such subscription")
}

#[cfg(all(test, not(loom)))]
mod tests;
