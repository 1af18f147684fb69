//! What a worker thread does: foreign code runs here, caught when it panics, under no lock.

use std::time::Instant;

use super::outcome::Proof;
use super::progress::Work;
use super::resource::{Callbacks, Lane, Resource};
use super::shared::{Next, Shared};
use super::state::Remains;
use crate::error::{Error, Result};
use crate::foreign;
use crate::kernel::process;
use crate::panic::{caught, drop_caught};

/// The life of a worker.
pub(crate) fn work(shared: &Shared, lane: Lane, worker: usize) {
    shared.with(|state| state.clock_in(worker, process::thread_id()));
    while let Next::Work(work) = shared.next_work(lane, worker) {
        perform(shared, lane, worker, work);
        if lane == Lane::Blocking && foreign::has_lost_thread() {
            // Another takes its place.
            return shared.with(|state| state.lose(worker));
        }
    }
}

fn perform(shared: &Shared, lane: Lane, worker: usize, work: Work) {
    match work {
        Work::Before(index, mut before, mut trace) => {
            let result = trace.attempt(|| run(lane, &mut before).and_then(|answer| answer));
            if let Err(error) = &result {
                trace.failed(error);
            }
            let is_lost = foreign::has_lost_thread();
            let now = Instant::now();
            let (done, endings) = shared.with(|state| {
                let mut done = state.settle_before(index, worker, before, result, now);
                if is_lost {
                    let callbacks = Callbacks {
                        before_release: done.take(),
                        ..Callbacks::default()
                    };
                    state.bury(Remains::of_lost_thread(callbacks), now);
                }
                (done, state.leave_trace(index, trace))
            });
            let _ = run(lane, || drop(done));
            endings.tell();
        }
        Work::Release(index, resource, mut trace) => {
            let result = trace.attempt(|| attempt(lane, resource));
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
            // Nothing in it is foreign.
            let _ = drop_caught(reclaim);
            endings.tell();
        }
        Work::Dissolve(trees) => {
            shared.dissolve(&trees);
            drop(trees);
            shared.with(|state| state.end(worker));
        }
        Work::Bury(remains) => {
            bury(shared, remains);
            shared.with(|state| state.settle_buried(worker));
        }
    }
}

/// Runs what may be foreign. Only in the blocking lane anything is; the other one has no time to lose.
fn run<R>(lane: Lane, code: impl FnOnce() -> R) -> Result<R> {
    match lane {
        Lane::Native => caught(code),
        Lane::Blocking => foreign::run(|| caught(code)).and_then(|answer| answer),
    }
}

/// Drops one thing after the other; what is left when that loses the thread is left to another worker.
fn bury(shared: &Shared, mut remains: Remains) {
    let Callbacks {
        hook,
        before_release,
        reclaim,
    } = &mut remains.callbacks;
    let is_whole = destroy(&mut remains.resource)
        && destroy(before_release)
        && destroy(reclaim)
        && destroy(hook);
    if !is_whole {
        shared.with(|state| state.bury(remains, Instant::now()));
    }
}

/// `false`: it is still there, because the thread is lost.
fn destroy<T>(thing: &mut Option<T>) -> bool {
    if thing.is_some() && foreign::has_lost_thread() {
        return false;
    }
    let thing = thing.take();
    let _ = run(Lane::Blocking, || drop(thing));
    true
}

/// One attempt to release something. A failure gives it back, unless it went with it.
fn attempt(
    lane: Lane,
    mut resource: Box<dyn Resource>,
) -> Result<Proof, (Error, Option<Box<dyn Resource>>)> {
    match run(lane, || resource.release()).and_then(|answer| answer) {
        // Gone is gone only when nothing is left to drop.
        Ok(proof) => run(lane, || drop(resource))
            .map(|()| proof)
            .map_err(|error| (error, None)),
        Err(error) => Err((error, Some(resource))),
    }
}
