//! Namespace threads: they visit namespaces on behalf of callers, and live in the empty one between.
//!
//! The pool never gives a job to a thread that did not come back home, and never sends one of its
//! threads anywhere but into the namespace of the job at hand (rules 2 and 3 of the design).

mod asking;
mod serving;
mod teller;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::error::{Error, Result, Status};
use crate::gate::ThreadStart;
use crate::gate::supervisor::{Body, Supervisor};
use crate::panic::drop_caught;
use crate::spin::Lookout;
use crate::sync::lock;
use crate::trace;
use serving::serve;
use teller::{LazyTeller, Teller};

/// One visit: what to do, where, and whom to tell.
pub(crate) struct Visit {
    /// Called first, on the thread, at home: puts it where the job runs. It must not wait for another
    /// visit: all threads may be busy.
    pub(crate) enter: Enter,
    pub(crate) job: Box<dyn FnOnce() + Send>,
    /// Told exactly once, on a thread that is outside: OK, or why the job did not run, panicked, or
    /// left a thread behind that could not come home. Not told of a visit that was taken back.
    pub(crate) done: Done,
    pub(crate) trace: trace::Visit,
}

/// Who is told of the end of a visit.
pub(crate) enum Done {
    /// A caller that waits, which takes no time.
    Waiter(Sender<Result<()>>),
    /// The host's own code, which may dawdle or panic.
    Callback {
        callback: Box<dyn FnOnce(Result<()>) + Send>,
        /// For where the thread at hand is not outside.
        teller: Teller,
    },
}

impl Done {
    fn tell(self, outcome: Result<()>) {
        match self {
            // It has not gone away: it waits until it has this.
            Done::Waiter(waiter) => drop(waiter.send(outcome)),
            Done::Callback { callback, .. } => callback(outcome),
        }
    }

    /// The same by a thread that is outside, wherever the calling one is. `first` is done before.
    fn tell_outside(self, first: Body, outcome: Result<()>) {
        match self {
            Done::Waiter(_) => {
                first();
                self.tell(outcome);
            }
            Done::Callback { callback, teller } => teller.tell(Box::new(move || {
                first();
                callback(outcome);
            })),
        }
    }
}

pub(crate) type Enter = Box<dyn FnOnce() -> Result<()> + Send>;

/// Names a job that was started, so that it can be taken back. Never used again by the same gate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RunId(u64);

impl RunId {
    /// The number to keep or to hand to other languages; never zero.
    pub fn as_raw(self) -> u64 {
        self.0
    }

    /// The job with this number. Any number is safe.
    pub fn from_raw(raw: u64) -> RunId {
        RunId(raw)
    }
}

/// The pool of namespace threads of one gate.
#[derive(Clone)]
pub(crate) struct NamespaceThreads(Arc<Pool>);

struct Pool {
    supervisor: Supervisor,
    home: OwnedFd,
    limit: u32,
    idle_timeout: Duration,
    start: Option<ThreadStart>,
    state: Mutex<State>,
    wake: Condvar,
    teller: LazyTeller,
    /// The last visit's number, for threads that look without the lock.
    arrived: AtomicU64,
    /// For visits, by the threads; for the ends of visits, by their callers.
    for_visits: Lookout,
    for_ends: Lookout,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    last_number: u64,
    /// Threads that wait for a visit.
    idle: u32,
    /// Those of them that do so awake, for a moment.
    awake: u32,
    /// Threads that tell a waiter of the end of its visit: as good as awake.
    telling: u32,
    /// Threads that exist or are being made.
    threads: u32,
    closed: bool,
}

struct Queued {
    /// So that it can be taken back. They come in order.
    number: u64,
    /// A job waits for it, which keeps its own thread meanwhile.
    is_nested: bool,
    visit: Visit,
}

thread_local! {
    /// The pool that this thread belongs to.
    static INSIDE: Cell<*const Pool> = const { Cell::new(std::ptr::null()) };
}

impl NamespaceThreads {
    pub(crate) fn new(
        supervisor: Supervisor,
        home: OwnedFd,
        limit: u32,
        idle_timeout: Duration,
        start: Option<ThreadStart>,
    ) -> NamespaceThreads {
        NamespaceThreads(Arc::new(Pool {
            supervisor,
            home,
            limit: limit.max(1),
            idle_timeout,
            start,
            state: Mutex::default(),
            wake: Condvar::new(),
            teller: LazyTeller::default(),
            arrived: AtomicU64::new(0),
            for_visits: Lookout::new(),
            for_ends: Lookout::new(),
        }))
    }

    /// Queues the visit; first come, first served. Where this fails nothing is called.
    ///
    /// A job that visits again and waits holds its own thread meanwhile: when there is no other for it,
    /// the answer is WOULD_DEADLOCK.
    pub(crate) fn visit(&self, visit: Visit) -> Result<RunId> {
        let pool = &self.0;
        let mut state = lock(&pool.state);
        if state.closed {
            return Err(Error::closed("the gate is closed"));
        }
        let may_grow = state.threads < pool.limit;
        // Also for a job of another gate, whose own thread may be what the jobs here wait for.
        let is_nested = !INSIDE.get().is_null() && matches!(visit.done, Done::Waiter(_));
        let has_idle = (state.idle + state.telling) as usize > state.queue.len();
        if is_nested && !has_idle && !may_grow {
            return Err(Error::new(
                Status::WouldDeadlock,
                format!(
                    "all {} namespace threads are busy, one with the caller",
                    pool.limit
                ),
            ));
        }
        state.last_number += 1;
        let number = state.last_number;
        state.queue.push_back(Queued {
            number,
            is_nested,
            visit,
        });
        pool.arrived.store(number, Ordering::Relaxed);
        if has_idle {
            // Who is awake looks into the queue once more before it sleeps.
            let has_awake = (state.awake + state.telling) as usize >= state.queue.len();
            drop(state);
            if !has_awake {
                pool.wake.notify_one();
            }
            return Ok(RunId(number));
        }
        if !may_grow {
            return Ok(RunId(number));
        }
        state.threads += 1;
        drop(state);
        match grow(pool) {
            // The caller's own thread is one that the visit must not be left to. It may borrow from the
            // caller, who goes on after this.
            Err(error) if is_nested && pool.take_out(number, |_| true) => Err(error),
            // Otherwise a thread has it, or it was refused.
            _ => Ok(RunId(number)),
        }
    }

    /// Takes a started job out of the queue: neither it nor its `done` is called. False when a thread
    /// has it or had it, or it was refused.
    pub(crate) fn take_back(&self, run: RunId) -> bool {
        let is_started = |visit: &Visit| matches!(visit.done, Done::Callback { .. });
        self.0.take_out(run.0, is_started)
    }

    /// Whether the caller is a job, or a `done`, of this pool.
    pub(crate) fn has_caller(&self) -> bool {
        INSIDE.get() == Arc::as_ptr(&self.0)
    }

    /// Refuses new visits and lets the threads end, each after what it is doing. Queued visits are
    /// answered with CLOSED.
    pub(crate) fn close(&self) {
        let queued = {
            let mut state = lock(&self.0.state);
            state.closed = true;
            self.0.wake.notify_all();
            std::mem::take(&mut state.queue)
        };
        for queued in queued {
            refuse(queued.visit, Error::closed("the gate is closed"));
        }
    }
}

fn refuse(visit: Visit, error: Error) {
    let Visit {
        enter, job, done, ..
    } = visit;
    // Both may borrow from a caller that goes on once `done` was called, whatever they panic with.
    let first = move || drop(drop_caught((enter, job)));
    done.tell_outside(Box::new(first), Err(error));
}

/// Makes the thread that the caller has counted. Where none can be made and none exists, whoever
/// waits is told why.
fn grow(pool: &Arc<Pool>) -> Result<()> {
    let body = {
        let pool = pool.clone();
        Box::new(move || serve(&pool))
    };
    let made = pool.supervisor.spawn("nsgate-visit", body);
    if let Err(error) = &made {
        retire(pool, error, false);
    }
    made
}

impl Pool {
    /// Drops a visit that still waits, if it is one of `these`. Tells whether it was there.
    fn take_out(&self, number: u64, these: impl FnOnce(&Visit) -> bool) -> bool {
        let mut state = lock(&self.state);
        let found = state
            .queue
            .binary_search_by_key(&number, |queued| queued.number);
        let taken = match found {
            Ok(place) if these(&state.queue[place].visit) => state.queue.remove(place),
            _ => None,
        };
        drop(state);
        let was_there = taken.is_some();
        // Foreign code; its panic has been reported by the panic hook.
        let _ = drop_caught(taken);
        was_there
    }
}

/// One thread less, because of an error; `was_made`: one that a visit may count on.
fn retire(pool: &Pool, error: &Error, was_made: bool) {
    let stranded = {
        let mut state = lock(&pool.state);
        state.threads -= 1;
        match state.threads {
            0 => std::mem::take(&mut state.queue),
            _ if was_made => state.last_nested().into_iter().collect(),
            _ => return,
        }
    };
    for queued in stranded {
        refuse(queued.visit, error.clone());
    }
}

impl State {
    /// Takes out the last nested visit that no idle thread comes for: it would be left to the thread
    /// of its own caller.
    fn last_nested(&mut self) -> Option<Queued> {
        let place = self.queue.iter().rposition(|queued| queued.is_nested)?;
        (place >= self.idle as usize)
            .then(|| self.queue.remove(place))
            .flatten()
    }
}
