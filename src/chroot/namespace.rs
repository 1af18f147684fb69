//! The namespace of a chroot, made when code must run inside for the first time.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::kernel::{mount, namespace};

/// A namespace whose root is the tree, which keeps serving file operations.
///
/// A namespace thread, at home in the empty namespace, takes a copy of that (one mount, whatever the
/// host has) and moves the tree onto its root; setns(2) then lands on the volume as "/".
pub(super) fn make_namespace(gate: &Gate, tree: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut made = None;
    let visit = gate.threads().run_at_home(|| {
        made = Some(namespace::unshare().and_then(|()| {
            // The move comes last. It can't be taken back: a tree that has been moved and whose
            // namespace is lost has lost the mounts below it, too.
            let namespace = namespace::open_current(gate.proc())?;
            mount::move_onto_root(tree)?;
            Ok(namespace)
        }));
    });
    // A thread that could not come home after it is the pool's loss.
    made.unwrap_or_else(|| Err(visit.err().unwrap_or_else(no_thread)))
}

fn no_thread() -> Error {
    Error::closed("the thread that makes the namespace is gone")
}
