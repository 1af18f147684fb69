//! The place of one releasable thing, taken when it is opened.

use std::sync::Mutex;
use std::time::Instant;

use super::ReleaseQueue;
use super::outcome::Ticket;
use super::resource::{Attachments, BeforeRelease, Hook, Lane, Reclaim, Resource};

/// A place in the queue. Dropping it gives the place back.
pub(crate) struct Reservation {
    queue: ReleaseQueue,
    index: u32,
    ticket: Ticket,
    /// Never locked: it makes the reservation `Sync`, which closures alone would not be.
    attachments: Mutex<Attachments>,
    spent: bool,
}

impl Reservation {
    pub(super) fn new(
        queue: ReleaseQueue,
        index: u32,
        ticket: Ticket,
        attachments: Attachments,
    ) -> Reservation {
        Reservation {
            queue,
            index,
            ticket,
            attachments: Mutex::new(attachments),
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
    pub(crate) fn set_hook(&mut self, hook: Hook) {
        self.attachments().hook = Some(hook);
    }

    /// Whether there is a hook.
    pub(crate) fn has_hook(&mut self) -> bool {
        self.attachments().hook.is_some()
    }

    /// Has the step run before the release, on the blocking lane. When it fails for good that is
    /// reported with the event, and the release goes on.
    pub(crate) fn set_before_release(&mut self, step: BeforeRelease) {
        self.attachments().before_release = Some(step);
    }

    /// The step of a cancelled release.
    pub(crate) fn take_before_release(&mut self) -> Option<BeforeRelease> {
        self.attachments().before_release.take()
    }

    /// Says who gets the resource back, with a new reservation, when its release is cancelled. Called
    /// by the cancelling thread, under no lock. Without it a cancelled resource is destroyed.
    pub(crate) fn set_reclaim(&mut self, reclaim: Reclaim) {
        self.attachments().reclaim = Some(reclaim);
    }

    fn attachments(&mut self) -> &mut Attachments {
        let attachments = self.attachments.get_mut();
        attachments.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Hands the resource over. It can't fail and allocates nothing; the caller is held for one
    /// short mutex and for waking one thread at most.
    pub(crate) fn submit(mut self, lane: Lane, resource: Box<dyn Resource>) -> Ticket {
        self.spent = true;
        let attachments = std::mem::take(self.attachments());
        let now = self.queue.now();
        self.queue.change(|state| {
            state.submit(self.index, lane, resource, attachments, now);
        });
        self.ticket
    }

    /// Has a worker drop the resource, and gives the place back. That is no release: it has no
    /// outcome.
    pub(crate) fn discard(mut self, resource: Box<dyn Resource>) {
        self.spent = true;
        let attachments = std::mem::take(self.attachments());
        let now = Instant::now();
        self.queue.change(|state| {
            state.discard(self.index, Some(resource), attachments, now);
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.spent {
            let now = Instant::now();
            self.queue.change(|state| state.give_back(self.index, now));
        }
    }
}
