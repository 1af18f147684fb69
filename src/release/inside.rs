//! What the calling thread is part of: a queue that it works for, and things whose jobs it runs. Their
//! releases wait for it, so it can't wait for them.

use std::cell::{Cell, RefCell};

use super::ReleaseQueue;
use super::outcome::Ticket;
use super::shared::Shared;
use crate::sync::Arc;

/// Something that the thread runs a job inside of: the queue that it will be released through, and the
/// ticket of that release. The job is a use of it, and as long as it runs the ticket stays the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Inside {
    queue: usize,
    ticket: Ticket,
}

thread_local! {
    /// The address of the queue that this thread works for, or 0.
    static WORKS_FOR: Cell<usize> = const { Cell::new(0) };
    static INSIDE: RefCell<Vec<Inside>> = const { RefCell::new(Vec::new()) };
}

fn address(shared: &Arc<Shared>) -> usize {
    Arc::as_ptr(shared).addr()
}

/// The calling thread is one of this queue, from now on.
pub(super) fn work_for(shared: &Arc<Shared>) {
    WORKS_FOR.set(address(shared));
}

/// Whether the calling thread works for this queue.
pub(super) fn works_for(shared: &Arc<Shared>) -> bool {
    WORKS_FOR.get() == address(shared)
}

/// The releases of this queue that wait for the calling thread, or will once they are asked for.
pub(super) fn held_up(shared: &Arc<Shared>) -> Vec<Ticket> {
    let queue = address(shared);
    let of_queue = |inside: &&Inside| inside.queue == queue;
    let tickets = |inside: &RefCell<Vec<Inside>>| {
        let inside = inside.borrow();
        let inside = inside.iter().filter(of_queue);
        inside.map(|inside| inside.ticket).collect()
    };
    // A thread that is about to end has left everything.
    INSIDE.try_with(tickets).unwrap_or_default()
}

impl ReleaseQueue {
    /// A job inside of what will be released under the ticket, for another thread. It is part of
    /// everything that the calling thread is, which waits for it.
    pub(crate) fn job_inside<R, J: FnOnce() -> R>(
        &self,
        ticket: Ticket,
        job: J,
    ) -> impl FnOnce() -> R + use<R, J> {
        let outer = INSIDE.try_with(|inside| inside.borrow().clone());
        self.inside(outer.unwrap_or_default(), WORKS_FOR.get(), ticket, job)
    }

    /// The same for a job that the calling thread doesn't wait for.
    pub(crate) fn started_inside<R, J: FnOnce() -> R>(
        &self,
        ticket: Ticket,
        job: J,
    ) -> impl FnOnce() -> R + use<R, J> {
        self.inside(Vec::new(), 0, ticket, job)
    }

    fn inside<R, J: FnOnce() -> R>(
        &self,
        mut inside: Vec<Inside>,
        works_for: usize,
        ticket: Ticket,
        job: J,
    ) -> impl FnOnce() -> R + use<R, J> {
        /// Ends with the job, also when that panics.
        struct Before(Vec<Inside>, usize);

        impl Drop for Before {
            fn drop(&mut self) {
                INSIDE.set(std::mem::take(&mut self.0));
                WORKS_FOR.set(self.1);
            }
        }

        let queue = address(&self.0.shared);
        inside.push(Inside { queue, ticket });
        move || {
            let _before = Before(INSIDE.replace(inside), WORKS_FOR.replace(works_for));
            job()
        }
    }
}
