//! The ends of releases: how an outcome is told, and the ends that no worker brings.

use std::time::Instant;

use super::outcome::{Event, Outcome, Ticket};
use super::resource::{Callbacks, Hook, Reclaim, Resource};
use super::slot::Phase;
use super::state::{Notice, State};
use crate::error::{Error, Result, Status};
use crate::trace;

impl State {
    /// The one end of a release, after which its place is free. The way back to its owner, which nobody
    /// goes any more, has to be dropped.
    pub(super) fn finish(&mut self, index: u32, outcome: Outcome, now: Instant) -> Option<Reclaim> {
        self.conclude(index, outcome, now);
        let reclaim = self.slots[index].callbacks.reclaim.take();
        self.slots.free(index);
        self.look_for_the_end();
        reclaim
    }

    /// Tells everybody how the slot's ticket ended.
    pub(super) fn conclude(&mut self, index: u32, outcome: Outcome, now: Instant) {
        self.outstanding.remove(self.slots.all(), index);
        let slot = &mut self.slots[index];
        let hook = slot.callbacks.hook.take();
        let event = slot.event_now(index, outcome, now);
        slot.event = Some(event);
        self.tell(event, hook, index);
    }

    fn tell(&mut self, mut event: Event, hook: Option<Hook>, index: u32) {
        event.sequence = self.ring.next_sequence();
        self.totals.count(&event);
        let slot = &mut self.slots[index];
        match &mut slot.event {
            Some(end) if end.ticket == event.ticket => *end = event,
            _ => {
                self.slots.cancellations.end(event);
                // Who waits for it may be counted nowhere.
                self.wakes.waiters = true;
            }
        }
        self.wakes.waiters |= self.slots[index].waiters > 0;
        self.wakes.watchers |= self.watchers.iter().any(|serial| self.is_past(*serial));
        self.wakes.event_fd |= self.ring.push(event);
        if hook.is_some() || self.subscribers > 0 {
            self.notices.push_back(Notice { event, hook });
            self.wakes.notifier |= std::mem::take(&mut self.notifier_asleep);
        }
    }

    /// Takes a release that has not started out of its queue. It still has to be announced once its
    /// owner has it back.
    pub(crate) fn cancel(&mut self, ticket: Ticket, now: Instant) -> Result<Cancelled> {
        let index = self.slots.find(ticket).ok_or_else(unknown_ticket)?;
        if self.slots.end_of(ticket).is_some() {
            return Err(Error::new(Status::InvalidState, "the release has ended"));
        }
        if self.slots.cancellations.is_returning(ticket) {
            // Its place may have another release by now, which is not meant.
            return Err(Error::new(
                Status::InvalidState,
                "the release is being cancelled",
            ));
        }
        let slot = &self.slots[index];
        if slot.phase == Phase::Announced {
            return Err(Error::new(
                Status::InvalidState,
                "the release waits for uses that have not ended",
            ));
        }
        if slot.phase != Phase::Queued || slot.started.is_some() {
            return Err(Error::new(Status::InvalidState, "the release has started"));
        }
        if self.notices.len() >= self.options.capacity as usize {
            return Err(Error::new(
                Status::Full,
                "a callback holds up the outcomes of as many releases as there are places",
            ));
        }
        let lane = slot.next_lane();
        self.lanes[lane as usize]
            .queue
            .remove(self.slots.all(), index);
        self.outstanding.remove(self.slots.all(), index);
        let slot = &mut self.slots[index];
        slot.phase = Phase::Reserved;
        let event = slot.event_now(index, Outcome::Cancelled, now);
        slot.renew();
        self.slots.cancellations.begin(ticket);
        let slot = &mut self.slots[index];
        let resource = slot.resource.take();
        let mut endings = trace::Endings::default();
        endings.push(trace::Release::default(), slot.label.as_ref(), event);
        Ok(Cancelled {
            index,
            ticket: slot.ticket(index),
            event,
            trace: endings,
            resource: resource.expect("a queued slot has its resource"),
            callbacks: std::mem::take(&mut slot.callbacks),
        })
    }

    /// Ends the cancelled ticket; its slot may be submitted again by now.
    pub(crate) fn announce_cancelled(&mut self, index: u32, event: Event, hook: Option<Hook>) {
        self.tell(event, hook, index);
        self.look_for_the_end();
    }

    /// Ends everything that has not ended. What runs is left to its worker; of the rest its owner
    /// tells, without the lock.
    pub(crate) fn abandon(&mut self, now: Instant) -> trace::Endings {
        let mut endings = trace::Endings::default();
        while let Some(index) = self.outstanding.first() {
            let slot = &mut self.slots[index];
            match slot.phase {
                Phase::Announced => {
                    self.conclude(index, Outcome::Abandoned, now);
                    self.slots[index].phase = Phase::Forfeited;
                    self.take_trace(index, &mut endings);
                    self.forfeited += 1;
                    self.remains.reserve(self.forfeited);
                }
                Phase::Running => {
                    self.totals.in_flight -= 1;
                    self.conclude(index, Outcome::Abandoned, now);
                    self.slots[index].phase = Phase::Left;
                    self.left += 1;
                }
                phase => {
                    if phase == Phase::Queued {
                        let lane = slot.next_lane();
                        self.lanes[lane as usize]
                            .queue
                            .remove(self.slots.all(), index);
                    }
                    self.conclude(index, Outcome::Abandoned, now);
                    self.take_trace(index, &mut endings);
                    let resource = self.slots[index].resource.take();
                    self.bury_slot(index, resource, now);
                    self.slots.free(index);
                }
            }
        }
        self.look_for_the_end();
        endings
    }

    /// The slot's release has just ended.
    fn take_trace(&mut self, index: u32, endings: &mut trace::Endings) {
        let slot = &mut self.slots[index];
        if let Some(event) = slot.event {
            endings.push(std::mem::take(&mut slot.trace), slot.label.as_ref(), event);
        }
    }
}

/// A release on its way back to its owner.
pub(crate) struct Cancelled {
    pub(crate) index: u32,
    /// The new ticket of its reservation.
    pub(crate) ticket: Ticket,
    pub(crate) event: Event,
    pub(crate) trace: trace::Endings,
    pub(crate) resource: Box<dyn Resource>,
    pub(crate) callbacks: Callbacks,
}

pub(crate) fn unknown_ticket() -> Error {
    Error::new(
        Status::NotFound,
        "no release has this ticket, or it ended too long ago to be remembered",
    )
}
