//! Everything a queue knows, under one mutex. The transitions are plain functions of the state and
//! the time; they wake nobody, call nobody and drop nothing foreign, but say what has to be done
//! once the mutex is free.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc as Label;
use std::time::Instant;

use super::failed::{FailedEntry, FailedList};
use super::lane::LaneState;
use super::list::{Chain, List};
use super::outcome::{Event, Kind, Outcome, Ticket};
use super::resource::{Callbacks, Hook, Lane, Resource};
use super::retry::Jitter;
use super::ring::Ring;
use super::slot::{Phase, Slots};
use super::stats::Stats;
use super::workforce::Workforce;
use crate::error::{Error, Result, Status};
use crate::gate::GateOptions;

/// Who has to be woken once the mutex is free.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Wakes {
    /// How many sleeping workers of each lane.
    pub(crate) workers: [u32; 2],
    pub(crate) timer: bool,
    pub(crate) notifier: bool,
    /// Threads that wait for one ticket.
    pub(crate) waiters: bool,
    /// Threads that wait for many releases or for the end of the queue's threads.
    pub(crate) watchers: bool,
    pub(crate) event_fd: bool,
}

/// An outcome on its way to the callbacks.
pub(crate) struct Notice {
    pub(crate) event: Event,
    pub(crate) hook: Option<Hook>,
}

/// What is no release any more and only has to be dropped, on a worker.
pub(crate) struct Remains {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) kind: Kind,
    pub(crate) label: Label<str>,
    pub(crate) resource: Option<Box<dyn Resource>>,
    pub(crate) callbacks: Callbacks,
}

impl Remains {
    /// What a thread that is lost could not drop.
    pub(crate) fn of_lost_thread(callbacks: Callbacks) -> Remains {
        Remains {
            ticket: None,
            kind: Kind::Job,
            label: "left by a lost thread".into(),
            resource: None,
            callbacks,
        }
    }
}

pub(crate) struct State {
    pub(crate) options: GateOptions,
    pub(crate) slots: Slots,
    pub(crate) lanes: [LaneState; 2],
    pub(crate) workforce: Workforce,
    pub(crate) outstanding: List,
    /// When which slot (with which generation) is tried again.
    pub(crate) retries: BinaryHeap<Reverse<(Instant, u32, u64)>>,
    pub(crate) remains: VecDeque<Remains>,
    /// Abandoned places whose submits are still to come: what is submitted to them goes to `remains`,
    /// which keeps room for it.
    pub(crate) forfeited: usize,
    pub(crate) failed: FailedList,
    pub(crate) ring: Ring,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) subscribers: usize,
    /// Abandoned releases that a worker still is at.
    pub(crate) left: u64,
    /// Threads that wait for everything up to a number of submissions.
    pub(crate) watchers: Vec<u64>,
    /// Submissions so far.
    pub(crate) serial: u64,
    /// Nothing new is reserved.
    pub(crate) closed: bool,
    /// Nobody will ask for anything any more: failed releases are not kept, threads end once
    /// nothing is left to do.
    pub(crate) sealed: bool,
    pub(crate) totals: Stats,
    pub(crate) jitter: Jitter,
    /// Whether detached trees can be dissolved together.
    pub(crate) dissolves: bool,
    pub(crate) notifier_asleep: bool,
    pub(crate) notifier_busy: bool,
    pub(crate) wakes: Wakes,
}

impl State {
    pub(crate) fn new(options: GateOptions, seed: u64) -> State {
        let capacity = options.capacity as usize;
        State {
            slots: Slots::new(capacity, Ticket::REMEMBERED),
            lanes: [Lane::Native, Lane::Blocking].map(|lane| LaneState::new(options.workers(lane))),
            workforce: Workforce::new(
                (1 + options.blocking_workers + options.replacement_workers) as usize,
            ),
            outstanding: List::new(Chain::Outstanding),
            retries: BinaryHeap::new(),
            remains: VecDeque::new(),
            forfeited: 0,
            failed: FailedList::new(),
            ring: Ring::new(options.event_capacity.max(1) as usize),
            notices: VecDeque::new(),
            subscribers: 0,
            left: 0,
            watchers: Vec::new(),
            serial: 0,
            closed: false,
            sealed: false,
            totals: Stats {
                capacity: u64::from(options.capacity),
                ..Stats::default()
            },
            jitter: Jitter::new(seed),
            dissolves: false,
            notifier_asleep: false,
            notifier_busy: false,
            wakes: Wakes::default(),
            options,
        }
    }

    /// Takes a place.
    pub(crate) fn reserve(&mut self, kind: Kind, label: Label<str>) -> Result<(u32, Ticket)> {
        if self.closed {
            return Err(Error::closed("the release queue is closed"));
        }
        if self.notices.len() >= self.options.capacity as usize {
            return Err(Error::new(
                Status::Full,
                "the release queue is full: a callback holds up the outcomes of as many releases",
            ));
        }
        let Some(index) = self.slots.take() else {
            return Err(Error::new(
                Status::Full,
                format!(
                    "the release queue is full: all {} places are taken",
                    self.options.capacity
                ),
            ));
        };
        let slot = &mut self.slots[index];
        slot.phase = Phase::Reserved;
        slot.kind = kind;
        slot.label = Some(label);
        slot.renew();
        Ok((index, slot.ticket(index)))
    }

    /// Gives back a place that nothing was submitted to.
    pub(crate) fn give_back(&mut self, index: u32, now: Instant) {
        match self.slots[index].phase {
            Phase::Announced => self.conclude(index, Outcome::Abandoned, now),
            Phase::Forfeited => self.forfeited -= 1,
            _ => {}
        }
        self.slots.free(index);
        self.look_for_the_end();
    }

    /// The release was asked for, the submit follows with the end of the last use. Nothing happens
    /// if it was quicker. The hook is for an end that comes before the submit.
    pub(crate) fn announce(&mut self, ticket: Ticket, hook: Option<Hook>, now: Instant) {
        if self.is_reserved(ticket) {
            let index = ticket.index() as u32;
            let slot = &mut self.slots[index];
            slot.phase = Phase::Announced;
            slot.callbacks.hook = hook;
            self.admit(index, now);
            // One of them may be what the release waits for.
            self.wakes.watchers |= !self.watchers.is_empty();
        }
    }

    /// Whether the ticket belongs to a reservation whose release nobody has asked for.
    pub(crate) fn is_reserved(&self, ticket: Ticket) -> bool {
        let slot = self.slots.as_slice().get(ticket.index());
        slot.is_some_and(|slot| {
            slot.phase == Phase::Reserved && slot.generation == ticket.generation()
        })
    }

    /// Counts a release in, in the order of the releases asked for.
    fn admit(&mut self, index: u32, now: Instant) {
        self.serial += 1;
        let slot = &mut self.slots[index];
        slot.serial = self.serial;
        slot.submitted = Some(now);
        self.outstanding.push_back(self.slots.all(), index);
        self.totals.adds += 1;
    }

    /// Gives back a place and has what it was for dropped by a worker.
    pub(crate) fn discard(
        &mut self,
        index: u32,
        resource: Option<Box<dyn Resource>>,
        callbacks: Callbacks,
        now: Instant,
    ) {
        let slot = &mut self.slots[index];
        let remains = Remains {
            ticket: None,
            kind: slot.kind,
            label: slot.label.take().unwrap_or_else(|| "".into()),
            resource,
            callbacks,
        };
        self.bury(remains, now);
        self.give_back(index, now);
    }

    /// Queues the release, and takes the callbacks. It allocates nothing and can't fail: everything
    /// it needs was made with the reservation.
    pub(crate) fn submit(
        &mut self,
        index: u32,
        lane: Lane,
        resource: Box<dyn Resource>,
        callbacks: &mut Callbacks,
        now: Instant,
    ) -> Ticket {
        let slot = &mut self.slots[index];
        let ticket = slot.ticket(index);
        match slot.phase {
            Phase::Announced => {}
            Phase::Forfeited => {
                slot.phase = Phase::Reserved;
                self.forfeited -= 1;
                let callbacks = std::mem::take(callbacks);
                self.discard(index, Some(resource), callbacks, now);
                return ticket;
            }
            _ => self.admit(index, now),
        }
        let slot = &mut self.slots[index];
        slot.lane = lane;
        slot.resource = Some(resource);
        // The announced hook is the same: it comes back, to be dropped without the lock.
        std::mem::swap(&mut slot.callbacks, callbacks);
        self.enqueue(index, now);
        ticket
    }

    /// Puts a slot into the queue of its next step.
    pub(crate) fn enqueue(&mut self, index: u32, now: Instant) {
        let slot = &mut self.slots[index];
        slot.phase = Phase::Queued;
        let lane = slot.next_lane();
        self.lanes[lane as usize]
            .queue
            .push_back(self.slots.all(), index);
        self.call_worker(lane, now);
    }

    /// Hands something to the workers only to be dropped.
    pub(crate) fn bury(&mut self, remains: Remains, now: Instant) {
        self.remains.reserve(1 + self.forfeited);
        self.remains.push_back(remains);
        self.call_worker(Lane::Blocking, now);
    }

    /// Queues a failed release again, in a new place and under a new ticket.
    pub(crate) fn retry_failed(&mut self, ticket: Ticket, now: Instant) -> Result<Ticket> {
        let position = self.failed.position(ticket)?;
        let label = self.failed.label(position);
        let (index, _) = self.reserve(self.failed.kind(position), label)?;
        let FailedEntry {
            lane,
            resource,
            hook,
            reclaim,
            ..
        } = self.failed.remove(position);
        let mut callbacks = Callbacks {
            hook,
            reclaim,
            ..Callbacks::default()
        };
        Ok(self.submit(index, lane, resource, &mut callbacks, now))
    }

    /// Takes a failed release off the list and has it dropped.
    pub(crate) fn forget_failed(&mut self, ticket: Ticket, now: Instant) -> Result<()> {
        let position = self.failed.position(ticket)?;
        let remains = self.failed.remove(position).into_remains();
        self.bury(remains, now);
        Ok(())
    }

    /// Refuses reservations from now on.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Nobody will ask any more: lets the threads end when all is done.
    pub(crate) fn seal(&mut self, now: Instant) {
        self.closed = true;
        self.sealed = true;
        while let Some(entry) = self.failed.remove_oldest() {
            self.bury(entry.into_remains(), now);
        }
        self.look_for_the_end();
    }

    /// Whether the queue's threads have nothing left to do, ever.
    pub(crate) fn is_over(&self) -> bool {
        let is_empty = self.slots.live() == 0 && self.remains.is_empty();
        self.sealed && is_empty && self.slots.cancellations.is_settled()
    }

    /// Wakes every thread of the queue when that was the last of its work.
    pub(crate) fn look_for_the_end(&mut self) {
        if self.is_over() {
            for (lane, wakes) in self.lanes.iter_mut().zip(&mut self.wakes.workers) {
                *wakes += lane.wake_all();
            }
            self.workforce.wake_timer(&mut self.wakes);
            self.wakes.notifier = true;
        }
    }

    /// Whether this release has not ended and is one of the given number of submissions.
    pub(crate) fn is_asked_for(&self, ticket: Ticket, serial: u64) -> bool {
        let is_pending = self.slots.is_pending(ticket);
        is_pending && self.slots[ticket.index() as u32].serial <= serial
    }

    /// Whether everything submitted up to the given number of submissions has ended.
    pub(crate) fn is_past(&self, serial: u64) -> bool {
        self.slots.cancellations.is_settled()
            && self
                .outstanding
                .first()
                .is_none_or(|first| self.slots[first].serial > serial)
    }
}
