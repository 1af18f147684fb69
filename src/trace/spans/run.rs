//! Spans of runs: told from outside, before the job goes in and after it has come home.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tracing::{Span, debug_span, field};

use super::{ABROAD, TARGET, microseconds, record_error, span, tell, within};
use crate::error::Result;

/// When what happened, noted on the namespace thread. Of what isn't recorded nothing is noted.
#[derive(Clone, Default)]
pub(crate) struct Visit(Option<Arc<Times>>);

struct Times {
    asked: Instant,
    began: OnceLock<Instant>,
    inside: OnceLock<Instant>,
    ended: OnceLock<Instant>,
}

impl Visit {
    /// A namespace thread has it; the way in begins.
    pub(crate) fn begins(&self) {
        self.note(|times| &times.began);
    }

    /// The thread is inside; the job begins.
    pub(crate) fn is_inside(&self) {
        self.note(|times| &times.inside);
    }

    /// The job is over.
    pub(crate) fn ends(&self) {
        self.note(|times| &times.ended);
    }

    fn note(&self, which: impl FnOnce(&Times) -> &OnceLock<Instant>) {
        if let Some(times) = &self.0 {
            // Each comes once.
            let _ = which(times).set(Instant::now());
        }
    }
}

struct Run {
    span: Span,
    visit: Visit,
}

impl Run {
    fn new(label: &dyn Display) -> Run {
        let span = span(|| {
            debug_span!(
                target: TARGET, "run",
                label = %label,
                queued_us = field::Empty, inside_us = field::Empty,
                error = field::Empty, errno = field::Empty,
            )
        });
        let times = (!span.is_disabled()).then(|| {
            Arc::new(Times {
                asked: Instant::now(),
                began: OnceLock::new(),
                inside: OnceLock::new(),
                ended: OnceLock::new(),
            })
        });
        Run {
            span,
            visit: Visit(times),
        }
    }

    fn end<R>(self, outcome: &Result<R>) {
        let Some(times) = self.visit.0 else { return };
        let span = self.span;
        tell(|| {
            let between = |from: Option<&Instant>, to: Option<&Instant>| -> Option<Duration> {
                Some(to?.saturating_duration_since(*from?))
            };
            if let Some(queued) = between(Some(&times.asked), times.began.get()) {
                span.record("queued_us", microseconds(queued));
            }
            if let Some(inside) = between(times.inside.get(), times.ended.get()) {
                span.record("inside_us", microseconds(inside));
            }
            if let Err(error) = outcome {
                record_error(&span, error);
            }
            drop(span);
        });
    }
}

/// A run that the caller waits for.
pub(crate) fn run<R>(label: &dyn Display, work: impl FnOnce(Visit) -> Result<R>) -> Result<R> {
    let run = Run::new(label);
    let visit = run.visit.clone();
    let outcome = within(&run.span, || work(visit));
    run.end(&outcome);
    outcome
}

/// A run that ends on another thread.
pub(crate) struct Started(Run);

/// Where `work` succeeds, [`Started::ended`] is called exactly once, unless the run is taken back.
pub(crate) fn start<R>(
    label: &dyn Display,
    work: impl FnOnce(Visit, Started) -> Result<R>,
) -> Result<R> {
    let run = Run::new(label);
    let visit = run.visit.clone();
    let span = run.span.clone();
    let outcome = work(visit, Started(run));
    tell(|| {
        if let Err(error) = &outcome {
            record_error(&span, error);
        }
        drop(span);
    });
    outcome
}

impl Started {
    /// The run is over. A thread that is or was abroad has it told by another one, `elsewhere`.
    pub(crate) fn ended(
        self,
        outcome: &Result<()>,
        elsewhere: impl FnOnce(Box<dyn FnOnce() + Send>),
    ) {
        if self.0.span.is_disabled() {
            return;
        }
        if ABROAD.get() == 0 {
            return self.0.end(outcome);
        }
        let outcome = outcome.clone();
        elsewhere(Box::new(move || self.0.end(&outcome)));
    }
}
