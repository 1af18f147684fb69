//! When a failed attempt is worth another, and after which pause.

use std::time::Duration;

use crate::error::{Error, Status};

/// How failed attempts are repeated. Only what may pass by itself is repeated: EBUSY, EINTR, EAGAIN
/// and ENOMEM; everything else fails at once.
///
/// ```
/// use std::time::Duration;
/// use nsgate::{Error, Gate, GateOptions};
///
/// let mut options = GateOptions::default();
/// options.retry.attempts = 3;
/// options.retry.first_pause = Duration::from_micros(100);
/// let gate = Gate::open(options)?;
/// let busy = || Err(Error::os("umount2(\"/busy\", 0)", libc::EBUSY));
/// let ticket = gate.releases().reserve_job("busy", busy)?.submit()?;
/// assert_eq!(gate.releases().wait(ticket, None)?.attempts, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryOptions {
    /// Pause after the first failed attempt; it doubles with each further one. 1 ms by default.
    pub first_pause: Duration,
    /// The longest pause; 1 s by default.
    pub longest_pause: Duration,
    /// The most attempts, the first included; 10 by default.
    pub attempts: u32,
    /// No further attempt once the release is this old, counted from its submit; 30 s by default.
    pub age: Duration,
}

impl Default for RetryOptions {
    fn default() -> RetryOptions {
        RetryOptions {
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_secs(1),
            attempts: 10,
            age: Duration::from_secs(30),
        }
    }
}

impl RetryOptions {
    /// The pause before another attempt, or `None` when the failure is final. `attempts` have been
    /// made, the release is `age` old.
    pub(crate) fn pause(
        &self,
        error: &Error,
        attempts: u32,
        age: Duration,
        jitter: &mut Jitter,
    ) -> Option<Duration> {
        if !may_pass(error) || attempts >= self.attempts || age >= self.age {
            return None;
        }
        let doubled = 1u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let pause = self
            .first_pause
            .saturating_mul(doubled)
            .min(self.longest_pause);
        Some(jitter.shorten(pause))
    }
}

fn may_pass(error: &Error) -> bool {
    error.status() == Status::Os
        && matches!(
            error.os_error(),
            Some(libc::EBUSY | libc::EINTR | libc::EAGAIN | libc::ENOMEM)
        )
}

/// Spreads pauses, so that releases that failed together don't come back together.
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Jitter {
        Jitter(seed | 1)
    }

    /// Between a half of `pause` and the whole.
    fn shorten(&mut self, pause: Duration) -> Duration {
        // xorshift64: no need for more than a spread.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let half = pause / 2;
        let span = u64::try_from((pause - half).as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(self.0 % span.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread_over_the_upper_half() {
        let options = RetryOptions {
            attempts: u32::MAX,
            ..RetryOptions::default()
        };
        let mut jitter = Jitter::new(42);
        let busy = Error::os("umount2(…)", libc::EBUSY);
        for attempts in 1..80 {
            let whole = if attempts > 10 {
                Duration::from_secs(1)
            } else {
                Duration::from_millis(1 << (attempts - 1))
            };
            let pause = options
                .pause(&busy, attempts, Duration::ZERO, &mut jitter)
                .unwrap();
            assert!(
                pause >= whole / 2 && pause <= whole,
                "{attempts}: {pause:?}"
            );
        }
    }

    #[test]
    fn attempts_age_and_errno_make_a_failure_final() {
        let options = RetryOptions::default();
        let mut jitter = Jitter::new(1);
        let mut pause = |errno, attempts, age| {
            let error = Error::os("close(3)", errno);
            options.pause(&error, attempts, Duration::from_secs(age), &mut jitter)
        };
        for errno in [libc::EBUSY, libc::EINTR, libc::EAGAIN, libc::ENOMEM] {
            assert!(pause(errno, 9, 29).is_some());
            assert!(pause(errno, 10, 0).is_none());
            assert!(pause(errno, 1, 30).is_none());
        }
        for errno in [libc::EIO, libc::EINVAL, libc::EPERM, libc::ENOENT] {
            assert!(pause(errno, 1, 0).is_none());
        }
        let panic = Error::new(Status::Panic, "a job panicked");
        assert!(
            options
                .pause(&panic, 1, Duration::ZERO, &mut Jitter::new(1))
                .is_none()
        );
    }
}
