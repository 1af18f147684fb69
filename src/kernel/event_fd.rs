//! A descriptor that is readable while there is something to read elsewhere (eventfd(2)).

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd as Descriptor};

use crate::error::{Error, Result};

pub(crate) struct EventFd(Descriptor);

impl EventFd {
    pub(crate) fn new() -> Result<EventFd> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        match Descriptor::from_value_and_flags(0, flags) {
            Ok(descriptor) => Ok(EventFd(descriptor)),
            Err(errno) => Err(Error::os(
                "eventfd2(0, EFD_CLOEXEC|EFD_NONBLOCK)",
                errno as i32,
            )),
        }
    }

    /// Makes it readable. The one way to fail, a full counter, means that it is.
    pub(crate) fn signal(&self) {
        let _ = self.0.write(1);
    }

    /// Makes it unreadable. The one way to fail, an empty counter, means that it is.
    pub(crate) fn clear(&self) {
        let _ = self.0.read();
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
