//! What was cancelled: the releases whose owners are just getting their things back, and how the
//! last ones ended. Their slots are in use again by then and can't remember it.

use std::collections::VecDeque;

use super::outcome::{Event, Ticket};

pub(crate) struct Cancellations {
    returning: Vec<Ticket>,
    /// Oldest first; bounded.
    ended: VecDeque<Event>,
    remembered: usize,
}

impl Cancellations {
    pub(crate) fn new(remembered: usize) -> Cancellations {
        Cancellations {
            returning: Vec::new(),
            ended: VecDeque::new(),
            remembered,
        }
    }

    /// The release is on its way back to its owner.
    pub(crate) fn begin(&mut self, ticket: Ticket) {
        self.returning.push(ticket);
    }

    /// Its owner has it; `event` is its end.
    pub(crate) fn end(&mut self, event: Event) {
        self.returning.retain(|ticket| *ticket != event.ticket);
        if self.ended.len() >= self.remembered {
            self.ended.pop_front();
        }
        self.ended.push_back(event);
    }

    pub(crate) fn is_returning(&self, ticket: Ticket) -> bool {
        self.returning.contains(&ticket)
    }

    /// Whether no owner is just getting something back.
    pub(crate) fn is_settled(&self) -> bool {
        self.returning.is_empty()
    }

    pub(crate) fn end_of(&self, ticket: Ticket) -> Option<Event> {
        let newest_first = self.ended.iter().rev();
        newest_first.copied().find(|event| event.ticket == ticket)
    }
}
