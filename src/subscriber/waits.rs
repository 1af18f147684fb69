//! Who waits for whom: finds out that a wait could never end before it begins.
//!
//! A *node* is something that ends only when the code it runs returns: the calls of a subscriber,
//! or the delivery of a sandbox's events. A thread *holds* the nodes it is inside of. When it is
//! about to wait for another node, each node that it holds depends on that one from then on; if that
//! one depends on any of them already, the wait would be for itself. The check and the record are
//! one step, so of the threads that would close a circle the last one is told.
//!
//! Only waits of this library are seen. A callback that waits for another thread by means of its own
//! (a join, a channel) can still block itself.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result, Status};

/// The name of something that can be held and waited for; unique in the process, never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Node(u64);

thread_local! {
    static HELD: RefCell<Vec<Node>> = const { RefCell::new(Vec::new()) };
}

/// Who waits on whose behalf: (held, wanted). Empty unless threads wait from inside callbacks.
static EDGES: Mutex<Vec<(Node, Node)>> = Mutex::new(Vec::new());

impl Node {
    pub(crate) fn new() -> Node {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Node(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn as_raw(self) -> u64 {
        self.0
    }

    pub(crate) fn from_raw(raw: u64) -> Node {
        Node(raw)
    }

    /// Runs `work` as part of this node.
    pub(crate) fn hold<R>(self, work: impl FnOnce() -> R) -> R {
        struct Release;
        impl Drop for Release {
            fn drop(&mut self) {
                let _ = HELD.try_with(|held| held.borrow_mut().pop());
            }
        }
        let _ = HELD.try_with(|held| held.borrow_mut().push(self));
        let _release = Release;
        work()
    }

    /// Whether the calling thread is inside this node.
    pub(crate) fn is_held(self) -> bool {
        HELD.try_with(|held| held.borrow().contains(&self))
            .unwrap_or(false)
    }

    /// Declares that the calling thread is about to wait for this node, until the answer is dropped.
    ///
    /// WOULD_DEADLOCK: the node is waiting for the calling thread, directly or by way of others.
    pub(crate) fn wait_for(self) -> Result<Waiting> {
        let held = HELD
            .try_with(|held| held.borrow().clone())
            .unwrap_or_default();
        if !held.is_empty() {
            let mut edges = edges();
            if reaches(&edges, self, &held) {
                return Err(Error::new(
                    Status::WouldDeadlock,
                    "the call would wait for a callback that waits for this one",
                ));
            }
            edges.extend(held.iter().map(|&node| (node, self)));
        }
        Ok(Waiting { held, wanted: self })
    }
}

/// Whether the calling thread is inside a callback.
pub(crate) fn inside_callback() -> bool {
    HELD.try_with(|held| !held.borrow().is_empty())
        .unwrap_or(false)
}

/// A wait that is on record.
pub(crate) struct Waiting {
    held: Vec<Node>,
    wanted: Node,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mut edges = edges();
        for &node in &self.held {
            if let Some(place) = edges.iter().position(|edge| *edge == (node, self.wanted)) {
                edges.swap_remove(place);
            }
        }
    }
}

fn edges() -> std::sync::MutexGuard<'static, Vec<(Node, Node)>> {
    EDGES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn reaches(edges: &[(Node, Node)], from: Node, targets: &[Node]) -> bool {
    let mut seen = vec![from];
    let mut next = 0;
    while let Some(&node) = seen.get(next) {
        if targets.contains(&node) {
            return true;
        }
        for &(waiting, wanted) in edges {
            if waiting == node && !seen.contains(&wanted) {
                seen.push(wanted);
            }
        }
        next += 1;
    }
    false
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_does_not_wait_for_what_it_is_inside_of() {
        let (outer, inner) = (Node::new(), Node::new());
        assert!(!inside_callback());
        outer.hold(|| {
            inner.hold(|| {
                assert!(outer.is_held() && inner.is_held() && inside_callback());
                let error = outer.wait_for().err().unwrap();
                assert_eq!(error.status(), Status::WouldDeadlock);
            });
            assert!(!inner.is_held());
            drop(inner.wait_for().unwrap());
        });
        assert!(!inside_callback());
    }

    #[test]
    fn a_circle_over_three_threads_is_found_by_the_one_who_would_close_it() {
        let nodes = [Node::new(), Node::new(), Node::new()];
        let wait_inside = |held: usize, wanted: usize| {
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| nodes[held].hold(|| nodes[wanted].wait_for()));
                waiter.join().unwrap()
            })
        };
        let first = wait_inside(0, 1).unwrap();
        let second = wait_inside(1, 2).unwrap();
        assert!(wait_inside(2, 0).is_err());
        drop(second);
        let third = wait_inside(2, 0).unwrap();
        assert!(wait_inside(1, 2).is_err());
        drop((first, third));
        assert!(wait_inside(1, 2).is_ok());
    }

    #[test]
    fn a_panic_inside_leaves_no_trace() {
        let node = Node::new();
        let _ = std::panic::catch_unwind(|| node.hold(|| panic!("inside")));
        assert!(!node.is_held());
    }
}
