//! One word per slot of a handle table: which generation lives in it, whether it is open, and how
//! many calls are using it right now. The last call to leave a closed slot is told so, exactly once.

use crate::sync::atomic::{AtomicU64, Ordering};

const OPEN: u64 = 1 << 31;
const USES: u64 = OPEN - 1;

/// generation (32 bits) | open (1) | uses (31).
pub(super) struct Word(AtomicU64);

/// Whether the slot has to be emptied by whoever got this.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Left {
    InUse,
    Last,
}

impl Word {
    pub(super) fn vacant(generation: u32) -> Word {
        Word(AtomicU64::new(u64::from(generation) << 32))
    }

    /// The generation; changes only while the slot is vacant.
    pub(super) fn generation(&self) -> u32 {
        (self.0.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Opens a vacant slot, whose value has been written before.
    pub(super) fn open(&self, generation: u32) {
        self.0
            .store(u64::from(generation) << 32 | OPEN, Ordering::Release);
    }

    /// Counts one use of the slot, if `generation` is open in it.
    pub(super) fn enter(&self, generation: u32) -> bool {
        self.change(generation, |word| word + 1)
    }

    /// Closes the slot to further calls and counts one use for the caller. Of several callers one
    /// wins.
    pub(super) fn close(&self, generation: u32) -> bool {
        self.change(generation, |word| (word & !OPEN) + 1)
    }

    /// Ends one use. `Last` says that the slot is closed and nobody else is in it or can come in.
    pub(super) fn leave(&self) -> Left {
        // AcqRel: what the others did with the value comes before its removal.
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        if before & (OPEN | USES) == 1 {
            Left::Last
        } else {
            Left::InUse
        }
    }

    /// Makes the emptied slot ready for `generation`.
    pub(super) fn vacate(&self, generation: u32) {
        self.0.store(u64::from(generation) << 32, Ordering::Release);
    }

    fn change(&self, generation: u32, next: impl Fn(u64) -> u64) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            // A full counter would take 2^31 calls at once: then the handle counts as busy.
            if (word >> 32) as u32 != generation || word & OPEN == 0 || word & USES == USES {
                return false;
            }
            match self.0.compare_exchange_weak(
                word,
                next(word),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_closed_slot_is_emptied_by_its_last_user() {
        let word = Word::vacant(7);
        assert!(!word.enter(7), "vacant");
        word.open(7);
        assert!(!word.enter(6), "another generation");
        assert!(word.enter(7));
        assert_eq!(word.leave(), Left::InUse, "open slots are never emptied");
        assert!(word.enter(7));
        assert!(word.close(7));
        assert!(!word.close(7), "closed once");
        assert!(!word.enter(7), "closed");
        assert_eq!(word.leave(), Left::InUse);
        assert_eq!(word.leave(), Left::Last);
        word.vacate(8);
        assert!(!word.enter(7) && !word.enter(8));
        assert_eq!(word.generation(), 8);
    }
}
