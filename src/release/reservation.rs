//! The place of one releasable thing, taken when it is opened.

use std::sync::Mutex;

use super::ReleaseQueue;
use super::outcome::Ticket;
use super::resource::{BeforeRelease, Callbacks, Hook, Lane, Reclaim, Resource};
use crate::sync::lock;

/// A place in the queue. Dropping it gives the place back.
pub(crate) struct Reservation {
    queue: ReleaseQueue,
    index: u32,
    ticket: Ticket,
    callbacks: Mutex<Callbacks>,
    spent: bool,
}

impl Reservation {
    pub(super) fn new(
        queue: ReleaseQueue,
        index: u32,
        ticket: Ticket,
        callbacks: Callbacks,
    ) -> Reservation {
        Reservation {
            queue,
            index,
            ticket,
            callbacks: Mutex::new(callbacks),
            spent: false,
        }
    }

    /// The ticket that the release will have.
    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The queue that the place is in.
    pub(crate) fn queue(&self) -> &ReleaseQueue {
        &self.queue
    }

    /// Has the hook called with the terminal event, on the notify thread, before the subscribers.
    /// `false`, and nothing is changed, when there is one.
    pub(crate) fn set_hook(&self, hook: Hook) -> bool {
        let mut callbacks = lock(&self.callbacks);
        let is_free = callbacks.hook.is_none();
        if is_free {
            callbacks.hook = Some(hook);
        }
        is_free
    }

    /// Whether there is a hook.
    pub(crate) fn has_hook(&self) -> bool {
        lock(&self.callbacks).hook.is_some()
    }

    /// Takes the hook back. It may hold anything.
    pub(crate) fn take_hook(&self) -> Option<Hook> {
        lock(&self.callbacks).hook.take()
    }

    /// Has the step run before the release, on the blocking lane. When it fails for good that is
    /// reported with the event, and the release goes on. `false`, and nothing is changed, when there
    /// is one.
    pub(crate) fn set_before_release(&self, step: BeforeRelease) -> bool {
        let mut callbacks = lock(&self.callbacks);
        let is_free = callbacks.before_release.is_none();
        if is_free {
            callbacks.before_release = Some(step);
        }
        is_free
    }

    /// Says who gets the resource back, with a new reservation, when its release is cancelled. Called
    /// by the cancelling thread, under no lock. It stays with a release that is given up and tried again.
    /// Without it a cancelled resource is destroyed.
    pub(crate) fn set_reclaim(&mut self, reclaim: Reclaim) {
        self.callbacks().reclaim = Some(reclaim);
    }

    fn callbacks(&mut self) -> &mut Callbacks {
        let callbacks = self.callbacks.get_mut();
        callbacks.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Hands the resource over. It can't fail and allocates nothing; the caller is held for one
    /// short mutex and for waking one thread at most.
    pub(crate) fn submit(mut self, lane: Lane, resource: Box<dyn Resource>) -> Ticket {
        self.submit_in_place(lane, resource);
        self.ticket
    }

    /// The same for one that stays where it is, and is good for nothing any more.
    pub(crate) fn submit_in_place(&mut self, lane: Lane, resource: Box<dyn Resource>) {
        debug_assert!(!self.spent);
        self.spent = true;
        let callbacks = self.callbacks.get_mut();
        let callbacks = callbacks.unwrap_or_else(|poisoned| poisoned.into_inner());
        self.queue.change(|state, now| {
            state.submit(self.index, lane, resource, callbacks, now);
        });
    }

    /// Has a worker drop the resource, and gives the place back. That is no release: it has no
    /// outcome.
    pub(crate) fn discard(mut self, resource: Box<dyn Resource>) {
        self.discard_in_place(resource);
    }

    /// The same for one that stays where it is.
    pub(crate) fn discard_in_place(&mut self, resource: Box<dyn Resource>) {
        self.spent = true;
        let callbacks = std::mem::take(self.callbacks());
        self.queue.change(|state, now| {
            state.discard(self.index, Some(resource), callbacks, now);
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.spent {
            self.queue
                .change(|state, now| state.give_back(self.index, now));
        }
    }
}
