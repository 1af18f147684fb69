//! A lane's queue, and the count of its workers that decides who is woken and who is hired.
//!
//! A submitter wakes one sleeping worker at most, and none while a woken one is still on its way:
//! each worker that takes something and sees more wakes the next.

use super::list::{Chain, List};

pub(crate) struct LaneState {
    pub(crate) queue: List,
    /// How many workers should be able to work.
    pub(crate) target: u32,
    /// Workers there are, the stuck and the starting ones included.
    pub(crate) alive: u32,
    /// Workers hired that have not come for work yet.
    pub(crate) starting: u32,
    /// Workers over their budget.
    pub(crate) stuck: u32,
    /// Workers that wait for work.
    sleeping: u32,
    /// Of these, how many were woken and are on their way.
    signalled: u32,
    /// Workers that have come, and let more gather before they begin.
    lingering: u32,
}

/// What has to be done so that something in the queue gets a worker.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// Somebody is coming, or all are busy and will look.
    Nothing,
    /// Wake one.
    Wake,
    /// There may be more workers than there are.
    Hire,
}

impl LaneState {
    pub(crate) fn new(target: u32) -> LaneState {
        LaneState {
            queue: List::new(Chain::Queue),
            target,
            alive: 0,
            starting: 0,
            stuck: 0,
            sleeping: 0,
            signalled: 0,
            lingering: 0,
        }
    }

    /// Something is in the queue.
    pub(crate) fn call(&mut self) -> Call {
        if self.signalled + self.lingering > 0 {
            Call::Nothing
        } else if self.sleeping > 0 {
            self.signalled += 1;
            Call::Wake
        } else if self.able() < self.target {
            Call::Hire
        } else {
            Call::Nothing
        }
    }

    /// Workers that are not stuck.
    pub(crate) fn able(&self) -> u32 {
        self.alive - self.stuck
    }

    /// Whether the workers that sleep or start can't take `waiting` things among them.
    pub(crate) fn is_short_of_workers(&self, waiting: usize) -> bool {
        self.able() < self.target && waiting > (self.sleeping + self.starting) as usize
    }

    /// Workers above the target, there because others are stuck.
    pub(crate) fn replacements(&self) -> u32 {
        self.alive.saturating_sub(self.target)
    }

    pub(crate) fn fall_asleep(&mut self) {
        self.sleeping += 1;
    }

    pub(crate) fn wake_up(&mut self) {
        self.sleeping -= 1;
        // A spurious wake-up takes the signal of another, who then comes without one: nobody is
        // lost, as whoever comes looks into the queue.
        self.signalled = self.signalled.saturating_sub(1);
    }

    pub(crate) fn begin_to_linger(&mut self) {
        self.lingering += 1;
    }

    pub(crate) fn end_to_linger(&mut self) {
        self.lingering -= 1;
    }

    /// How many have to be woken so that nobody lingers.
    pub(crate) fn lingering(&self) -> u32 {
        self.lingering
    }

    /// How many have to be woken so that nobody sleeps.
    pub(crate) fn wake_all(&mut self) -> u32 {
        let wakes = self.sleeping - self.signalled + self.lingering;
        self.signalled = self.sleeping;
        wakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_calls_wake_one_worker_until_it_has_come() {
        let mut lane = LaneState::new(2);
        assert_eq!(lane.call(), Call::Hire);
        lane.alive = 2;
        assert_eq!(lane.call(), Call::Nothing);
        lane.fall_asleep();
        lane.fall_asleep();
        assert_eq!(lane.call(), Call::Wake);
        assert_eq!(lane.call(), Call::Nothing);
        lane.wake_up();
        assert_eq!(lane.call(), Call::Wake);
        lane.wake_up();
        assert_eq!(lane.call(), Call::Nothing);
        lane.stuck = 1;
        assert_eq!(lane.call(), Call::Hire);
    }
}
