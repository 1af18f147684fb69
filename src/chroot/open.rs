//! Opening and creating files.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use crate::error::Result;
use crate::kernel::path::open_in_root;

/// How a file is opened: the flags of open(2), and the permissions of a file that it creates.
///
/// Flags that open(2) doesn't know are ignored, as open(2) does. `O_CLOEXEC` is always added. `mode`
/// counts with `O_CREAT` and `O_TMPFILE` only, less the process's umask.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::OpenOptions;
///
/// let append = OpenOptions::new(libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND).mode(0o600);
/// let log = std::fs::File::from(chroot.open_file("log", append)?);
/// assert_eq!(chroot.stat("log")?.mode() & 0o777, 0o600);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenOptions {
    /// `O_RDONLY`, `O_WRONLY` or `O_RDWR`, and any others of open(2).
    pub flags: i32,
    /// Permission bits, setuid, setgid and sticky included.
    pub mode: u32,
}

impl OpenOptions {
    /// Flags alone: nothing is created, or without any permission.
    pub fn new(flags: i32) -> OpenOptions {
        OpenOptions { flags, mode: 0 }
    }

    /// The same with the permissions of what is created.
    pub fn mode(self, mode: u32) -> OpenOptions {
        OpenOptions { mode, ..self }
    }
}

impl Root<'_> {
    #[inline]
    pub(crate) fn open(&self, path: &Path, options: OpenOptions) -> Result<OwnedFd> {
        open_in_root(
            self.as_fd(),
            path.as_os_str().as_bytes(),
            options.flags,
            options.mode,
        )
    }

    pub(crate) fn create(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
        self.open(path, OpenOptions { flags, mode })
    }
}
