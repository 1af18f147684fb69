//! Callbacks for the ends of releases, run one after the other on the notify thread.

use std::time::{Duration, Instant};

use super::outcome::Event;
use super::worker::{caught, drop_caught};
use crate::error::{Error, Result, Status};
use crate::sync::{Arc, Condvar, Mutex, lock};

/// The id of a subscription to a queue's events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReleaseSubscription(u64);

impl ReleaseSubscription {
    /// The number to hand to other languages; never 0.
    pub fn as_raw(self) -> u64 {
        self.0
    }

    /// The subscription with this number. Any number is safe.
    pub fn from_raw(raw: u64) -> ReleaseSubscription {
        ReleaseSubscription(raw)
    }
}

type Callback = Box<dyn Fn(&Event) + Send + Sync>;

struct Subscriber {
    id: ReleaseSubscription,
    state: Mutex<CallState>,
    call_ended: Condvar,
}

struct CallState {
    /// Taken out for the time of a call, and for good when the subscription ends.
    callback: Option<Callback>,
    running: bool,
    ended: bool,
}

/// What came of the callbacks for one event.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) slow: u64,
    pub(crate) panics: u64,
}

impl Calls {
    /// Runs one callback and counts how it went.
    pub(crate) fn call(&mut self, budget: Duration, callback: impl FnOnce()) {
        let start = Instant::now();
        let result = caught(|| {
            callback();
            Ok(())
        });
        self.slow += u64::from(start.elapsed() > budget);
        self.panics += u64::from(result.is_err());
    }
}

#[derive(Default)]
pub(crate) struct Subscribers(Mutex<List>);

#[derive(Default)]
struct List {
    last_id: u64,
    subscribers: Vec<Arc<Subscriber>>,
}

impl Subscribers {
    pub(crate) fn add(&self, callback: Callback) -> ReleaseSubscription {
        let mut list = lock(&self.0);
        list.last_id += 1;
        let id = ReleaseSubscription(list.last_id);
        list.subscribers.push(Arc::new(Subscriber {
            id,
            state: Mutex::new(CallState {
                callback: Some(callback),
                running: false,
                ended: false,
            }),
            call_ended: Condvar::new(),
        }));
        id
    }

    /// Calls everybody, in the order of subscription.
    pub(crate) fn call(&self, event: &Event, budget: Duration, calls: &mut Calls) {
        let subscribers = lock(&self.0).subscribers.clone();
        for subscriber in subscribers {
            if subscriber.call(event, budget, calls) {
                self.remove(subscriber.id);
            }
        }
    }

    /// No new call from here on. The callback is dropped at once, or after the call that is running.
    pub(crate) fn end(&self, id: ReleaseSubscription) -> Result<()> {
        let subscriber = self.find(id)?;
        let mut state = lock(&subscriber.state);
        state.ended = true;
        let callback = state.callback.take();
        let running = state.running;
        drop(state);
        if !running {
            self.remove(id);
        }
        // A callback that panics in its drop has ended all the same.
        let _ = drop_caught(callback);
        Ok(())
    }

    /// The same, and returns after the last call. `inside`: the caller is the notify thread, whose
    /// running call can only be its own.
    pub(crate) fn end_and_wait(&self, id: ReleaseSubscription, inside: bool) -> Result<()> {
        let subscriber = self.find(id)?;
        if inside && lock(&subscriber.state).running {
            return Err(Error::new(
                Status::WouldDeadlock,
                "a callback can't wait for its own end",
            ));
        }
        self.end(id)?;
        let mut state = lock(&subscriber.state);
        while state.running {
            let waited = subscriber.call_ended.wait(state);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).subscribers.len()
    }

    fn find(&self, id: ReleaseSubscription) -> Result<Arc<Subscriber>> {
        let list = lock(&self.0);
        let found = list.subscribers.iter().find(|other| other.id == id);
        found
            .cloned()
            .ok_or_else(|| Error::new(Status::NotFound, "there is no such subscription"))
    }

    fn remove(&self, id: ReleaseSubscription) {
        lock(&self.0).subscribers.retain(|other| other.id != id);
    }
}

impl Subscriber {
    /// `true`: the subscription ended with this call.
    fn call(&self, event: &Event, budget: Duration, calls: &mut Calls) -> bool {
        let mut state = lock(&self.state);
        let Some(callback) = state.callback.take() else {
            return false;
        };
        state.running = true;
        drop(state);
        calls.call(budget, || callback(event));
        let mut state = lock(&self.state);
        let ended = state.ended;
        if ended {
            drop(state);
            let _ = drop_caught(callback);
            state = lock(&self.state);
        } else {
            state.callback = Some(callback);
        }
        state.running = false;
        drop(state);
        self.call_ended.notify_all();
        ended
    }
}
