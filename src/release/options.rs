//! What a queue is started with.

use std::time::Duration;

use super::resource::Lane;
use super::retry::RetryOptions;

#[derive(Clone, Debug)]
pub(crate) struct QueueOptions {
    pub(crate) capacity: u32,
    pub(crate) event_capacity: u32,
    pub(crate) blocking_workers: u32,
    pub(crate) replacement_workers: u32,
    pub(crate) native_budget: Duration,
    pub(crate) blocking_budget: Duration,
    pub(crate) callback_budget: Duration,
    pub(crate) retry: RetryOptions,
}

impl QueueOptions {
    pub(crate) fn budget(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Native => self.native_budget,
            Lane::Blocking => self.blocking_budget,
        }
    }

    pub(crate) fn workers(&self, lane: Lane) -> u32 {
        match lane {
            Lane::Native => 1,
            Lane::Blocking => self.blocking_workers,
        }
    }
}

impl Default for QueueOptions {
    fn default() -> QueueOptions {
        QueueOptions {
            capacity: 65_536,
            event_capacity: 4_096,
            blocking_workers: 4,
            replacement_workers: 16,
            native_budget: Duration::from_secs(1),
            blocking_budget: Duration::from_secs(5),
            callback_budget: Duration::from_millis(1),
            retry: RetryOptions::default(),
        }
    }
}
