//! From a return value to a result.

use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;

use crate::error::{Error, Result};

/// The value of a system call that answers -1 and sets errno; `call` is rendered on failure only.
pub(crate) fn check<D: fmt::Display>(value: libc::c_long, call: impl FnOnce() -> D) -> Result<i64> {
    if value == -1 {
        let errno = Errno::last_raw();
        return Err(Error::os(call(), errno));
    }
    Ok(value)
}

/// The answer of one of rustix's calls, which are made in place and not in a function of the C
/// library.
#[inline(always)]
pub(crate) fn told<T, D: fmt::Display>(
    answer: rustix::io::Result<T>,
    call: impl FnOnce() -> D,
) -> Result<T> {
    answer.map_err(|errno| Error::os(call(), errno.raw_os_error()))
}

/// The descriptor that a system call made.
pub(crate) fn check_fd<D: fmt::Display>(
    value: libc::c_long,
    call: impl FnOnce() -> D,
) -> Result<OwnedFd> {
    let fd = check(value, call)?;
    // SAFETY: the kernel just made this descriptor for us, nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A path as strace prints it: quoted, with what isn't printable escaped.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Where a path begins, as strace prints it.
pub(crate) struct Directory(pub(crate) i32);

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            libc::AT_FDCWD => f.write_str("AT_FDCWD"),
            fd => write!(f, "{fd}"),
        }
    }
}
