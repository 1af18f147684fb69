//! What an open chroot holds, and how it goes away.

use std::any::Any;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock, Weak};

use super::Inner;
use crate::error::{Error, Result, Status};
use crate::kernel::dissolve::DetachedTree;
use crate::kernel::mount_list;
use crate::releasable::{Open, Releasable};
use crate::release::{BeforeRelease, Hook, Lane, MountProof, Proof, Reservation, Resource, Ticket};

/// The descriptors of a chroot. Boxed when it is opened, so that its release allocates nothing.
pub(crate) struct Tree {
    /// The root of the detached copy, which all file operations resolve beneath.
    pub(super) descriptor: Option<Arc<DetachedTree>>,
    /// The namespace that jobs run in, once there is one.
    pub(super) namespace: OnceLock<OwnedFd>,
    proof: MountProof,
    /// A server is behind it: what touches it may hang.
    is_served: bool,
}

impl Tree {
    pub(super) fn new(
        descriptor: OwnedFd,
        namespace: Option<OwnedFd>,
        is_single: bool,
        proof: MountProof,
        is_served: bool,
    ) -> Tree {
        // Whether it is costs the release something to find out.
        let is_wanted = !is_single && proof.is_available();
        let descriptor = DetachedTree::new(descriptor, (!is_wanted).then_some(is_single));
        Tree {
            descriptor: Some(Arc::new(descriptor)),
            namespace: namespace.map_or_else(OnceLock::new, OnceLock::from),
            proof,
            is_served,
        }
    }
}

impl Resource for Tree {
    fn release(&mut self) -> Result<Proof> {
        let Some(descriptor) = self.descriptor.take() else {
            return Ok(Proof::Unverified);
        };
        let mark = self.proof.mark(descriptor.as_fd());
        let is_alone = mark.is_some()
            && match self.namespace.get() {
                // The root of the empty namespace, and the tree's on it.
                Some(namespace) => mount_list::has_at_most(2, namespace.as_fd()) == Some(true),
                None => self.proof.is_alone(&descriptor),
            };
        // The tree first: once the namespace is gone, mounts below it vanish under the tree.
        drop(descriptor);
        drop(self.namespace.take());
        Ok(self.proof.outcome(mark, is_alone))
    }

    fn detached_tree(&self) -> Option<Arc<DetachedTree>> {
        let is_detached = self.namespace.get().is_none() && !self.is_served;
        self.descriptor.clone().filter(|_| is_detached)
    }
}

/// An open chroot: its descriptors and its place in the queue.
pub(crate) struct OpenChroot {
    pub(super) tree: Box<Tree>,
    pub(super) reservation: Reservation,
}

impl OpenChroot {
    /// `chroot` gets the tree back when its release is cancelled.
    pub(super) fn new(tree: Tree, mut reservation: Reservation, chroot: Weak<Inner>) -> OpenChroot {
        let reclaim = move |reservation: Reservation, resource: Box<dyn Resource>| {
            take_back(&chroot, reservation, resource);
        };
        reservation.set_reclaim(Box::new(reclaim));
        OpenChroot {
            tree: Box::new(tree),
            reservation,
        }
    }

    /// Whether mounts may lie on names below its root.
    pub(super) fn may_have_mounts(&self) -> bool {
        let tree = self.tree.descriptor.as_ref();
        let is_alone = tree.is_some_and(|tree| tree.is_alone() == Some(true));
        !is_alone || self.tree.namespace.get().is_some()
    }

    pub(super) fn set_hook(&self, hook: Option<Hook>) -> Result<()> {
        let Some(hook) = hook else {
            drop(self.reservation.take_hook()?);
            return Ok(());
        };
        if self.reservation.set_hook(hook)? {
            return Ok(());
        }
        Err(Error::new(
            Status::AlreadyExists,
            "the chroot is attached already",
        ))
    }

    pub(super) fn set_before_release(&self, step: BeforeRelease) -> Result<()> {
        if self.reservation.set_before_release(step) {
            return Ok(());
        }
        Err(Error::new(
            Status::InvalidState,
            "the chroot has a before-release step already",
        ))
    }
}

impl Open for OpenChroot {
    const NAME: &'static str = "the chroot was released";

    fn ticket(&self) -> Ticket {
        self.reservation.ticket()
    }

    fn announce(&self) {
        self.reservation.announce();
    }

    fn submit(self) {
        self.reservation.submit(Lane::Native, self.tree);
    }
}

/// The release was cancelled: the chroot is open again, or released again where nobody has it.
fn take_back(chroot: &Weak<Inner>, reservation: Reservation, resource: Box<dyn Resource>) {
    let resource: Box<dyn Any> = resource;
    let Ok(tree) = resource.downcast::<Tree>() else {
        // The queue gives back what it was given.
        return;
    };
    let is_whole = tree.descriptor.is_some();
    let open = OpenChroot::new(*tree, reservation, chroot.clone());
    match is_whole {
        true => Releasable::give_back(chroot, open),
        // An attempt that failed has closed it.
        false => open.submit(),
    }
}
