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

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result, Status};
use crate::sync::{Mutex, lock};

/// The name of something that can be held and waited for; unique in the process, never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Node(u64);

/// A node that a thread is inside of. On that thread's stack, so that holding needs no memory: the
/// release of a network must not depend on any.
struct Frame {
    node: Node,
    /// The one that was held before.
    outer: *const Frame,
}

#[cfg(not(loom))]
thread_local! {
    static INNERMOST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}
#[cfg(loom)]
loom::thread_local! {
    static INNERMOST: Cell<*const Frame> = Cell::new(ptr::null());
}

/// Who waits on whose behalf: (held, wanted). Empty unless threads wait from inside callbacks.
#[cfg(not(loom))]
static EDGES: Mutex<Vec<(Node, Node)>> = Mutex::new(Vec::new());
#[cfg(loom)]
loom::lazy_static! {
    static ref EDGES: Mutex<Vec<(Node, Node)>> = Mutex::new(Vec::new());
}

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
        /// Ends with the frame, also when `work` panics.
        struct Within(*const Frame);
        impl Drop for Within {
            fn drop(&mut self) {
                INNERMOST.with(|innermost| innermost.set(self.0));
            }
        }
        let outer = INNERMOST.with(Cell::get);
        let frame = Frame { node: self, outer };
        let _within = Within(outer);
        INNERMOST.with(|innermost| innermost.set(&frame));
        work()
    }

    /// Whether the calling thread is inside this node.
    pub(crate) fn is_held(self) -> bool {
        held().any(|node| node == self)
    }

    /// Declares that the calling thread is about to wait for this node, until the answer is dropped.
    ///
    /// WOULD_DEADLOCK: the node is waiting for the calling thread, directly or by way of others.
    pub(crate) fn wait_for(self) -> Result<Waiting> {
        let held: Vec<Node> = held().collect();
        if !held.is_empty() {
            let mut edges = lock(&EDGES);
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

/// What the calling thread is inside of, innermost first.
fn held() -> impl Iterator<Item = Node> {
    let mut next = INNERMOST.with(Cell::get);
    std::iter::from_fn(move || {
        // SAFETY: null, or a frame on this thread's stack: `hold` takes it off the list before it
        // returns, and nobody keeps the iterator for longer than a call.
        let frame = unsafe { next.as_ref() }?;
        next = frame.outer;
        Some(frame.node)
    })
}

/// Whether the calling thread is inside a callback.
pub(crate) fn inside_callback() -> bool {
    held().next().is_some()
}

/// Takes to another thread what the calling one is inside of: `work` is done there while this one
/// waits for it.
pub(crate) fn taken_along<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let held: Vec<Node> = held().collect();
    move || {
        let mut work = Some(work);
        let mut result = None;
        hold_all(&held, &mut || result = work.take().map(|work| work()));
        result.expect("it is done once")
    }
}

/// `nodes` has the innermost first.
fn hold_all(nodes: &[Node], work: &mut dyn FnMut()) {
    match nodes.split_last() {
        Some((outermost, inner)) => outermost.hold(|| hold_all(inner, work)),
        None => work(),
    }
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
        let mut edges = lock(&EDGES);
        for &node in &self.held {
            if let Some(place) = edges.iter().position(|edge| *edge == (node, self.wanted)) {
                edges.swap_remove(place);
            }
        }
    }
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
    fn what_a_thread_is_inside_of_goes_along_with_work_that_it_waits_for() {
        let (outer, inner) = (Node::new(), Node::new());
        let is_held = || (outer.is_held(), inner.is_held());
        outer.hold(|| {
            inner.hold(|| {
                let work = taken_along(|| (is_held(), outer.wait_for().is_err()));
                let elsewhere = std::thread::scope(|scope| scope.spawn(work).join().unwrap());
                assert_eq!(elsewhere, ((true, true), true));
            });
            assert_eq!(taken_along(is_held)(), (true, false));
        });
        assert_eq!(taken_along(is_held)(), (false, false));
    }

    #[test]
    fn a_panic_inside_leaves_no_trace() {
        let node = Node::new();
        let _ = std::panic::catch_unwind(|| node.hold(|| panic!("inside")));
        assert!(!node.is_held());
    }
}
