//! How the queue's resources prove that a mount is gone, with the mounts below it.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::outcome::Proof;
use crate::kernel::dissolve::{DetachedTree, Dissolver};
use crate::kernel::mount_mark::{Mark, MountEnd, MountMarks};
use crate::kernel::process::ProcRoot;

/// Proves the end of mounts, where the process may; a cheap handle.
#[derive(Clone)]
pub(crate) struct MountProof(Option<Arc<Means>>);

struct Means {
    marks: MountMarks,
    dissolver: Option<Arc<Dissolver>>,
}

impl MountProof {
    pub(super) fn new(proc: &Arc<ProcRoot>, dissolver: Option<Arc<Dissolver>>) -> MountProof {
        let means = MountMarks::open(proc).map(|marks| Means { marks, dissolver });
        MountProof(means.map(Arc::new))
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
        self.0.as_ref()?.marks.mark(fd)
    }

    /// Whether the tree is known to have no mounts below its root. Finding that out may dissolve it.
    pub(crate) fn is_alone(&self, tree: &DetachedTree) -> bool {
        let means = self.0.as_ref();
        let dissolver = means.and_then(|means| means.dissolver.as_ref());
        if tree.is_alone().is_none()
            && let Some(dissolver) = dissolver
        {
            let _ = dissolver.dissolve(&[tree]);
        }
        tree.is_alone() == Some(true)
    }

    /// To be called after it was let go. `is_all`: the mark is on all that was let go.
    pub(crate) fn outcome(&self, mark: Option<Mark>, is_all: bool) -> Proof {
        let (Some(means), Some(mark)) = (&self.0, mark) else {
            return Proof::Unverified;
        };
        match means.marks.end(&mark) {
            MountEnd::Gone if is_all => Proof::Verified,
            MountEnd::Held(descriptors) => Proof::Held { descriptors },
            MountEnd::Gone | MountEnd::Unknown => Proof::Unverified,
        }
    }
}
