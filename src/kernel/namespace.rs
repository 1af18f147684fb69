//! The mount namespace, root and working directory of the calling thread.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::error::{Error, Result, Status};
use crate::kernel::descriptor::fstat;
use crate::kernel::process::ProcRoot;
use crate::kernel::syscall::{Quoted, check, check_fd};

const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
/// `_IOR(0xb7, 0x5, __u64)`: Linux 6.11.
const NS_GET_MNTNS_ID: libc::Ioctl = 0x8008_b705_u32 as libc::Ioctl;

/// Which mount namespace it is: the same numbers mean the same namespace for as long as somebody
/// holds it; `ns_id`, where the kernel has it (Linux 6.11), is never used again.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// use nsgate::MountNamespace;
///
/// let (own, new) = (MountNamespace::current(&gate)?, MountNamespace::create(&gate)?);
/// assert_ne!(own.id(), new.id());
/// println!("made {}", new.id()); // mnt:[4026532178]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NamespaceId {
    /// Device of nsfs.
    pub device: u64,
    /// Inode, the number in `mnt:[4026531841]`.
    pub inode: u64,
    /// The kernel's own 64-bit id.
    pub ns_id: Option<u64>,
}

impl std::fmt::Display for NamespaceId {
    /// As /proc/PID/ns/mnt reads.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mnt:[{}]", self.inode)
    }
}

/// The calling thread's mount namespace.
pub(crate) fn open_current(proc: &ProcRoot) -> Result<OwnedFd> {
    proc.open_at(c"thread-self/ns/mnt", libc::O_RDONLY)
}

/// What the descriptor stands for; INVALID_ARGUMENT unless it is a mount namespace.
pub(crate) fn identify(fd: BorrowedFd<'_>) -> Result<NamespaceId> {
    let raw = fd.as_raw_fd();
    // SAFETY: an open descriptor; this request takes no argument.
    let kind = unsafe { libc::ioctl(raw, NS_GET_NSTYPE) };
    // ENOTTY is how anything but a namespace answers; another errno says something else.
    if kind == -1 && Errno::last_raw() != libc::ENOTTY {
        let errno = Errno::last_raw();
        return Err(Error::os(format!("ioctl({raw}, NS_GET_NSTYPE)"), errno));
    }
    if kind != libc::CLONE_NEWNS {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("descriptor {raw} is not a mount namespace"),
        ));
    }
    let stat = fstat(fd)?;
    Ok(NamespaceId {
        device: stat.st_dev,
        inode: stat.st_ino,
        ns_id: ns_id(raw),
    })
}

/// The kernel's own id of the mount namespace behind a descriptor (Linux 6.11).
pub(crate) fn ns_id(namespace: i32) -> Option<u64> {
    let mut id = 0u64;
    // SAFETY: the request writes one u64.
    let known = unsafe { libc::ioctl(namespace, NS_GET_MNTNS_ID, &mut id) } == 0;
    known.then_some(id)
}

/// Puts the calling thread into the mount namespace; its root and working directory become the
/// namespace's root (setns(2)). EINVAL while another thread shares the fs_struct.
pub(crate) fn set(namespace: BorrowedFd<'_>) -> Result<()> {
    let fd = namespace.as_raw_fd();
    // SAFETY: an open descriptor.
    check(unsafe { libc::setns(fd, libc::CLONE_NEWNS) }.into(), || {
        format!("setns({fd}, CLONE_NEWNS)")
    })
    .map(drop)
}

/// Gives the calling thread a copy of its mount namespace, and an fs_struct of its own.
pub(crate) fn unshare() -> Result<()> {
    // SAFETY: no memory is involved.
    check(
        unsafe { libc::unshare(libc::CLONE_NEWNS) }.into(),
        || "unshare(CLONE_NEWNS)",
    )
    .map(drop)
}

/// Makes the directory the calling thread's working directory.
pub(crate) fn change_directory(directory: BorrowedFd<'_>) -> Result<()> {
    let fd = directory.as_raw_fd();
    // SAFETY: an open descriptor.
    check(unsafe { libc::fchdir(fd) }.into(), || {
        format!("fchdir({fd})")
    })
    .map(drop)
}

/// Makes the working directory the calling thread's root.
pub(crate) fn root_to_working_directory() -> Result<()> {
    // SAFETY: a NUL-terminated literal.
    check(
        unsafe { libc::chroot(c".".as_ptr()) }.into(),
        || "chroot(\".\")",
    )
    .map(drop)
}

/// Namespace, root and working directory of a thread, held open so that it can come back to them.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) namespace: OwnedFd,
    pub(crate) root: OwnedFd,
    pub(crate) working_directory: OwnedFd,
}

impl Standing {
    /// Where the calling thread stands now.
    pub(crate) fn current(proc: &ProcRoot) -> Result<Standing> {
        let directory = libc::O_PATH | libc::O_DIRECTORY;
        Ok(Standing {
            namespace: open_current(proc)?,
            root: proc.open_at(c"thread-self/root", directory)?,
            working_directory: proc.open_at(c"thread-self/cwd", directory)?,
        })
    }

    /// Brings the calling thread's namespace and root back; setns resets the working directory too.
    pub(crate) fn restore_root(&self) -> Result<()> {
        set(self.namespace.as_fd())?;
        change_directory(self.root.as_fd())?;
        root_to_working_directory()
    }

    /// Brings the working directory back, after the root.
    pub(crate) fn restore_working_directory(&self) -> Result<()> {
        change_directory(self.working_directory.as_fd())
    }
}

/// Opens what may be a namespace. O_NONBLOCK: a FIFO or device by that name must not hold the caller.
pub(crate) fn open_path(path: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    // SAFETY: a NUL-terminated path.
    check_fd(
        unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), flags) }.into(),
        || {
            let path = Quoted(path.to_bytes());
            format!("openat(AT_FDCWD, {path}, O_RDONLY|O_NONBLOCK|O_NOCTTY|O_CLOEXEC)")
        },
    )
}
