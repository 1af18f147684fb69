//! The namespace of a chroot, made when code must run inside for the first time.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::error::Result;
use crate::gate::Gate;
use crate::kernel::{mount, namespace};

/// A namespace whose root is the tree, which keeps serving file operations.
///
/// A namespace thread, at home in the empty namespace, takes a copy of that (one mount, whatever the
/// host has) and moves the tree onto its root; setns(2) then lands on the volume as "/".
pub(super) fn make_namespace(gate: &Gate, tree: BorrowedFd<'_>) -> Result<OwnedFd> {
    gate.threads().run_at_home(|| {
        namespace::unshare()?;
        mount::move_onto_root(tree)?;
        namespace::open_current(gate.proc())
    })?
}
