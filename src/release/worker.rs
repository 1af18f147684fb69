//! What a worker thread does: foreign code runs here, caught when it panics, under no lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::progress::Work;
use super::resource::Lane;
use super::shared::{Next, Shared};
use crate::error::{Error, Result, Status};
use crate::kernel::process;

/// The life of a worker.
pub(crate) fn work(shared: &Shared, lane: Lane, worker: usize) {
    shared.with(|state| state.clock_in(worker, process::thread_id()));
    while let Next::Work(work) = shared.next_work(lane, worker) {
        perform(shared, worker, work);
    }
}

fn perform(shared: &Shared, worker: usize, work: Work) {
    match work {
        Work::Before(index, mut before, reclaim) => {
            let _ = drop_caught(reclaim);
            let result = caught(&mut before);
            let done = shared
                .with(|state| state.settle_before(index, worker, before, result, Instant::now()));
            let _ = drop_caught(done);
        }
        Work::Release(index, mut resource, reclaim) => {
            let _ = drop_caught(reclaim);
            let result = match caught(|| resource.release()) {
                // Gone is gone only when nothing is left to drop.
                Ok(proof) => drop_caught(resource)
                    .map(|()| proof)
                    .map_err(|error| (error, None)),
                Err(error) => Err((error, Some(resource))),
            };
            let now = Instant::now();
            shared.with(|state| match result {
                Ok(proof) => state.settle_released(index, worker, proof, now),
                Err((error, resource)) => {
                    state.settle_failed(index, worker, resource, error, now);
                }
            });
        }
        Work::Bury(remains) => {
            let _ = drop_caught(remains.resource);
            let _ = drop_caught(remains.attachments.before_release);
            let _ = drop_caught(remains.attachments.reclaim);
            let _ = drop_caught(remains.attachments.hook);
            shared.with(|state| state.settle_buried(worker));
        }
    }
}

/// Runs foreign code; a panic is an error.
pub(crate) fn caught<R>(code: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|payload| {
        let message = if let Some(message) = payload.downcast_ref::<&str>() {
            format!("panicked: {message}")
        } else if let Some(message) = payload.downcast_ref::<String>() {
            format!("panicked: {message}")
        } else {
            "panicked".to_string()
        };
        // A payload may panic in its own drop; what it then panics with is let go undropped.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        if let Err(second) = dropped {
            std::mem::forget(second);
        }
        Err(Error::new(Status::Panic, message))
    })
}

/// Drops something foreign; a panic is an error.
pub(crate) fn drop_caught<T>(thing: T) -> Result<()> {
    caught(|| {
        drop(thing);
        Ok(())
    })
}
