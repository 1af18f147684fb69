//! The release queue: what is handed over is torn down later, by threads of the library.
//!
//! - *Reserve, then never fail*: a place is taken when something is opened (FULL and CLOSED can only
//!   come then), so that its submit can't fail, waits for nothing and allocates nothing.
//! - *One outcome each*: every release that was submitted ends exactly once, as released, failed,
//!   cancelled or abandoned, even when its job panics, the queue closes or its worker hangs.
//! - *Nobody waits behind a hanging one*: a worker over its budget is reported with what it hangs
//!   in, and replaced.
//! - *Released means gone* as far as the kernel can tell, and the outcome says how far that is.
//!
//! It keeps rules 12 to 17 of the design. It never runs foreign code under a lock or on a thread of
//! the caller's, and it knows nothing of what it releases.

mod cancellations;
mod dissolving;
mod ending;
mod events;
mod failed;
mod inside;
mod job;
mod lane;
mod list;
mod options;
mod outcome;
mod progress;
mod proof;
mod report;
mod reporting;
mod reservation;
mod resource;
mod retry;
mod ring;
mod shared;
mod slot;
mod state;
mod stats;
mod threads;
mod unmount;
mod waiting;
mod worker;
mod workforce;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use crate::error::Result;
use crate::gate::GateOptions;
use crate::gate::supervisor::Supervisor;
use crate::kernel::dissolve::Dissolver;
use crate::kernel::event_fd::EventFd;
use crate::kernel::process::ProcRoot;
use crate::label::Label;
use crate::panic::caught;
use crate::sync::Arc;
use shared::{Shared, would_deadlock};
use state::State;
use threads::Subscribers;

pub use job::Job;
pub use outcome::{Event, Kind, Outcome, Proof, Ticket};
pub(crate) use proof::MountProof;
pub use report::{FailedRelease, ReleaseState, Report, ReportItem, StuckRelease};
pub(crate) use reservation::Reservation;
pub(crate) use resource::{BeforeRelease, Hook, Lane, OnEnd, Resource};
pub use retry::RetryOptions;
pub use stats::{Histogram, Stats};
pub use unmount::UnmountOptions;

/// A gate's queue of releases. A cheap handle.
///
/// Any thread may call any method. What would wait for its own caller, because that is a worker or
/// a callback of this queue, or a job inside of what is released, answers WOULD_DEADLOCK, whatever the
/// deadline is.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use std::time::{Duration, Instant};
///
/// let releases = gate.releases();
/// let ticket = chroot.release()?;
/// let event = releases.wait(ticket, None)?;
/// println!("gone after {:?}", event.queued + event.worked);
/// let report = releases.drain(Instant::now() + Duration::from_secs(10))?;
/// assert_eq!((report.released, report.remaining), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ReleaseQueue(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    subscribers: Arc<Subscribers>,
    proc: Arc<ProcRoot>,
    proof: MountProof,
    retry: RetryOptions,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody can submit any more; what was submitted is still released.
        self.shared.with(|state| state.seal(Instant::now()));
    }
}

impl ReleaseQueue {
    /// Starts the queue's threads.
    pub(crate) fn start(supervisor: &Supervisor, options: GateOptions) -> Result<ReleaseQueue> {
        let proc = Arc::new(ProcRoot::open()?);
        let (retry, budget) = (options.retry, options.callback_budget);
        // The address of something fresh is seed enough for spreading pauses.
        let seed = Arc::as_ptr(&proc) as u64 ^ u64::from(std::process::id()) << 32;
        let state = State::new(options, seed);
        let dissolver = Dissolver::new().map(std::sync::Arc::new);
        let queue = ReleaseQueue(Arc::new(Handle {
            shared: Arc::new(Shared::new(state, EventFd::new()?, dissolver.clone())),
            subscribers: Arc::new(Subscribers::new(budget)),
            proof: MountProof::new(&proc, dissolver),
            proc,
            retry,
        }));
        threads::start(
            &queue.0.shared,
            &queue.0.subscribers,
            &queue.0.proc,
            supervisor,
        )?;
        Ok(queue)
    }

    /// Takes a place for something that is being opened; `label` is its path or name in reports.
    /// FULL, CLOSED.
    pub(crate) fn reserve(&self, kind: Kind, label: &str) -> Result<Reservation> {
        let label = label.into();
        let (index, ticket) = self.0.shared.with(|state| state.reserve(kind, label))?;
        let queue = self.clone();
        Ok(Reservation::new(queue, index, ticket, Default::default()))
    }

    /// The release with this reserved ticket was asked for; its submit follows once the last use
    /// has ended.
    fn announce(&self, ticket: Ticket, hook: Option<Hook>) {
        self.change(|state, now| state.announce(ticket, hook, now));
    }

    /// Whether the ticket has its place, and nobody has asked for its release.
    pub(crate) fn is_reserved(&self, ticket: Ticket) -> bool {
        let shared = &self.0.shared;
        shared.with_quietly(|state| state.is_reserved(ticket))
    }

    /// Lets `submits` submit many things and wakes at most one worker of a lane, at its end.
    pub(crate) fn submit_together<R>(&self, submits: impl FnOnce() -> R) -> R {
        threads::together(&self.0.shared, submits)
    }

    /// Reserves a place for the host's own work, which runs on the blocking lane. `label` is its
    /// name in reports.
    ///
    /// The job is called again as long as it fails with an errno that may pass (see
    /// [`RetryOptions`]). A panic is a failure. FULL, CLOSED.
    pub fn reserve_job(
        &self,
        label: &str,
        job: impl FnMut() -> Result<()> + Send + 'static,
    ) -> Result<Job> {
        let reservation = self.reserve(Kind::Job, label)?;
        Ok(Job::new(reservation, Box::new(job::HostJob(job))))
    }

    /// Reserves a place for a descriptor whose close may block. It is taken on success, and closed
    /// at once when there is no place: FULL, CLOSED.
    pub fn reserve_descriptor(&self, fd: OwnedFd, label: &str) -> Result<Job> {
        self.reserve_descriptor_with(label, || fd)
    }

    /// The same for a descriptor that is taken only once it has its place.
    pub(crate) fn reserve_descriptor_with(
        &self,
        label: &str,
        descriptor: impl FnOnce() -> OwnedFd,
    ) -> Result<Job> {
        let reservation = self.reserve(Kind::Descriptor, label)?;
        let descriptor = Box::new(job::Descriptor(Some(descriptor())));
        Ok(Job::new(reservation, descriptor))
    }

    /// Reserves a place for the unmount of the mount at `path`, with everything mounted below it at
    /// that time, deepest first (umount2(2)). The mount is remembered, not its path: another one
    /// that lies there later is left alone. (Before Linux 6.8 mounts have no ids of their own: one that
    /// got the same small id, device and root inode passes for it.)
    ///
    /// The caller's thread must be in the process's mount namespace: INVALID_STATE. EINVAL where
    /// `path` is no mount point; a symbolic link at its end is not followed. FULL, CLOSED.
    pub fn reserve_unmount(&self, path: &Path, options: UnmountOptions) -> Result<Job> {
        let reservation = self.reserve(Kind::Unmount, &Label(path).to_string())?;
        let proc = self.0.proc.clone();
        let proof = self.0.proof.clone();
        let unmount = unmount::Unmount::new(proc, proof, path, options, self.0.retry.attempts)?;
        Ok(Job::new(reservation, Box::new(unmount)))
    }

    /// Takes back a release that no worker has begun. Its owner has it back when this returns; its
    /// outcome is `Cancelled`. INVALID_STATE once it has started, NOT_FOUND.
    ///
    /// A chroot or namespace is open again; where the last handle is gone it is released again, under
    /// a ticket of its own. A job is as before its submit; where the last handle is gone it is dropped.
    /// That goes for a release that was given up and is tried again, too, unless an attempt has closed
    /// the thing already.
    pub fn cancel(&self, ticket: Ticket) -> Result<()> {
        let cancelled = self
            .0
            .shared
            .with(|state| state.cancel(ticket, Instant::now()))?;
        let mut callbacks = cancelled.callbacks;
        let hook = callbacks.hook.take();
        if let Some(hook) = &hook {
            hook.taken_back();
        }
        let reclaim = callbacks.reclaim.take();
        let reservation =
            Reservation::new(self.clone(), cancelled.index, cancelled.ticket, callbacks);
        let resource = cancelled.resource;
        let result = caught(|| match reclaim {
            Some(reclaim) => reclaim(reservation, resource),
            None => reservation.discard(resource),
        });
        self.0.shared.with(|state| {
            state.announce_cancelled(cancelled.index, cancelled.event, hook);
        });
        cancelled.trace.tell();
        result
    }

    /// Figures of this moment.
    pub fn stats(&self) -> Stats {
        self.0
            .shared
            .with_quietly(|state| state.stats(Instant::now()))
    }

    /// Whether detached trees are dissolved together.
    pub(crate) fn dissolves(&self) -> bool {
        self.0.shared.with_quietly(|state| state.dissolves)
    }

    /// What became of everything up to now and what remains, without waiting.
    pub fn report(&self) -> Report {
        self.0
            .shared
            .with_quietly(|state| state.report(Instant::now()))
    }

    /// How much remains or is on the list of what failed, and the first of it: `most` of what remains,
    /// and all of what failed.
    pub(crate) fn items(&self, most: usize) -> (usize, Vec<ReportItem>) {
        self.0.shared.with_quietly(|state| {
            let count = state.outstanding.len() + state.failed.len();
            (count, state.items(most, Instant::now()))
        })
    }

    /// The releases that were given up, oldest first. The last 1,024 are kept; older ones are
    /// destroyed, as by [`ReleaseQueue::forget`].
    pub fn failed(&self) -> Vec<FailedRelease> {
        self.0
            .shared
            .with_quietly(|state| state.failed.describe(Instant::now()))
    }

    /// Tries a failed release again: the same thing under a new ticket, which comes back. NOT_FOUND,
    /// FULL, CLOSED.
    pub fn retry(&self, ticket: Ticket) -> Result<Ticket> {
        self.change(|state, now| state.retry_failed(ticket, now))
    }

    /// Takes a failed release off the list and has a worker destroy it. NOT_FOUND.
    pub fn forget(&self, ticket: Ticket) -> Result<()> {
        self.change(|state, now| state.forget_failed(ticket, now))
    }

    /// The workers that are over their budget, and what they hang in.
    pub fn stuck(&self) -> Vec<StuckRelease> {
        self.0
            .shared
            .with_quietly(|state| state.stuck(Instant::now()))
    }

    /// Refuses reservations from now on. WOULD_DEADLOCK where [`ReleaseQueue::close`] answers that.
    pub(crate) fn begin_close(&self) -> Result<()> {
        self.must_be_outside()?;
        // Not even if nothing of that is to be released yet: its owner may ask for it at any time.
        if !inside::held_up(&self.0.shared).is_empty() {
            return Err(would_deadlock());
        }
        self.0.shared.with(State::close);
        Ok(())
    }

    /// Refuses reservations, drains, abandons what is left at the deadline, reports. It returns at
    /// the deadline at the latest, and may be called again. WOULD_DEADLOCK from a worker or callback
    /// of this queue, or a job inside of what it will release.
    ///
    /// What holds a place may still be submitted afterwards and is released; the queue's threads
    /// end with the last of that.
    pub(crate) fn close(&self, deadline: Instant) -> Result<Report> {
        self.begin_close()?;
        let shared = &self.0.shared;
        let drained = shared.wait_past(Some(u64::MAX), Some(deadline), &[]);
        let (report, abandoned) = shared.with(|state| {
            let now = Instant::now();
            let remaining = state.report(now);
            let abandoned = match drained {
                Ok(()) => Default::default(),
                Err(_) => state.abandon(now),
            };
            let report = state.report_after_close(remaining);
            state.seal(now);
            (report, abandoned)
        });
        abandoned.tell();
        // The report is what counts; a callback that hangs doesn't hold it up beyond the deadline.
        let _ = shared.wait_for_threads(deadline);
        Ok(report)
    }

    /// Refuses reservations and lets the queue's threads end once nothing is left to release.
    pub(crate) fn finish(&self) {
        self.0.shared.with(|state| state.seal(Instant::now()));
    }

    /// Whether this process can have the end of a mount proved.
    pub(crate) fn can_prove_mounts(&self) -> bool {
        self.0.proof.is_available()
    }

    /// What proves that a mount is gone.
    pub(crate) fn mount_proof(&self) -> MountProof {
        self.0.proof.clone()
    }

    /// Whether it takes no new reservations any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.shared.with_quietly(|state| state.closed)
    }

    /// Changes the state, at a time that is read before it is locked: now, or the beginning of the
    /// submits that this thread makes together.
    fn change<R>(&self, change: impl FnOnce(&mut State, Instant) -> R) -> R {
        let shared = &self.0.shared;
        match threads::together_since(shared) {
            Some(began) => shared.with_quietly(|state| change(state, began)),
            None => {
                let now = Instant::now();
                shared.with(|state| change(state, now))
            }
        }
    }

    fn must_be_outside(&self) -> Result<()> {
        match inside::works_for(&self.0.shared) {
            true => Err(would_deadlock()),
            false => Ok(()),
        }
    }
}

impl std::fmt::Debug for ReleaseQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stats = self.stats();
        f.debug_struct("ReleaseQueue")
            .field("depth", &stats.depth)
            .field("in_flight", &stats.in_flight)
            .field("reserved", &stats.reserved)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
