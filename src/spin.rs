//! Waiting awake for what is about to happen.
//!
//! To wake a thread on an idle processor takes tens of microseconds, more than a whole visit to a
//! namespace. So both sides of a hand-over look for a moment before they sleep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::kernel::process;

/// About twice what the wake costs that it may save.
const AWAKE: Duration = Duration::from_micros(100);
/// How often to look before the processor is offered to others.
const LOOKS: u32 = 64;
/// Who offered the processor and did not get it back sooner has rivals for it. They may keep it for
/// milliseconds next time, where one that sleeps is preferred to them when it is woken.
const CROWDED: Duration = Duration::from_micros(50);
/// How many waits go to sleep at once after one that met rivals.
const ASLEEP: u32 = 4;

/// Waits of one kind, which learn from each other whether the processor is crowded.
pub(crate) struct Lookout {
    /// With one processor the other side can't run meanwhile.
    has_another_processor: bool,
    asleep: AtomicU32,
}

impl Lookout {
    pub(crate) fn new() -> Lookout {
        Lookout {
            has_another_processor: process::processors() > 1,
            asleep: AtomicU32::new(0),
        }
    }

    /// Whether `happened` became true within the moment that is worth staying awake for.
    pub(crate) fn until(&self, happened: impl Fn() -> bool) -> bool {
        if happened() {
            return true;
        }
        if !self.has_another_processor || self.is_asleep() {
            return false;
        }
        let started = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if happened() {
                    return true;
                }
                std::hint::spin_loop();
            }
            let offered = Instant::now();
            std::thread::yield_now();
            // The other side may have been the one that took it.
            if happened() {
                return true;
            }
            if offered.elapsed() > CROWDED {
                self.asleep.store(ASLEEP, Ordering::Relaxed);
                return false;
            }
            if started.elapsed() > AWAKE {
                return false;
            }
        }
    }

    /// Counts a wait that should sleep at once.
    fn is_asleep(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        self.asleep.fetch_update(relaxed, relaxed, one_less).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_has_happened_is_seen_however_long_others_waited_in_vain() {
        let lookout = Lookout::new();
        for _ in 0..2 * ASLEEP {
            assert!(!lookout.until(|| false));
            assert!(lookout.until(|| true));
        }
    }
}
