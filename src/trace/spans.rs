//! With the feature: the spans and events of target "nsgate". Their names and fields are a promise,
//! written down in docs/tracing.md.

mod release;
mod run;

use std::cell::Cell;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use tracing::{Span, debug_span, field};

use crate::error::{Error, Result};
use crate::label::Label;
use crate::panic::caught;
use crate::release::Ticket;

pub(crate) use release::{Endings, Release, stuck};
pub(crate) use run::{Visit, run, start};

/// Of all spans and events.
const TARGET: &str = "nsgate";

thread_local! {
    /// The visits to other namespaces that this thread is in the middle of.
    static ABROAD: Cell<usize> = const { Cell::new(0) };
}

/// The thread enters another namespace; no subscriber is called on it from here.
pub(crate) fn went_abroad() {
    ABROAD.set(ABROAD.get() + 1);
}

/// The thread has come back from that many visits.
pub(crate) fn came_home(visits: usize) {
    ABROAD.set(ABROAD.get().saturating_sub(visits));
}

/// A new span, or none where none may be made.
fn span(make: impl FnOnce() -> Span) -> Span {
    if ABROAD.get() > 0 {
        return Span::none();
    }
    caught(make).unwrap_or_else(|_| Span::none())
}

/// Tells a subscriber something; a panic of it is its own affair.
fn tell(speak: impl FnOnce()) {
    let _ = caught(speak);
}

/// Runs `work`, which catches its own panics, as part of the span. It is done, once, whatever the
/// subscriber does.
fn within<R>(span: &Span, work: impl FnOnce() -> R) -> R {
    if span.is_disabled() {
        return work();
    }
    let (mut work, mut result) = (Some(work), None);
    tell(|| span.in_scope(|| result = work.take().map(|work| work())));
    match (result, work) {
        (Some(result), _) => result,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("the work catches its own panics"),
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The error of what the span is about.
fn record_error(span: &Span, error: &Error) {
    span.record("error", field::display(error));
    if let Some(errno) = error.os_error() {
        span.record("errno", errno);
    }
}

/// The opening of a chroot.
pub(crate) struct Open(Span);

pub(crate) fn open<R>(
    volume: &Path,
    options: &impl Debug,
    work: impl FnOnce(&Open) -> Result<R>,
) -> Result<R> {
    let open = Open(span(|| {
        debug_span!(
            target: TARGET, "open",
            volume = %Label(volume), ?options,
            ticket = field::Empty, error = field::Empty, errno = field::Empty,
        )
    }));
    let result = within(&open.0, || work(&open));
    tell(|| {
        if let Err(error) = &result {
            record_error(&open.0, error);
        }
        drop(open);
    });
    result
}

impl Open {
    /// The chroot will be released under this ticket.
    pub(crate) fn reserved(&self, ticket: Ticket) {
        tell(|| {
            self.0.record("ticket", ticket.as_raw());
        });
    }
}

/// What a subscriber is called for.
#[derive(Clone, Copy)]
pub(crate) struct Callback<'a> {
    event: &'static str,
    lifecycle_id: Option<&'a str>,
    ticket: Option<Ticket>,
}

impl<'a> Callback<'a> {
    pub(crate) fn of_life(event: &'static str, lifecycle_id: &'a str) -> Callback<'a> {
        Callback {
            event,
            lifecycle_id: Some(lifecycle_id),
            ticket: None,
        }
    }

    /// The same about one release.
    pub(crate) fn of_release(self, ticket: Ticket) -> Callback<'a> {
        Callback {
            ticket: Some(ticket),
            ..self
        }
    }

    pub(crate) fn of_queue(event: &'static str) -> Callback<'a> {
        Callback {
            event,
            lifecycle_id: None,
            ticket: None,
        }
    }

    /// Runs one call, which says how long it took and what it answered.
    pub(crate) fn during(
        self,
        subscriber: &str,
        work: impl FnOnce() -> (Duration, Result<Result<()>>),
    ) -> (Duration, Result<Result<()>>) {
        let span = span(|| {
            debug_span!(
                target: TARGET, "callback",
                subscriber, event = self.event, lifecycle_id = self.lifecycle_id,
                ticket = self.ticket.map(Ticket::as_raw),
                took_us = field::Empty, error = field::Empty, errno = field::Empty,
                panicked = field::Empty,
            )
        });
        let (took, answer) = within(&span, work);
        tell(|| {
            span.record("took_us", microseconds(took));
            match &answer {
                Ok(Ok(())) => {}
                Ok(Err(error)) => record_error(&span, error),
                Err(panic) => {
                    record_error(&span, panic);
                    span.record("panicked", true);
                }
            }
            drop(span);
        });
        (took, answer)
    }
}
