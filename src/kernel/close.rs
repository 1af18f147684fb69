//! Closing a descriptor, with its error.

use std::os::fd::{IntoRawFd, OwnedFd};

use crate::error::Result;
use crate::kernel::syscall::check;

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
