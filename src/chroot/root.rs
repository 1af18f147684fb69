//! The root that file operations resolve beneath, wherever its descriptor comes from.

use std::os::fd::{AsFd, BorrowedFd};

use crate::kernel::process::ProcRoot;

/// A directory that stands for "/", held open for as long as the operation takes, and the /proc that
/// the few calls without a form for descriptors go through.
#[derive(Clone, Copy)]
pub(crate) struct Root<'a> {
    fd: BorrowedFd<'a>,
    proc: &'a ProcRoot,
}

impl<'a> Root<'a> {
    pub(crate) fn new(fd: BorrowedFd<'a>, proc: &'a ProcRoot) -> Root<'a> {
        Root { fd, proc }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'a> {
        self.fd
    }

    pub(super) fn proc(&self) -> &'a ProcRoot {
        self.proc
    }
}

impl AsFd for Root<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}
