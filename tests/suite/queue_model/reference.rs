//! What a queue should do, said without threads.

use std::collections::VecDeque;

use nsgate::{Outcome, Proof};

use super::{Attempt, Setting};

/// What is known of a job that was submitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Reserved,
    /// Submitted, or tried again, and not known to have ended.
    Pending,
    /// Ended, and gone.
    Ended,
    /// Ended, and in the list of the failed.
    Failed,
    /// Forgotten or dropped before its submit.
    Gone,
}

pub(super) struct Reference {
    pub(super) stage: Stage,
    /// What the attempts to come do.
    script: VecDeque<Attempt>,
    /// Doors that were opened before somebody came to them.
    pub(super) opened: usize,
    holds: usize,
}

/// How a release has to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    pub(super) attempts: u32,
}

impl Reference {
    pub(super) fn new(script: &[Attempt]) -> Reference {
        Reference {
            stage: Stage::Reserved,
            script: script.iter().copied().collect(),
            opened: 0,
            holds: 0,
        }
    }

    /// Whether its attempts come to an end with the doors that are open now.
    pub(super) fn can_end(&self, setting: &Setting) -> bool {
        let (_, holds) = self.play(setting, &mut self.script.clone());
        self.holds + holds <= self.opened
    }

    /// Lets the release end, and says how.
    pub(super) fn end(&mut self, setting: &Setting) -> End {
        let mut script = std::mem::take(&mut self.script);
        let (end, holds) = self.play(setting, &mut script);
        self.script = script;
        self.holds += holds;
        self.stage = match end.outcome {
            Outcome::Failed { .. } => Stage::Failed,
            _ => Stage::Ended,
        };
        end
    }

    /// Attempts until one is final, and at how many doors they hold.
    fn play(&self, setting: &Setting, script: &mut VecDeque<Attempt>) -> (End, usize) {
        let mut holds = 0;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut step = script.pop_front();
            while step == Some(Attempt::Hold) {
                holds += 1;
                step = script.pop_front();
            }
            let outcome = match step {
                None | Some(Attempt::Succeed) => Outcome::Released(Proof::Unverified),
                Some(Attempt::Fail(libc::EBUSY)) if attempts < setting.attempts => continue,
                Some(Attempt::Fail(os_error)) => Outcome::Failed { os_error },
                Some(_) => Outcome::Failed { os_error: 0 },
            };
            return (End { outcome, attempts }, holds);
        }
    }
}
