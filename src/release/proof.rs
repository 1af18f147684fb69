//! How the queue's resources prove that a mount is gone.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::outcome::Proof;
use crate::kernel::mount_mark::{Mark, MountEnd, MountMarks};
use crate::kernel::process::ProcRoot;

/// Proves the end of mounts, where the process may; a cheap handle.
#[derive(Clone)]
pub(crate) struct MountProof(Option<Arc<MountMarks>>);

impl MountProof {
    pub(super) fn new(proc: &Arc<ProcRoot>) -> MountProof {
        MountProof(MountMarks::open(proc).map(Arc::new))
    }

    /// Proves nothing.
    pub(crate) fn none() -> MountProof {
        MountProof(None)
    }

    pub(crate) fn is_available(&self) -> bool {
        self.0.is_some()
    }

    /// To be called before the mount that the descriptor is in is let go.
    pub(crate) fn mark(&self, fd: BorrowedFd<'_>) -> Option<Mark> {
        self.0.as_ref()?.mark(fd)
    }

    /// To be called after it was let go.
    pub(crate) fn outcome(&self, mark: Option<Mark>) -> Proof {
        let (Some(marks), Some(mark)) = (&self.0, mark) else {
            return Proof::Unverified;
        };
        match marks.end(&mark) {
            MountEnd::Gone => Proof::Verified,
            MountEnd::Held(descriptors) => Proof::Held { descriptors },
            MountEnd::Unknown => Proof::Unverified,
        }
    }
}
