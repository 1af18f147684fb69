//! The library's `sync` over loom's primitives, plus what loom leaves out: waits that time out.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::LockResult;
use std::time::Duration;

pub(crate) use loom::sync::{Arc, atomic};

/// What becomes of a wait with a time limit when nobody notifies it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// It waits: no time passes.
    StandsStill,
    /// It times out: all the time in the world passes.
    Flies,
}

std::thread_local! {
    /// loom runs every thread of a model on one thread of the process.
    static TIME: Cell<Time> = const { Cell::new(Time::StandsStill) };
}

/// How time passes in the models of this test.
pub(crate) fn let_time(time: Time) {
    TIME.set(time);
}

pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(lock(self))
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().unwrap()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let guard = mutex.0.lock();
    let guard = guard.unwrap_or_else(|poisoned| poisoned.into_inner());
    MutexGuard {
        mutex,
        guard: Some(guard),
    }
}

pub(crate) struct Condvar(loom::sync::Condvar);

pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar(loom::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
    ) -> LockResult<MutexGuard<'a, T>> {
        let inner = self.0.wait(guard.guard.take().unwrap());
        guard.guard = Some(inner.unwrap_or_else(|poisoned| poisoned.into_inner()));
        Ok(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        _limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        if TIME.get() == Time::StandsStill {
            let guard = self.wait(guard);
            let guard = guard.unwrap_or_else(|poisoned| poisoned.into_inner());
            return Ok((guard, WaitTimeoutResult(false)));
        }
        // Whoever notifies meanwhile finds nobody: the wait is over already.
        let mutex = guard.mutex;
        drop(guard.guard.take());
        loom::thread::yield_now();
        Ok((lock(mutex), WaitTimeoutResult(true)))
    }
}
