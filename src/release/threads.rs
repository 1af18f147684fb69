//! The queue's threads: who they are, how they start, what they do between their waits.

use std::cell::Cell;
use std::time::Instant;

use super::inside::work_for;
use super::outcome::Event;
use super::resource::{Callbacks, Lane};
use super::shared::Shared;
use super::state::{Notice, Remains};
use super::worker::work;
use crate::error::Result;
use crate::foreign;
use crate::gate::supervisor::{Supervisor, insist};
use crate::kernel::hung;
use crate::kernel::process::ProcRoot;
use crate::panic::{caught, drop_caught};
use crate::subscriber::{Calls, SubscriberList};
use crate::sync::Arc;
use crate::trace;

/// Who is told of the end of every release.
pub(super) type Subscribers = SubscriberList<dyn Fn(&Event) + Send + Sync>;

thread_local! {
    /// The submits that this thread is in the middle of.
    static TOGETHER: Cell<Option<Together>> = const { Cell::new(None) };
}

/// Many submits to one queue, which share one wake and one look at the clock.
#[derive(Clone, Copy)]
struct Together {
    queue: *const Shared,
    began: Instant,
}

/// When the submits began that the calling thread is in the middle of, if it is.
pub(super) fn together_since(shared: &Arc<Shared>) -> Option<Instant> {
    let together = TOGETHER.get()?;
    (together.queue == Arc::as_ptr(shared)).then_some(together.began)
}

/// Runs `submits` without waking anybody for each of them, and wakes at its end.
pub(super) fn together<R>(shared: &Arc<Shared>, submits: impl FnOnce() -> R) -> R {
    struct End<'a>(&'a Arc<Shared>, Option<Together>);

    impl Drop for End<'_> {
        fn drop(&mut self) {
            TOGETHER.set(self.1);
            self.0.with(|_| ());
        }
    }

    let together = Together {
        queue: Arc::as_ptr(shared),
        began: Instant::now(),
    };
    let _end = End(shared, TOGETHER.replace(Some(together)));
    submits()
}

/// Starts the threads that a queue always has. Those that a failure leaves behind end when the
/// queue's handle is dropped.
pub(super) fn start(
    shared: &Arc<Shared>,
    subscribers: &Arc<Subscribers>,
    proc: &Arc<ProcRoot>,
    supervisor: &Supervisor,
) -> Result<()> {
    if let Some(worker) = shared.with(|state| state.hire(Lane::Native)) {
        start_worker(shared, supervisor, worker, Lane::Native)?;
    }
    let time = {
        let (shared, proc, supervisor) = (shared.clone(), proc.clone(), supervisor.clone());
        move || time(&shared, &proc, &supervisor)
    };
    start_notifier(shared, subscribers, supervisor)?;
    start_thread(shared, supervisor, "nsgate-timer", time)
}

fn start_notifier(
    shared: &Arc<Shared>,
    subscribers: &Arc<Subscribers>,
    supervisor: &Supervisor,
) -> Result<()> {
    let (queue, subscribers, own) = (shared.clone(), subscribers.clone(), supervisor.clone());
    let body = move || notify(&queue, &subscribers, &own);
    start_thread(shared, supervisor, "nsgate-notify", body)
}

fn start_thread(
    shared: &Arc<Shared>,
    supervisor: &Supervisor,
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> Result<()> {
    shared.with(|state| state.workforce.threads += 1);
    let inside = shared.clone();
    let body = move || {
        work_for(&inside);
        body();
    };
    let started = supervisor.spawn(name, Box::new(body));
    if started.is_err() {
        shared.with(|state| state.thread_ended());
    }
    started
}

fn start_worker(
    shared: &Arc<Shared>,
    supervisor: &Supervisor,
    worker: usize,
    lane: Lane,
) -> Result<()> {
    let name = match lane {
        Lane::Native => "nsgate-native",
        Lane::Blocking => "nsgate-blocking",
    };
    let inside = shared.clone();
    let body = move || {
        work_for(&inside);
        employ(&inside, worker, || work(&inside, lane, worker));
    };
    let started = supervisor.spawn(name, Box::new(body));
    if started.is_err() {
        shared.with(|state| state.hire_failed(worker, Instant::now()));
    }
    started
}

/// Has a worker work. One that unwinds, by a fault of ours that the panic hook has reported, is one
/// less, not one that is at it for ever.
pub(super) fn employ(shared: &Shared, worker: usize, work: impl FnOnce()) {
    if caught(work).is_err() {
        let reclaim = shared.with(|state| state.unwound(worker, Instant::now()));
        let _ = drop_caught(reclaim);
    }
}

/// The timer: repeats what is due, finds stuck workers, starts workers.
fn time(shared: &Arc<Shared>, proc: &ProcRoot, supervisor: &Supervisor) {
    while let Some(chores) = shared.next_chores() {
        for (worker, lane) in chores.hire {
            // Without a thread to be had, the timer tries again after a pause.
            let _ = start_worker(shared, supervisor, worker, lane);
        }
        for (worker, thread) in chores.inspect {
            let detail = hung::describe(proc, thread);
            let stuck =
                shared.with(|state| state.describe_stuck(worker, thread, &detail, Instant::now()));
            if let Some(stuck) = stuck {
                trace::stuck(&stuck);
            }
        }
    }
}

/// The notify thread: hands outcomes to hooks and subscribers.
fn notify(shared: &Arc<Shared>, subscribers: &Arc<Subscribers>, supervisor: &Supervisor) {
    while let Some(notice) = shared.next_notice() {
        tell(shared, subscribers, notice);
        if foreign::has_lost_thread() {
            insist(|| start_notifier(shared, subscribers, supervisor));
            return shared.with(|state| state.thread_ended());
        }
    }
}

fn tell(shared: &Shared, subscribers: &Subscribers, Notice { event, hook }: Notice) {
    let budget = shared.with_quietly(|state| state.options.callback_budget);
    let mut calls = Calls::default();
    let count = |calls: Calls| {
        if calls.slow + calls.panics > 0 {
            shared.with(|state| {
                state.totals.slow_callbacks += calls.slow;
                state.totals.subscriber_panics += calls.panics;
            });
        }
    };
    if let Some(hook) = hook {
        let began = Instant::now();
        let ended = foreign::run(|| caught(|| hook.ended(&event))).and_then(|answer| answer);
        calls.panics += u64::from(ended.is_err());
        calls.slow += u64::from(began.elapsed() > budget);
        if foreign::has_lost_thread() {
            // The rest of it is for the next thread.
            let callbacks = Callbacks {
                hook: Some(hook),
                ..Callbacks::default()
            };
            shared.with(|state| {
                state.notices.push_front(Notice { event, hook: None });
                state.bury(Remains::of_lost_thread(callbacks), Instant::now());
            });
            return count(calls);
        }
        let _ = foreign::run(|| drop_caught(hook));
    }
    let what = trace::Callback::of_queue("on_release").of_release(event.ticket);
    // Whom a lost thread does not call any more has the error recorded.
    let told = subscribers.dispatch(what, |callback| foreign::run(|| callback(&event)));
    calls.slow += told.slow;
    calls.panics += told.panics;
    count(calls);
}
