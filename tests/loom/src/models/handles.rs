//! The handles of the C ABI: an object that some threads use while others end its handle is used only
//! while it is there, and removed exactly once.

use loom::cell::UnsafeCell;
use loom::thread;

use super::harness::check;
use crate::sync::{Arc, Time};
use crate::word::{Left, Word};

/// A slot of the handle table, with the value as loom watches it.
struct Slot {
    word: Word,
    value: UnsafeCell<Option<u32>>,
}

// SAFETY: the word is what makes it so, and what the models check.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slot {
    fn open(value: u32) -> Arc<Slot> {
        let slot = Slot {
            word: Word::vacant(1),
            value: UnsafeCell::new(Some(value)),
        };
        slot.word.open(1);
        Arc::new(slot)
    }

    /// As a call with the handle; how often it removed the value.
    fn use_it(&self) -> u32 {
        if !self.word.enter(1) {
            return 0;
        }
        self.read();
        self.leave()
    }

    /// As the function that ends the handle.
    fn end_it(&self) -> u32 {
        if !self.word.close(1) {
            return 0;
        }
        self.read();
        self.leave()
    }

    fn read(&self) {
        self.value.with(|value| {
            // SAFETY: the slot was entered, so the value stays; loom objects if it does not.
            assert_eq!(unsafe { *value }, Some(7));
        });
    }

    fn leave(&self) -> u32 {
        if self.word.leave() == Left::InUse {
            return 0;
        }
        self.value.with_mut(|value| {
            // SAFETY: the last to leave is alone in the slot; loom objects if it is not.
            assert_eq!(unsafe { (*value).take() }, Some(7));
        });
        self.word.vacate(2);
        1
    }
}

fn removed_once(users: usize, enders: usize) {
    check(3, Time::StandsStill, move || {
        let slot = Slot::open(7);
        let calls: Vec<fn(&Slot) -> u32> = [Slot::use_it as fn(&Slot) -> u32]
            .repeat(users)
            .into_iter()
            .chain([Slot::end_it as fn(&Slot) -> u32].repeat(enders))
            .collect();
        let threads: Vec<_> = calls
            .into_iter()
            .map(|call| {
                let slot = slot.clone();
                thread::spawn(move || call(&slot))
            })
            .collect();
        let removed: u32 = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(removed, 1, "the value is removed once");
        assert!(
            !slot.word.enter(1) && !slot.word.close(1),
            "the handle has ended"
        );
    });
}

#[test]
fn a_use_and_the_end_of_a_handle() {
    removed_once(1, 1);
}

#[test]
fn two_that_end_the_same_handle() {
    removed_once(0, 2);
}

#[test]
fn a_use_and_two_that_end_the_handle() {
    removed_once(1, 2);
}

#[test]
fn a_handle_of_the_next_life_is_another() {
    check(3, Time::StandsStill, || {
        let slot = Slot::open(7);
        let user = {
            let slot = slot.clone();
            thread::spawn(move || slot.use_it())
        };
        let mut removed = slot.end_it();
        if removed == 1 {
            // Emptied here: nobody is inside, so it can be filled anew.
            slot.value.with_mut(|value| {
                // SAFETY: a vacant slot that was just taken is nobody else's.
                unsafe { *value = Some(8) };
            });
            slot.word.open(2);
        }
        removed += user.join().unwrap();
        assert_eq!(removed, 1);
    });
}
