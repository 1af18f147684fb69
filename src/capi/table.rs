//! The handle table: from 64 bits that come from outside to an object, or to nothing.
//!
//! A handle is kind (8 bits) | generation (32) | index (24). No handle is ever used again: when the
//! generations of a slot are used up, the slot is. A look-up takes no lock; an object that is closed
//! while other threads use it stays until the last of them has left. Rule 24 of the design.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::word::{Left, Word};
use crate::kernel::cancellation::PutOff;
use crate::sync::lock;
use crate::{Error, Result, Status};

const INDEX_BITS: u32 = 24;
const FIRST: u32 = 64;
/// Segments of 64, 128, 256 … slots: 2^24 - 64 handles of a kind.
const SEGMENTS: usize = 18;
const MOST: u32 = (FIRST << SEGMENTS as u32) - FIRST;

struct Slot<T> {
    word: Word,
    value: UnsafeCell<MaybeUninit<T>>,
}

struct Free {
    /// First in, first out: a slot rests as long as possible before its next life.
    slots: VecDeque<u32>,
    /// How many slots were ever used.
    used: u32,
}

/// All handles of one kind.
pub(super) struct Table<T: 'static> {
    kind: u8,
    segments: [AtomicPtr<Slot<T>>; SEGMENTS],
    free: Mutex<Free>,
}

// SAFETY: values are shared by reference and dropped on whichever thread leaves last; both are
// asked of `T`. The word of a slot orders the accesses.
unsafe impl<T: Send + Sync> Sync for Table<T> {}

impl<T: Send + Sync + 'static> Table<T> {
    pub(super) const fn new(kind: u8) -> Table<T> {
        Table {
            kind,
            segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
            free: Mutex::new(Free {
                slots: VecDeque::new(),
                used: 0,
            }),
        }
    }

    /// Gives `value` a handle.
    pub(super) fn insert(&'static self, value: T) -> Result<u64> {
        Ok(self.vacancy()?.fill(value))
    }

    /// A place for an object that is still to be made, so that a handle for it can't be lacking.
    pub(super) fn vacancy(&'static self) -> Result<Vacancy<T>> {
        let Some(index) = self.take_slot() else {
            return Err(Error::new(Status::Full, "no handle of this kind is left"));
        };
        Ok(Vacancy { table: self, index })
    }

    /// The object behind a handle; it stays while the answer is held.
    pub(super) fn get(&'static self, id: u64) -> Result<Held<T>> {
        self.enter(id, Word::enter)
    }

    /// Ends a handle, and gives the object to whoever ended it.
    pub(super) fn close(&'static self, id: u64) -> Result<Held<T>> {
        self.enter(id, Word::close)
    }

    fn enter(&'static self, id: u64, how: fn(&Word, u32) -> bool) -> Result<Held<T>> {
        let index = id as u32 & ((1 << INDEX_BITS) - 1);
        let generation = (id >> INDEX_BITS) as u32;
        if (id >> 56) as u8 == self.kind
            && let Some(slot) = self.slot(index)
            && how(&slot.word, generation)
        {
            return Ok(Held {
                table: self,
                slot,
                index,
            });
        }
        Err(invalid(id))
    }

    /// None beyond the segments there are. Slots are never moved or freed.
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let (segment, offset) = place(index);
        let first = self.segments.get(segment)?.load(Ordering::Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: a segment that is not null has `FIRST << segment` slots, and `place` keeps the
        // offset below that.
        Some(unsafe { &*first.add(offset) })
    }

    fn take_slot(&self) -> Option<u32> {
        let mut free = lock(&self.free);
        if let Some(index) = free.slots.pop_front() {
            return Some(index);
        }
        if free.used == MOST {
            return None;
        }
        let index = free.used;
        let (segment, offset) = place(index);
        if offset == 0 {
            let slots: Box<[Slot<T>]> = (0..(FIRST as usize) << segment)
                .map(|_| Slot {
                    word: Word::vacant(1),
                    value: UnsafeCell::new(MaybeUninit::uninit()),
                })
                .collect();
            // Segments live as long as the process: a stale handle may be looked up at any time.
            let first = Box::leak(slots).as_mut_ptr();
            self.segments[segment].store(first, Ordering::Release);
        }
        free.used += 1;
        // Giving a slot back never allocates.
        let used = free.used as usize;
        let more = used - free.slots.len();
        free.slots.reserve(more);
        Some(index)
    }

    #[cold]
    fn remove(&self, slot: &Slot<T>, index: u32) {
        // What is dropped may close descriptors and call the host, also after a brief look-up.
        let _put_off = PutOff::begin();
        // SAFETY: called once per life, by the last to leave a closed slot: nobody else is in it.
        let value = unsafe { (*slot.value.get()).assume_init_read() };
        let generation = slot.word.generation();
        if generation < u32::MAX {
            slot.word.vacate(generation + 1);
            lock(&self.free).slots.push_back(index);
        }
        // Dropping may call into foreign code: after everything else, under no lock.
        drop(value);
    }
}

fn place(index: u32) -> (usize, usize) {
    let shifted = index + FIRST;
    let segment = shifted.ilog2() - FIRST.ilog2();
    (segment as usize, (shifted - (FIRST << segment)) as usize)
}

#[cold]
fn invalid(id: u64) -> Error {
    Error::new(
        Status::InvalidHandle,
        format!("{id:#x} is no valid handle of this kind"),
    )
}

/// A slot that was taken; given back when it is dropped unfilled.
pub(super) struct Vacancy<T: Send + Sync + 'static> {
    table: &'static Table<T>,
    index: u32,
}

impl<T: Send + Sync> Vacancy<T> {
    /// The handle of `value` from here on.
    pub(super) fn fill(self, value: T) -> u64 {
        let Vacancy { table, index } = *ManuallyDrop::new(self);
        let slot = table
            .slot(index)
            .expect("a slot that was taken is in a segment");
        let generation = slot.word.generation();
        // SAFETY: the slot is vacant and was taken off the free list: nobody else looks at it
        // before `open`.
        unsafe { (*slot.value.get()).write(value) };
        slot.word.open(generation);
        u64::from(table.kind) << 56 | u64::from(generation) << INDEX_BITS | u64::from(index)
    }
}

impl<T: Send + Sync> Drop for Vacancy<T> {
    fn drop(&mut self) {
        lock(&self.table.free).slots.push_back(self.index);
    }
}

/// An object in use by a call.
pub(super) struct Held<T: Send + Sync + 'static> {
    table: &'static Table<T>,
    slot: &'static Slot<T>,
    index: u32,
}

impl<T: Send + Sync> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the slot was entered, so its value was written and stays until the last leaves.
        unsafe { (*self.slot.value.get()).assume_init_ref() }
    }
}

impl<T: Send + Sync> Drop for Held<T> {
    #[inline]
    fn drop(&mut self) {
        if self.slot.word.leave() == Left::Last {
            self.table.remove(self.slot, self.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_object_goes_after_its_last_user_and_its_handle_at_once() {
        static TABLE: Table<Counted> = Table::new(9);
        let dropped = Arc::new(AtomicUsize::new(0));
        let id = TABLE.insert(Counted(dropped.clone())).unwrap();
        let held = TABLE.get(id).unwrap();
        drop(TABLE.close(id).unwrap());
        assert_eq!(TABLE.get(id).err().unwrap().status(), Status::InvalidHandle);
        assert_eq!(
            TABLE.close(id).err().unwrap().status(),
            Status::InvalidHandle
        );
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        drop(held);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn any_value_is_safe() {
        static TABLE: Table<u32> = Table::new(3);
        let id = TABLE.insert(5).unwrap();
        assert_eq!(*TABLE.get(id).unwrap(), 5);
        let mut other = 0x9e37_79b9_7f4a_7c15_u64;
        for bit in 0..64 {
            assert!(TABLE.get(id ^ 1 << bit).is_err(), "bit {bit}");
        }
        for low in [0, 1, 63, 64, 0xff_ffff] {
            assert!(TABLE.get(u64::from(3u8) << 56 | low).is_err());
            assert!(TABLE.get(low).is_err());
            assert!(TABLE.get(u64::MAX << 24 | low).is_err());
        }
        for _ in 0..100_000 {
            other ^= other << 13;
            other ^= other >> 7;
            other ^= other << 17;
            assert!(other == id || TABLE.get(other).is_err());
        }
    }

    #[test]
    fn a_vacancy_that_is_not_filled_is_given_back() {
        static TABLE: Table<u32> = Table::new(7);
        let id = TABLE.insert(1).unwrap();
        drop(TABLE.vacancy().unwrap());
        let place = TABLE.vacancy().unwrap();
        assert_eq!(lock(&TABLE.free).used, 2, "the same slot again");
        assert_eq!(*TABLE.get(place.fill(2)).unwrap(), 2);
        assert_eq!(*TABLE.close(id).unwrap(), 1);
    }

    #[test]
    fn handles_are_never_used_again() {
        static TABLE: Table<u32> = Table::new(4);
        let mut seen = std::collections::HashSet::new();
        let mut open = VecDeque::new();
        for round in 0..5_000 {
            let id = TABLE.insert(round).unwrap();
            assert!(seen.insert(id));
            open.push_back((id, round));
            if round % 3 != 0 {
                let (id, value) = open.pop_front().unwrap();
                assert_eq!(*TABLE.close(id).unwrap(), value);
            }
        }
        for (id, value) in open {
            assert_eq!(*TABLE.get(id).unwrap(), value);
        }
    }

    #[test]
    fn a_slot_without_generations_is_retired() {
        static TABLE: Table<u32> = Table::new(5);
        let id = TABLE.insert(1).unwrap();
        drop(TABLE.close(id).unwrap());
        TABLE.slot(0).unwrap().word.vacate(u32::MAX);
        let last = TABLE.insert(2).unwrap();
        assert_eq!(last & 0xff_ffff, 0);
        drop(TABLE.close(last).unwrap());
        let next = TABLE.insert(3).unwrap();
        assert_eq!(next & 0xff_ffff, 1);
        assert!(TABLE.get(last).is_err());
    }

    #[test]
    fn closing_from_many_threads_gives_the_object_to_one() {
        static TABLE: Table<Counted> = Table::new(6);
        let dropped = Arc::new(AtomicUsize::new(0));
        for round in 1..=200 {
            let id = TABLE.insert(Counted(dropped.clone())).unwrap();
            let won: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(move || {
                            let used = TABLE.get(id).is_ok();
                            let won = TABLE.close(id).is_ok();
                            assert!(used || !won);
                            usize::from(won)
                        })
                    })
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .sum()
            });
            assert_eq!(won, 1);
            assert_eq!(dropped.load(Ordering::Relaxed), round);
        }
    }

    #[test]
    fn places_fill_the_segments_without_a_gap() {
        let mut expected = (0, 0);
        for index in 0..5_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == 64 << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        let (segment, offset) = place(MOST - 1);
        assert_eq!(segment, SEGMENTS - 1);
        assert_eq!(offset, (64 << segment) - 1);
    }
}
