//! What a look at the state gives: figures, reports, stuck workers.

use std::time::{Duration, Instant};

use super::report::{ReleaseState, Report, ReportItem, StuckRelease};
use super::slot::{Phase, Slot};
use super::state::State;
use super::stats::Stats;
use super::workforce::Running;

impl State {
    pub(crate) fn stats(&self, now: Instant) -> Stats {
        let mut stats = self.totals;
        let outstanding = self.outstanding.len() as u64;
        stats.depth = outstanding - stats.in_flight;
        stats.reserved = self.slots.live() as u64 - outstanding - self.left;
        stats.failed_list = self.failed.len() as u64;
        stats.events_dropped = self.ring.dropped();
        stats.events_pending = self.notices.len() as u64;
        for lane in &self.lanes {
            stats.stuck += u64::from(lane.stuck);
            stats.workers += u64::from(lane.alive);
            stats.replacement_workers += u64::from(lane.replacements());
        }
        // In the order of submission, unlike the queues of the lanes, which also hold what was tried.
        let is_fresh = |slot: &Slot| match slot.phase {
            Phase::Announced => true,
            phase => phase == Phase::Queued && slot.started.is_none(),
        };
        let fresh = self
            .outstanding
            .iter(self.slots.as_slice())
            .find(|(_, slot)| is_fresh(slot));
        let submitted = fresh.and_then(|(_, slot)| slot.submitted);
        stats.oldest_queued = submitted.map_or(Duration::ZERO, |at| since(at, now));
        for (_, running) in self.workforce.running() {
            let age = since(running.since, now);
            stats.longest_running = stats.longest_running.max(age);
            stats.unfinished += age;
        }
        stats
    }

    pub(crate) fn report(&self, now: Instant) -> Report {
        Report {
            items: self.items(Report::MAX_ITEMS, now),
            ..self.counts()
        }
    }

    /// A report without its items, which are the work of it.
    pub(crate) fn counts(&self) -> Report {
        Report {
            released: self.totals.released,
            failed: self.totals.failed,
            abandoned: self.totals.abandoned,
            remaining: self.outstanding.len() as u64,
            stuck: self.lanes.iter().map(|lane| u64::from(lane.stuck)).sum(),
            items: Vec::new(),
        }
    }

    /// The first `most` of what remains, oldest first, and then what failed.
    pub(crate) fn items(&self, most: usize, now: Instant) -> Vec<ReportItem> {
        let outstanding = self.outstanding.iter(self.slots.as_slice());
        let mut items: Vec<ReportItem> = outstanding
            .take(most)
            .map(|(index, slot)| self.item(index, slot, now))
            .collect();
        let failed = self.failed.describe(now).into_iter();
        items.extend(failed.map(|failed| ReportItem {
            ticket: failed.ticket,
            kind: failed.kind,
            label: failed.label,
            state: ReleaseState::Failed,
            attempts: failed.attempts,
            age: failed.age,
            os_error: failed.os_error,
            detail: failed.detail,
        }));
        items
    }

    /// The report of a close: what remained until it was abandoned, and the counts after that.
    pub(crate) fn report_after_close(&self, remaining: Report) -> Report {
        let Report {
            released,
            failed,
            abandoned,
            ..
        } = self.counts();
        Report {
            released,
            failed,
            abandoned,
            ..remaining
        }
    }

    fn item(&self, index: u32, slot: &Slot, now: Instant) -> ReportItem {
        let ticket = slot.ticket(index);
        let mut running = self.workforce.running().map(|(_, running)| running);
        let stuck = (slot.phase == Phase::Running)
            .then(|| running.find(|running| running.stuck && running.ticket == Some(ticket)))
            .flatten();
        let state = match slot.phase {
            _ if stuck.is_some() => ReleaseState::Stuck,
            Phase::Running => ReleaseState::Running,
            Phase::Waiting => ReleaseState::Retrying,
            Phase::Queued if slot.attempts > 0 => ReleaseState::Retrying,
            _ => ReleaseState::Queued,
        };
        let detail = match (stuck, &slot.last_error) {
            (Some(stuck), _) => stuck.detail.as_deref().unwrap_or("").to_string(),
            (None, Some(error)) => error.to_string(),
            (None, None) if slot.phase == Phase::Announced => {
                "in use: waits for the last operation or run to end".to_string()
            }
            (None, None) => String::new(),
        };
        let os_error = slot.last_error.as_ref().and_then(|error| error.os_error());
        ReportItem {
            ticket,
            kind: slot.kind,
            label: slot.label.as_deref().unwrap_or("").to_string(),
            state,
            attempts: slot.attempts,
            age: slot.submitted.map(|at| since(at, now)).unwrap_or_default(),
            os_error: os_error.unwrap_or(0),
            detail,
        }
    }

    pub(crate) fn stuck(&self, now: Instant) -> Vec<StuckRelease> {
        let stuck = self
            .workforce
            .running()
            .filter(|(_, running)| running.stuck);
        stuck
            .map(|(worker, running)| stuck_release(worker.thread, running, now))
            .collect()
    }

    /// What a stuck worker hangs in, if it still is.
    pub(crate) fn describe_stuck(
        &mut self,
        worker: usize,
        thread: i32,
        detail: &str,
        now: Instant,
    ) -> Option<StuckRelease> {
        let worker = self.workforce.workers[worker].as_mut()?;
        let running = worker.running.as_mut()?;
        if worker.thread != thread || !running.stuck {
            return None;
        }
        running.detail = Some(detail.into());
        Some(stuck_release(thread, running, now))
    }
}

fn stuck_release(thread: i32, running: &Running, now: Instant) -> StuckRelease {
    StuckRelease {
        ticket: running.ticket,
        kind: running.kind,
        label: running.label.to_string(),
        thread,
        running: since(running.since, now),
        detail: running.detail.as_deref().unwrap_or("").to_string(),
    }
}

fn since(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}
