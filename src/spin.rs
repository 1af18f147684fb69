//! Waiting awake for what is about to happen.
//!
//! To wake a thread on an idle processor takes tens of microseconds, more than a whole visit to a
//! namespace. So both sides of a hand-over look for a moment before they sleep.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// About twice what the wake costs that it may save.
const AWAKE: Duration = Duration::from_micros(100);
/// How often to look before the processor is offered to others.
const LOOKS: u32 = 64;

/// With one processor the other side can't run meanwhile.
static HAS_ANOTHER_PROCESSOR: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1));

/// Whether `happened` became true within the moment that is worth staying awake for.
pub(crate) fn until(happened: impl Fn() -> bool) -> bool {
    if happened() {
        return true;
    }
    if !*HAS_ANOTHER_PROCESSOR {
        return false;
    }
    let started = Instant::now();
    while started.elapsed() < AWAKE {
        for _ in 0..LOOKS {
            if happened() {
                return true;
            }
            std::hint::spin_loop();
        }
        std::thread::yield_now();
    }
    false
}
