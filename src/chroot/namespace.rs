//! The namespace of a chroot, made when code must run inside for the first time; before Linux 5.12
//! when it is opened.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use super::options::ChrootOptions;
use super::release::OpenChroot;
use crate::error::Result;
use crate::gate::Gate;
use crate::kernel::{mount, namespace, remount};
use crate::sync::lock;
use crate::trace;

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

/// Gives a new tree, which nobody else has yet, the attributes of the options. Returns its namespace
/// where it had to be in one for that.
pub(super) fn set_attributes(
    gate: &Gate,
    tree: &OwnedFd,
    options: &ChrootOptions,
) -> Result<Option<OwnedFd>> {
    let attributes = options.attributes();
    if gate.features().mount_setattr {
        mount::set_attributes(tree.as_fd(), attributes, options.recursive)?;
        return Ok(None);
    }
    let mut made = None;
    let place = &mut made;
    let enter = move || {
        let namespace = make_namespace(gate, tree.as_fd())?;
        namespace::set(namespace.as_fd())?;
        remount::set_attributes(gate.proc(), tree.as_fd(), attributes)?;
        *place = Some(namespace);
        Ok(())
    };
    // The span of the open is the one that tells of it.
    let unrecorded = trace::Visit::default();
    gate.threads().run(enter, || (), unrecorded)?;
    Ok(made)
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
