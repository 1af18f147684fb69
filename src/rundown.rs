//! A value that is used by many and taken away once, after the last use has ended.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Set once no new use may begin.
const CLOSED: u64 = 1 << 63;
/// Set once the value has been taken out.
const TAKEN: u64 = 1 << 62;
const USES: u64 = TAKEN - 1;

/// Guards a value that operations share until somebody closes it. Whoever ends the last use after
/// that takes the value, exactly once.
///
/// One atomic word says everything: whether it is closed, whether the value is out, and how many
/// uses are running.
pub(crate) struct Rundown<T> {
    state: AtomicU64,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: `state` hands the value either to any number of readers or to the one that takes it.
unsafe impl<T: Send + Sync> Sync for Rundown<T> {}

/// What closing found.
pub(crate) enum Closing<'a, T> {
    /// Nothing was running: here is the value.
    Idle(T),
    /// Something was still running. This is a use, too: until it ends the value stays where it is.
    Busy(Use<T, &'a Rundown<T>>),
    /// Somebody else closed it before.
    AlreadyClosed,
}

impl<T> Rundown<T> {
    pub(crate) fn new(value: T) -> Rundown<T> {
        Rundown {
            state: AtomicU64::new(0),
            value: UnsafeCell::new(Some(value)),
        }
    }

    /// Begins a use, unless it is closed. End it by [`Use::end`], which may give the value back.
    ///
    /// `holder` is anything that leads to the rundown and keeps it: a reference, or an `Arc`.
    pub(crate) fn enter<H: Deref<Target = Rundown<T>>>(holder: H) -> Option<Use<T, H>> {
        let mut state = holder.state.load(Ordering::Relaxed);
        loop {
            if state & CLOSED != 0 {
                return None;
            }
            match holder.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Use { holder }),
                Err(now) => state = now,
            }
        }
    }

    /// Lets no new use begin.
    pub(crate) fn close(&self) -> Closing<'_, T> {
        // Mostly nothing runs, and one step is enough.
        if let Some(value) = self.take(0) {
            return Closing::Idle(value);
        }
        let close = |state| (state & CLOSED == 0).then_some((state | CLOSED) + 1);
        match self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, close)
        {
            Ok(_) => Closing::Busy(Use { holder: self }),
            Err(_) => Closing::AlreadyClosed,
        }
    }

    /// Whether it was closed and not opened again.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Puts the value back and lets uses begin again. Only who took the value can do this.
    pub(crate) fn open_again(&self, value: T) {
        debug_assert_eq!(self.state.load(Ordering::Acquire), CLOSED | TAKEN);
        // SAFETY: TAKEN is set and the caller owns a value, which only who took it can: no reader
        // and no other writer exists.
        unsafe { *self.value.get() = Some(value) };
        self.state.store(0, Ordering::Release);
    }

    /// Closes it and gives the value, if the state is `idle`: no use, the value in its place.
    fn take(&self, idle: u64) -> Option<T> {
        self.state
            .compare_exchange(idle, CLOSED | TAKEN, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        // SAFETY: the exchange succeeds once, with no use running and none to come.
        unsafe { (*self.value.get()).take() }
    }
}

/// A running use of the value.
pub(crate) struct Use<T, H: Deref<Target = Rundown<T>>> {
    holder: H,
}

impl<T, H: Deref<Target = Rundown<T>>> Use<T, H> {
    /// Ends the use. Some, when it was the last one of a closed value: the caller has it now.
    #[must_use]
    pub(crate) fn end(self) -> Option<T> {
        let this = ManuallyDrop::new(self);
        let value = this.holder.leave();
        // SAFETY: `this` is never used or dropped again, so the holder is moved out once.
        drop(unsafe { std::ptr::read(&this.holder) });
        value
    }
}

impl<T> Rundown<T> {
    fn leave(&self) -> Option<T> {
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before & USES > 0);
        if before == CLOSED | 1 {
            self.take(CLOSED)
        } else {
            None
        }
    }
}

impl<T, H: Deref<Target = Rundown<T>>> Deref for Use<T, H> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: while a use is counted nobody takes the value, and it is there until then.
        unsafe { (*self.holder.value.get()).as_ref().unwrap_unchecked() }
    }
}

impl<T, H: Deref<Target = Rundown<T>>> Drop for Use<T, H> {
    /// A use that unwinds drops the value here if it was the last.
    fn drop(&mut self) {
        drop(self.holder.leave());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_takes_the_value() {
        let rundown = Rundown::new(7);
        let first = Rundown::enter(&rundown).unwrap();
        let second = Rundown::enter(&rundown).unwrap();
        let Closing::Busy(closing) = rundown.close() else {
            panic!("two uses are running");
        };
        assert_eq!((*closing, closing.end()), (7, None));
        assert!(Rundown::enter(&rundown).is_none());
        assert!(matches!(rundown.close(), Closing::AlreadyClosed));
        assert_eq!(first.end(), None);
        assert_eq!(*second, 7);
        assert_eq!(second.end(), Some(7));
        assert!(matches!(rundown.close(), Closing::AlreadyClosed));
    }

    #[test]
    fn an_idle_value_is_taken_by_closing_and_can_be_put_back() {
        let rundown = Rundown::new(7);
        assert!(matches!(rundown.close(), Closing::Idle(7)));
        assert!(rundown.is_closed());
        rundown.open_again(8);
        assert_eq!(Rundown::enter(&rundown).unwrap().end(), None);
        assert!(matches!(rundown.close(), Closing::Idle(8)));
    }
}
