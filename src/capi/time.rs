//! Time-outs

use std::time::{Duration, Instant};

use crate::{Error, Result, Status};

/// As a time-out: wait for ever.
pub const NSGATE_NO_DEADLINE: i64 = i64::MAX;

/// When a time-out from now ends; None is never.
pub(super) fn deadline(timeout_ns: i64) -> Result<Option<Instant>> {
    let Ok(timeout) = u64::try_from(timeout_ns) else {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("a time-out of {timeout_ns} ns is negative"),
        ));
    };
    if timeout_ns == NSGATE_NO_DEADLINE {
        return Ok(None);
    }
    // None, too, where the clock can't count that far.
    Ok(Instant::now().checked_add(Duration::from_nanos(timeout)))
}

/// The same where the core wants a date: a hundred years are for ever.
pub(super) fn date(timeout_ns: i64) -> Result<Instant> {
    let for_ever = Duration::from_secs(100 * 365 * 24 * 3600);
    Ok(deadline(timeout_ns)?.unwrap_or_else(|| Instant::now() + for_ever))
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_are_from_now_and_never_negative() {
        assert!(deadline(-1).is_err() && deadline(i64::MIN).is_err());
        assert!(date(-1).is_err());
        assert_eq!(deadline(NSGATE_NO_DEADLINE).unwrap(), None);
        assert!(deadline(0).unwrap().unwrap() <= Instant::now());
        assert!(date(NSGATE_NO_DEADLINE).unwrap() > Instant::now());
        assert!(deadline(i64::MAX - 1).is_ok());
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
    }
}
