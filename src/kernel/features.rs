//! What this kernel has, found by trying: a version number says nothing about backports or filters.

use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Result, Status};
use crate::kernel::namespace::NamespaceId;
use crate::kernel::process::ProcRoot;

/// What the kernel offers to this process, probed once per gate.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// if !gate.features().mount_proof {
///     eprintln!("releases will say Proof::Unverified: that takes root of the initial user namespace");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Features {
    /// mount_setattr(2): a chroot gets its attributes without a namespace (Linux 5.12). Otherwise its
    /// namespace is made when it is opened, on a namespace thread.
    pub mount_setattr: bool,
    /// open_tree(2) with OPEN_TREE_NAMESPACE: a namespace straight from a tree (Linux 7.0). Not used:
    /// the namespace has a copy of the tree, whose mounts of its own file operations would not see.
    pub open_tree_namespace: bool,
    /// fchmodat2(2): chmod through an O_PATH descriptor (Linux 6.6).
    pub fchmodat2: bool,
    /// Namespaces have ids that are never used again (Linux 6.11).
    pub ns_id: bool,
    /// Whether the end of a mount can be proved: fanotify mount marks, for root of the initial user
    /// namespace only.
    pub mount_proof: bool,
    /// Whether detached trees that are released at the same time share one grace period of the kernel's:
    /// a detached tree takes others (Linux 6.15). Otherwise each has its own.
    pub dissolve_together: bool,
}

/// UNSUPPORTED unless confined path resolution works: there is no weaker way.
pub(crate) fn require_openat2(proc: &ProcRoot) -> Result<()> {
    // SAFETY: open_how is plain data, all zero is a value of it.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: an open descriptor, a NUL-terminated literal and a structure of the size we say.
    let value = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            proc.as_fd().as_raw_fd(),
            c".".as_ptr(),
            &how,
            size_of::<libc::open_how>(),
        )
    };
    crate::kernel::syscall::check_fd(
        value,
        || "openat2(/proc, \".\", {O_PATH|O_CLOEXEC, RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS})",
    )
    .map(drop)
    .map_err(|error| error.with_status(Status::Unsupported))
}

/// Whether detached trees take attributes.
pub(crate) fn has_mount_setattr() -> bool {
    // A size of 0 is EINVAL; another answer is that of a kernel or of a filter without the call.
    // SAFETY: no valid pointer is needed: the size is looked at before anything is read.
    let value = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            -1,
            c"".as_ptr(),
            0,
            std::ptr::null::<u8>(),
            0usize,
        )
    };
    value == -1 && nix::errno::Errno::last_raw() == libc::EINVAL
}

/// Whether chmod works on an O_PATH descriptor.
pub(crate) fn has_fchmodat2() -> bool {
    // SAFETY: a NUL-terminated literal; the descriptor is bad on purpose.
    let value = unsafe {
        libc::syscall(
            crate::kernel::descriptor::SYS_FCHMODAT2,
            -1,
            c"".as_ptr(),
            0,
            libc::AT_EMPTY_PATH,
        )
    };
    value == -1 && nix::errno::Errno::last_raw() != libc::ENOSYS
}

/// Whether open_tree makes namespaces.
pub(crate) fn has_open_tree_namespace() -> bool {
    const OPEN_TREE_NAMESPACE: u32 = 2;
    // SAFETY: a NUL-terminated literal; the descriptor is bad on purpose.
    let value = unsafe {
        libc::syscall(
            libc::SYS_open_tree,
            -1,
            c"".as_ptr(),
            OPEN_TREE_NAMESPACE | libc::AT_EMPTY_PATH as u32 | libc::O_CLOEXEC as u32,
        )
    };
    // An unknown flag is EINVAL before the descriptor is looked at.
    value == -1 && nix::errno::Errno::last_raw() == libc::EBADF
}

/// Probes everything but the last two, which the release queue finds out.
pub(crate) fn probe(home: NamespaceId, mount_proof: bool, dissolve_together: bool) -> Features {
    Features {
        mount_setattr: has_mount_setattr(),
        open_tree_namespace: has_open_tree_namespace(),
        fchmodat2: has_fchmodat2(),
        ns_id: home.ns_id.is_some(),
        mount_proof,
        dissolve_together,
    }
}
