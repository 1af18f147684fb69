//! Both ways to hear of the ends of releases: callbacks, and a descriptor to poll.

use std::os::fd::{AsFd, BorrowedFd};

use super::ReleaseQueue;
use super::outcome::Event;
use crate::error::{Error, Result};
use crate::subscriber::Subscription;

/// Subscribers of releases have no names of their own.
const NAME: &str = "releases";

impl ReleaseQueue {
    /// Has the callback called with the end of every release from now on, on the notify thread, one
    /// event after the other in the order of their sequence. It must not block: it would hold up
    /// every other callback. It may call anything. CLOSED.
    pub fn subscribe(
        &self,
        callback: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Subscription> {
        if self.is_closed() {
            return Err(Error::closed("the release queue is closed"));
        }
        let subscribed = self.0.subscribers.subscribe(NAME, Box::new(callback));
        let subscription = subscribed.map_err(|(error, _callback)| error)?;
        self.count_subscribers();
        Ok(subscription)
    }

    /// Ends a subscription: no new call starts after this. The callback is dropped at once or, when
    /// it is running, after that call. NOT_FOUND.
    pub fn unsubscribe(&self, subscription: Subscription) -> Result<()> {
        self.0.subscribers.unsubscribe(subscription)?;
        self.count_subscribers();
        Ok(())
    }

    /// Ends a subscription and returns after its last call has ended and its callback is dropped.
    /// NOT_FOUND; WOULD_DEADLOCK from inside that very callback, or from one that it waits for.
    pub fn unsubscribe_wait(&self, subscription: Subscription) -> Result<()> {
        self.0.subscribers.unsubscribe_wait(subscription)?;
        self.count_subscribers();
        Ok(())
    }

    /// A descriptor that is readable while there are events to read, and at times when there is
    /// none: an event may be read before its signal comes. For poll(2) and its like only.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.0.shared.with_quietly(|state| state.ring.open());
        self.0.shared.event_fd.as_fd()
    }

    /// Moves the oldest unread events into `buffer` and says how many. Never waits.
    pub fn read_events(&self, buffer: &mut [Event]) -> usize {
        self.0.shared.with_quietly(|state| {
            state.ring.open();
            let (count, empty) = state.ring.read(buffer);
            if empty {
                // Under the lock: a signal for a later event must come after this.
                self.0.shared.event_fd.clear();
            }
            count
        })
    }

    /// How many events were lost unread since the first call of [`ReleaseQueue::event_fd`] or
    /// [`ReleaseQueue::read_events`].
    pub fn dropped_events(&self) -> u64 {
        self.0.shared.with_quietly(|state| state.ring.dropped())
    }

    fn count_subscribers(&self) {
        let subscribers = &self.0.subscribers;
        self.0
            .shared
            .with(|state| state.subscribers = subscribers.len());
    }
}
