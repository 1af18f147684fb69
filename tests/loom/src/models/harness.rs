//! A queue without threads, threads for it, and resources that say what happens to them.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use loom::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::gate::GateOptions;
use crate::kernel::event_fd::EventFd;
use crate::release::resource::Callbacks;
use crate::release::retry::RetryOptions;
use crate::release::shared::Shared;
use crate::release::state::State;
use crate::release::workforce::Chores;
use crate::release::{Event, Kind, Lane, Proof, Resource, Ticket, worker};
use crate::sync::{Arc, Condvar, Mutex, Time, let_time, lock};

/// Checks a model with as many preemptions of running threads as are said.
pub(super) fn check(preemptions: usize, time: Time, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        let_time(time);
        model();
    });
}

#[derive(Clone)]
pub(super) struct Queue(pub(super) Arc<Shared>);

impl Queue {
    pub(super) fn new(change: impl FnOnce(&mut GateOptions)) -> Queue {
        let hour = Duration::from_secs(3600);
        let mut options = GateOptions {
            capacity: 4,
            event_capacity: 4,
            blocking_workers: 1,
            replacement_workers: 1,
            native_budget: hour,
            blocking_budget: hour,
            callback_budget: hour,
            retry: RetryOptions {
                first_pause: Duration::ZERO,
                longest_pause: Duration::ZERO,
                attempts: 3,
                age: hour,
            },
            ..GateOptions::default()
        };
        change(&mut options);
        let state = State::new(options, 1);
        Queue(Arc::new(Shared::new(state, EventFd::new(), None)))
    }

    /// Starts a worker of the lane.
    pub(super) fn worker(&self, lane: Lane) -> JoinHandle<()> {
        let worker = self.0.with(|state| state.hire(lane)).expect("a place");
        self.hired(worker, lane)
    }

    /// Starts the worker that was hired.
    pub(super) fn hired(&self, worker: usize, lane: Lane) -> JoinHandle<()> {
        let queue = self.clone();
        loom::thread::spawn(move || worker::work(&queue.0, lane, worker))
    }

    /// Starts the timer, which hires workers by itself.
    pub(super) fn timer(&self) -> JoinHandle<Vec<JoinHandle<()>>> {
        self.0.with(|state| state.workforce.threads += 1);
        let queue = self.clone();
        loom::thread::spawn(move || {
            let mut workers = Vec::new();
            while let Some(chores) = queue.0.next_chores() {
                workers.extend(queue.attend(chores));
            }
            workers
        })
    }

    pub(super) fn attend(&self, chores: Chores) -> Vec<JoinHandle<()>> {
        for (worker, thread) in chores.inspect {
            self.0
                .with(|state| state.describe_stuck(worker, thread, "stuck", Instant::now()));
        }
        let hire = chores.hire.into_iter();
        hire.map(|(worker, lane)| self.hired(worker, lane))
            .collect()
    }

    pub(super) fn reserve(&self) -> Result<(u32, Ticket)> {
        self.0
            .with(|state| state.reserve(Kind::Job, "model".into()))
    }

    pub(super) fn submit_to(&self, index: u32, lane: Lane, resource: Box<dyn Resource>) -> Ticket {
        self.0.with(|state| {
            state.submit(
                index,
                lane,
                resource,
                &mut Callbacks::default(),
                Instant::now(),
            )
        })
    }

    pub(super) fn submit(&self, lane: Lane, resource: Box<dyn Resource>) -> Ticket {
        let (index, ticket) = self.reserve().expect("a place");
        assert_eq!(self.submit_to(index, lane, resource), ticket);
        ticket
    }

    pub(super) fn wait(&self, ticket: Ticket) -> Event {
        self.0.wait_for(ticket, None, true).expect("an end")
    }

    pub(super) fn drain(&self) {
        self.0
            .wait_past(Some(u64::MAX), None, &[])
            .expect("no deadline");
    }

    pub(super) fn seal(&self) {
        self.0.with(|state| state.seal(Instant::now()));
    }

    /// Nothing is left, and the numbers agree.
    pub(super) fn is_empty_after(&self, submitted: u64) {
        self.0.with(|state| {
            let stats = state.stats(Instant::now());
            let ended = stats.released + stats.failed + stats.cancelled + stats.abandoned;
            assert_eq!((stats.adds, ended), (submitted, submitted));
            assert_eq!((stats.depth, stats.in_flight, stats.reserved), (0, 0, 0));
            assert_eq!((stats.workers, stats.stuck), (0, 0));
            assert_eq!(state.workforce.threads, 0);
            // Every place is free, once.
            assert_eq!(state.slots.free.len(), state.slots.as_slice().len());
            assert!(state.is_over());
        });
    }
}

/// What happened to a resource. Not for synchronisation: loom does not see it.
#[derive(Default)]
pub(super) struct Record {
    pub(super) attempts: AtomicU32,
    pub(super) drops: AtomicU32,
}

impl Record {
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::SeqCst)
    }

    pub(super) fn drops(&self) -> u32 {
        self.drops.load(Ordering::SeqCst)
    }
}

/// Fails with EBUSY so many times, then succeeds; first waits for its door if it has one.
pub(super) struct Scripted {
    pub(super) record: StdArc<Record>,
    failures: u32,
    door: Option<Arc<Door>>,
    /// Written by who makes it, read by who releases it: loom finds a hand-over without order.
    cell: loom::cell::UnsafeCell<u32>,
}

// SAFETY: the cell is for one thread at a time, which is what the models check.
unsafe impl Send for Scripted {}

impl Resource for Scripted {
    fn release(&mut self) -> Result<Proof> {
        // SAFETY: loom checks this access against every other.
        self.cell.with_mut(|value| unsafe { *value += 1 });
        let attempt = self.record.attempts.fetch_add(1, Ordering::SeqCst);
        if let Some(door) = &self.door {
            door.pass();
        }
        if attempt < self.failures {
            return Err(Error::os("release()", libc::EBUSY));
        }
        Ok(Proof::Verified)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.cell.with_mut(|_| ());
        self.record.drops.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) fn scripted(failures: u32, door: Option<Arc<Door>>) -> (Box<Scripted>, StdArc<Record>) {
    let record = StdArc::new(Record::default());
    let resource = Scripted {
        record: record.clone(),
        failures,
        door,
        cell: loom::cell::UnsafeCell::new(0),
    };
    (Box::new(resource), record)
}

/// Something to hang in: says when somebody has come, and lets through once it is open.
pub(super) struct Door {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Door {
    pub(super) fn new() -> Arc<Door> {
        Arc::new(Door {
            state: Mutex::new((false, false)),
            changed: Condvar::new(),
        })
    }

    fn pass(&self) {
        let mut state = lock(&self.state);
        state.0 = true;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap();
        }
    }

    pub(super) fn wait_for_somebody(&self) {
        let mut state = lock(&self.state);
        while !state.0 {
            state = self.changed.wait(state).unwrap();
        }
    }

    pub(super) fn open(&self) {
        lock(&self.state).1 = true;
        self.changed.notify_all();
    }
}
