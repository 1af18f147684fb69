//! Descriptors that come from outside.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::kernel::close::require_open;
use crate::{Error, Result};

/// The caller's descriptor, if it is one.
pub(super) fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>> {
    require_open(fd)?;
    // SAFETY: it is open, and the header asks the caller to keep it so during the call.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// A descriptor of our own for the same open file.
pub(super) fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    borrow(fd)?.try_clone_to_owned().map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EMFILE);
        Error::os(format!("fcntl({fd}, F_DUPFD_CLOEXEC)"), errno)
    })
}

/// The caller's descriptor, which is ours from here on.
pub(super) fn take(fd: BorrowedFd<'_>) -> OwnedFd {
    // SAFETY: it is open, and the header says that it is taken.
    unsafe { OwnedFd::from_raw_fd(fd.as_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_no_descriptor_is_refused() {
        for none in [-1, i32::MIN, i32::MAX] {
            assert_eq!(borrow(none).unwrap_err().os_error(), Some(libc::EBADF));
            assert!(duplicate(none).is_err());
        }
    }

    #[test]
    fn a_duplicate_is_another_descriptor_of_the_same_file() {
        let file = File::open("/proc/self/stat").unwrap();
        let copy = duplicate(file.as_raw_fd()).unwrap();
        assert_ne!(copy.as_raw_fd(), file.as_raw_fd());
        let raw = std::os::fd::IntoRawFd::into_raw_fd(copy);
        drop(take(borrow(raw).unwrap()));
        assert!(file.metadata().is_ok());
    }
}
