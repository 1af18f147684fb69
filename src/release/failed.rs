//! Releases that were given up, kept until somebody tries them again or forgets them.

use std::collections::VecDeque;
use std::sync::Arc as Label;
use std::time::Instant;

use super::outcome::{Kind, Ticket};
use super::report::FailedRelease;
use super::resource::{Callbacks, Hook, Lane, Reclaim, Resource};
use super::state::Remains;
use crate::error::{Error, Result, Status};

pub(crate) struct FailedEntry {
    pub(crate) ticket: Ticket,
    pub(crate) kind: Kind,
    pub(crate) lane: Lane,
    pub(crate) label: Label<str>,
    pub(crate) resource: Box<dyn Resource>,
    pub(crate) hook: Option<Hook>,
    pub(crate) reclaim: Option<Reclaim>,
    pub(crate) error: Error,
    pub(crate) attempts: u32,
    pub(crate) submitted: Instant,
}

impl FailedEntry {
    pub(crate) fn into_remains(self) -> Remains {
        Remains {
            ticket: Some(self.ticket),
            kind: self.kind,
            label: self.label,
            resource: Some(self.resource),
            callbacks: Callbacks {
                hook: self.hook,
                reclaim: self.reclaim,
                ..Callbacks::default()
            },
        }
    }

    fn describe(&self, now: Instant) -> FailedRelease {
        FailedRelease {
            ticket: self.ticket,
            kind: self.kind,
            label: self.label.to_string(),
            os_error: self.error.os_error().unwrap_or(0),
            attempts: self.attempts,
            age: now.saturating_duration_since(self.submitted),
            detail: self.error.to_string(),
        }
    }
}

/// Oldest first; bounded.
pub(crate) struct FailedList(VecDeque<FailedEntry>);

impl FailedList {
    pub(crate) const CAPACITY: usize = 1024;

    pub(crate) fn new() -> FailedList {
        FailedList(VecDeque::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds an entry; the oldest comes back when there was no room.
    pub(crate) fn push(&mut self, entry: FailedEntry) -> Option<FailedEntry> {
        let pushed_out = (self.0.len() >= FailedList::CAPACITY)
            .then(|| self.0.pop_front())
            .flatten();
        self.0.push_back(entry);
        pushed_out
    }

    pub(crate) fn position(&self, ticket: Ticket) -> Result<usize> {
        self.0
            .iter()
            .position(|entry| entry.ticket == ticket)
            .ok_or_else(|| {
                Error::new(
                    Status::NotFound,
                    "the ticket is not in the list of failed releases",
                )
            })
    }

    pub(crate) fn kind(&self, position: usize) -> Kind {
        self.0[position].kind
    }

    pub(crate) fn label(&self, position: usize) -> Label<str> {
        self.0[position].label.clone()
    }

    /// Takes out the entry at a position that `position` gave.
    pub(crate) fn remove(&mut self, position: usize) -> FailedEntry {
        self.0
            .remove(position)
            .expect("a position in the list, under the same lock")
    }

    pub(crate) fn remove_oldest(&mut self) -> Option<FailedEntry> {
        self.0.pop_front()
    }

    pub(crate) fn describe(&self, now: Instant) -> Vec<FailedRelease> {
        self.0.iter().map(|entry| entry.describe(now)).collect()
    }
}
