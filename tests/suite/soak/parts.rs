//! What the world is made of.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use nsgate::{Result, Sandbox, Subscriber};

use super::tally::{Done, count};
use crate::host::Random;

pub(super) const KEPT: usize = 32;

pub(super) type Life = Sandbox<()>;

/// Places that threads put things into and take them from.
pub(super) struct Kept<T>(Vec<Mutex<Option<T>>>);

impl<T> Kept<T> {
    pub(super) fn new() -> Kept<T> {
        Kept((0..KEPT).map(|_| Mutex::new(None)).collect())
    }

    /// Puts something into a place; what was there comes back.
    pub(super) fn put(&self, random: &mut Random, thing: T) -> Option<T> {
        let place = &self.0[random.below(KEPT as u64) as usize];
        place.lock().unwrap().replace(thing)
    }

    pub(super) fn take(&self, random: &mut Random) -> Option<T> {
        let place = &self.0[random.below(KEPT as u64) as usize];
        place.lock().unwrap().take()
    }

    pub(super) fn empty(&self) -> Vec<T> {
        let places = self.0.iter();
        places
            .filter_map(|place| place.lock().unwrap().take())
            .collect()
    }
}

impl<T: Clone> Kept<T> {
    pub(super) fn get(&self, random: &mut Random) -> Option<T> {
        let place = &self.0[random.below(KEPT as u64) as usize];
        place.lock().unwrap().clone()
    }
}

/// Counts what it is told, and its own end.
pub(super) struct Counter {
    pub(super) done: Arc<Done>,
    /// It was there from the beginning, and hears everything.
    pub(super) is_first: bool,
}

impl Subscriber<()> for Counter {
    fn on_insert(&self, _: &Life) -> Result<()> {
        if self.is_first {
            count(&self.done.inserts_told);
        }
        Ok(())
    }

    fn on_network_release(&self, _: &Life) -> Result<()> {
        if self.is_first {
            count(&self.done.network_releases_told);
        }
        Ok(())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        count(&self.done.subscribers_dropped);
    }
}

/// Part of a job or a callback.
pub(super) struct Body(pub(super) Arc<Done>, pub(super) fn(&Done) -> &AtomicU64);

impl Drop for Body {
    fn drop(&mut self) {
        count((self.1)(&self.0));
    }
}
