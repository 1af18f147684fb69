//! Waiting for one release, for all so far, for all there are. What would wait for its own caller
//! answers WOULD_DEADLOCK.

use std::time::Instant;

use super::outcome::{Event, Ticket};
use super::report::Report;
use super::{ReleaseQueue, inside};
use crate::error::{Result, Status};

impl ReleaseQueue {
    /// Waits until the release has ended; `None` waits for ever.
    ///
    /// NOT_FOUND when no release has the ticket or it ended too long ago to be remembered (the last
    /// 4,096 are, at least). TIMED_OUT. A release that has ended is answered even where waiting is
    /// WOULD_DEADLOCK.
    pub fn wait(&self, ticket: Ticket, deadline: Option<Instant>) -> Result<Event> {
        let shared = &self.0.shared;
        let may_wait = !inside::works_for(shared) && !inside::held_up(shared).contains(&ticket);
        shared.wait_for(ticket, deadline, may_wait)
    }

    /// Waits until everything submitted before this call has ended. TIMED_OUT, WOULD_DEADLOCK.
    pub fn fence(&self, deadline: Option<Instant>) -> Result<()> {
        self.must_be_outside()?;
        let shared = &self.0.shared;
        shared.wait_past(None, deadline, &inside::held_up(shared))
    }

    /// Waits until the first `adds` submissions have ended, where `adds` is what [`Stats::adds`] was at
    /// some time before: a fence for those who look now and then, with a deadline that has passed.
    /// TIMED_OUT, WOULD_DEADLOCK.
    ///
    /// ```
    /// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
    /// # let volume = tempfile::tempdir()?;
    /// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
    /// use std::time::{Duration, Instant};
    ///
    /// chroot.release()?;
    /// let (releases, adds) = (gate.releases(), gate.stats().adds);
    /// while releases.fence_at(adds, Some(Instant::now())).is_err() {
    ///     std::thread::sleep(Duration::from_millis(1)); // or whatever there is to do
    /// }
    /// assert_eq!(gate.stats().released, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fence_at(&self, adds: u64, deadline: Option<Instant>) -> Result<()> {
        self.must_be_outside()?;
        let shared = &self.0.shared;
        shared.wait_past(Some(adds), deadline, &inside::held_up(shared))
    }

    /// Waits until nothing is left or the deadline passes, and says what became of everything and
    /// what remains. May be called again. WOULD_DEADLOCK.
    pub fn drain(&self, deadline: Instant) -> Result<Report> {
        self.wait_until_empty(deadline)?;
        Ok(self.report())
    }

    /// The same, without the items of the report.
    pub(crate) fn drain_and_count(&self, deadline: Instant) -> Result<Report> {
        self.wait_until_empty(deadline)?;
        Ok(self.0.shared.with_quietly(|state| state.counts()))
    }

    /// What is left at the deadline is for the report to say.
    fn wait_until_empty(&self, deadline: Instant) -> Result<()> {
        self.must_be_outside()?;
        let shared = &self.0.shared;
        let held_up = inside::held_up(shared);
        match shared.wait_past(Some(u64::MAX), Some(deadline), &held_up) {
            Err(error) if error.status() == Status::WouldDeadlock => Err(error),
            _ => Ok(()),
        }
    }
}
