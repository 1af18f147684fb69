//! From a lane's queue to an outcome: what workers take and how they bring it back.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::Arc as Label;
use std::time::{Duration, Instant};

use super::failed::FailedEntry;
use super::outcome::{Kind, Outcome, Proof, Ticket};
use super::resource::{BeforeRelease, Lane, Reclaim, Resource};
use super::slot::Phase;
use super::state::{Remains, State};
use super::workforce::Running;
use crate::error::{Error, Result};
use crate::kernel::dissolve::DetachedTree;
use crate::trace;

/// One thing for a worker to do.
pub(crate) enum Work {
    /// The step before the release of this slot.
    Before(u32, BeforeRelease, trace::Release),
    /// An attempt to release this slot.
    Release(u32, Box<dyn Resource>, trace::Release),
    /// Something that only has to be dropped.
    Bury(Remains),
    /// Detached trees to dissolve together. Their releases are next in the queue.
    Dissolve(Vec<Arc<DetachedTree>>),
}

impl State {
    /// The next thing to do in a lane, if there is one.
    pub(crate) fn take(&mut self, lane: Lane, worker: usize, now: Instant) -> Option<Work> {
        if lane == Lane::Native
            && let Some(trees) = self.look_ahead(now)
        {
            let running = Running::new(None, Kind::Chroot, "detached trees".into(), now);
            self.begin(worker, lane, running);
            return Some(Work::Dissolve(trees));
        }
        let queue = &mut self.lanes[lane as usize].queue;
        let work = if let Some(index) = queue.pop_front(self.slots.all()) {
            self.start(index, lane, worker, now)
        } else if lane == Lane::Blocking {
            let remains = self.remains.pop_front()?;
            let running = Running::new(remains.ticket, remains.kind, remains.label.clone(), now);
            self.begin(worker, lane, running);
            Work::Bury(remains)
        } else {
            return None;
        };
        if self.waiting(lane) > 0 {
            self.call_worker(lane, now);
        }
        Some(work)
    }

    /// Notes when the release started, if it is its first attempt, and returns how long it was queued.
    pub(super) fn has_started(&mut self, index: u32, now: Instant) -> Duration {
        let slot = &mut self.slots[index];
        let first = slot.started.is_none();
        let started = *slot.started.get_or_insert(now);
        let queued = started.saturating_duration_since(slot.submitted.unwrap_or(started));
        if first {
            self.totals.queue_duration.record(queued);
        }
        queued
    }

    fn start(&mut self, index: u32, lane: Lane, worker: usize, now: Instant) -> Work {
        let queued = self.has_started(index, now);
        let slot = &mut self.slots[index];
        slot.phase = Phase::Running;
        slot.attempts += 1;
        self.totals.retries += u64::from(slot.attempts > 1);
        let ticket = slot.ticket(index);
        let label = slot.label.clone().unwrap_or_else(|| "".into());
        let mut trace = std::mem::take(&mut slot.trace);
        trace.begin(ticket, slot.kind, &label, queued, slot.attempts);
        let running = Running::new(Some(ticket), slot.kind, label, now);
        let work = match slot.callbacks.before_release.take() {
            Some(before) => Work::Before(index, before, trace),
            None => {
                let resource = slot.resource.take();
                Work::Release(
                    index,
                    resource.expect("a queued slot has its resource"),
                    trace,
                )
            }
        };
        self.totals.in_flight += 1;
        self.begin(worker, lane, running);
        work
    }

    /// A worker has settled what it was at: its trace stays with the release, or comes back to be
    /// told of the end without the lock.
    pub(crate) fn leave_trace(&mut self, index: u32, trace: trace::Release) -> trace::Endings {
        let mut endings = trace::Endings::default();
        let slot = &mut self.slots[index];
        match (slot.phase, slot.event) {
            (Phase::Free, Some(event)) => endings.push(trace, None, event),
            _ => slot.trace = trace,
        }
        endings
    }

    /// The step before a release is done, or failed. What comes back has to be dropped.
    pub(crate) fn settle_before(
        &mut self,
        index: u32,
        worker: usize,
        before: BeforeRelease,
        result: Result<()>,
        now: Instant,
    ) -> Option<BeforeRelease> {
        self.end(worker);
        if self.leave(index, None, now) {
            return Some(before);
        }
        self.totals.in_flight -= 1;
        if let Err(error) = result {
            if self.try_again(index, &error, now) {
                let slot = &mut self.slots[index];
                slot.callbacks.before_release = Some(before);
                slot.last_error = Some(error);
                return None;
            }
            let slot = &mut self.slots[index];
            slot.before_release_failed = Some(error.os_error().unwrap_or(0));
            slot.last_error = Some(error);
            self.totals.before_release_failed += 1;
        }
        self.slots[index].attempts = 0;
        self.enqueue(index, now);
        Some(before)
    }

    /// An attempt succeeded; the resource is gone already. What comes back has to be dropped.
    pub(crate) fn settle_released(
        &mut self,
        index: u32,
        worker: usize,
        proof: Proof,
        now: Instant,
    ) -> Option<Reclaim> {
        self.end(worker);
        if self.leave(index, None, now) {
            return None;
        }
        self.totals.in_flight -= 1;
        self.finish(index, Outcome::Released(proof), now)
    }

    /// An attempt failed, and the resource is still there unless it went with the failure. What comes
    /// back has to be dropped.
    pub(crate) fn settle_failed(
        &mut self,
        index: u32,
        worker: usize,
        resource: Option<Box<dyn Resource>>,
        error: Error,
        now: Instant,
    ) -> Option<Reclaim> {
        self.end(worker);
        let Some(resource) = resource else {
            if self.leave(index, None, now) {
                return None;
            }
            self.totals.in_flight -= 1;
            let os_error = error.os_error().unwrap_or(0);
            return self.finish(index, Outcome::Failed { os_error }, now);
        };
        if self.slots[index].phase == Phase::Left {
            self.leave(index, Some(resource), now);
            return None;
        }
        self.totals.in_flight -= 1;
        if self.try_again(index, &error, now) {
            let slot = &mut self.slots[index];
            slot.resource = Some(resource);
            slot.last_error = Some(error);
            return None;
        }
        self.give_up(index, resource, error, now)
    }

    /// Lets the slot wait for another attempt, if the failure is worth one.
    fn try_again(&mut self, index: u32, error: &Error, now: Instant) -> bool {
        let slot = &mut self.slots[index];
        let age = slot.submitted.map(|at| now.saturating_duration_since(at));
        let pause = self.options.retry.pause(
            error,
            slot.attempts,
            age.unwrap_or_default(),
            &mut self.jitter,
        );
        let Some(pause) = pause else { return false };
        slot.phase = Phase::Waiting;
        // After a pause that the clock can't count there is no other attempt.
        if let Some(due) = now.checked_add(pause) {
            self.retries.push(Reverse((due, index, slot.generation)));
            self.workforce.need_timer(due, &mut self.wakes);
        }
        true
    }

    /// Something that only had to be dropped is gone.
    pub(crate) fn settle_buried(&mut self, worker: usize) {
        self.end(worker);
        self.look_for_the_end();
    }

    /// Puts the release on the list of the failed ones, with the way back to its owner.
    fn give_up(
        &mut self,
        index: u32,
        resource: Box<dyn Resource>,
        error: Error,
        now: Instant,
    ) -> Option<Reclaim> {
        let slot = &mut self.slots[index];
        let os_error = error.os_error().unwrap_or(0);
        let label = slot.label.clone().unwrap_or_else(|| "".into());
        let entry = FailedEntry {
            ticket: slot.ticket(index),
            kind: slot.kind,
            lane: slot.lane,
            label,
            resource,
            hook: slot.callbacks.hook.clone(),
            reclaim: slot.callbacks.reclaim.take(),
            error,
            attempts: slot.attempts,
            submitted: slot.submitted.unwrap_or(now),
        };
        let unwanted = if self.sealed {
            Some(entry)
        } else {
            self.failed.push(entry)
        };
        if let Some(entry) = unwanted {
            self.bury(entry.into_remains(), now);
        }
        self.finish(index, Outcome::Failed { os_error }, now)
    }

    /// If the release was abandoned meanwhile: frees its slot and buries what was in it.
    fn leave(&mut self, index: u32, resource: Option<Box<dyn Resource>>, now: Instant) -> bool {
        let slot = &mut self.slots[index];
        if slot.phase != Phase::Left {
            return false;
        }
        let resource = resource.or_else(|| slot.resource.take());
        self.left -= 1;
        self.bury_slot(index, resource, now);
        self.slots.free(index);
        self.look_for_the_end();
        true
    }

    pub(super) fn bury_slot(
        &mut self,
        index: u32,
        resource: Option<Box<dyn Resource>>,
        now: Instant,
    ) {
        let slot = &mut self.slots[index];
        let callbacks = std::mem::take(&mut slot.callbacks);
        if resource.is_some() || !callbacks.is_empty() {
            let remains = Remains {
                ticket: Some(slot.ticket(index)),
                kind: slot.kind,
                label: slot.label.clone().unwrap_or_else(|| "".into()),
                resource,
                callbacks,
            };
            self.bury(remains, now);
        }
    }
}

impl Running {
    fn new(ticket: Option<Ticket>, kind: Kind, label: Label<str>, since: Instant) -> Running {
        Running {
            ticket,
            kind,
            label,
            since,
            stuck: false,
            detail: None,
        }
    }
}
