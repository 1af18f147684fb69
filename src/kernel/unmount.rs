//! Unmounting a mount that was looked at before, with everything mounted below it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::error::{Error, Result, Status};
use crate::kernel::mountinfo::Mount;
use crate::kernel::process::{self, ProcRoot};
use crate::kernel::syscall::{Quoted, check, check_fd};

/// Linux 6.8: an id that is never used again.
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;

/// Which mount it is. The kernel uses the small ids again, hence the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MountIdentity {
    /// The id in mountinfo.
    pub(crate) id: u64,
    unique: Option<u64>,
    device: u64,
    inode: u64,
}

/// The mount whose root lies at `path`; EINVAL, as umount2(2) says, where none does.
pub(crate) fn identify(path: &Path) -> Result<MountIdentity> {
    let raw = c_string(path)?;
    let (identity, is_root) = look(libc::AT_FDCWD, &raw, libc::AT_SYMLINK_NOFOLLOW)?;
    if !is_root {
        return Err(umount_error(path, "UMOUNT_NOFOLLOW", libc::EINVAL));
    }
    Ok(identity)
}

/// Opens the root of a mount, to mark it. EBUSY where another covers it.
pub(crate) fn open(mount: &Mount) -> Result<OwnedFd> {
    let (directory, name) = parent(mount)?;
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: an open descriptor and a NUL-terminated path.
    let root = check_fd(
        unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags) }.into(),
        || {
            format!(
                "openat({}, {}, O_PATH|O_NOFOLLOW|O_CLOEXEC)",
                directory.as_raw_fd(),
                Quoted(name.to_bytes())
            )
        },
    )?;
    let (found, _) = look(root.as_raw_fd(), c"", libc::AT_EMPTY_PATH)?;
    if found.id != mount.id {
        return Err(covered(mount));
    }
    Ok(root)
}

/// Whether what mountinfo calls by this id still is the mount that was looked at.
pub(crate) fn is_same(mount: &Mount, identity: MountIdentity) -> Result<bool> {
    if mount.id != identity.id {
        return Ok(false);
    }
    let (directory, name) = parent(mount)?;
    let (found, _) = look(
        directory.as_raw_fd(),
        &name,
        libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT,
    )?;
    // Another mount may cover it: then it is there, if not on top.
    Ok(found.id != identity.id || found == identity)
}

/// Unmounts the mount, if it still is the one on top at its path. EBUSY where another covers it.
pub(crate) fn unmount(proc: &ProcRoot, mount: &Mount, detach: bool) -> Result<()> {
    let (directory, name) = parent(mount)?;
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;
    let (found, _) = look(directory.as_raw_fd(), &name, flags)?;
    if found.id != mount.id {
        return Err(covered(mount));
    }
    require_real_proc(proc)?;
    // The directory by its descriptor: no directory on the way there can be swapped for a link. A
    // descriptor of the mount itself would keep it busy.
    let path = format!("/proc/thread-self/fd/{}/", directory.as_raw_fd());
    let path = CString::new([path.as_bytes(), name.to_bytes()].concat())
        .map_err(|_| umount_error(&mount.path, "", libc::EINVAL))?;
    let (flags, words) = match detach {
        false => (libc::UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"),
        true => (
            libc::UMOUNT_NOFOLLOW | libc::MNT_DETACH,
            "UMOUNT_NOFOLLOW|MNT_DETACH",
        ),
    };
    // SAFETY: a NUL-terminated path.
    let value = unsafe { libc::umount2(path.as_ptr(), flags) };
    check(value.into(), || umount_call(&mount.path, words)).map(drop)
}

/// The directory that a mount lies in, and its name there. No symbolic link is followed: mountinfo's
/// paths have none.
fn parent(mount: &Mount) -> Result<(OwnedFd, CString)> {
    let no_parent = || umount_error(&mount.path, "UMOUNT_NOFOLLOW", libc::EINVAL);
    let directory = mount.path.parent().ok_or_else(no_parent)?;
    let name = c_string(Path::new(mount.path.file_name().ok_or_else(no_parent)?))?;
    let raw = c_string(directory)?;
    // SAFETY: open_how is plain data, all zero is a value of it.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_NO_SYMLINKS;
    // SAFETY: a NUL-terminated path and a structure of the size we say.
    let value = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            raw.as_ptr(),
            &how,
            size_of::<libc::open_how>(),
        )
    };
    let directory = check_fd(value, || {
        format!(
            "openat2(AT_FDCWD, {}, {{O_PATH|O_DIRECTORY|O_CLOEXEC, RESOLVE_NO_SYMLINKS}})",
            Quoted(raw.to_bytes())
        )
    })?;
    Ok((directory, name))
}

/// Which mount is at the path, and whether the path is its root.
fn look(directory: i32, path: &CStr, flags: i32) -> Result<(MountIdentity, bool)> {
    let flags = flags | libc::AT_STATX_DONT_SYNC;
    let ask = |mask: u32| -> Result<libc::statx> {
        // SAFETY: statx is plain data, all zero is a value of it.
        let mut statx: libc::statx = unsafe { std::mem::zeroed() };
        // SAFETY: a NUL-terminated path and a place for the answer.
        let value = unsafe { libc::statx(directory, path.as_ptr(), flags, mask, &mut statx) };
        check(value.into(), || {
            format!(
                "statx({directory}, {}, {flags:#x}, {mask:#x})",
                Quoted(path.to_bytes())
            )
        })?;
        Ok(statx)
    };
    let statx = ask(libc::STATX_INO | libc::STATX_MNT_ID)?;
    let unique = ask(STATX_MNT_ID_UNIQUE)?;
    let identity = MountIdentity {
        id: statx.stx_mnt_id,
        unique: (unique.stx_mask & STATX_MNT_ID_UNIQUE != 0).then_some(unique.stx_mnt_id),
        device: libc::makedev(statx.stx_dev_major, statx.stx_dev_minor),
        inode: statx.stx_ino,
    };
    let is_root = statx.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0;
    Ok((identity, is_root))
}

/// umount2 takes no directory descriptor, so its path begins at /proc: that must be the real one.
fn require_real_proc(proc: &ProcRoot) -> Result<()> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: a NUL-terminated literal.
    let now = check_fd(
        unsafe { libc::openat(libc::AT_FDCWD, c"/proc".as_ptr(), flags) }.into(),
        || "openat(AT_FDCWD, \"/proc\", O_PATH|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC)",
    )?;
    let place = |fd: BorrowedFd<'_>| process::place(fd);
    if place(now.as_fd())? != place(proc.as_fd())? {
        return Err(Error::new(
            Status::Unsupported,
            "/proc is not the one that the gate was opened with",
        ));
    }
    Ok(())
}

fn c_string(path: &Path) -> Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::new(Status::InvalidArgument, "the path has a NUL inside"))
}

fn covered(mount: &Mount) -> Error {
    umount_error(&mount.path, "UMOUNT_NOFOLLOW", libc::EBUSY)
}

fn umount_error(path: &Path, flags: &'static str, os_error: i32) -> Error {
    Error::os(umount_call(path, flags), os_error)
}

fn umount_call(path: &Path, flags: &'static str) -> String {
    use std::os::unix::ffi::OsStrExt;
    format!("umount2({}, {flags})", Quoted(path.as_os_str().as_bytes()))
}
