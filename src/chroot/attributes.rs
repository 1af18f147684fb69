//! Changing permissions, owners, times and the size.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::stat::FileTime;
use super::target::{check_length, failed};
use crate::error::Result;
use crate::kernel::descriptor::{self, MagicLink, fstat, fstatfs};
use crate::kernel::path::{Clipped, open_in_root, refuse_nul};

impl Root<'_> {
    pub(crate) fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        let fd = self.open_path(path, Follow::Yes)?;
        descriptor::chmod(self.proc(), fd.as_fd(), mode)
    }

    pub(crate) fn chown(&self, path: &Path, uid: u32, gid: u32, follow: Follow) -> Result<()> {
        let fd = self.open_path(path, follow)?;
        descriptor::chown(fd.as_fd(), uid, gid)
    }

    pub(crate) fn set_times(
        &self,
        path: &Path,
        access: Option<FileTime>,
        modification: Option<FileTime>,
        follow: Follow,
    ) -> Result<()> {
        let times = [timespec(access), timespec(modification)];
        if times.iter().all(|time| time.tv_nsec == libc::UTIME_OMIT) {
            // The kernel looks at nothing then, not even at the path.
            return refuse_nul(path.as_os_str().as_bytes());
        }
        let fd = self.open_path(path, follow)?;
        descriptor::set_times(fd.as_fd(), &times)
    }

    pub(crate) fn truncate(&self, path: &Path, length: i64) -> Result<()> {
        let bytes = path.as_os_str().as_bytes();
        if length < 0 {
            refuse_nul(bytes)?;
            return Err(failed(self.as_fd(), bytes, "truncate", libc::EINVAL));
        }
        check_length(self.as_fd(), bytes, "truncate")?;
        // Opening a FIFO or a device to write would do something of its own, so that what it is has
        // to be known, of the very file that is then opened.
        let fd = self.open_path(path, Follow::Yes)?;
        match fstat(fd.as_fd())?.st_mode & libc::S_IFMT {
            libc::S_IFREG => {}
            libc::S_IFDIR => return Err(failed(self.as_fd(), bytes, "truncate", libc::EISDIR)),
            _ => return Err(failed(self.as_fd(), bytes, "truncate", libc::EINVAL)),
        }
        let magic = MagicLink::new(fd.as_fd());
        // Without O_NONBLOCK: like truncate(2) it waits until another process gives its lease up, where
        // it would be EAGAIN.
        match self.proc().open_at(magic.as_c_str(), libc::O_WRONLY) {
            Ok(writable) => descriptor::ftruncate(writable.as_fd(), length),
            // truncate(2) looks at the mount first, open(2) at the file.
            Err(_) if is_read_only(fd.as_fd()) => {
                Err(failed(self.as_fd(), bytes, "truncate", libc::EROFS))
            }
            Err(error) => Err(error.with_context(Clipped(bytes))),
        }
    }

    fn open_path(&self, path: &Path, follow: Follow) -> Result<OwnedFd> {
        let flags = match follow {
            Follow::Yes => libc::O_PATH,
            Follow::No => libc::O_PATH | libc::O_NOFOLLOW,
        };
        open_in_root(self.as_fd(), path.as_os_str().as_bytes(), flags, 0)
    }
}

/// Whether a symbolic link at the end of a path stands for what it names or for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    Yes,
    No,
}

fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    fstatfs(fd).is_ok_and(|statfs| statfs.f_flags as u64 & libc::ST_RDONLY != 0)
}

fn timespec(time: Option<FileTime>) -> libc::timespec {
    let (tv_sec, tv_nsec) = match time {
        Some(time) => (time.seconds, time.nanoseconds.into()),
        None => (0, libc::UTIME_OMIT),
    };
    libc::timespec { tv_sec, tv_nsec }
}
