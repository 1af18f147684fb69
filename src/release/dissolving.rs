//! Looking ahead in the native lane: detached trees whose releases are next are dissolved together,
//! which spares each of them a grace period of its own.
//!
//! Their releases stay in the queue, with all they need: a worker that hangs at it holds up nothing, as
//! the one that replaces it goes on with the first of them.

use std::sync::Arc;
use std::time::Instant;

use super::resource::Lane;
use super::state::State;
use crate::kernel::dissolve::{DetachedTree, Dissolver};

/// From this many on, the parent that they need for it pays.
const FEWEST: usize = 3;

impl State {
    /// Whether a worker that has just come may let more gather in the native lane: nobody waits for what
    /// is there, and it is not enough yet to be dissolved together.
    pub(super) fn may_gather(&self) -> bool {
        let queued = self.lanes[Lane::Native as usize].queue.len();
        self.dissolves && self.askers == 0 && (1..Dissolver::MOST).contains(&queued)
    }

    /// Somebody waits for releases, or asks how one ended: nothing is gathered meanwhile.
    pub(super) fn start_asking(&mut self) {
        self.askers += 1;
        let lane = Lane::Native as usize;
        self.wakes.workers[lane] += self.lanes[lane].lingering();
    }

    pub(super) fn stop_asking(&mut self) {
        self.askers -= 1;
    }

    /// The trees of the next releases, where enough wait to be worth it. From here on these have
    /// started: nobody gets back a tree that is dissolved.
    pub(super) fn look_ahead(&mut self, now: Instant) -> Option<Vec<Arc<DetachedTree>>> {
        let queue = &self.lanes[Lane::Native as usize].queue;
        if !self.dissolves || queue.len() < FEWEST {
            return None;
        }
        let mut indices = [0; Dissolver::MOST];
        let mut trees = Vec::new();
        for (index, slot) in queue.iter(self.slots.as_slice()).take(Dissolver::MOST) {
            let fresh = slot.resource.as_ref().filter(|_| slot.started.is_none());
            match fresh.and_then(|resource| resource.detached_tree()) {
                Some(tree) => {
                    if trees.is_empty() {
                        trees.reserve(Dissolver::MOST);
                    }
                    indices[trees.len()] = index;
                    trees.push(tree);
                }
                // The next in turn has been looked at, or is none of these.
                None if trees.is_empty() => return None,
                None => {}
            }
        }
        if trees.len() < FEWEST {
            return None;
        }
        for index in &indices[..trees.len()] {
            self.has_started(*index, now);
        }
        Some(trees)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::outcome::{Kind, Proof, Ticket};
    use super::super::progress::Work;
    use super::super::resource::{Callbacks, Resource};
    use super::*;
    use crate::error::{Result, Status};
    use crate::gate::GateOptions;

    /// A tree that may be dissolved, or not.
    struct Tree(Option<Arc<DetachedTree>>);

    impl Resource for Tree {
        fn release(&mut self) -> Result<Proof> {
            Ok(Proof::Unverified)
        }

        fn detached_tree(&self) -> Option<Arc<DetachedTree>> {
            self.0.clone()
        }
    }

    /// A state without threads: the workers that it wants to start never come by themselves.
    fn state() -> State {
        let mut state = State::new(GateOptions::default(), 1);
        state.dissolves = true;
        state
    }

    fn tree() -> Option<Arc<DetachedTree>> {
        let file = File::open("/dev/null").unwrap();
        Some(Arc::new(DetachedTree::new(file.into(), Some(true))))
    }

    fn submit(state: &mut State, tree: Option<Arc<DetachedTree>>) -> Ticket {
        let (index, _) = state.reserve(Kind::Chroot, "/volumes/7".into()).unwrap();
        let callbacks = &mut Callbacks::default();
        let tree = Box::new(Tree(tree));
        state.submit(index, Lane::Native, tree, callbacks, Instant::now())
    }

    fn take(state: &mut State, worker: usize) -> Option<Work> {
        state.take(Lane::Native, worker, Instant::now())
    }

    fn take_dissolve(state: &mut State, worker: usize) -> usize {
        match take(state, worker) {
            Some(Work::Dissolve(trees)) => trees.len(),
            _ => panic!("nothing is dissolved"),
        }
    }

    fn take_release(state: &mut State, worker: usize) -> Ticket {
        match take(state, worker) {
            Some(Work::Release(index, ..)) => state.slots[index].ticket(index),
            _ => panic!("nothing is released"),
        }
    }

    #[test]
    fn a_few_are_released_one_by_one() {
        let mut state = state();
        let tickets: Vec<Ticket> = (1..FEWEST).map(|_| submit(&mut state, tree())).collect();
        for ticket in tickets {
            assert_eq!(take_release(&mut state, 0), ticket);
        }
        assert!(take(&mut state, 0).is_none());
    }

    #[test]
    fn many_are_dissolved_once_in_parts_and_released_in_their_order() {
        let mut state = state();
        let tickets: Vec<Ticket> = (0..Dissolver::MOST + FEWEST)
            .map(|_| submit(&mut state, tree()))
            .collect();
        let (first, second) = tickets.split_at(Dissolver::MOST);
        assert_eq!(take_dissolve(&mut state, 0), first.len());
        for ticket in first {
            assert_eq!(take_release(&mut state, 0), *ticket);
        }
        assert_eq!(take_dissolve(&mut state, 0), second.len());
        for ticket in second {
            assert_eq!(take_release(&mut state, 0), *ticket);
        }
        assert!(take(&mut state, 0).is_none());
        let queued = state.totals.queue_duration;
        assert_eq!(queued.count, tickets.len() as u64);
    }

    #[test]
    fn what_is_no_detached_tree_is_left_out_and_keeps_its_turn() {
        let mut state = state();
        let kinds = [None, tree(), None, tree(), tree(), tree()];
        let tickets = kinds.map(|kind| submit(&mut state, kind));
        assert_eq!(take_release(&mut state, 0), tickets[0]);
        assert_eq!(take_dissolve(&mut state, 0), 4);
        for ticket in &tickets[1..] {
            assert_eq!(take_release(&mut state, 0), *ticket);
        }
    }

    #[test]
    fn more_may_gather_until_there_is_enough_or_somebody_waits() {
        let mut state = state();
        assert!(!state.may_gather());
        for _ in 1..Dissolver::MOST {
            submit(&mut state, tree());
            assert!(state.may_gather());
        }
        state.start_asking();
        assert!(!state.may_gather());
        state.stop_asking();
        assert!(state.may_gather());
        submit(&mut state, tree());
        assert!(!state.may_gather());
    }

    #[test]
    fn who_waits_wakes_the_worker_that_lets_more_gather() {
        let mut state = state();
        state.lanes[Lane::Native as usize].begin_to_linger();
        submit(&mut state, tree());
        assert_eq!(state.wakes.workers, [0, 0], "it comes by itself");
        state.start_asking();
        assert_eq!(state.wakes.workers, [1, 0]);
    }

    #[test]
    fn what_is_dissolved_is_not_given_back() {
        let mut state = state();
        let tickets = [0; 4].map(|_| submit(&mut state, tree()));
        assert!(state.cancel(tickets[3], Instant::now()).is_ok());
        assert_eq!(take_dissolve(&mut state, 0), 3);
        for ticket in &tickets[..3] {
            let refused = state.cancel(*ticket, Instant::now()).err().unwrap();
            assert_eq!(refused.status(), Status::InvalidState);
        }
    }

    #[test]
    fn nothing_waits_for_a_worker_that_hangs_at_it() {
        let mut state = state();
        let tickets = [0; 4].map(|_| submit(&mut state, tree()));
        assert_eq!(take_dissolve(&mut state, 0), 4);
        for ticket in tickets {
            assert_eq!(take_release(&mut state, 1), ticket);
        }
    }

    #[test]
    fn without_the_kernel_each_is_released_by_itself() {
        let mut state = state();
        state.dissolves = false;
        let tickets = [0; FEWEST].map(|_| submit(&mut state, tree()));
        assert!(!state.may_gather());
        for ticket in tickets {
            assert_eq!(take_release(&mut state, 0), ticket);
        }
    }
}
