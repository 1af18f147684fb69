//! What has to be so once nothing is pending, and once the gate is closed.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nsgate::{Outcome, Status, Ticket};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::driver::{Driver, SHORT};
use super::reference::Stage;
use crate::host::soon;

impl Driver<'_> {
    /// With nothing pending every figure is known.
    pub(super) fn is_exact(&self) -> Result<(), TestCaseError> {
        let stats = self.gate.stats();
        let count = |stage: Stage| {
            let jobs = self.jobs.iter();
            jobs.filter(|job| job.reference.stage == stage).count() as u64
        };
        let ends = |is_it: fn(&Outcome) -> bool| {
            let ends = self.ends.values();
            ends.filter(|event| is_it(&event.outcome)).count() as u64
        };
        prop_assert_eq!((stats.depth, stats.in_flight), (0, 0));
        prop_assert_eq!(stats.reserved, count(Stage::Reserved));
        prop_assert_eq!(stats.adds, self.submits);
        prop_assert_eq!(stats.cancelled, ends(|end| *end == Outcome::Cancelled));
        let released = ends(|end| matches!(end, Outcome::Released(_)));
        prop_assert_eq!((stats.released, stats.unverified), (released, released));
        prop_assert_eq!(
            stats.failed,
            ends(|end| matches!(end, Outcome::Failed { .. }))
        );
        let attempts = self.ends.values().map(|event| u64::from(event.attempts));
        let retries: u64 = attempts.map(|attempts| attempts.saturating_sub(1)).sum();
        prop_assert_eq!(stats.retries, retries);
        let failed = self.gate.releases().failed();
        prop_assert_eq!(failed.len() as u64, count(Stage::Failed));
        prop_assert_eq!(stats.failed_list, count(Stage::Failed));
        for entry in failed {
            let end = &self.ends[&entry.ticket];
            let os_error = entry.os_error;
            prop_assert_eq!(end.outcome, Outcome::Failed { os_error });
            prop_assert_eq!(end.attempts, entry.attempts);
        }
        Ok(())
    }

    /// Ends everything, by its scripts or by closing over what holds.
    pub(super) fn finish(&mut self) -> Result<(), TestCaseError> {
        if !self.setting.abandon {
            for job in &mut self.jobs {
                job.reference.opened = usize::MAX / 2;
                job.traces.doors.open(usize::MAX / 2);
            }
            return self.drain();
        }
        let report = self.gate.close(Instant::now() + SHORT).unwrap();
        let mut abandoned = 0;
        for index in 0..self.jobs.len() {
            let subject = &self.jobs[index];
            if subject.reference.stage != Stage::Pending {
                continue;
            }
            let ticket = subject.ticket.unwrap();
            let event = self.gate.releases().wait(ticket, Some(soon())).unwrap();
            if event.outcome == Outcome::Abandoned {
                abandoned += 1;
                self.jobs[index].reference.stage = Stage::Gone;
                self.ends.insert(ticket, event);
            } else {
                prop_assert!(self.may_end(subject));
                self.compare(index, event)?;
            }
        }
        prop_assert_eq!(report.abandoned, abandoned);
        Ok(())
    }

    /// Every end was told once by each way, and nothing of a job is left.
    pub(super) fn after_close(mut self) -> Result<(), TestCaseError> {
        let refused = self.gate.releases().reserve_job("late", || Ok(()));
        prop_assert_eq!(refused.unwrap_err().status(), Status::Closed);
        self.read_events(self.ends.len() + 64);
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        for events in [&self.read, &heard] {
            let sequence: Vec<u64> = events.iter().map(|event| event.sequence).collect();
            prop_assert_eq!(sequence, (1..=events.len() as u64).collect::<Vec<_>>());
            let tickets: HashSet<Ticket> = events.iter().map(|event| event.ticket).collect();
            prop_assert_eq!(tickets.len(), events.len());
            prop_assert_eq!(events.len() as u64, self.submits);
            for event in events {
                prop_assert_eq!(self.ends.get(&event.ticket), Some(event));
            }
        }
        // The last handles give up what was never submitted; the threads end after that.
        let counts: Vec<_> = self
            .jobs
            .iter()
            .map(|job| job.traces.dropped.clone())
            .collect();
        drop(self.jobs);
        drop(self.gate);
        for (index, dropped) in counts.iter().enumerate() {
            let deadline = soon();
            while dropped.load(Ordering::SeqCst) == 0 && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(50));
            }
            prop_assert_eq!(dropped.load(Ordering::SeqCst), 1, "drops of job {}", index);
        }
        Ok(())
    }
}
