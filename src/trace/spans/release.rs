//! Spans of releases: made by the worker that first takes one, and kept with it until its end. The
//! submit, which must neither allocate nor wait, knows nothing of them.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Level, Span, debug_span, event, field};

use super::{TARGET, microseconds, span, tell, within};
use crate::error::Error;
use crate::release::{Event, Kind, Outcome, Proof, StuckRelease, Ticket};

/// One release, from its first attempt on.
#[derive(Default)]
pub(crate) struct Release {
    span: Option<Span>,
    attempt: Option<Attempt>,
    /// Of the last attempt.
    failure: Option<Failure>,
}

struct Attempt {
    ticket: Ticket,
    kind: Kind,
    label: Arc<str>,
    queued: Duration,
    number: u32,
}

struct Failure {
    errno: Option<i32>,
    error: String,
}

impl Release {
    /// A worker takes the release. Under the queue's lock: nobody is told.
    pub(crate) fn begin(
        &mut self,
        ticket: Ticket,
        kind: Kind,
        label: &Arc<str>,
        queued: Duration,
        attempt: u32,
    ) {
        self.attempt = Some(Attempt {
            ticket,
            kind,
            label: label.clone(),
            queued,
            number: attempt,
        });
    }

    /// Makes one attempt, as part of the span.
    pub(crate) fn attempt<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let Some(attempt) = &self.attempt else {
            return work();
        };
        let span = self.span.get_or_insert_with(|| {
            release_span(attempt.ticket, attempt.kind, &attempt.label, attempt.queued)
        });
        if let Some(failure) = &self.failure {
            tell(|| attempt.tell_again(span, failure));
        }
        within(span, work)
    }

    /// The attempt failed; what becomes of it the queue decides.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.failure = Some(Failure {
            errno: error.os_error(),
            error: error.to_string(),
        });
    }

    /// The release has ended, with or without an attempt.
    fn ended(self, label: &str, end: &Event) {
        let span = self
            .span
            .unwrap_or_else(|| release_span(end.ticket, end.kind, label, end.queued));
        tell(|| {
            let (outcome, proof, errno) = words(end.outcome);
            span.record("outcome", outcome);
            span.record("attempts", end.attempts);
            span.record("worked_us", microseconds(end.worked));
            if let Some(proof) = proof {
                span.record("proof", proof);
            }
            if let Outcome::Failed { .. } = end.outcome {
                let error = self.failure.map(|failure| failure.error);
                if let Some(errno) = errno {
                    span.record("errno", errno);
                }
                if let Some(error) = &error {
                    span.record("error", error.as_str());
                }
                event!(
                    target: TARGET, parent: &span, Level::ERROR,
                    ticket = end.ticket.as_raw(), kind = kind(end.kind), label,
                    attempts = end.attempts, errno, error, "release failed"
                );
            }
            drop(span);
        });
    }
}

impl Attempt {
    fn tell_again(&self, span: &Span, failure: &Failure) {
        let (ticket, kind, label) = (self.ticket.as_raw(), kind(self.kind), &*self.label);
        let (errno, error) = (failure.errno, failure.error.as_str());
        if self.number > 1 {
            event!(
                target: TARGET, parent: span, Level::DEBUG,
                ticket, kind, label, attempt = self.number, errno, error, "release tried again"
            );
        } else {
            // The attempts of the release itself are counted anew after the step before it.
            event!(
                target: TARGET, parent: span, Level::WARN,
                ticket, kind, label, errno, error, "step before the release failed"
            );
        }
    }
}

fn release_span(ticket: Ticket, release: Kind, label: &str, queued: Duration) -> Span {
    span(|| {
        debug_span!(
            target: TARGET, parent: None, "release",
            ticket = ticket.as_raw(), kind = kind(release), label,
            queued_us = microseconds(queued), worked_us = field::Empty,
            outcome = field::Empty, proof = field::Empty, attempts = field::Empty,
            error = field::Empty, errno = field::Empty,
        )
    })
}

/// Releases that came to their ends under the queue's lock, to be told of without it.
#[derive(Default)]
pub(crate) struct Endings(Vec<(Release, Arc<str>, Event)>);

impl Endings {
    /// `label` counts for a release without an attempt.
    pub(crate) fn push(&mut self, release: Release, label: Option<&Arc<str>>, event: Event) {
        let own = release.attempt.as_ref().map(|attempt| &attempt.label);
        let label = own.or(label).cloned().unwrap_or_else(|| "".into());
        self.0.push((release, label, event));
    }

    pub(crate) fn tell(self) {
        for (release, label, event) in self.0 {
            release.ended(&label, &event);
        }
    }
}

/// A worker is over its budget.
pub(crate) fn stuck(stuck: &StuckRelease) {
    tell(|| {
        event!(
            target: TARGET, parent: None, Level::WARN,
            ticket = stuck.ticket.map(Ticket::as_raw), kind = kind(stuck.kind),
            label = stuck.label, thread = stuck.thread,
            running_us = microseconds(stuck.running), detail = stuck.detail, "release stuck"
        );
    });
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Chroot => "chroot",
        Kind::MountNamespace => "mount_namespace",
        Kind::Descriptor => "descriptor",
        Kind::Unmount => "unmount",
        Kind::Job => "job",
    }
}

/// Outcome, proof and errno.
fn words(outcome: Outcome) -> (&'static str, Option<&'static str>, Option<i32>) {
    match outcome {
        Outcome::Released(Proof::Verified) => ("released", Some("verified"), None),
        Outcome::Released(Proof::Held { .. }) => ("released", Some("held"), None),
        Outcome::Released(Proof::Unverified) => ("released", Some("unverified"), None),
        Outcome::Failed { os_error: 0 } => ("failed", None, None),
        Outcome::Failed { os_error } => ("failed", None, Some(os_error)),
        Outcome::Cancelled => ("cancelled", None, None),
        Outcome::Abandoned => ("abandoned", None, None),
    }
}
