//! Doubly linked lists whose links live in the slots: no list operation allocates.

use super::slot::Slot;

const END: u32 = u32::MAX;

/// A slot's neighbours in one list.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    before: u32,
    after: u32,
}

impl Links {
    pub(crate) const UNLINKED: Links = Links {
        before: END,
        after: END,
    };
}

/// Which of a slot's links a list uses. A slot is in at most one list of each chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// The free list or the queue of a lane.
    Queue = 0,
    /// What is submitted and has not ended, in the order of submission.
    Outstanding = 1,
}

pub(crate) struct List {
    chain: Chain,
    first: u32,
    last: u32,
    length: usize,
}

impl List {
    pub(crate) fn new(chain: Chain) -> List {
        List {
            chain,
            first: END,
            last: END,
            length: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != END).then_some(self.first)
    }

    pub(crate) fn push_back(&mut self, slots: &mut [Slot], index: u32) {
        *self.links(slots, index) = Links {
            before: self.last,
            after: END,
        };
        match self.last {
            END => self.first = index,
            last => self.links(slots, last).after = index,
        }
        self.last = index;
        self.length += 1;
    }

    pub(crate) fn pop_front(&mut self, slots: &mut [Slot]) -> Option<u32> {
        let first = self.first()?;
        self.remove(slots, first);
        Some(first)
    }

    /// Takes out a slot, which must be in this list.
    pub(crate) fn remove(&mut self, slots: &mut [Slot], index: u32) {
        let Links { before, after } = *self.links(slots, index);
        match before {
            END => self.first = after,
            before => self.links(slots, before).after = after,
        }
        match after {
            END => self.last = before,
            after => self.links(slots, after).before = before,
        }
        *self.links(slots, index) = Links::UNLINKED;
        self.length -= 1;
    }

    /// The slots from the first to the last.
    pub(crate) fn iter<'a>(&self, slots: &'a [Slot]) -> impl Iterator<Item = (u32, &'a Slot)> {
        let chain = self.chain as usize;
        let mut next = self.first;
        std::iter::from_fn(move || {
            if next == END {
                return None;
            }
            let index = next;
            let slot = &slots[index as usize];
            next = slot.links[chain].after;
            Some((index, slot))
        })
    }

    fn links<'a>(&self, slots: &'a mut [Slot], index: u32) -> &'a mut Links {
        &mut slots[index as usize].links[self.chain as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_when_slots_leave_from_anywhere() {
        let mut slots: Vec<Slot> = (0..6).map(|_| Slot::new()).collect();
        let mut list = List::new(Chain::Queue);
        for index in 0..6 {
            list.push_back(&mut slots, index);
        }
        for index in [0, 3, 5] {
            list.remove(&mut slots, index);
        }
        list.push_back(&mut slots, 3);
        let order: Vec<u32> = list.iter(&slots).map(|(index, _)| index).collect();
        assert_eq!(order, [1, 2, 4, 3]);
        assert_eq!(list.len(), 4);
        for expected in [1, 2, 4, 3] {
            assert_eq!(list.pop_front(&mut slots), Some(expected));
        }
        assert_eq!(list.pop_front(&mut slots), None);
        list.push_back(&mut slots, 2);
        assert_eq!(list.first(), Some(2));
    }
}
