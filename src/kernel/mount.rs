//! Detached mount trees: the new mount calls of Linux 5.2 and 5.12, which nix lacks.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::AT_FDCWD;

use crate::error::{Error, Result};
use crate::kernel::descriptor::fstat;
use crate::kernel::path::Clipped;
use crate::kernel::syscall::{Directory, check, check_fd, uninterrupted_fd};

const OPEN_TREE_CLONE: u32 = 1;
const AT_RECURSIVE: u32 = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

/// The attributes of a mount, as mount_setattr(2) takes them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Attributes {
    /// `MOUNT_ATTR_*` to set.
    pub(crate) set: u64,
    /// `MS_PRIVATE`, `MS_SLAVE` or the like; 0 leaves it.
    pub(crate) propagation: u64,
}

impl Attributes {
    /// `MS_PRIVATE`, `MS_SHARED` or the like, and no other change.
    pub(crate) fn propagation(propagation: u64) -> Attributes {
        Attributes {
            set: 0,
            propagation,
        }
    }
}

/// A detached private copy of the mount at `path`, with the mounts below it if `recursive`. An empty
/// path is `directory` itself.
pub(crate) fn clone_tree(
    directory: BorrowedFd<'_>,
    path: &CStr,
    recursive: bool,
) -> Result<OwnedFd> {
    let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    let (fd, c_path) = (directory.as_raw_fd(), path.as_ptr());
    // SAFETY: an open descriptor (or AT_FDCWD) and a NUL-terminated path.
    let open = || unsafe { libc::syscall(libc::SYS_open_tree, fd, c_path, flags) };
    uninterrupted_fd(open, || {
        format!(
            "open_tree({}, {}, OPEN_TREE_CLONE|O_CLOEXEC{}{})",
            Directory(directory.as_raw_fd()),
            Clipped(path.to_bytes()),
            if path.is_empty() {
                "|AT_EMPTY_PATH"
            } else {
                ""
            },
            if recursive { "|AT_RECURSIVE" } else { "" },
        )
    })
}

/// Sets attributes of a whole detached tree before anybody can use it (Linux 5.12).
pub(crate) fn set_attributes(
    tree: BorrowedFd<'_>,
    attributes: Attributes,
    recursive: bool,
) -> Result<()> {
    let argument = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: 0,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH as u32 | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: an open descriptor, a NUL-terminated path and a structure of the size we say.
    let value = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &argument,
            size_of::<libc::mount_attr>(),
        )
    };
    check(value, || {
        format!(
            "mount_setattr({}, \"\", AT_EMPTY_PATH{}, {{attr_set={:#x}, propagation={:#x}}})",
            tree.as_raw_fd(),
            if recursive { "|AT_RECURSIVE" } else { "" },
            attributes.set,
            attributes.propagation
        )
    })
    .map(drop)
}

/// ENOTDIR unless the tree's root is a directory.
pub(crate) fn require_directory(tree: BorrowedFd<'_>) -> Result<()> {
    if fstat(tree)?.st_mode & libc::S_IFMT == libc::S_IFDIR {
        return Ok(());
    }
    Err(Error::os("open_tree(…, O_DIRECTORY)", libc::ENOTDIR))
}

/// Moves a detached tree onto "/" of the calling thread's namespace.
pub(crate) fn move_onto_root(tree: BorrowedFd<'_>) -> Result<()> {
    move_onto(tree, AT_FDCWD, c"/")
}

/// Moves a detached tree onto a directory; an empty path is `directory` itself. In a detached tree
/// that takes Linux 6.15.
pub(crate) fn move_onto(
    tree: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    path: &CStr,
) -> Result<()> {
    let mut flags = MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= MOVE_MOUNT_T_EMPTY_PATH;
    }
    // SAFETY: open descriptors (or AT_FDCWD) and NUL-terminated paths.
    let value = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
        )
    };
    check(value, || {
        format!(
            "move_mount({}, \"\", {}, {}, MOVE_MOUNT_F_EMPTY_PATH{})",
            tree.as_raw_fd(),
            Directory(directory.as_raw_fd()),
            Clipped(path.to_bytes()),
            if path.is_empty() {
                "|MOVE_MOUNT_T_EMPTY_PATH"
            } else {
                ""
            },
        )
    })
    .map(drop)
}

/// A detached, empty tmpfs of this many inodes, its root's one of them.
pub(crate) fn detached_tmpfs(attributes: u64, inodes: &CStr) -> Result<OwnedFd> {
    let context = check_fd(
        // SAFETY: a NUL-terminated literal.
        unsafe {
            libc::syscall(
                libc::SYS_fsopen,
                c"tmpfs".as_ptr(),
                1u32, /* FSOPEN_CLOEXEC */
            )
        },
        || "fsopen(\"tmpfs\", FSOPEN_CLOEXEC)",
    )?;
    configure(&context, FSCONFIG_SET_STRING, Some((c"mode", c"0555")))?;
    configure(&context, FSCONFIG_SET_STRING, Some((c"nr_inodes", inodes)))?;
    configure(&context, FSCONFIG_CMD_CREATE, None)?;
    check_fd(
        // SAFETY: an open descriptor.
        unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                context.as_raw_fd(),
                1u32, /* FSMOUNT_CLOEXEC */
                attributes as u32,
            )
        },
        || {
            format!(
                "fsmount({}, FSMOUNT_CLOEXEC, {attributes:#x})",
                context.as_raw_fd()
            )
        },
    )
}

fn configure(context: &OwnedFd, command: u32, pair: Option<(&CStr, &CStr)>) -> Result<()> {
    let (key, value) = match pair {
        Some((key, value)) => (key.as_ptr(), value.as_ptr()),
        None => (std::ptr::null(), std::ptr::null()),
    };
    // SAFETY: an open descriptor; key and value are NUL-terminated or NULL as the command wants.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            command,
            key,
            value,
            0,
        )
    };
    check(answer, || {
        format!("fsconfig({}, {command}, {pair:?}, 0)", context.as_raw_fd())
    })
    .map(drop)
}

/// Makes every mount below the calling thread's root `MS_PRIVATE` or `MS_SLAVE`.
pub(crate) fn set_propagation(propagation: u64) -> Result<()> {
    let flags = libc::MS_REC | propagation;
    // SAFETY: NUL-terminated literals; the kernel ignores source, type and data for this change.
    let value = unsafe {
        libc::mount(
            std::ptr::null(),
            c"/".as_ptr(),
            std::ptr::null(),
            flags,
            std::ptr::null(),
        )
    };
    check(value.into(), || {
        let name = match propagation {
            libc::MS_SLAVE => "MS_SLAVE",
            _ => "MS_PRIVATE",
        };
        format!("mount(NULL, \"/\", NULL, MS_REC|{name}, NULL)")
    })
    .map(drop)
}

/// pivot_root(".", "."): the working directory's mount becomes the root, the old root lies over it.
pub(crate) fn pivot_to_working_directory() -> Result<()> {
    // SAFETY: NUL-terminated literals.
    let value = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    check(value, || "pivot_root(\".\", \".\")").map(drop)
}

/// Takes the mount over the working directory, with all below it, out of the namespace.
pub(crate) fn detach_working_directory() -> Result<()> {
    // SAFETY: a NUL-terminated literal.
    let value = unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) };
    check(value.into(), || "umount2(\".\", MNT_DETACH)").map(drop)
}
