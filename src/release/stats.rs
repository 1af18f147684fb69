//! Numbers of a queue, in the vocabulary of client-go's workqueue where it has the word.

use std::time::Duration;

use super::outcome::{Event, Outcome, Proof};

/// How long something took, in buckets that grow by a factor of four.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// let durations = gate.stats().work_duration;
/// for (bucket, count) in durations.buckets.into_iter().enumerate() {
///     println!("up to {:?}: {count}", nsgate::Histogram::upper_bound(bucket));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// How many were measured.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
    /// How many fell into each bucket: `buckets[i]` holds those of at most 4^i µs that no earlier
    /// bucket holds; the last one holds the rest.
    pub buckets: [u64; 16],
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(duration);
        let mut bucket = 0;
        let mut bound = Duration::from_micros(1);
        while bucket < self.buckets.len() - 1 && duration > bound {
            bound *= 4;
            bucket += 1;
        }
        self.buckets[bucket] += 1;
    }

    /// The upper bound of a bucket; `None` for the last, which has none.
    pub fn upper_bound(bucket: usize) -> Option<Duration> {
        (bucket < 15).then(|| Duration::from_micros(1 << (2 * bucket)))
    }
}

/// A look at a queue. Totals count from its start.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// let stats = gate.stats();
/// assert_eq!((stats.reserved, stats.depth), (1, 0)); // the open chroot has its place
/// chroot.release()?;
/// assert_eq!(gate.stats().adds, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Releases that wait: for a worker, or for their next attempt.
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
    /// Places taken by what has not been submitted yet: open chroots, reserved jobs.
    pub reserved: u64,
    /// The places there are, for what is reserved and what is submitted together.
    pub capacity: u64,
    /// Workers over their budget now.
    pub stuck: u64,
    /// Entries in the list of failed releases.
    pub failed_list: u64,
    /// Released and proved gone, in total.
    pub verified: u64,
    /// Released but held by something, in total.
    pub held: u64,
    /// Released where the kernel can't tell, in total.
    pub unverified: u64,
    /// Steps before a release that failed, in total.
    pub before_release_failed: u64,
    /// Events that left the ring unread, in total, since somebody first asked for events.
    pub events_dropped: u64,
    /// Outcomes that wait to be handed to callbacks.
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
    pub oldest_queued: Duration,
    /// Age of the attempt that has been running longest.
    pub longest_running: Duration,
    /// Ages of all running attempts together.
    pub unfinished: Duration,
    /// From submit to the first attempt.
    pub queue_duration: Histogram,
    /// From the first attempt to the end.
    pub work_duration: Histogram,
}

impl Stats {
    /// Counts the end of a release.
    pub(crate) fn count(&mut self, event: &Event) {
        match event.outcome {
            Outcome::Released(proof) => {
                self.released += 1;
                match proof {
                    Proof::Verified => self.verified += 1,
                    Proof::Held { .. } => self.held += 1,
                    Proof::Unverified => self.unverified += 1,
                }
            }
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Cancelled => self.cancelled += 1,
            Outcome::Abandoned => self.abandoned += 1,
        }
        if event.attempts > 0 {
            self.work_duration.record(event.worked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_whose_bound_it_does_not_pass() {
        let mut histogram = Histogram::default();
        let cases = [
            (Duration::ZERO, 0),
            (Duration::from_micros(1), 0),
            (Duration::from_nanos(1001), 1),
            (Duration::from_micros(4), 1),
            (Duration::from_micros(5), 2),
            (Duration::from_secs(3600), 15),
            (Duration::MAX, 15),
        ];
        for (duration, bucket) in cases {
            let before = histogram.buckets[bucket];
            histogram.record(duration);
            assert_eq!(histogram.buckets[bucket], before + 1, "{duration:?}");
            if let Some(bound) = Histogram::upper_bound(bucket) {
                assert!(duration <= bound);
            }
        }
        assert_eq!(histogram.count, cases.len() as u64);
        assert_eq!(histogram.buckets.iter().sum::<u64>(), histogram.count);
        assert_eq!(histogram.sum, Duration::MAX);
    }
}
