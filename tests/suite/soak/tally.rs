//! What was done and what was told, counted on both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use nsgate::{Event, Gate, Kind, Outcome};

use crate::host::soon;
use crate::map_support::eventually;

#[derive(Default)]
pub(super) struct Told {
    events: AtomicU64,
    /// Chroots and jobs that are gone for good, whatever their outcome.
    chroots: AtomicU64,
    jobs: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
pub(super) struct Done {
    pub(super) chroots: AtomicU64,
    pub(super) jobs: AtomicU64,
    /// Jobs that were dropped without a submit: they have no outcome.
    pub(super) jobs_unsubmitted: AtomicU64,
    pub(super) job_bodies_dropped: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) inserts: AtomicU64,
    pub(super) inserts_told: AtomicU64,
    pub(super) network_releases: AtomicU64,
    pub(super) network_releases_told: AtomicU64,
    pub(super) subscribed: AtomicU64,
    pub(super) subscribers_dropped: AtomicU64,
}

#[derive(Clone)]
pub(super) struct Tally {
    told: Arc<Told>,
    pub(super) done: Arc<Done>,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, SeqCst);
}

impl Tally {
    pub(super) fn new(gate: &Gate) -> Tally {
        let told = Arc::new(Told::default());
        let hears = told.clone();
        gate.releases()
            .subscribe(move |event| hears.hear(event))
            .unwrap();
        Tally {
            told,
            done: Arc::default(),
        }
    }

    /// With nothing open and nothing under way.
    pub(super) fn check(&self, gate: &Gate) {
        let releases = gate.releases();
        if !gate.is_closed() {
            releases.fence(Some(soon())).unwrap();
            for entry in releases.failed() {
                releases.forget(entry.ticket).unwrap();
            }
        }
        eventually("all is told", || {
            let stats = gate.stats();
            self.told.events.load(SeqCst) == stats.adds && stats.reserved == 0
        });
        let stats = gate.stats();
        let (done, told) = (&self.done, &self.told);
        assert_eq!((stats.depth, stats.in_flight, stats.abandoned), (0, 0, 0));
        assert_eq!(stats.adds, stats.released + stats.failed + stats.cancelled);
        assert_eq!(stats.cancelled, told.cancelled.load(SeqCst));
        assert_eq!(stats.cancelled, done.cancelled.load(SeqCst));
        assert_eq!(stats.failed, told.failed.load(SeqCst));
        assert_eq!(stats.subscriber_panics, 0);
        assert_eq!(done.chroots.load(SeqCst), told.chroots.load(SeqCst));
        let submitted = done.jobs.load(SeqCst) - done.jobs_unsubmitted.load(SeqCst);
        assert_eq!(submitted, told.jobs.load(SeqCst));
        let pairs = [
            ("inserts", &done.inserts, &done.inserts_told),
            (
                "network releases",
                &done.network_releases,
                &done.network_releases_told,
            ),
        ];
        for (what, done, told) in pairs {
            assert_eq!(done.load(SeqCst), told.load(SeqCst), "{what}");
        }
        // What only has to be dropped is dropped by a worker, a moment later.
        eventually("every job's body is dropped", || {
            done.job_bodies_dropped.load(SeqCst) == done.jobs.load(SeqCst)
        });
        eventually("every subscriber is dropped", || {
            done.subscribers_dropped.load(SeqCst) == done.subscribed.load(SeqCst)
        });
    }
}

impl Told {
    fn hear(&self, event: &Event) {
        count(&self.events);
        match event.outcome {
            Outcome::Cancelled => return count(&self.cancelled),
            Outcome::Failed { .. } => count(&self.failed),
            _ => {}
        }
        match event.kind {
            Kind::Chroot => count(&self.chroots),
            _ => count(&self.jobs),
        }
    }
}
