//! Reading directories, a buffer at a time, however many entries they have.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::iter::FusedIterator;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::stat::{FileKind, FileStat};
use crate::error::Result;
use crate::kernel::entries::{self, Entries, getdents64};
use crate::kernel::file::lstatat;
use crate::kernel::path::{open_in_root, with_c_path};

/// One name in a directory. "." and ".." are left out.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::FileKind;
///
/// chroot.mkdir("logs", 0o755)?;
/// let entry = chroot.read_dir("/")?.next().expect("an entry")?;
/// assert_eq!((entry.name.to_str(), entry.kind), (Some("logs"), FileKind::Directory));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirEntry {
    /// The name, any bytes but a slash and NUL.
    pub name: OsString,
    /// What it is; [`FileKind::Unknown`] where the file system doesn't say and no stat was asked for.
    pub kind: FileKind,
    /// Its inode number. Of a mount point: that of the directory beneath the mount.
    pub inode: u64,
    /// What lstat(2) says of it, where that was asked for and could be told: in a directory that may
    /// be read but not searched, or of a mount whose server is gone, it can't.
    pub stat: Option<FileStat>,
}

/// The entries of an open directory, in the order in which the file system gives them.
///
/// It owns its descriptor and outlives the chroot it comes from. An error is one of reading the
/// directory; after it, it ends.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// chroot.create("a", 0o644)?;
/// chroot.create("b", 0o644)?;
/// let mut bytes = 0;
/// for entry in chroot.read_dir_with_stat("/")? {
///     bytes += entry?.stat.map_or(0, |stat| stat.size());
/// }
/// assert_eq!(bytes, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReadDir {
    directory: OwnedFd,
    buffer: Vec<u8>,
    /// Where in the buffer the next entry is.
    position: usize,
    ended: bool,
    with_stat: bool,
}

impl ReadDir {
    /// What lstat(2) says of a name in the directory.
    pub(crate) fn lstat(&self, name: &OsStr) -> Result<FileStat> {
        with_c_path(name.as_bytes(), |name| {
            lstatat(self.directory.as_fd(), name).map(FileStat::new)
        })
    }

    fn next_entry(&mut self) -> Result<Option<DirEntry>> {
        loop {
            let mut entries = Entries::of(&self.buffer[self.position..]);
            let next = entries.next();
            self.position = self.buffer.len() - entries.remaining();
            let Some(entry) = next else {
                if !self.fill()? {
                    return Ok(None);
                }
                continue;
            };
            let mut kind = FileKind::from_entry(entry.kind());
            let mut stat = None;
            if self.with_stat {
                match lstatat(self.directory.as_fd(), entry.name()) {
                    Ok(found) => {
                        let found = FileStat::new(found);
                        kind = found.kind();
                        stat = Some(found);
                    }
                    Err(error) if error.os_error() == Some(libc::ENOENT) => continue,
                    // It is there all the same.
                    Err(_) => {}
                }
            }
            return Ok(Some(DirEntry {
                name: OsStr::from_bytes(entry.name().to_bytes()).to_owned(),
                kind,
                inode: entry.inode(),
                stat,
            }));
        }
    }

    /// False at the end.
    fn fill(&mut self) -> Result<bool> {
        self.position = 0;
        if !self.ended {
            getdents64(self.directory.as_fd(), &mut self.buffer)?;
        }
        Ok(!self.buffer.is_empty())
    }
}

impl Iterator for ReadDir {
    type Item = Result<DirEntry>;

    fn next(&mut self) -> Option<Result<DirEntry>> {
        let next = self.next_entry().transpose();
        if !matches!(next, Some(Ok(_))) {
            // Nothing more comes, and a reader that is kept takes no room.
            self.buffer = Vec::new();
            self.position = 0;
            self.ended = true;
        }
        next
    }
}

impl FusedIterator for ReadDir {}

impl AsFd for ReadDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("directory", &self.directory)
            .field("with_stat", &self.with_stat)
            .finish_non_exhaustive()
    }
}

impl Root<'_> {
    pub(crate) fn read_dir(&self, path: &Path, with_stat: bool) -> Result<ReadDir> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let directory = open_in_root(self.as_fd(), path.as_os_str().as_bytes(), flags, 0)?;
        Ok(ReadDir {
            directory,
            buffer: entries::buffer(),
            position: 0,
            ended: false,
            with_stat,
        })
    }
}
