//! Flags that come from outside.

use crate::{Error, Result, Status};

/// Refuses flags that this version does not know: one day they may mean something.
pub(super) fn known(flags: u32, known: u32) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(Error::new(
            Status::InvalidArgument,
            format!("unknown flags {unknown:#x}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_flags_are_refused() {
        assert!(known(0, 3).is_ok() && known(3, 3).is_ok());
        assert!(known(4, 3).is_err() && known(u32::MAX, 3).is_err());
    }
}
