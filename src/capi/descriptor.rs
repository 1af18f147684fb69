//! Descriptors that come from outside.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::{Error, Result, Status};

/// The caller's descriptor, if it is one.
pub(super) fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>> {
    // SAFETY: fcntl only looks whether the number is a descriptor.
    if fd < 0 || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(Error::os(format!("fcntl({fd}, F_GETFD)"), libc::EBADF));
    }
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

/// Takes the caller's descriptor, which is its own again if `taker` gives it back.
pub(super) fn lend<R>(
    fd: RawFd,
    taker: impl FnOnce(OwnedFd) -> Result<R, (Error, OwnedFd)>,
) -> Result<R> {
    let raw = borrow(fd)?.as_raw_fd();
    // SAFETY: it is open, and the header says that it is taken.
    let owned = unsafe { OwnedFd::from_raw_fd(raw) };
    taker(owned).map_err(|(error, owned)| {
        std::mem::forget(owned);
        error
    })
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
    fn a_descriptor_that_is_given_back_stays_open() {
        let file = File::open("/proc/self/stat").unwrap();
        let refused = lend(file.as_raw_fd(), |fd| {
            Err::<(), _>((Error::new(Status::Full, "no"), fd))
        });
        assert_eq!(refused.unwrap_err().status(), Status::Full);
        assert!(file.metadata().is_ok());
        let copy = duplicate(file.as_raw_fd()).unwrap();
        lend(std::os::fd::IntoRawFd::into_raw_fd(copy), |fd| {
            drop(fd);
            Ok(())
        })
        .unwrap();
    }
}
