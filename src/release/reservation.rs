//! The place of one releasable thing, taken when it is opened.

use std::sync::Mutex;

use super::ReleaseQueue;
use super::outcome::Ticket;
use super::resource::{BeforeRelease, Callbacks, Hook, Lane, Reclaim, Resource};
use crate::error::{Error, Result};
use crate::sync::lock;

/// A place in the queue. Dropping it gives the place back.
pub(crate) struct Reservation {
    queue: ReleaseQueue,
    index: u32,
    ticket: Ticket,
    prepared: Mutex<Prepared>,
    spent: bool,
}

/// What the release will be submitted with.
struct Prepared {
    callbacks: Callbacks,
    /// The hook has been told to the queue: it can't be changed any more.
    is_announced: bool,
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
            prepared: Mutex::new(Prepared {
                callbacks,
                is_announced: false,
            }),
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
    /// `false`, and nothing is changed, when there is one. CLOSED once the release is announced.
    pub(crate) fn set_hook(&self, hook: Hook) -> Result<bool> {
        let mut prepared = lock(&self.prepared);
        let place = prepared.hook()?;
        let is_free = place.is_none();
        if is_free {
            *place = Some(hook);
        }
        Ok(is_free)
    }

    /// Whether there is a hook.
    pub(crate) fn has_hook(&self) -> bool {
        lock(&self.prepared).callbacks.hook.is_some()
    }

    /// Takes the hook back. It may hold anything. CLOSED once the release is announced.
    pub(crate) fn take_hook(&self) -> Result<Option<Hook>> {
        Ok(lock(&self.prepared).hook()?.take())
    }

    /// Has the step run before the release, on the blocking lane. When it fails for good that is
    /// reported with the event, and the release goes on. `false`, and nothing is changed, when there
    /// is one.
    pub(crate) fn set_before_release(&self, step: BeforeRelease) -> bool {
        let callbacks = &mut lock(&self.prepared).callbacks;
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

    /// The release was asked for; its submit follows once the last use has ended. From now on it can be
    /// waited for.
    pub(crate) fn announce(&self) {
        let mut prepared = lock(&self.prepared);
        prepared.is_announced = true;
        let hook = prepared.callbacks.hook.clone();
        self.queue.announce(self.ticket, hook);
    }

    fn callbacks(&mut self) -> &mut Callbacks {
        let prepared = self.prepared.get_mut();
        let prepared = prepared.unwrap_or_else(|poisoned| poisoned.into_inner());
        &mut prepared.callbacks
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
        let prepared = self.prepared.get_mut();
        let prepared = prepared.unwrap_or_else(|poisoned| poisoned.into_inner());
        let callbacks = &mut prepared.callbacks;
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

impl Prepared {
    fn hook(&mut self) -> Result<&mut Option<Hook>> {
        match self.is_announced {
            true => Err(Error::closed("the release was asked for")),
            false => Ok(&mut self.callbacks.hook),
        }
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
