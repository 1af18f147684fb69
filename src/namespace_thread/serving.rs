//! What a namespace thread does, from its birth in the process's namespace to its end.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Done, INSIDE, Pool, Visit, grow, retire};
use crate::error::{Error, Result, Status};
use crate::kernel::namespace;
use crate::kernel::process::{self, FileIds};
use crate::kernel::signals;
use crate::panic::{caught, drop_caught};
use crate::stays;
use crate::sync::lock;
use crate::trace;

pub(super) fn serve(pool: &Arc<Pool>) {
    INSIDE.set(Arc::as_ptr(pool));
    let arrived = introduce(pool)
        .inspect(|()| trace::went_abroad())
        .and_then(|()| process::unshare_fs())
        .and_then(|()| namespace::set(pool.home.as_fd()));
    if let Err(error) = arrived {
        retire(pool, &error.with_context("a new namespace thread"), true);
        return;
    }
    let umask = process::set_umask(0o077);
    process::set_umask(umask);
    let mut is_telling = false;
    while let Some(visit) = next(pool, is_telling) {
        let Visit {
            enter,
            job,
            done,
            trace,
        } = visit;
        let ids = process::file_ids();
        trace.begins();
        let mut outcome = caught(enter).and_then(|entered| entered);
        match &outcome {
            Ok(()) => {
                trace.is_inside();
                outcome = caught(job).map_err(|error| error.with_context("the job"));
                trace.ends();
            }
            // What it panics with has been reported by the panic hook.
            Err(_) => drop(drop_caught(job)),
        }
        if let Some(mut lost) = come_home(pool, ids) {
            replace(pool);
            if let Err(error) = outcome {
                lost = lost.with_context(error);
            }
            // `done` promises a thread that is outside and as it was; this one is not.
            done.tell_outside(Box::new(|| ()), Err(lost));
            return;
        }
        // What this job left is nothing to the next, nor to the host's code.
        let clean = || {
            process::set_umask(umask);
            signals::block();
        };
        is_telling = matches!(done, Done::Waiter(_));
        if is_telling {
            lock(&pool.state).telling += 1;
        } else {
            clean();
        }
        // The thread outlives a panic in the host's callback, which the panic hook has reported.
        let _ = caught(|| done.tell(outcome));
        // Here a caller does not wait for it.
        clean();
        // Nor is what the host's code left anything to the next.
        if !is_telling && come_home(pool, ids).is_some() {
            replace(pool);
            return;
        }
    }
}

/// Lets the host know the thread, as long as it stands where the process does.
fn introduce(pool: &Pool) -> Result<()> {
    let Some(start) = &pool.start else {
        return Ok(());
    };
    let started = caught(|| start.call()).map_err(|error| error.with_context("thread_start"));
    stays::give_up();
    signals::block();
    started
}

/// Brings the thread home. The error is why it must end instead: no job may run where another was left,
/// nor with the rights over files that another took on.
fn come_home(pool: &Pool, before: FileIds) -> Option<Error> {
    stays::give_up();
    if let Err(error) = namespace::set(pool.home.as_fd()) {
        let what = "the thread could not come home and ends";
        return Some(error.with_status(Status::Tainted).with_context(what));
    }
    let after = process::file_ids();
    (after != before).then(|| {
        let message =
            format!("the job left its thread with {after}, not {before}: the thread ends");
        Error::new(Status::Tainted, message)
    })
}

/// The next visit; None when the thread should end. `was_telling`: it is counted as one that tells.
fn next(pool: &Pool, was_telling: bool) -> Option<Visit> {
    let mut state = lock(&pool.state);
    state.telling -= u32::from(was_telling);
    let mut is_awake = true;
    loop {
        if let Some(queued) = state.queue.pop_front() {
            return Some(queued.visit);
        }
        if state.closed {
            state.threads -= 1;
            return None;
        }
        state.idle += 1;
        if is_awake {
            state.awake += 1;
            let seen = state.last_number;
            drop(state);
            let has_arrived = || pool.arrived.load(Ordering::Relaxed) != seen;
            is_awake = pool.for_visits.until(has_arrived);
            state = lock(&pool.state);
            state.awake -= 1;
            state.idle -= 1;
            continue;
        }
        let (guard, timeout) = pool
            .wake
            .wait_timeout(state, pool.idle_timeout)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        state = guard;
        state.idle -= 1;
        if timeout.timed_out() && state.queue.is_empty() {
            state.threads -= 1;
            return None;
        }
    }
}

/// A tainted thread ends; where visits wait, another takes its place.
fn replace(pool: &Arc<Pool>) {
    let needed = {
        let mut state = lock(&pool.state);
        let needed = !state.queue.is_empty();
        // Its place goes to the new thread at once, or back to the pool.
        state.threads -= u32::from(!needed);
        needed
    };
    if needed {
        // Where none can be made, the visits have been told or are left to the other threads.
        let _ = grow(pool);
    }
}
