//! What a worker thread does: foreign code runs here, caught when it panics, under no lock.

use std::time::Instant;

use super::outcome::Proof;
use super::progress::Work;
use super::resource::{Lane, Resource};
use super::shared::{Next, Shared};
use crate::error::{Error, Result};
use crate::kernel::process;
use crate::panic::{caught, drop_caught};

/// The life of a worker.
pub(crate) fn work(shared: &Shared, lane: Lane, worker: usize) {
    shared.with(|state| state.clock_in(worker, process::thread_id()));
    while let Next::Work(work) = shared.next_work(lane, worker) {
        perform(shared, worker, work);
    }
}

fn perform(shared: &Shared, worker: usize, work: Work) {
    match work {
        Work::Before(index, mut before, mut trace) => {
            let result = trace.attempt(|| caught(&mut before).and_then(|answer| answer));
            if let Err(error) = &result {
                trace.failed(error);
            }
            let (done, endings) = shared.with(|state| {
                let done = state.settle_before(index, worker, before, result, Instant::now());
                (done, state.leave_trace(index, trace))
            });
            let _ = drop_caught(done);
            endings.tell();
        }
        Work::Release(index, resource, mut trace) => {
            let result = trace.attempt(|| attempt(resource));
            if let Err((error, _)) = &result {
                trace.failed(error);
            }
            let now = Instant::now();
            let (reclaim, endings) = shared.with(|state| {
                let reclaim = match result {
                    Ok(proof) => state.settle_released(index, worker, proof, now),
                    Err((error, resource)) => {
                        state.settle_failed(index, worker, resource, error, now)
                    }
                };
                (reclaim, state.leave_trace(index, trace))
            });
            let _ = drop_caught(reclaim);
            endings.tell();
        }
        Work::Dissolve(trees) => {
            shared.dissolve(&trees);
            drop(trees);
            shared.with(|state| state.end(worker));
        }
        Work::Bury(remains) => {
            let _ = drop_caught(remains.resource);
            let _ = drop_caught(remains.callbacks.before_release);
            let _ = drop_caught(remains.callbacks.reclaim);
            let _ = drop_caught(remains.callbacks.hook);
            shared.with(|state| state.settle_buried(worker));
        }
    }
}

/// One attempt to release something. A failure gives it back, unless it went with it.
fn attempt(mut resource: Box<dyn Resource>) -> Result<Proof, (Error, Option<Box<dyn Resource>>)> {
    match caught(|| resource.release()).and_then(|answer| answer) {
        // Gone is gone only when nothing is left to drop.
        Ok(proof) => drop_caught(resource)
            .map(|()| proof)
            .map_err(|error| (error, None)),
        Err(error) => Err((error, Some(resource))),
    }
}
