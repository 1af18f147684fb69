//! Whether a descriptor is open, and closing it with its error.

use std::os::fd::{IntoRawFd, OwnedFd, RawFd};

use crate::error::Result;
use crate::kernel::syscall::check;

/// EBADF unless the number is a descriptor of this process.
pub(crate) fn require_open(fd: RawFd) -> Result<()> {
    // SAFETY: the request only looks at the table of descriptors.
    let value = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    check(value.into(), || format!("fcntl({fd}, F_GETFD)")).map(drop)
}

/// Closes the descriptor. Whatever the answer, it is gone (close(2)): an error tells what became of
/// data that was still to be written.
pub(crate) fn close(descriptor: OwnedFd) -> Result<()> {
    let fd = descriptor.into_raw_fd();
    // SAFETY: an open descriptor that we own and that nobody uses after this.
    let value = unsafe { libc::close(fd) };
    match check(value.into(), || format!("close({fd})")) {
        // Linux has closed it before it looked for signals.
        Err(error) if error.os_error() == Some(libc::EINTR) => Ok(()),
        other => other.map(drop),
    }
}
