//! What a queue says about single releases: in reports, in the failed list, about stuck workers.

use std::time::Duration;

use super::outcome::{Kind, Ticket};

/// Where a release stands.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let soon = std::time::Instant::now() + std::time::Duration::from_secs(10);
/// # let job = || Err(Error::os("close(3)", libc::EIO));
/// # gate.releases().reserve_job("fails", job)?.submit()?;
/// use nsgate::{Error, ReleaseState};
///
/// let report = gate.releases().drain(soon)?;
/// assert_eq!(report.items[0].state, ReleaseState::Failed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(u32)]
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReleaseState {
    /// Waits for its first attempt.
    Queued = 1,
    /// A worker is at it.
    Running = 2,
    /// A worker is at it for longer than the lane's budget.
    Stuck = 3,
    /// Waits for its next attempt.
    Retrying = 4,
    /// Given up; in the list of failed releases.
    Failed = 5,
}

/// One line of a [`Report`].
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// for item in gate.releases().report().items {
///     println!("{} {:?} for {:?}: {}", item.label, item.state, item.age, item.detail);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportItem {
    /// Which release.
    pub ticket: Ticket,
    /// What is released.
    pub kind: Kind,
    /// Its path or name.
    pub label: String,
    /// Where it stands.
    pub state: ReleaseState,
    /// How often it was tried.
    pub attempts: u32,
    /// How long ago it was submitted.
    pub age: Duration,
    /// The errno of the last failed attempt; 0: none, or not an OS error.
    pub os_error: i32,
    /// For a stuck one what its thread hangs in, otherwise the message of the last failed attempt.
    pub detail: String,
}

/// What a queue has done since its start, and what is left.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use std::time::{Duration, Instant};
///
/// chroot.release()?;
/// let report = gate.close(Instant::now() + Duration::from_secs(10))?;
/// assert_eq!((report.released, report.failed, report.remaining), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Ended as released.
    pub released: u64,
    /// Ended as failed.
    pub failed: u64,
    /// Ended as abandoned.
    pub abandoned: u64,
    /// Submitted and not ended.
    pub remaining: u64,
    /// Workers over their budget.
    pub stuck: u64,
    /// Of what remains the oldest [`Report::MAX_ITEMS`], oldest first; then the whole list of what failed
    /// ([`crate::ReleaseQueue::failed`]). `remaining` counts also what is not listed.
    pub items: Vec<ReportItem>,
}

impl Report {
    /// The most that is listed of what remains.
    pub const MAX_ITEMS: usize = 1024;
}

/// An entry of the list of failed releases.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// use nsgate::Error;
///
/// let job = || Err(Error::os("unlink(\"lock\")", libc::EACCES));
/// let ticket = gate.releases().reserve_job("remove the lock", job)?.submit()?;
/// gate.releases().wait(ticket, None)?;
/// let failed = gate.releases().failed();
/// assert_eq!((failed[0].ticket, failed[0].os_error), (ticket, libc::EACCES));
/// gate.releases().forget(ticket)?; // or retry(ticket)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedRelease {
    /// Which release.
    pub ticket: Ticket,
    /// What should have been released.
    pub kind: Kind,
    /// Its path or name.
    pub label: String,
    /// The errno; 0 where no system call stands behind the failure.
    pub os_error: i32,
    /// How often it was tried.
    pub attempts: u32,
    /// How long ago it was submitted.
    pub age: Duration,
    /// The message of the last failed attempt.
    pub detail: String,
}

/// A worker that has been at one thing for longer than its lane's budget.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// for stuck in gate.releases().stuck() {
///     eprintln!("{} hangs for {:?}: {}", stuck.label, stuck.running, stuck.detail);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StuckRelease {
    /// Which release; `None` for the destruction of something that is no release any more.
    pub ticket: Option<Ticket>,
    /// What is released.
    pub kind: Kind,
    /// Its path or name.
    pub label: String,
    /// The thread's id, as in /proc/self/task.
    pub thread: i32,
    /// How long the attempt has been running.
    pub running: Duration,
    /// What the thread hangs in: system call, wait channel and kernel stack, as far as readable.
    pub detail: String,
}
