//! The release queue's state, workers and subscribers, taken from the library's sources.

#[path = "../../../src/release/cancellations.rs"]
pub(crate) mod cancellations;
#[path = "../../../src/release/dissolving.rs"]
pub(crate) mod dissolving;
#[path = "../../../src/release/ending.rs"]
pub(crate) mod ending;
#[path = "../../../src/release/failed.rs"]
pub(crate) mod failed;
#[path = "../../../src/release/lane.rs"]
pub(crate) mod lane;
#[path = "../../../src/release/list.rs"]
pub(crate) mod list;
#[path = "../../../src/release/options.rs"]
pub(crate) mod options;
#[path = "../../../src/release/outcome.rs"]
pub(crate) mod outcome;
#[path = "../../../src/release/progress.rs"]
pub(crate) mod progress;
#[path = "../../../src/release/report.rs"]
pub(crate) mod report;
#[path = "../../../src/release/reporting.rs"]
pub(crate) mod reporting;
#[path = "../../../src/release/resource.rs"]
pub(crate) mod resource;
#[path = "../../../src/release/retry.rs"]
pub(crate) mod retry;
#[path = "../../../src/release/ring.rs"]
pub(crate) mod ring;
#[path = "../../../src/release/shared.rs"]
pub(crate) mod shared;
#[path = "../../../src/release/slot.rs"]
pub(crate) mod slot;
#[path = "../../../src/release/state.rs"]
pub(crate) mod state;
#[path = "../../../src/release/stats.rs"]
pub(crate) mod stats;
#[path = "../../../src/release/worker.rs"]
pub(crate) mod worker;
#[path = "../../../src/release/workforce.rs"]
pub(crate) mod workforce;

use std::time::Instant;

use crate::sync::Arc;
pub(crate) use outcome::{Event, Kind, Outcome, Proof, Ticket};
pub(crate) use report::StuckRelease;
pub(crate) use resource::{BeforeRelease, Hook, Lane, Resource};
pub(crate) use retry::RetryOptions;
use shared::Shared;

/// In the library this is a reservation bound to its queue; here only its type is needed.
pub(crate) mod reservation {
    pub(crate) struct Reservation;
}

/// The part of the queue's handle that releasable things need.
#[derive(Clone)]
pub(crate) struct ReleaseQueue(pub(crate) Arc<Shared>);

impl ReleaseQueue {
    pub(crate) fn is_reserved(&self, ticket: Ticket) -> bool {
        self.0.with(|state| state.is_reserved(ticket))
    }
}
