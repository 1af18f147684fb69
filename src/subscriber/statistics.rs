//! What a subscriber did, in numbers.

use std::time::Duration;

use super::Subscription;
use crate::error::{Error, Result};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::lock;

/// What one subscriber did so far.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let map: nsgate::SandboxMap<()> = nsgate::SandboxMap::new(&gate);
/// for stats in map.subscribers() {
///     println!("{}: {} of {} calls were slow", stats.name, stats.slow, stats.calls);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriberStats {
    /// The id that ends it.
    pub subscription: Subscription,
    /// The name it was subscribed under.
    pub name: String,
    /// Calls that ended.
    pub calls: u64,
    /// Calls that took longer than the gate's `callback_budget`.
    pub slow: u64,
    /// Calls that answered with an error.
    pub failures: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// The time that the longest call took.
    pub longest: Duration,
    /// The last error, or the message of the last panic.
    pub last_error: Option<Error>,
}

/// What was out of the ordinary in some calls.
#[derive(Clone, Copy, Default)]
pub(crate) struct Calls {
    pub(crate) slow: u64,
    pub(crate) panics: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    calls: AtomicU64,
    slow: AtomicU64,
    failures: AtomicU64,
    panics: AtomicU64,
    longest_nanoseconds: AtomicU64,
    last_error: Mutex<Option<Error>>,
}

impl Counters {
    /// Counts a call that took `took` and ended in `answer`, or in a panic; says what to count for
    /// the whole list.
    pub(super) fn record(
        &self,
        took: Duration,
        budget: Duration,
        answer: Result<Result<()>, Error>,
    ) -> Calls {
        let mut calls = Calls::default();
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if nanoseconds > self.longest_nanoseconds.load(Relaxed) {
            self.longest_nanoseconds.fetch_max(nanoseconds, Relaxed);
        }
        if took > budget {
            self.slow.fetch_add(1, Relaxed);
            calls.slow = 1;
        }
        let error = match answer {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                self.failures.fetch_add(1, Relaxed);
                Some(error)
            }
            Err(panic) => {
                self.panics.fetch_add(1, Relaxed);
                calls.panics = 1;
                Some(panic)
            }
        };
        if error.is_some() {
            *lock(&self.last_error) = error;
        }
        self.calls.fetch_add(1, Relaxed);
        calls
    }

    pub(super) fn read(&self, subscription: Subscription, name: &str) -> SubscriberStats {
        SubscriberStats {
            subscription,
            name: name.to_owned(),
            calls: self.calls.load(Relaxed),
            slow: self.slow.load(Relaxed),
            failures: self.failures.load(Relaxed),
            panics: self.panics.load(Relaxed),
            longest: Duration::from_nanos(self.longest_nanoseconds.load(Relaxed)),
            last_error: lock(&self.last_error).clone(),
        }
    }
}
