//! Releases: events, reports, figures
//!
//! Whatever is handed over for release gets a ticket, and ends in exactly one outcome: released,
//! failed, cancelled or abandoned. Each outcome is one event, with a number of its own. Events are
//! read from a ring behind a descriptor that poll(2) knows, or told to subscriptions on a thread of the
//! library; a single one can be waited for.

use super::status::fixed;
use super::structs::Extensible;
use super::time::nanoseconds;
use crate::{Event, Histogram, Kind, Outcome, Proof, ReleaseState, ReportItem, Stats};

/// A chroot: its mounts and, if code ran inside, its namespace.
pub const NSGATE_KIND_CHROOT: u32 = 1;
/// A mount namespace.
pub const NSGATE_KIND_NAMESPACE: u32 = 2;
/// A descriptor that the host handed over.
pub const NSGATE_KIND_DESCRIPTOR: u32 = 3;
/// A path to unmount, with everything mounted below it.
pub const NSGATE_KIND_UNMOUNT: u32 = 4;
/// The host's own work.
pub const NSGATE_KIND_JOB: u32 = 5;

/// Let go, and gone as far as the proof says.
pub const NSGATE_OUTCOME_RELEASED: u32 = 1;
/// Given up; it is in the list of failed releases.
pub const NSGATE_OUTCOME_FAILED: u32 = 2;
/// Taken back before it started.
pub const NSGATE_OUTCOME_CANCELLED: u32 = 3;
/// The gate closed before it ended.
pub const NSGATE_OUTCOME_ABANDONED: u32 = 4;

/// The outcome is not NSGATE_OUTCOME_RELEASED.
pub const NSGATE_PROOF_NONE: u32 = 0;
/// The kernel says that it is gone, as are the mounts below it.
pub const NSGATE_PROOF_VERIFIED: u32 = 1;
/// It was let go, but something keeps it: a file that is still open, for example.
pub const NSGATE_PROOF_HELD: u32 = 2;
/// The kernel cannot tell; or a chroot has, or may have, mounts below its root: see docs/releases.md.
pub const NSGATE_PROOF_UNVERIFIED: u32 = 3;

/// Waits for its first attempt.
pub const NSGATE_ITEM_QUEUED: u32 = 1;
/// A worker is at it.
pub const NSGATE_ITEM_RUNNING: u32 = 2;
/// A worker is at it for longer than its budget.
pub const NSGATE_ITEM_STUCK: u32 = 3;
/// Waits for its next attempt.
pub const NSGATE_ITEM_RETRYING: u32 = 4;
/// Given up; in the list of failed releases.
pub const NSGATE_ITEM_FAILED: u32 = 5;

// The numbers are those of the core.
const _: () = {
    assert!(NSGATE_KIND_CHROOT == Kind::Chroot as u32);
    assert!(NSGATE_KIND_NAMESPACE == Kind::MountNamespace as u32);
    assert!(NSGATE_KIND_DESCRIPTOR == Kind::Descriptor as u32);
    assert!(NSGATE_KIND_UNMOUNT == Kind::Unmount as u32);
    assert!(NSGATE_KIND_JOB == Kind::Job as u32);
    assert!(NSGATE_ITEM_QUEUED == ReleaseState::Queued as u32);
    assert!(NSGATE_ITEM_RUNNING == ReleaseState::Running as u32);
    assert!(NSGATE_ITEM_STUCK == ReleaseState::Stuck as u32);
    assert!(NSGATE_ITEM_RETRYING == ReleaseState::Retrying as u32);
    assert!(NSGATE_ITEM_FAILED == ReleaseState::Failed as u32);
};

/// The end of one release.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_event {
    /// Counts the gate's events from 1 without a gap; a gap in what is read was dropped.
    pub sequence: u64,
    /// Which release.
    pub ticket: u64,
    /// From the submit to the first attempt.
    pub queued_ns: u64,
    /// From the first attempt to the end.
    pub worked_ns: u64,
    /// NSGATE_KIND_...
    pub kind: u32,
    /// NSGATE_OUTCOME_...
    pub outcome: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// Of a failed one: the errno, or 0 where no system call stands behind the failure.
    pub os_error: i32,
    /// NSGATE_PROOF_...
    pub proof: u32,
    /// For NSGATE_PROOF_HELD: how many descriptors of this process hold it, of the 4,096 with the lowest
    /// numbers; 0 when something else does.
    pub held_descriptors: u32,
    /// 1 when the step before the release failed; the release went on all the same.
    pub before_release_failed: u32,
    /// The errno of that step, or 0.
    pub before_release_os_error: i32,
}

impl From<&Event> for nsgate_event {
    fn from(event: &Event) -> nsgate_event {
        let (outcome, os_error, proof, held_descriptors) = match event.outcome {
            Outcome::Released(Proof::Verified) => {
                (NSGATE_OUTCOME_RELEASED, 0, NSGATE_PROOF_VERIFIED, 0)
            }
            Outcome::Released(Proof::Held { descriptors }) => {
                (NSGATE_OUTCOME_RELEASED, 0, NSGATE_PROOF_HELD, descriptors)
            }
            Outcome::Released(Proof::Unverified) => {
                (NSGATE_OUTCOME_RELEASED, 0, NSGATE_PROOF_UNVERIFIED, 0)
            }
            Outcome::Failed { os_error } => (NSGATE_OUTCOME_FAILED, os_error, NSGATE_PROOF_NONE, 0),
            Outcome::Cancelled => (NSGATE_OUTCOME_CANCELLED, 0, NSGATE_PROOF_NONE, 0),
            Outcome::Abandoned => (NSGATE_OUTCOME_ABANDONED, 0, NSGATE_PROOF_NONE, 0),
        };
        nsgate_event {
            sequence: event.sequence,
            ticket: event.ticket.as_raw(),
            queued_ns: nanoseconds(event.queued),
            worked_ns: nanoseconds(event.worked),
            kind: event.kind as u32,
            outcome,
            attempts: event.attempts,
            os_error,
            proof,
            held_descriptors,
            before_release_failed: event.before_release_failed.is_some().into(),
            before_release_os_error: event.before_release_failed.unwrap_or(0),
        }
    }
}

/// One release that has not ended, or that was given up.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_report_item {
    /// Which release.
    pub ticket: u64,
    /// How long ago it was submitted.
    pub age_ns: u64,
    /// NSGATE_KIND_...
    pub kind: u32,
    /// NSGATE_ITEM_...
    pub state: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// The errno of the last failed attempt, or 0.
    pub os_error: i32,
    /// Its path or name; ends in a NUL.
    pub label: [std::ffi::c_char; 256],
    /// Of a stuck one what its thread hangs in, otherwise why the last attempt failed; ends in a NUL.
    pub detail: [std::ffi::c_char; 256],
}

impl From<&ReportItem> for nsgate_report_item {
    fn from(item: &ReportItem) -> nsgate_report_item {
        nsgate_report_item {
            ticket: item.ticket.as_raw(),
            age_ns: nanoseconds(item.age),
            kind: item.kind as u32,
            state: item.state as u32,
            attempts: item.attempts,
            os_error: item.os_error,
            label: fixed(&item.label),
            detail: fixed(&item.detail),
        }
    }
}

/// How long something took.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_histogram {
    /// How many were measured.
    pub count: u64,
    /// Their sum.
    pub sum_ns: u64,
    /// How many took at most 1, 4, 16, ... 4^14 microseconds and longer than the bucket before; the
    /// last bucket has the rest.
    pub buckets: [u64; 16],
}

impl From<&Histogram> for nsgate_histogram {
    fn from(histogram: &Histogram) -> nsgate_histogram {
        nsgate_histogram {
            count: histogram.count,
            sum_ns: nanoseconds(histogram.sum),
            buckets: histogram.buckets,
        }
    }
}

/// A look at the release queue. Totals count from the opening of the gate.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_stats {
    /// sizeof(nsgate_stats), set by the caller.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Releases that wait, for a worker or for their next attempt.
    pub depth: u64,
    /// Releases submitted, in total.
    pub adds: u64,
    /// Releases that a worker is at.
    pub in_flight: u64,
    /// Ended as released, in total.
    pub released: u64,
    /// Ended as failed, in total.
    pub failed: u64,
    /// Ended as cancelled, in total.
    pub cancelled: u64,
    /// Ended as abandoned, in total.
    pub abandoned: u64,
    /// Attempts after the first, in total.
    pub retries: u64,
    /// Places taken by what has not been submitted: open chroots, namespaces, reserved jobs.
    pub reserved_places: u64,
    /// The places there are.
    pub capacity: u64,
    /// Workers over their budget now.
    pub stuck: u64,
    /// Entries in the list of failed releases.
    pub failed_list: u64,
    /// Released and proved gone, in total.
    pub verified: u64,
    /// Released but held by something, in total.
    pub held: u64,
    /// Released where the kernel cannot tell, in total.
    pub unverified: u64,
    /// Steps before a release that failed, in total.
    pub before_release_failed: u64,
    /// Events that left the ring unread, in total, since somebody first asked for events.
    pub events_dropped: u64,
    /// Events that wait to be told to subscriptions.
    pub events_pending: u64,
    /// Callbacks over their budget, in total.
    pub slow_callbacks: u64,
    /// Callbacks that panicked, in total.
    pub subscriber_panics: u64,
    /// Worker threads there are, the stuck ones included.
    pub workers: u64,
    /// Of these, how many replace a stuck one.
    pub replacement_workers: u64,
    /// Age of the oldest release that waits for its first attempt, or for the end of the last use of
    /// what it releases.
    pub oldest_queued_ns: u64,
    /// Age of the attempt that has been running longest.
    pub longest_running_ns: u64,
    /// Ages of all running attempts together.
    pub unfinished_ns: u64,
    /// From the submit to the first attempt.
    pub queue_duration: nsgate_histogram,
    /// From the first attempt to the end.
    pub work_duration: nsgate_histogram,
}

// SAFETY: integers only, the size first.
unsafe impl Extensible for nsgate_stats {
    const FIRST: usize = 496;
}

impl From<&Stats> for nsgate_stats {
    fn from(stats: &Stats) -> nsgate_stats {
        nsgate_stats {
            size: 0,
            reserved: 0,
            depth: stats.depth,
            adds: stats.adds,
            in_flight: stats.in_flight,
            released: stats.released,
            failed: stats.failed,
            cancelled: stats.cancelled,
            abandoned: stats.abandoned,
            retries: stats.retries,
            reserved_places: stats.reserved,
            capacity: stats.capacity,
            stuck: stats.stuck,
            failed_list: stats.failed_list,
            verified: stats.verified,
            held: stats.held,
            unverified: stats.unverified,
            before_release_failed: stats.before_release_failed,
            events_dropped: stats.events_dropped,
            events_pending: stats.events_pending,
            slow_callbacks: stats.slow_callbacks,
            subscriber_panics: stats.subscriber_panics,
            workers: stats.workers,
            replacement_workers: stats.replacement_workers,
            oldest_queued_ns: nanoseconds(stats.oldest_queued),
            longest_running_ns: nanoseconds(stats.longest_running),
            unfinished_ns: nanoseconds(stats.unfinished),
            queue_duration: (&stats.queue_duration).into(),
            work_duration: (&stats.work_duration).into(),
        }
    }
}
