//! What the options of a gate say of each lane.

use std::time::Duration;

use super::resource::Lane;
use crate::gate::GateOptions;

impl GateOptions {
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
