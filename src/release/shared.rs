//! The state behind its mutex, and who waits for what.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ending::unknown_ticket;
use super::lane::LaneState;
use super::outcome::{Event, Ticket};
use super::progress::Work;
use super::resource::Lane;
use super::state::{Notice, State, Wakes};
use super::workforce::Chores;
use crate::error::{Error, Result, Status};
use crate::kernel::dissolve::{DetachedTree, Dissolver};
use crate::kernel::event_fd::EventFd;
use crate::kernel::process;
use crate::sync::{Condvar, Mutex, MutexGuard, lock};

pub(crate) struct Shared {
    state: Mutex<State>,
    workers: [Condvar; 2],
    timer: Condvar,
    notifier: Condvar,
    waiters: Condvar,
    watchers: Condvar,
    pub(crate) event_fd: EventFd,
    dissolver: Option<Arc<Dissolver>>,
}

/// What a worker hears when it comes for work.
pub(crate) enum Next {
    Work(Work),
    /// End this thread.
    Retire,
}

impl Shared {
    /// A worker of the blocking lane without work for this long ends.
    const IDLE: Duration = Duration::from_secs(10);

    pub(crate) fn new(
        mut state: State,
        event_fd: EventFd,
        dissolver: Option<Arc<Dissolver>>,
    ) -> Shared {
        state.dissolves = dissolver.is_some();
        Shared {
            dissolver,
            state: Mutex::new(state),
            workers: [Condvar::new(), Condvar::new()],
            timer: Condvar::new(),
            notifier: Condvar::new(),
            waiters: Condvar::new(),
            watchers: Condvar::new(),
            event_fd,
        }
    }

    /// Ends detached trees together; what fails is left to their own releases.
    pub(crate) fn dissolve(&self, trees: &[Arc<DetachedTree>]) {
        if let Some(dissolver) = &self.dissolver {
            let _ = dissolver.dissolve(trees);
        }
    }

    /// Changes the state, then wakes whom the change concerns.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        if wakes != Wakes::default() {
            self.wake(&wakes);
        }
        result
    }

    /// Changes the state and leaves it to the next [`Shared::with`] to wake anybody.
    pub(crate) fn with_quietly<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut lock(&self.state))
    }

    fn wake(&self, wakes: &Wakes) {
        for (workers, count) in self.workers.iter().zip(wakes.workers) {
            for _ in 0..count {
                workers.notify_one();
            }
        }
        if wakes.timer {
            self.timer.notify_one();
        }
        if wakes.notifier {
            self.notifier.notify_one();
        }
        if wakes.waiters {
            self.waiters.notify_all();
        }
        if wakes.watchers {
            self.watchers.notify_all();
        }
        if wakes.event_fd {
            self.event_fd.signal();
        }
    }

    /// Wakes before the lock is given up in a wait: what was changed on the way there must not
    /// sleep along.
    fn wake_under_lock(&self, state: &mut MutexGuard<'_, State>) {
        let wakes = std::mem::take(&mut state.wakes);
        self.wake(&wakes);
    }

    /// Waits until a worker has something to do.
    pub(crate) fn next_work(&self, lane: Lane, worker: usize) -> Next {
        // Not under the lock, which the submitters wait for.
        let mut now = Instant::now();
        let mut state = lock(&self.state);
        let mut idle = false;
        let mut gave_way = None;
        let next = loop {
            if state.is_surplus(lane) || state.is_over() {
                break Next::Retire;
            }
            if let Some(work) = state.take(lane, worker, now) {
                break Next::Work(work);
            }
            if idle && lane == Lane::Blocking {
                break Next::Retire;
            }
            let wakes = std::mem::take(&mut state.wakes);
            if gave_way.is_none() || wakes != Wakes::default() {
                // Not under the lock, which whoever is woken wants. There may be work by then.
                drop(state);
                self.wake(&wakes);
                // A worker that preempts the submitter who wakes it works in the submitter's time.
                gave_way.get_or_insert_with(process::give_way);
                state = lock(&self.state);
                continue;
            }
            state.lanes[lane as usize].fall_asleep();
            (state, idle) = self.wait(
                &self.workers[lane as usize],
                state,
                match lane {
                    Lane::Native => None,
                    Lane::Blocking => Some(Shared::IDLE),
                },
            );
            LaneState::wake_up(&mut state.lanes[lane as usize]);
            now = Instant::now();
        };
        if matches!(next, Next::Retire) {
            // Whatever this one was woken for is left to another.
            if state.waiting(lane) > 0 {
                state.call_worker(lane, now);
            }
            state.dismiss(worker);
        }
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        self.wake(&wakes);
        if gave_way == Some(true) {
            // The kernel wakes it, too, when it is at work.
            process::stand_firm();
        }
        next
    }

    /// Waits until there is something for the timer to do; `None` ends its thread.
    pub(crate) fn next_chores(&self) -> Option<Chores> {
        let mut state = lock(&self.state);
        loop {
            state.workforce.timer_is_awake();
            let now = Instant::now();
            let chores = state.tick(now);
            self.wake_under_lock(&mut state);
            if !chores.is_empty() {
                return Some(chores);
            }
            if state.is_over() {
                state.thread_ended();
                self.wake_under_lock(&mut state);
                return None;
            }
            let until = state.next_tick(now);
            state.workforce.timer_sleeps(until);
            let pause = until.map(|until| until.saturating_duration_since(now));
            (state, _) = self.wait(&self.timer, state, pause);
        }
    }

    /// Waits until there is an outcome for the callbacks; `None` ends the notify thread.
    pub(crate) fn next_notice(&self) -> Option<Notice> {
        let mut state = lock(&self.state);
        loop {
            if let Some(notice) = state.notices.pop_front() {
                state.notifier_busy = true;
                return Some(notice);
            }
            state.notifier_busy = false;
            state.wakes.watchers |= !state.watchers.is_empty();
            if state.is_over() {
                state.thread_ended();
                self.wake_under_lock(&mut state);
                return None;
            }
            self.wake_under_lock(&mut state);
            state.notifier_asleep = true;
            (state, _) = self.wait(&self.notifier, state, None);
            state.notifier_asleep = false;
        }
    }

    /// Waits for the end of one release.
    pub(crate) fn wait_for(
        &self,
        ticket: Ticket,
        deadline: Option<Instant>,
        may_wait: bool,
    ) -> Result<Event> {
        let mut state = lock(&self.state);
        let index = state.slots.find(ticket).ok_or_else(unknown_ticket)?;
        let mut waits = false;
        let result = loop {
            if let Some(event) = state.slots.end_of(ticket) {
                break Ok(event);
            }
            if !state.slots.is_pending(ticket) {
                break Err(unknown_ticket());
            }
            if !may_wait {
                break Err(would_deadlock());
            }
            let pause = match remaining(deadline) {
                Ok(pause) => pause,
                Err(late) => break Err(late),
            };
            if !waits {
                waits = state.slots.start_waiting(ticket);
            }
            (state, _) = self.wait(&self.waiters, state, pause);
        };
        if waits {
            state.slots.stop_waiting(index);
        }
        result
    }

    /// Waits for the end of everything submitted up to now, or to ever when `serial` is `MAX`; of the
    /// releases that are `held_up` until the caller returns none may be among that.
    pub(crate) fn wait_past(
        &self,
        serial: Option<u64>,
        deadline: Option<Instant>,
        held_up: &[Ticket],
    ) -> Result<()> {
        let mut serial = serial;
        self.watch(deadline, |state| {
            let serial = *serial.get_or_insert(state.serial);
            if held_up
                .iter()
                .any(|ticket| state.is_asked_for(*ticket, serial))
            {
                return Err(would_deadlock());
            }
            Ok((state.is_past(serial), serial))
        })
    }

    /// Waits until every outcome was handed to the callbacks and, if nothing is reserved any more,
    /// until the queue's threads have ended.
    pub(crate) fn wait_for_threads(&self, deadline: Instant) -> Result<()> {
        self.watch(Some(deadline), |state| {
            let told = state.notices.is_empty() && !state.notifier_busy;
            let ended = state.workforce.threads == 0 || state.slots.live() > 0;
            Ok((told && ended, u64::MAX))
        })
    }

    /// Waits until `done` says so; its second value is the number of submissions that it is about.
    fn watch(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut(&State) -> Result<(bool, u64)>,
    ) -> Result<()> {
        let mut state = lock(&self.state);
        loop {
            let (is_done, serial) = done(&state)?;
            if is_done {
                return Ok(());
            }
            let pause = remaining(deadline)?;
            state.watchers.push(serial);
            (state, _) = self.wait(&self.watchers, state, pause);
            if let Some(own) = state.watchers.iter().position(|other| *other == serial) {
                state.watchers.swap_remove(own);
            }
        }
    }

    /// Waits on a condition variable; `true`: for longer than `pause`.
    fn wait<'a>(
        &self,
        condition: &Condvar,
        state: MutexGuard<'a, State>,
        pause: Option<Duration>,
    ) -> (MutexGuard<'a, State>, bool) {
        match pause {
            None => {
                let state = condition.wait(state);
                (
                    state.unwrap_or_else(|poisoned| poisoned.into_inner()),
                    false,
                )
            }
            Some(pause) => {
                let result = condition.wait_timeout(state, pause);
                let (state, elapsed) = result.unwrap_or_else(|poisoned| poisoned.into_inner());
                (state, elapsed.timed_out())
            }
        }
    }
}

pub(crate) fn would_deadlock() -> Error {
    Error::new(
        Status::WouldDeadlock,
        "the release queue, or the release, waits for the code that would wait for it",
    )
}

fn remaining(deadline: Option<Instant>) -> Result<Option<Duration>> {
    let Some(deadline) = deadline else {
        return Ok(None);
    };
    let pause = deadline.saturating_duration_since(Instant::now());
    if pause.is_zero() {
        return Err(Error::new(Status::TimedOut, "the deadline passed"));
    }
    Ok(Some(pause))
}
