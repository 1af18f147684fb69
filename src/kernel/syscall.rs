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

/// The value of a call that is made again as long as a signal interrupts it. File systems with a server
/// behind them answer so to nearly every call, however the handlers are installed.
#[inline]
pub(crate) fn uninterrupted<D: fmt::Display>(
    make: impl Fn() -> libc::c_long,
    call: impl FnOnce() -> D,
) -> Result<i64> {
    loop {
        let value = make();
        if value != -1 || Errno::last_raw() != libc::EINTR {
            return check(value, call);
        }
    }
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
    check(value, call).map(made)
}

/// The descriptor that [`uninterrupted`] gives.
pub(crate) fn uninterrupted_fd<D: fmt::Display>(
    make: impl Fn() -> libc::c_long,
    call: impl FnOnce() -> D,
) -> Result<OwnedFd> {
    uninterrupted(make, call).map(made)
}

fn made(fd: i64) -> OwnedFd {
    // SAFETY: the kernel just made this descriptor for us, nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
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
