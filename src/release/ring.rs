//! The last events, for whoever reads them by an event descriptor.

use std::collections::VecDeque;

use super::outcome::Event;

pub(crate) struct Ring {
    events: VecDeque<Event>,
    capacity: usize,
    sequence: u64,
    dropped: u64,
    /// Somebody asked for events: from then on the lost ones count.
    read: bool,
    /// The event descriptor is readable, or about to be.
    signalled: bool,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Ring {
        Ring {
            events: VecDeque::with_capacity(capacity),
            capacity,
            sequence: 0,
            dropped: 0,
            read: false,
            signalled: false,
        }
    }

    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Adds an event, in the place of the oldest when there is none left. `true`: the event
    /// descriptor has to be signalled.
    pub(crate) fn push(&mut self, event: Event) -> bool {
        if self.events.len() >= self.capacity {
            self.events.pop_front();
            self.dropped += u64::from(self.read);
        }
        if self.capacity > 0 {
            self.events.push_back(event);
        }
        !std::mem::replace(&mut self.signalled, true)
    }

    /// Somebody reads from now on.
    pub(crate) fn open(&mut self) {
        self.read = true;
    }

    /// Moves the oldest events into `buffer`; how many, and whether none is left.
    pub(crate) fn read(&mut self, buffer: &mut [Event]) -> (usize, bool) {
        let count = buffer.len().min(self.events.len());
        for (place, event) in buffer.iter_mut().zip(self.events.drain(..count)) {
            *place = event;
        }
        let empty = self.events.is_empty();
        if empty {
            self.signalled = false;
        }
        (count, empty)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_event_makes_room_and_is_counted_once_somebody_reads() {
        let mut ring = Ring::new(2);
        let event = |ring: &mut Ring| Event {
            sequence: ring.next_sequence(),
            ..Event::default()
        };
        for signal in [true, false, false] {
            let event = event(&mut ring);
            assert_eq!(ring.push(event), signal);
        }
        assert_eq!(ring.dropped(), 0);
        ring.open();
        let next = event(&mut ring);
        ring.push(next);
        assert_eq!(ring.dropped(), 1);
        let mut buffer = [Event::default(); 1];
        assert_eq!(ring.read(&mut buffer), (1, false));
        assert_eq!(buffer[0].sequence, 3);
        assert_eq!(ring.read(&mut buffer), (1, true));
        assert_eq!(buffer[0].sequence, 4);
        assert_eq!(ring.read(&mut buffer), (0, true));
        let next = event(&mut ring);
        assert!(ring.push(next));
    }
}
