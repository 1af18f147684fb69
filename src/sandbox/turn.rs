//! Whose turn it is to tell an event of one life.
//!
//! An event belongs to the thread that made the change, and a life's events are told one after the
//! other. So a change takes its place in the same step in which it changes the life, and is told when
//! the one before it is told. Nobody holds a lock meanwhile: the turn is a flag, and the thread that
//! tells is known by the life's [`Node`].
//!
//! A life has two events, each once: that it runs and that its network is released. So while one is
//! being told there is at most one that waits, and no queue is needed.

use crate::error::Result;
use crate::subscriber::waits::{Node, Waiting};

/// What is told to subscribers, and the context of the call that caused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Call {
    pub(super) change: Change,
    pub(super) context: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Insert,
    NetworkRelease,
}

impl Change {
    /// The callback that it is told by.
    pub(super) fn event(self) -> &'static str {
        match self {
            Change::Insert => "on_insert",
            Change::NetworkRelease => "on_network_release",
        }
    }
}

/// When an event is told.
pub(super) enum Delivery {
    /// Now, by the caller, which has the turn.
    Now,
    /// By the caller, when it has got the turn from the thread that has it.
    Later(Waiting),
    /// By a frame of the same thread further up, which is telling an event of this life.
    Above,
}

#[derive(Default)]
pub(super) struct Turn {
    taken: bool,
    /// Events whose change is made and that are not told to everybody yet.
    untold: u32,
    nested: Option<Call>,
}

impl Turn {
    /// Takes the place of an event whose change is about to be made.
    ///
    /// WOULD_DEADLOCK: the thread that has the turn waits for the calling one.
    pub(super) fn take(&mut self, life: Node, call: Call) -> Result<Delivery> {
        let delivery = if self.untold == 0 {
            self.taken = true;
            Delivery::Now
        } else if life.is_held() {
            self.nested = Some(call);
            Delivery::Above
        } else {
            Delivery::Later(life.wait_for()?)
        };
        self.untold += 1;
        Ok(delivery)
    }

    /// Takes the turn if nobody has it.
    pub(super) fn acquire(&mut self) -> bool {
        !std::mem::replace(&mut self.taken, true)
    }

    /// After an event was told: the one that the same thread has to tell next, or else gives the turn
    /// up.
    pub(super) fn next(&mut self) -> Option<Call> {
        self.untold -= 1;
        let nested = self.nested.take();
        self.taken = nested.is_some();
        nested
    }

    /// Whether every event is told.
    pub(super) fn is_over(&self) -> bool {
        self.untold == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const INSERT: Call = Call {
        change: Change::Insert,
        context: 1,
    };
    const RELEASE: Call = Call {
        change: Change::NetworkRelease,
        context: 2,
    };

    #[test]
    fn a_nested_event_is_told_by_the_frame_above() {
        let (life, mut turn) = (Node::new(), Turn::default());
        assert!(matches!(turn.take(life, INSERT), Ok(Delivery::Now)));
        life.hold(|| assert!(matches!(turn.take(life, RELEASE), Ok(Delivery::Above))));
        assert_eq!(turn.next(), Some(RELEASE));
        assert!(!turn.acquire() && !turn.is_over());
        assert_eq!(turn.next(), None);
        assert!(turn.is_over() && turn.acquire());
    }

    #[test]
    fn an_event_of_another_thread_keeps_its_place_until_it_has_the_turn() {
        let (life, mut turn) = (Node::new(), Turn::default());
        assert!(matches!(turn.take(life, INSERT), Ok(Delivery::Now)));
        assert!(matches!(turn.take(life, RELEASE), Ok(Delivery::Later(_))));
        assert!(!turn.acquire());
        assert_eq!(turn.next(), None);
        assert!(!turn.is_over());
        assert!(turn.acquire());
        assert_eq!(turn.next(), None);
        assert!(turn.is_over());
    }
}
