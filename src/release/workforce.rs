//! The queue's threads: what each worker is at, when the timer has to look, how many there are.

use std::sync::Arc as Label;
use std::time::{Duration, Instant};

use super::lane::Call;
use super::outcome::{Kind, Ticket};
use super::resource::{Lane, Reclaim};
use super::slot::Phase;
use super::state::{State, Wakes};
use crate::error::{Error, Status};

/// What a worker is at.
pub(crate) struct Running {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) kind: Kind,
    pub(crate) label: Label<str>,
    pub(crate) since: Instant,
    pub(crate) stuck: bool,
    /// What the thread hangs in, once somebody has looked.
    pub(crate) detail: Option<Label<str>>,
}

pub(crate) struct Worker {
    pub(crate) lane: Lane,
    /// Its thread's id; 0 until it runs.
    pub(crate) thread: i32,
    pub(crate) running: Option<Running>,
}

/// Work for the timer that can't be done under the lock.
#[derive(Default)]
pub(crate) struct Chores {
    /// Workers that have just become stuck, with their threads.
    pub(crate) inspect: Vec<(usize, i32)>,
    /// Workers to start.
    pub(crate) hire: Vec<(usize, Lane)>,
}

impl Chores {
    pub(crate) fn is_empty(&self) -> bool {
        self.inspect.is_empty() && self.hire.is_empty()
    }
}

pub(crate) struct Workforce {
    pub(crate) workers: Vec<Option<Worker>>,
    /// Threads of the queue: workers, timer, notifier.
    pub(crate) threads: u32,
    /// The timer sleeps, until then at most.
    timer_asleep: Option<Option<Instant>>,
    /// Something began since the timer last looked. It then looks again after one budget even when
    /// nothing is running: otherwise every short job on a quiet queue would have to wake it.
    began: bool,
    /// No thread could be started: not before then again.
    hire_again: Option<Instant>,
}

impl Workforce {
    pub(crate) fn new(most: usize) -> Workforce {
        Workforce {
            workers: (0..most).map(|_| None).collect(),
            threads: 0,
            timer_asleep: None,
            began: false,
            hire_again: None,
        }
    }

    /// Makes sure that the timer looks again at `when`.
    pub(crate) fn need_timer(&mut self, when: Instant, wakes: &mut Wakes) {
        if let Some(until) = self.timer_asleep
            && until.is_none_or(|until| until > when)
        {
            self.wake_timer(wakes);
        }
    }

    pub(crate) fn wake_timer(&mut self, wakes: &mut Wakes) {
        self.timer_asleep = None;
        wakes.timer = true;
    }

    pub(crate) fn timer_sleeps(&mut self, until: Option<Instant>) {
        self.timer_asleep = Some(until);
    }

    pub(crate) fn timer_is_awake(&mut self) {
        self.timer_asleep = None;
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = (&Worker, &Running)> {
        let workers = self.workers.iter().flatten();
        workers.filter_map(|worker| Some((worker, worker.running.as_ref()?)))
    }
}

impl State {
    /// How long the timer waits before it tries again to start a thread.
    const HIRE_PAUSE: Duration = Duration::from_millis(20);

    /// Something is in the lane's queue: somebody has to come for it.
    pub(crate) fn call_worker(&mut self, lane: Lane, now: Instant) {
        match self.lanes[lane as usize].call() {
            Call::Nothing => {}
            Call::Wake => self.wakes.workers[lane as usize] += 1,
            Call::Hire => self.workforce.need_timer(now, &mut self.wakes),
        }
    }

    /// How many things wait for a worker of the lane.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        let remains = match lane {
            Lane::Native => 0,
            Lane::Blocking => self.remains.len(),
        };
        self.lanes[lane as usize].queue.len() + remains
    }

    /// Counts in a worker that is about to be started; `None` when there are enough.
    pub(crate) fn hire(&mut self, lane: Lane) -> Option<usize> {
        let replacements: u32 = self.lanes.iter().map(|lane| lane.replacements()).sum();
        let state = &mut self.lanes[lane as usize];
        if state.able() >= state.target
            || (state.alive >= state.target && replacements >= self.options.replacement_workers)
        {
            return None;
        }
        let free = self.workforce.workers.iter().position(Option::is_none)?;
        self.workforce.workers[free] = Some(Worker {
            lane,
            thread: 0,
            running: None,
        });
        self.workforce.threads += 1;
        state.alive += 1;
        state.starting += 1;
        Some(free)
    }

    /// The worker could not be started.
    pub(crate) fn hire_failed(&mut self, worker: usize, now: Instant) {
        self.workforce.hire_again = Some(now + State::HIRE_PAUSE);
        if let Some(worker) = &self.workforce.workers[worker] {
            self.lanes[worker.lane as usize].starting -= 1;
        }
        self.dismiss(worker);
    }

    /// The worker's thread runs.
    pub(crate) fn clock_in(&mut self, worker: usize, thread: i32) {
        if let Some(worker) = &mut self.workforce.workers[worker] {
            worker.thread = thread;
            self.lanes[worker.lane as usize].starting -= 1;
        }
    }

    /// The worker's thread ends.
    pub(crate) fn dismiss(&mut self, worker: usize) {
        if let Some(worker) = self.workforce.workers[worker].take() {
            self.lanes[worker.lane as usize].alive -= 1;
            self.thread_ended();
        }
    }

    /// The worker's thread unwound. What it was at has failed; another may take its place, after a
    /// pause, as it may fare no better. What comes back has to be dropped.
    pub(crate) fn unwound(&mut self, worker: usize, now: Instant) -> Option<Reclaim> {
        let employed = self.workforce.workers[worker].as_ref();
        let running = employed.and_then(|worker| worker.running.as_ref());
        let ticket = running.and_then(|running| running.ticket);
        let reclaim = match ticket.and_then(|ticket| self.slots.at_work(ticket)) {
            Some(index) => {
                let resource = self.slots[index].resource.take();
                let error = Error::new(Status::Panic, "the worker panicked");
                self.settle_failed(index, worker, resource, error, now)
            }
            None => {
                self.end(worker);
                None
            }
        };
        self.workforce.hire_again = Some(now + State::HIRE_PAUSE);
        self.dismiss(worker);
        self.workforce.wake_timer(&mut self.wakes);
        self.look_for_the_end();
        reclaim
    }

    /// The worker's thread has to end, wherever foreign code has left it; another takes its place.
    pub(crate) fn lose(&mut self, worker: usize) {
        self.dismiss(worker);
        self.workforce.wake_timer(&mut self.wakes);
        self.look_for_the_end();
    }

    pub(crate) fn thread_ended(&mut self) {
        self.workforce.threads -= 1;
        self.wakes.watchers |= !self.watchers.is_empty();
    }

    /// A worker begins.
    pub(crate) fn begin(&mut self, worker: usize, lane: Lane, running: Running) {
        // A budget that the clock can't count is never over.
        let due = running.since.checked_add(self.options.budget(lane));
        if let Some(worker) = &mut self.workforce.workers[worker] {
            worker.running = Some(running);
        }
        self.workforce.began = true;
        if let Some(due) = due {
            self.workforce.need_timer(due, &mut self.wakes);
        }
    }

    /// A worker is done, in time or not.
    pub(crate) fn end(&mut self, worker: usize) {
        if let Some(worker) = &mut self.workforce.workers[worker]
            && let Some(running) = worker.running.take()
            && running.stuck
        {
            self.lanes[worker.lane as usize].stuck -= 1;
        }
    }

    /// Whether a worker that comes for work is one too many: the one it replaced came back.
    pub(crate) fn is_surplus(&self, lane: Lane) -> bool {
        let lane = &self.lanes[lane as usize];
        lane.able() > lane.target
    }

    /// The timer's look: queues what is due, marks the stuck, says who has to be hired.
    pub(crate) fn tick(&mut self, now: Instant) -> Chores {
        while let Some(std::cmp::Reverse((due, index, generation))) = self.retries.peek() {
            if *due > now {
                break;
            }
            let (index, generation) = (*index, *generation);
            self.retries.pop();
            let slot = &self.slots[index];
            if slot.generation == generation && slot.phase == Phase::Waiting {
                self.enqueue(index, now);
            }
        }
        let mut chores = Chores::default();
        for (index, worker) in self.workforce.workers.iter_mut().enumerate() {
            let Some(worker) = worker else { continue };
            let budget = self.options.budget(worker.lane);
            if let Some(running) = &mut worker.running
                && !running.stuck
                && now.saturating_duration_since(running.since) >= budget
            {
                running.stuck = true;
                self.lanes[worker.lane as usize].stuck += 1;
                chores.inspect.push((index, worker.thread));
            }
        }
        if self.workforce.hire_again.is_some_and(|again| again > now) {
            return chores;
        }
        self.workforce.hire_again = None;
        for lane in [Lane::Native, Lane::Blocking] {
            let mut waiting = self.waiting(lane);
            if lane == Lane::Native && !self.is_over() {
                // The native lane always has a worker that is ready.
                waiting = waiting.max(1);
            }
            while self.lanes[lane as usize].is_short_of_workers(waiting) {
                let Some(worker) = self.hire(lane) else { break };
                chores.hire.push((worker, lane));
            }
        }
        chores
    }

    /// When the timer has to look next if nothing happens; `None`: not at all.
    pub(crate) fn next_tick(&mut self, now: Instant) -> Option<Instant> {
        let shortest = self.options.native_budget.min(self.options.blocking_budget);
        let lookout = std::mem::take(&mut self.workforce.began)
            .then(|| now.checked_add(shortest))
            .flatten();
        let retry = self.retries.peek().map(|retry| retry.0.0);
        let budget = self
            .workforce
            .running()
            .filter(|(_, running)| !running.stuck)
            .filter_map(|(worker, running)| {
                running.since.checked_add(self.options.budget(worker.lane))
            })
            .min();
        [lookout, retry, budget, self.workforce.hire_again]
            .into_iter()
            .flatten()
            .min()
    }
}
