//! Releasable things and their tickets.

use std::sync::{OnceLock, Weak};

use super::*;
use crate::releasable::{Open, Releasable};

/// Something that asks for its own ticket before it is in the queue, as another thread may.
struct Opened {
    reservation: Reservation,
    asks: Arc<Asks>,
}

#[derive(Default)]
struct Asks {
    releasable: OnceLock<Weak<Releasable<Opened>>>,
    answers: Mutex<Vec<Option<Ticket>>>,
}

impl Asks {
    fn ask(&self) {
        let releasable = self.releasable.get().and_then(Weak::upgrade).unwrap();
        lock(&self.answers).push(releasable.asked_for());
    }
}

impl Open for Opened {
    const NAME: &'static str = "released";

    fn ticket(&self) -> Ticket {
        self.reservation.ticket()
    }

    fn announce(&self) {
        self.asks.ask();
        self.reservation.announce();
        self.asks.ask();
    }

    fn submit(self) {
        self.asks.ask();
        self.reservation.submit(Lane::Native, scripted(verified).0);
        self.asks.ask();
    }
}

#[test]
fn a_ticket_is_said_only_when_it_can_be_waited_for() {
    let queue = queue();
    for in_use in [false, true] {
        let asks = Arc::new(Asks::default());
        let reservation = queue.reserve(Kind::Job, "asks").unwrap();
        let ticket = reservation.ticket();
        let opened = Opened {
            reservation,
            asks: asks.clone(),
        };
        let releasable = Arc::new(Releasable::new(&queue, ticket, opened));
        asks.releasable.set(Arc::downgrade(&releasable)).unwrap();
        assert_eq!(releasable.asked_for(), None);
        let usage = in_use.then(|| releasable.begin().unwrap());
        assert_eq!(releasable.release(), Ok(ticket));
        assert_eq!(releasable.asked_for(), Some(ticket));
        drop(usage);
        queue.wait(ticket, None).unwrap();
        let said = Some(ticket);
        let expected: &[_] = match in_use {
            false => &[None, said],
            true => &[None, said, said, said],
        };
        assert_eq!(*lock(&asks.answers), expected);
    }
    close(&queue);
}
