//! Carries out the operations on a real gate and compares.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nsgate::{Error, Event, Gate, GateOptions, Job, Outcome, Result, Status, Ticket};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::reference::{Reference, Stage};
use super::{Attempt, Operation, Setting};
use crate::host::soon;

/// A wait that may well end in vain.
const SHORT: Duration = Duration::from_millis(2);

/// Doors that a job holds at: each that is opened lets it through once.
#[derive(Default)]
struct Doors {
    open: Mutex<usize>,
    changed: Condvar,
}

impl Doors {
    fn open(&self, count: usize) {
        let mut open = self.open.lock().unwrap();
        *open = open.saturating_add(count);
        self.changed.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap();
        let mut open = self.changed.wait_while(open, |open| *open == 0).unwrap();
        *open -= 1;
    }
}

/// Says that the job is gone.
struct Dropped {
    dropped: Arc<AtomicUsize>,
    running: Arc<AtomicBool>,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        // A payload that no test expects fails it, even when it is caught.
        assert!(!self.running.load(Ordering::SeqCst), "dropped while it ran");
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

struct Subject {
    reference: Reference,
    job: Option<Job>,
    ticket: Option<Ticket>,
    /// Its present ticket came of a retry: the job's handle knows nothing of it.
    retried: bool,
    doors: Arc<Doors>,
    dropped: Arc<AtomicUsize>,
    ran: Arc<AtomicUsize>,
}

struct Driver<'a> {
    setting: &'a Setting,
    gate: Gate,
    jobs: Vec<Subject>,
    /// Every end that a wait or the close told.
    ends: HashMap<Ticket, Event>,
    /// Every end that the event ring gave.
    read: Vec<Event>,
    heard: Arc<Mutex<Vec<Event>>>,
    submits: u64,
}

pub(super) fn run(setting: &Setting, operations: &[Operation]) -> Result<(), TestCaseError> {
    let mut driver = Driver::new(setting);
    // Whatever comes of it, nothing may hang in a door afterwards.
    let result = operations
        .iter()
        .try_for_each(|operation| driver.step(operation))
        .and_then(|()| driver.finish());
    for job in &driver.jobs {
        job.doors.open(usize::MAX);
    }
    let report = driver.gate.close(soon()).unwrap();
    result?;
    prop_assert_eq!(report.remaining, 0);
    driver.after_close()
}

impl<'a> Driver<'a> {
    fn new(setting: &'a Setting) -> Driver<'a> {
        let mut options = GateOptions::default();
        options.capacity = setting.capacity;
        options.blocking_workers = setting.workers;
        options.replacement_workers = 64;
        options.blocking_budget = match setting.short_budget {
            true => Duration::from_millis(2),
            false => Duration::from_secs(3600),
        };
        options.retry.attempts = setting.attempts;
        options.retry.first_pause = Duration::from_micros(50);
        options.retry.longest_pause = Duration::from_micros(200);
        options.retry.age = Duration::from_secs(3600);
        let gate = Gate::open(options).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        gate.releases()
            .subscribe(move |event| hears.lock().unwrap().push(*event))
            .unwrap();
        gate.releases().read_events(&mut []);
        Driver {
            setting,
            gate,
            jobs: Vec::new(),
            ends: HashMap::new(),
            read: Vec::new(),
            heard,
            submits: 0,
        }
    }

    /// Places that are taken for certain, and those that may be.
    fn places(&self) -> (usize, usize) {
        let reserved = self.jobs.iter();
        let reserved = reserved
            .filter(|job| job.reference.stage == Stage::Reserved)
            .count();
        let pending = self.pending().count();
        let stay = self.pending().filter(|job| !self.may_end(job)).count();
        // A dropped job gives its place back at once, a forgotten one had none.
        (reserved + stay, reserved + pending)
    }

    /// Whether FULL may be the answer: all places may be taken, or the callbacks may be as many ends
    /// behind.
    fn may_be_full(&self, most: usize, heard: usize) -> bool {
        let capacity = self.setting.capacity as usize;
        most >= capacity || self.submits as usize - heard >= capacity
    }

    fn heard(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    fn pending(&self) -> impl Iterator<Item = &Subject> {
        self.jobs
            .iter()
            .filter(|job| job.reference.stage == Stage::Pending)
    }

    /// Whether nothing forbids that it has ended by now.
    fn may_end(&self, job: &Subject) -> bool {
        job.reference.can_end(self.setting)
    }

    /// Whether it has to end by itself: it holds nowhere, and somebody is free for it.
    fn must_end(&self, job: &Subject) -> bool {
        let holding = self.pending().filter(|job| !self.may_end(job)).count();
        let free = self.setting.short_budget || holding < self.setting.workers as usize;
        job.reference.can_end(self.setting) && free
    }

    fn step(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        if let Operation::Reserve(script) = operation {
            return self.reserve(script);
        }
        let pick = |any: usize| any.checked_rem(self.jobs.len());
        match *operation {
            Operation::Reserve(_) => {}
            Operation::Submit(any) => {
                if let Some(index) = pick(any) {
                    self.submit(index)?;
                }
            }
            Operation::Cancel(any) => {
                if let Some(index) = pick(any) {
                    self.cancel(index)?;
                }
            }
            Operation::Drop(any) => {
                if let Some(index) = pick(any) {
                    let job = &mut self.jobs[index];
                    if job.job.take().is_some() && job.reference.stage == Stage::Reserved {
                        job.reference.stage = Stage::Gone;
                    }
                }
            }
            Operation::Wait(any) => {
                if let Some(index) = pick(any) {
                    self.wait(index)?;
                }
            }
            Operation::Fence => self.fence()?,
            Operation::Retry(any) => {
                if let Some(index) = pick(any) {
                    self.retry(index)?;
                }
            }
            Operation::Forget(any) => {
                if let Some(index) = pick(any) {
                    self.forget(index)?;
                }
            }
            Operation::Open(any) => {
                if let Some(index) = pick(any) {
                    let job = &mut self.jobs[index];
                    job.reference.opened += 1;
                    job.doors.open(1);
                }
            }
            Operation::Drain => self.drain()?,
            Operation::ReadEvents(count) => self.read_events(count),
        }
        Ok(())
    }

    fn reserve(&mut self, script: &[Attempt]) -> Result<(), TestCaseError> {
        let doors = Arc::new(Doors::default());
        let dropped = Arc::new(AtomicUsize::new(0));
        let ran = Arc::new(AtomicUsize::new(0));
        let running = Arc::new(AtomicBool::new(false));
        let gone = Dropped {
            dropped: dropped.clone(),
            running: running.clone(),
        };
        let body = scripted(script, doors.clone(), ran.clone(), running, gone);
        let (least, most) = self.places();
        let heard = self.heard();
        match self.gate.releases().reserve_job("scripted", body) {
            Ok(job) => {
                prop_assert!(least < self.setting.capacity as usize, "{least} were taken");
                self.jobs.push(Subject {
                    reference: Reference::new(script),
                    job: Some(job),
                    ticket: None,
                    retried: false,
                    doors,
                    dropped,
                    ran,
                });
            }
            Err(error) => {
                prop_assert_eq!(error.status(), Status::Full);
                prop_assert!(self.may_be_full(most, heard), "{most} were taken at most");
                // What could not be taken is dropped, not kept.
                prop_assert_eq!(dropped.load(Ordering::SeqCst), 1);
            }
        }
        Ok(())
    }

    fn submit(&mut self, index: usize) -> Result<(), TestCaseError> {
        let subject = &mut self.jobs[index];
        let Some(job) = &subject.job else {
            return Ok(());
        };
        match (subject.reference.stage, job.submit()) {
            (Stage::Reserved, Ok(ticket)) => {
                prop_assert_ne!(subject.ticket, Some(ticket), "a ticket came again");
                subject.ticket = Some(ticket);
                subject.reference.stage = Stage::Pending;
                self.submits += 1;
            }
            (stage, Err(error)) => {
                prop_assert_ne!(stage, Stage::Reserved);
                prop_assert_eq!(error.status(), Status::InvalidState);
            }
            (stage, Ok(_)) => prop_assert!(false, "{stage:?} was submitted"),
        }
        Ok(())
    }

    fn cancel(&mut self, index: usize) -> Result<(), TestCaseError> {
        let subject = &self.jobs[index];
        let (stage, ticket) = (subject.reference.stage, subject.ticket);
        let ran = subject.ran.load(Ordering::SeqCst);
        let heard = self.heard();
        let result = match (&subject.job, ticket) {
            (_, Some(ticket)) if subject.retried => self.gate.releases().cancel(ticket),
            (Some(job), _) => job.cancel(),
            (None, _) => return Ok(()),
        };
        let Err(error) = result else {
            prop_assert_eq!(stage, Stage::Pending);
            prop_assert_eq!(subject.ran.load(Ordering::SeqCst), ran);
            let ticket = ticket.unwrap();
            let event = self.gate.releases().wait(ticket, Some(soon())).unwrap();
            prop_assert_eq!((event.outcome, event.attempts), (Outcome::Cancelled, 0));
            self.ends.insert(ticket, event);
            self.jobs[index].reference.stage = match self.jobs[index].retried {
                // Nobody was there to take it back.
                true => Stage::Gone,
                false => Stage::Reserved,
            };
            return Ok(());
        };
        match error.status() {
            Status::InvalidState => {}
            Status::Full => prop_assert!(self.may_be_full(0, heard)),
            _ => prop_assert!(false, "{stage:?}: {error}"),
        }
        Ok(())
    }

    /// Waits as long as the reference says that it may take.
    fn wait(&mut self, index: usize) -> Result<(), TestCaseError> {
        let subject = &self.jobs[index];
        let Some(ticket) = subject.ticket else {
            return Ok(());
        };
        if subject.reference.stage != Stage::Pending {
            return self.ask_again(ticket);
        }
        if self.must_end(subject) {
            return self.settle(index);
        }
        let deadline = Instant::now() + SHORT;
        match self.gate.releases().wait(ticket, Some(deadline)) {
            Ok(event) => {
                prop_assert!(self.may_end(subject), "it ended before its door: {event:?}");
                self.compare(index, event)
            }
            Err(error) => {
                prop_assert_eq!(error.status(), Status::TimedOut);
                Ok(())
            }
        }
    }

    /// An end stays as it was told.
    fn ask_again(&self, ticket: Ticket) -> Result<(), TestCaseError> {
        if let Some(known) = self.ends.get(&ticket) {
            let event = self.gate.releases().wait(ticket, Some(Instant::now()));
            prop_assert_eq!(event.as_ref(), Ok(known));
        }
        Ok(())
    }

    /// Waits for an end that has to come.
    fn settle(&mut self, index: usize) -> Result<(), TestCaseError> {
        let ticket = self.jobs[index].ticket.unwrap();
        let event = self.gate.releases().wait(ticket, Some(soon()));
        let event = event.map_err(|error| TestCaseError::fail(format!("job {index}: {error}")))?;
        self.compare(index, event)
    }

    fn compare(&mut self, index: usize, event: Event) -> Result<(), TestCaseError> {
        let subject = &mut self.jobs[index];
        let expected = subject.reference.end(self.setting);
        prop_assert_eq!(
            (event.outcome, event.attempts),
            (expected.outcome, expected.attempts),
            "job {}",
            index
        );
        let dropped = subject.dropped.load(Ordering::SeqCst);
        match subject.reference.stage {
            // Gone before it was said to be.
            Stage::Ended => prop_assert_eq!(dropped, 1),
            // Kept, until a closed queue lets go of it.
            _ => prop_assert!(dropped == 0 || self.gate.is_closed()),
        }
        self.ends.insert(event.ticket, event);
        Ok(())
    }

    /// Settles everything pending that can end.
    fn settle_all(&mut self) -> Result<(), TestCaseError> {
        for index in 0..self.jobs.len() {
            let subject = &self.jobs[index];
            if subject.reference.stage == Stage::Pending && self.may_end(subject) {
                self.settle(index)?;
            }
        }
        Ok(())
    }

    fn is_stuck(&self) -> bool {
        self.pending().any(|job| !self.may_end(job))
    }

    fn fence(&mut self) -> Result<(), TestCaseError> {
        let releases = self.gate.releases();
        if self.is_stuck() {
            let late = releases.fence(Some(Instant::now() + SHORT)).unwrap_err();
            prop_assert_eq!(late.status(), Status::TimedOut);
            return Ok(());
        }
        releases.fence(Some(soon())).unwrap();
        for subject in self.pending() {
            // It has ended: no wait is needed.
            let ended = releases.wait(subject.ticket.unwrap(), Some(Instant::now()));
            prop_assert!(ended.is_ok(), "{ended:?}");
        }
        self.settle_all()
    }

    fn drain(&mut self) -> Result<(), TestCaseError> {
        let deadline = match self.is_stuck() {
            true => Instant::now() + SHORT,
            false => soon(),
        };
        let report = self.gate.releases().drain(deadline).unwrap();
        let stay = self.pending().filter(|job| !self.may_end(job)).count();
        let most = self.pending().count();
        prop_assert!(report.remaining as usize >= stay && report.remaining as usize <= most);
        if !self.is_stuck() {
            prop_assert_eq!(report.remaining, 0);
            self.settle_all()?;
            self.is_exact()?;
        }
        Ok(())
    }

    fn retry(&mut self, index: usize) -> Result<(), TestCaseError> {
        let Some(ticket) = self.jobs[index].ticket else {
            return Ok(());
        };
        self.wait(index)?;
        let stage = self.jobs[index].reference.stage;
        let (least, most) = self.places();
        let heard = self.heard();
        match self.gate.releases().retry(ticket) {
            Ok(again) => {
                prop_assert_eq!(stage, Stage::Failed);
                prop_assert!(least < self.setting.capacity as usize);
                prop_assert_ne!(again, ticket);
                let subject = &mut self.jobs[index];
                subject.ticket = Some(again);
                subject.retried = true;
                subject.reference.stage = Stage::Pending;
                self.submits += 1;
            }
            Err(error) if error.status() == Status::Full => {
                prop_assert_eq!(stage, Stage::Failed);
                prop_assert!(self.may_be_full(most, heard));
            }
            Err(error) => {
                prop_assert_eq!(error.status(), Status::NotFound);
                prop_assert_ne!(stage, Stage::Failed);
            }
        }
        Ok(())
    }

    fn forget(&mut self, index: usize) -> Result<(), TestCaseError> {
        let Some(ticket) = self.jobs[index].ticket else {
            return Ok(());
        };
        self.wait(index)?;
        let subject = &mut self.jobs[index];
        match self.gate.releases().forget(ticket) {
            Ok(()) => {
                prop_assert_eq!(subject.reference.stage, Stage::Failed);
                subject.reference.stage = Stage::Gone;
            }
            Err(error) => {
                prop_assert_eq!(error.status(), Status::NotFound);
                prop_assert_ne!(subject.reference.stage, Stage::Failed);
            }
        }
        Ok(())
    }

    fn read_events(&mut self, count: usize) {
        let mut buffer = vec![Event::default(); count];
        let count = self.gate.releases().read_events(&mut buffer);
        self.read.extend_from_slice(&buffer[..count]);
    }

    /// With nothing pending every figure is known.
    fn is_exact(&self) -> Result<(), TestCaseError> {
        let stats = self.gate.stats();
        let count = |stage: Stage| {
            let jobs = self.jobs.iter();
            jobs.filter(|job| job.reference.stage == stage).count() as u64
        };
        let ends = |is_it: fn(&Outcome) -> bool| {
            let ends = self.ends.values();
            ends.filter(|event| is_it(&event.outcome)).count() as u64
        };
        prop_assert_eq!((stats.depth, stats.in_flight), (0, 0));
        prop_assert_eq!(stats.reserved, count(Stage::Reserved));
        prop_assert_eq!(stats.adds, self.submits);
        prop_assert_eq!(stats.cancelled, ends(|end| *end == Outcome::Cancelled));
        let released = ends(|end| matches!(end, Outcome::Released(_)));
        prop_assert_eq!((stats.released, stats.unverified), (released, released));
        prop_assert_eq!(
            stats.failed,
            ends(|end| matches!(end, Outcome::Failed { .. }))
        );
        let attempts = self.ends.values().map(|event| u64::from(event.attempts));
        let retries: u64 = attempts.map(|attempts| attempts.saturating_sub(1)).sum();
        prop_assert_eq!(stats.retries, retries);
        let failed = self.gate.releases().failed();
        prop_assert_eq!(failed.len() as u64, count(Stage::Failed));
        prop_assert_eq!(stats.failed_list, count(Stage::Failed));
        for entry in failed {
            let end = &self.ends[&entry.ticket];
            let os_error = entry.os_error;
            prop_assert_eq!(end.outcome, Outcome::Failed { os_error });
            prop_assert_eq!(end.attempts, entry.attempts);
        }
        Ok(())
    }

    /// Ends everything, by its scripts or by closing over what holds.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        if !self.setting.abandon {
            for job in &mut self.jobs {
                job.reference.opened = usize::MAX / 2;
                job.doors.open(usize::MAX / 2);
            }
            return self.drain();
        }
        let report = self.gate.close(Instant::now() + SHORT).unwrap();
        let mut abandoned = 0;
        for index in 0..self.jobs.len() {
            let subject = &self.jobs[index];
            if subject.reference.stage != Stage::Pending {
                continue;
            }
            let ticket = subject.ticket.unwrap();
            let event = self.gate.releases().wait(ticket, Some(soon())).unwrap();
            if event.outcome == Outcome::Abandoned {
                abandoned += 1;
                self.jobs[index].reference.stage = Stage::Gone;
                self.ends.insert(ticket, event);
            } else {
                prop_assert!(self.may_end(subject));
                self.compare(index, event)?;
            }
        }
        prop_assert_eq!(report.abandoned, abandoned);
        Ok(())
    }

    /// Every end was told once by each way, and nothing of a job is left.
    fn after_close(mut self) -> Result<(), TestCaseError> {
        let refused = self.gate.releases().reserve_job("late", || Ok(()));
        prop_assert_eq!(refused.unwrap_err().status(), Status::Closed);
        self.read_events(self.ends.len() + 64);
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        for events in [&self.read, &heard] {
            let sequence: Vec<u64> = events.iter().map(|event| event.sequence).collect();
            prop_assert_eq!(sequence, (1..=events.len() as u64).collect::<Vec<_>>());
            let tickets: HashSet<Ticket> = events.iter().map(|event| event.ticket).collect();
            prop_assert_eq!(tickets.len(), events.len());
            prop_assert_eq!(events.len() as u64, self.submits);
            for event in events {
                prop_assert_eq!(self.ends.get(&event.ticket), Some(event));
            }
        }
        // The last handles give up what was never submitted; the threads end after that.
        let counts: Vec<_> = self.jobs.iter().map(|job| job.dropped.clone()).collect();
        drop(self.jobs);
        drop(self.gate);
        for (index, dropped) in counts.iter().enumerate() {
            let deadline = soon();
            while dropped.load(Ordering::SeqCst) == 0 && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(50));
            }
            prop_assert_eq!(dropped.load(Ordering::SeqCst), 1, "drops of job {}", index);
        }
        Ok(())
    }
}

fn scripted(
    script: &[Attempt],
    doors: Arc<Doors>,
    ran: Arc<AtomicUsize>,
    running: Arc<AtomicBool>,
    gone: Dropped,
) -> impl FnMut() -> Result<()> + Send + 'static {
    let mut script: VecDeque<Attempt> = script.iter().copied().collect();
    move || {
        let _keep = &gone;
        assert!(
            !running.swap(true, Ordering::SeqCst),
            "two attempts at once"
        );
        ran.fetch_add(1, Ordering::SeqCst);
        let mut step = script.pop_front();
        while step == Some(Attempt::Hold) {
            doors.pass();
            step = script.pop_front();
        }
        running.store(false, Ordering::SeqCst);
        match step {
            None | Some(Attempt::Succeed | Attempt::Hold) => Ok(()),
            Some(Attempt::Fail(os_error)) => Err(Error::os("scripted()", os_error)),
            Some(Attempt::Refuse) => Err(Error::new(Status::CallbackFailed, "scripted")),
            // Without the message that the hook of a plain panic prints.
            Some(Attempt::Panic) => std::panic::resume_unwind(Box::new("scripted")),
        }
    }
}
