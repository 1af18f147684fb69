//! A slot: the place of one releasable thing, from its reservation to its end, and the memory of how
//! it ended until the slot is used again.

use std::sync::Arc as Label;
use std::time::{Duration, Instant};

use super::cancellations::Cancellations;
use super::list::{Chain, Links, List};
use super::outcome::{Event, Kind, Outcome, Ticket};
use super::resource::{Callbacks, Lane, Resource};
use crate::error::Error;
use crate::trace;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Nobody's.
    Free,
    /// Belongs to a reservation.
    Reserved,
    /// Belongs to a reservation whose release was asked for, but waits for the last use to end.
    Announced,
    /// Belongs to a reservation, but was abandoned between announcement and submit.
    Forfeited,
    /// In the queue of a lane.
    Queued,
    /// A worker is at it.
    Running,
    /// Waits for its next attempt.
    Waiting,
    /// Abandoned while a worker was at it, and still is.
    Left,
}

// In the order of their use, so that a submit, whose slot has been cold for long, touches two lines of
// the cache.
#[repr(C, align(64))]
pub(crate) struct Slot {
    pub(crate) phase: Phase,
    pub(crate) lane: Lane,
    pub(crate) kind: Kind,
    /// Attempts of the step that is under way.
    pub(crate) attempts: u32,
    pub(crate) links: [Links; 2],
    pub(crate) resource: Option<Box<dyn Resource>>,
    /// Counts the slot's tickets. A new one is counted when the slot is taken or given back to an
    /// owner: the ticket of a release is known before its submit.
    pub(crate) generation: u64,
    /// The place in the order of all submissions.
    pub(crate) serial: u64,
    pub(crate) submitted: Option<Instant>,
    pub(crate) callbacks: Callbacks,
    pub(crate) label: Option<Label<str>>,
    pub(crate) before_release_failed: Option<i32>,
    pub(crate) started: Option<Instant>,
    pub(crate) last_error: Option<Error>,
    /// Between attempts; a worker takes it along.
    pub(crate) trace: trace::Release,
    /// Threads that wait for the ticket: the slot is not used again before they have read its end.
    pub(crate) waiters: u32,
    /// How the last ticket ended.
    pub(crate) event: Option<Event>,
}

impl Slot {
    pub(crate) fn new() -> Slot {
        Slot {
            links: [Links::UNLINKED; 2],
            phase: Phase::Free,
            kind: Kind::Job,
            lane: Lane::Blocking,
            generation: 0,
            serial: 0,
            label: None,
            resource: None,
            callbacks: Callbacks::default(),
            attempts: 0,
            before_release_failed: None,
            submitted: None,
            started: None,
            last_error: None,
            trace: trace::Release::default(),
            waiters: 0,
            event: None,
        }
    }

    /// The queue that the next step of the release belongs into.
    pub(crate) fn next_lane(&self) -> Lane {
        match self.callbacks.before_release {
            Some(_) => Lane::Blocking,
            None => self.lane,
        }
    }

    /// The end of the slot's ticket, as it is now; it has no sequence number yet.
    pub(crate) fn event_now(&self, index: u32, outcome: Outcome, now: Instant) -> Event {
        let since = |from: Option<Instant>, to: Instant| match from {
            Some(from) => to.saturating_duration_since(from),
            None => Duration::ZERO,
        };
        Event {
            sequence: 0,
            ticket: self.ticket(index),
            kind: self.kind,
            outcome,
            attempts: self.attempts,
            queued: since(self.submitted, self.started.unwrap_or(now)),
            worked: since(self.started, now),
            before_release_failed: self.before_release_failed,
        }
    }

    /// A new ticket, of which nothing is known yet.
    pub(crate) fn renew(&mut self) {
        self.generation += 1;
        self.attempts = 0;
        self.before_release_failed = None;
        self.submitted = None;
        self.started = None;
        self.last_error = None;
        self.event = None;
    }

    /// The slot's current ticket.
    pub(crate) fn ticket(&self, index: u32) -> Ticket {
        Ticket::new(index, self.generation)
    }

    /// Whether this ticket's release was asked for and has not ended.
    fn is_pending(&self, ticket: Ticket) -> bool {
        let is_asked_for = matches!(
            self.phase,
            Phase::Announced | Phase::Queued | Phase::Running | Phase::Waiting
        );
        is_asked_for && ticket.generation() == self.generation
    }
}

/// All slots. More than the capacity, so that a number of outcomes is always remembered.
pub(crate) struct Slots {
    slots: Vec<Slot>,
    pub(crate) free: List,
    live: usize,
    capacity: usize,
    remembered: usize,
    pub(crate) cancellations: Cancellations,
}

impl Slots {
    pub(crate) fn new(capacity: usize, remembered: usize) -> Slots {
        Slots {
            // All at once: growing would move every slot under the lock.
            slots: Vec::with_capacity(capacity + remembered),
            free: List::new(Chain::Queue),
            live: 0,
            capacity,
            remembered,
            cancellations: Cancellations::new(remembered),
        }
    }

    /// A free slot, the one that has been free longest.
    pub(crate) fn take(&mut self) -> Option<u32> {
        if self.live >= self.capacity {
            return None;
        }
        let room = self.slots.len() < self.capacity + self.remembered;
        let index = if self.free.len() <= self.remembered && room {
            self.slots.push(Slot::new());
            self.slots.len() as u32 - 1
        } else {
            self.free.pop_front(&mut self.slots)?
        };
        self.live += 1;
        Some(index)
    }

    /// Ends the use of a slot. What it remembers stays until it is taken again.
    pub(crate) fn free(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.resource.is_none() && slot.phase != Phase::Free);
        slot.phase = Phase::Free;
        slot.label = None;
        slot.last_error = None;
        self.live -= 1;
        if slot.waiters == 0 {
            self.free.push_back(&mut self.slots, index);
        }
    }

    /// A thread waits for the ticket. `true`: it is counted until it calls `stop_waiting`.
    ///
    /// A release on its way back to its owner has a place no more: its slot may be free already, or
    /// another's, and its end is remembered elsewhere.
    pub(crate) fn start_waiting(&mut self, ticket: Ticket) -> bool {
        let slot = &mut self.slots[ticket.index()];
        let has_slot = slot.is_pending(ticket);
        slot.waiters += u32::from(has_slot);
        has_slot
    }

    /// A thread no longer waits for the slot's ticket.
    pub(crate) fn stop_waiting(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.waiters -= 1;
        if slot.waiters == 0 && slot.phase == Phase::Free {
            self.free.push_back(&mut self.slots, index);
        }
    }

    /// The slot that has or had this ticket, once its release was asked for.
    pub(crate) fn find(&self, ticket: Ticket) -> Option<u32> {
        let known = self.is_pending(ticket) || self.end_of(ticket).is_some();
        known.then_some(ticket.index() as u32)
    }

    /// Whether this ticket's release was asked for and has not ended.
    pub(crate) fn is_pending(&self, ticket: Ticket) -> bool {
        let slot = self.slots.get(ticket.index());
        slot.is_some_and(|slot| slot.is_pending(ticket)) || self.cancellations.is_returning(ticket)
    }

    /// The slot that a worker is at on behalf of this ticket.
    pub(crate) fn at_work(&self, ticket: Ticket) -> Option<u32> {
        let index = ticket.index() as u32;
        let slot = self.slots.get(ticket.index())?;
        let is_at_work = matches!(slot.phase, Phase::Running | Phase::Left);
        (is_at_work && slot.ticket(index) == ticket).then_some(index)
    }

    /// How the release with this ticket ended.
    pub(crate) fn end_of(&self, ticket: Ticket) -> Option<Event> {
        let event = self.slots.get(ticket.index())?.event;
        event
            .filter(|event| event.ticket == ticket)
            .or_else(|| self.cancellations.end_of(ticket))
    }

    /// Slots in use: reserved, submitted, or abandoned with a worker still at them.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn all(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    pub(crate) fn as_slice(&self) -> &[Slot] {
        &self.slots
    }
}

impl std::ops::Index<u32> for Slots {
    type Output = Slot;

    fn index(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Slots {
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }
}
