//! Carries out the operations on a real gate and compares.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nsgate::{Event, Gate, GateOptions, Job, Outcome, Result, Status, Ticket};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::job::{Traces, scripted};
use super::reference::{Reference, Stage};
use super::{Attempt, Operation, Setting};
use crate::host::soon;

/// A wait that may well end in vain.
pub(super) const SHORT: Duration = Duration::from_millis(2);

pub(super) struct Subject {
    pub(super) reference: Reference,
    pub(super) job: Option<Job>,
    pub(super) ticket: Option<Ticket>,
    /// Its present ticket came of a retry: the job's handle knows nothing of it.
    pub(super) retried: bool,
    pub(super) traces: Traces,
}

pub(super) struct Driver<'a> {
    pub(super) setting: &'a Setting,
    pub(super) gate: Gate,
    pub(super) jobs: Vec<Subject>,
    /// Every end that a wait or the close told.
    pub(super) ends: HashMap<Ticket, Event>,
    /// Every end that the event ring gave.
    pub(super) read: Vec<Event>,
    pub(super) heard: Arc<Mutex<Vec<Event>>>,
    pub(super) submits: u64,
}

pub(super) fn run(setting: &Setting, operations: &[Operation]) -> Result<(), TestCaseError> {
    let mut driver = Driver::new(setting);
    // Whatever comes of it, nothing may hang in a door afterwards.
    let result = operations
        .iter()
        .try_for_each(|operation| driver.step(operation))
        .and_then(|()| driver.finish());
    for job in &driver.jobs {
        job.traces.doors.open(usize::MAX);
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
    pub(super) fn places(&self) -> (usize, usize) {
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
    pub(super) fn may_be_full(&self, most: usize, heard: usize) -> bool {
        let capacity = self.setting.capacity as usize;
        most >= capacity || self.submits as usize - heard >= capacity
    }

    pub(super) fn heard(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &Subject> {
        self.jobs
            .iter()
            .filter(|job| job.reference.stage == Stage::Pending)
    }

    /// Whether nothing forbids that it has ended by now.
    pub(super) fn may_end(&self, job: &Subject) -> bool {
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
                    job.traces.doors.open(1);
                }
            }
            Operation::Drain => self.drain()?,
            Operation::ReadEvents(count) => self.read_events(count),
        }
        Ok(())
    }

    fn reserve(&mut self, script: &[Attempt]) -> Result<(), TestCaseError> {
        let traces = Traces::default();
        let body = scripted(script, &traces);
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
                    traces,
                });
            }
            Err(error) => {
                prop_assert_eq!(error.status(), Status::Full);
                prop_assert!(self.may_be_full(most, heard), "{most} were taken at most");
                // What could not be taken is dropped, not kept.
                prop_assert_eq!(traces.dropped.load(Ordering::SeqCst), 1);
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
        let ran = subject.traces.ran.load(Ordering::SeqCst);
        let heard = self.heard();
        let result = match (&subject.job, ticket) {
            (_, Some(ticket)) if subject.retried => self.gate.releases().cancel(ticket),
            (Some(job), _) => job.cancel(),
            (None, _) => return Ok(()),
        };
        let Err(error) = result else {
            prop_assert_eq!(stage, Stage::Pending);
            prop_assert_eq!(subject.traces.ran.load(Ordering::SeqCst), ran);
            let ticket = ticket.unwrap();
            let event = self.gate.releases().wait(ticket, Some(soon())).unwrap();
            prop_assert_eq!((event.outcome, event.attempts), (Outcome::Cancelled, 0));
            self.ends.insert(ticket, event);
            let subject = &mut self.jobs[index];
            subject.retried = false;
            subject.reference.stage = match subject.job {
                Some(_) => Stage::Reserved,
                // Nobody was there to take it back.
                None => Stage::Gone,
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
    pub(super) fn wait(&mut self, index: usize) -> Result<(), TestCaseError> {
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

    pub(super) fn compare(&mut self, index: usize, event: Event) -> Result<(), TestCaseError> {
        let subject = &mut self.jobs[index];
        let expected = subject.reference.end(self.setting);
        prop_assert_eq!(
            (event.outcome, event.attempts),
            (expected.outcome, expected.attempts),
            "job {}",
            index
        );
        let dropped = subject.traces.dropped.load(Ordering::SeqCst);
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

    pub(super) fn drain(&mut self) -> Result<(), TestCaseError> {
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

    pub(super) fn read_events(&mut self, count: usize) {
        let mut buffer = vec![Event::default(); count];
        let count = self.gate.releases().read_events(&mut buffer);
        self.read.extend_from_slice(&buffer[..count]);
    }
}
