//! Attributes and propagation of a tree for kernels without mount_setattr(2), that is before Linux
//! 5.12: the tree is in a namespace by then, where the older mount(2) can change it.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result, Status};
use crate::kernel::descriptor::MagicLink;
use crate::kernel::mount::{Attributes, set_propagation};
use crate::kernel::mount_mark::mount_id;
use crate::kernel::mountinfo::{MS_NOSYMFOLLOW, Mount, mounts};
use crate::kernel::namespace;
use crate::kernel::path::open_beneath;
use crate::kernel::process::ProcRoot;
use crate::kernel::syscall::{Quoted, check};

/// How often the mounts are listed: once to change them, once to see that it is done, and again when
/// a directory on the way to one was renamed meanwhile.
const ATTEMPTS: u32 = 8;

/// Sets the attributes of every mount of `tree`, which is the root of the calling thread; its working
/// directory is spent on it. Nobody else may have the tree yet.
///
/// UNSUPPORTED where a mount lies beneath another: mount(2) has no way to it.
pub(crate) fn set_attributes(
    proc: &ProcRoot,
    tree: BorrowedFd<'_>,
    attributes: Attributes,
) -> Result<()> {
    set_propagation(attributes.propagation)?;
    let wanted = flags(attributes.set);
    let lacks = |mount: &Mount| mount.flags & wanted != wanted;
    for _ in 0..ATTEMPTS {
        let mounts = mounts(proc)?;
        if !mounts.iter().any(lacks) {
            return Ok(());
        }
        for mount in mounts.iter().filter(|mount| lacks(mount)) {
            remount(proc, tree, mount, wanted)?;
        }
    }
    let left = mounts(proc)?.into_iter().find(lacks);
    let path = left.map(|mount| mount.path).unwrap_or_default();
    Err(Error::new(
        Status::Unsupported,
        format!(
            "the mount at {} lies beneath another: its attributes can't be set (Linux 5.12)",
            Quoted(path.as_os_str().as_bytes())
        ),
    ))
}

/// Adds `wanted` to what the mount has. Does nothing where another mount is found at its path.
fn remount(proc: &ProcRoot, tree: BorrowedFd<'_>, mount: &Mount, wanted: u64) -> Result<()> {
    let path = below_root(&mount.path)?;
    let root = match open_beneath(tree, &path, libc::O_PATH | libc::O_NOFOLLOW) {
        Ok(root) => root,
        Err(error) if is_elsewhere(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    if mount_id(root.as_raw_fd()) != Some(mount.id) {
        return Ok(());
    }
    // By the magic link, which is the very mount that was looked at, be it on a file or a directory.
    namespace::change_directory(proc.as_fd())?;
    let link = MagicLink::new(root.as_fd());
    let flags = libc::MS_REMOUNT | libc::MS_BIND | mount.flags | wanted;
    // SAFETY: a NUL-terminated path; the kernel ignores source, type and data for this change.
    let value = unsafe {
        libc::mount(
            std::ptr::null(),
            link.as_c_str().as_ptr(),
            std::ptr::null(),
            flags,
            std::ptr::null(),
        )
    };
    check(value.into(), || {
        let place = Quoted(mount.path.as_os_str().as_bytes());
        format!("mount(NULL, {place}, NULL, MS_REMOUNT|MS_BIND|{flags:#x}, NULL)")
    })
    .map(drop)
}

/// A directory on the way was renamed or replaced.
fn is_elsewhere(error: &Error) -> bool {
    matches!(
        error.os_error(),
        Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)
    )
}

/// "/a/b" as "a/b", and "/" as ".".
fn below_root(path: &Path) -> Result<CString> {
    let bytes = path.as_os_str().as_bytes();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    let bytes = if bytes.is_empty() { b"." } else { bytes };
    CString::new(bytes).map_err(|_| Error::new(Status::InvalidArgument, "a NUL in mountinfo"))
}

/// `MOUNT_ATTR_*` as `MS_*`.
fn flags(attributes: u64) -> u64 {
    [
        (libc::MOUNT_ATTR_RDONLY, libc::MS_RDONLY),
        (libc::MOUNT_ATTR_NOSUID, libc::MS_NOSUID),
        (libc::MOUNT_ATTR_NODEV, libc::MS_NODEV),
        (libc::MOUNT_ATTR_NOEXEC, libc::MS_NOEXEC),
        (libc::MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW),
    ]
    .into_iter()
    .filter(|(attribute, _)| attributes & attribute != 0)
    .fold(0, |flags, (_, flag)| flags | flag)
}
