//! What a gate is opened with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result, Status};
use crate::release::{RetryOptions, Ticket};

/// Limits and budgets of a gate. Start from [`GateOptions::default`]. A time that the clock can't
/// count, such as [`Duration::MAX`], is never over.
///
/// ```
/// let mut options = nsgate::GateOptions::default();
/// options.capacity = 10_000;
/// options.retry.attempts = 3;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GateOptions {
    /// How many releasable things may exist at once; opening one more answers FULL.
    pub capacity: u32,
    /// How many release events are kept for [`crate::ReleaseQueue::read_events`].
    pub event_capacity: u32,
    /// How many namespace threads may exist at once.
    pub namespace_threads: u32,
    /// How long a namespace thread waits for its next visit before it ends.
    pub namespace_thread_idle: Duration,
    /// Called on each namespace thread before it leaves the process's namespace.
    pub thread_start: Option<ThreadStart>,
    /// How many workers the blocking lane may have, besides the replacements of stuck ones.
    pub blocking_workers: u32,
    /// How many workers may be made in place of stuck ones, over both lanes.
    pub replacement_workers: u32,
    /// How long an attempt on the native lane may take before its worker counts as stuck.
    pub native_budget: Duration,
    /// The same for the blocking lane.
    pub blocking_budget: Duration,
    /// How long a callback may take before it is counted as slow.
    pub callback_budget: Duration,
    /// When and how often a failed release is tried again.
    pub retry: RetryOptions,
}

/// What is called on each namespace thread when it has been made, while it still stands where the
/// process does, and before any job runs on it.
///
/// It is for runtimes that keep a record of the threads they are called on, and may make threads of
/// their own when one of these comes for the first time: a thread that is made from inside stays there.
/// The first visit waits for it. Where it panics, the thread ends, and its visits are told if there is
/// no other.
///
/// ```
/// let mut options = nsgate::GateOptions::default();
/// options.thread_start = Some(nsgate::ThreadStart::new(|| {
///     // The thread makes itself known to the garbage collector, the profiler, …
/// }));
/// ```
#[derive(Clone)]
pub struct ThreadStart(Arc<dyn Fn() + Send + Sync>);

impl ThreadStart {
    /// Keeps `function` until the last namespace thread has ended.
    pub fn new(function: impl Fn() + Send + Sync + 'static) -> ThreadStart {
        ThreadStart(Arc::new(function))
    }

    pub(crate) fn call(&self) {
        (self.0)();
    }
}

impl fmt::Debug for ThreadStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadStart(…)")
    }
}

impl Default for GateOptions {
    fn default() -> GateOptions {
        GateOptions {
            capacity: 65_536,
            event_capacity: 4_096,
            namespace_threads: 64,
            namespace_thread_idle: Duration::from_secs(10),
            thread_start: None,
            blocking_workers: 4,
            replacement_workers: 16,
            native_budget: Duration::from_secs(1),
            blocking_budget: Duration::from_secs(5),
            callback_budget: Duration::from_millis(1),
            retry: RetryOptions::default(),
        }
    }
}

/// The most places that tickets can tell apart beside the ones that remember.
const MOST_PLACES: u32 = (Ticket::PLACES - Ticket::REMEMBERED) as u32;

impl GateOptions {
    /// Sizes that would only fail later, or take the machine with them.
    pub(super) fn check(&self) -> Result<()> {
        let limits = [
            ("capacity", self.capacity, MOST_PLACES),
            ("event_capacity", self.event_capacity, 1 << 20),
            ("namespace_threads", self.namespace_threads, 4_096),
            ("blocking_workers", self.blocking_workers, 1_024),
            ("retry.attempts", self.retry.attempts, u32::MAX),
        ];
        for (name, value, most) in limits {
            if value == 0 || value > most {
                return Err(Error::new(
                    Status::InvalidArgument,
                    format!("{name} is {value}, must be 1 to {most}"),
                ));
            }
        }
        if self.replacement_workers > 1_024 {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "replacement_workers is {}, must be 0 to 1024",
                    self.replacement_workers
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_places_than_tickets_tell_apart() {
        let with = |capacity| GateOptions {
            capacity,
            ..GateOptions::default()
        };
        assert_eq!(MOST_PLACES, (1 << 24) - 4_096);
        assert_eq!(with(MOST_PLACES).check(), Ok(()));
        for capacity in [0, MOST_PLACES + 1, 1 << 24] {
            let refused = with(capacity).check().unwrap_err();
            assert_eq!(refused.status(), Status::InvalidArgument, "{capacity}");
        }
    }
}
