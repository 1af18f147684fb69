//! The namespace of a chroot, made when code must run inside for the first time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use super::release::OpenChroot;
use crate::error::Result;
use crate::gate::Gate;
use crate::kernel::{mount, namespace};
use crate::sync::lock;

/// Puts the calling namespace thread, which is at home, into the chroot's namespace, and makes it if
/// there is none yet. `making` is the chroot's own; who holds it waits for nothing.
pub(super) fn go_inside(gate: &Gate, open: &OpenChroot, making: &Mutex<()>) -> Result<()> {
    if let Some(namespace) = open.tree.namespace.get() {
        return namespace::set(namespace.as_fd());
    }
    let _making = lock(making);
    let namespace = match open.tree.namespace.get() {
        Some(namespace) => namespace,
        None => {
            let made = make_namespace(gate, open.as_fd())?;
            open.tree.namespace.get_or_init(|| made)
        }
    };
    namespace::set(namespace.as_fd())
}

/// A namespace whose root is the tree, which keeps serving file operations.
///
/// At home in the empty namespace, the thread takes a copy of that (one mount, whatever the host has)
/// and moves the tree onto its root; only setns(2) then lands on the volume as "/".
fn make_namespace(gate: &Gate, tree: BorrowedFd<'_>) -> Result<OwnedFd> {
    namespace::unshare()?;
    // The move comes last. It can't be taken back: a tree that has been moved and whose namespace is
    // lost has lost the mounts below it, too.
    let namespace = namespace::open_current(gate.proc())?;
    mount::move_onto_root(tree)?;
    Ok(namespace)
}
