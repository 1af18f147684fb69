//! A callback's rundown with its end to wait for.

use std::ops::Deref;

use crate::rundown::{Rundown, Use};
use crate::sync::{Arc, Condvar, Mutex, lock};

/// A value that is used until it is revoked. No use begins after that; the value is dropped exactly
/// once, by whoever ends the last use, and under no lock; and then it has ended.
pub(crate) struct Revocable<T> {
    rundown: Rundown<Held<T>>,
    ended: Arc<Ended>,
}

/// The fields are dropped in this order: first the value, then the news that it is gone.
pub(crate) struct Held<T> {
    value: T,
    _announce: Announce,
}

struct Announce(Arc<Ended>);

struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

/// One use of the value. The last one of a revoked value drops it.
pub(crate) struct InUse<'a, T>(Use<Held<T>, &'a Rundown<Held<T>>>);

impl<T> Revocable<T> {
    pub(crate) fn new(value: T) -> Revocable<T> {
        let ended = Arc::new(Ended {
            ended: Mutex::new(false),
            changed: Condvar::new(),
        });
        let held = Held {
            value,
            _announce: Announce(Arc::clone(&ended)),
        };
        Revocable {
            rundown: Rundown::new(held),
            ended,
        }
    }

    /// Begins a use, unless the value is revoked.
    pub(crate) fn enter(&self) -> Option<InUse<'_, T>> {
        Rundown::enter(&self.rundown).map(InUse)
    }

    /// Lets no further use begin. The value is dropped here if it is not in use.
    pub(crate) fn revoke(&self) {
        drop(self.rundown.close());
    }

    /// Whether the value was revoked and is dropped.
    pub(crate) fn has_ended(&self) -> bool {
        *lock(&self.ended.ended)
    }

    /// Waits until the value was revoked, its last use is over, and it is dropped.
    pub(crate) fn wait_ended(&self) {
        let mut ended = lock(&self.ended.ended);
        while !*ended {
            ended = self
                .ended
                .changed
                .wait(ended)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

impl<T> Deref for InUse<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl Drop for Announce {
    fn drop(&mut self) {
        *lock(&self.0.ended) = true;
        self.0.changed.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Counted(Arc<Mutex<u32>>);

    impl Drop for Counted {
        fn drop(&mut self) {
            *lock(&self.0) += 1;
        }
    }

    #[test]
    fn the_last_use_of_a_revoked_value_drops_it() {
        let drops = Arc::new(Mutex::new(0));
        let value = Revocable::new(Counted(Arc::clone(&drops)));
        let first = value.enter().unwrap();
        let second = value.enter().unwrap();
        value.revoke();
        assert!(value.enter().is_none());
        value.revoke();
        drop(first);
        assert_eq!((*lock(&drops), value.has_ended()), (0, false));
        drop(second);
        assert_eq!((*lock(&drops), value.has_ended()), (1, true));
        value.wait_ended();
        drop(value);
        assert_eq!(*lock(&drops), 1);
    }

    #[test]
    fn a_value_that_panics_while_it_is_dropped_has_ended_too() {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let value = Revocable::new(Loud);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| value.revoke())).is_err());
        value.wait_ended();
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::sync::atomic::{AtomicUsize, Ordering};

    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Two users and one who revokes and waits: the value is dropped once, after the last use and
    /// before the wait ends.
    #[test]
    fn two_users_and_a_revoker() {
        let mut builder = loom::model::Builder::new();
        // Unbounded it takes half a minute, and finds no more.
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let drops = Arc::new(AtomicUsize::new(0));
            let value = Arc::new(Revocable::new(Counted(Arc::clone(&drops))));
            let users: Vec<_> = (0..2)
                .map(|_| {
                    let value = Arc::clone(&value);
                    loom::thread::spawn(move || {
                        if let Some(used) = value.enter() {
                            assert_eq!((*used).0.load(Ordering::SeqCst), 0);
                        }
                    })
                })
                .collect();
            value.revoke();
            assert!(value.enter().is_none());
            value.wait_ended();
            assert_eq!(drops.load(Ordering::SeqCst), 1);
            for user in users {
                user.join().unwrap();
            }
            assert_eq!(drops.load(Ordering::SeqCst), 1);
        });
    }

    /// A user that revokes from inside its own use, while another revokes too.
    #[test]
    fn revoked_from_inside_a_use() {
        loom::model(|| {
            let drops = Arc::new(AtomicUsize::new(0));
            let value = Arc::new(Revocable::new(Counted(Arc::clone(&drops))));
            let inside = {
                let value = Arc::clone(&value);
                loom::thread::spawn(move || {
                    if let Some(used) = value.enter() {
                        value.revoke();
                        assert_eq!((*used).0.load(Ordering::SeqCst), 0);
                    }
                })
            };
            value.revoke();
            inside.join().unwrap();
            assert!(value.has_ended());
            assert_eq!(drops.load(Ordering::SeqCst), 1);
        });
    }
}
