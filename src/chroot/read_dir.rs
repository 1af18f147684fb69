//! Reading directories, a buffer at a time, however many entries they have.

use std::ffi::{CStr, OsStr, OsString};
use std::fmt;
use std::iter::FusedIterator;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::stat::{FileKind, FileStat};
use crate::error::Result;
use crate::kernel::file::{getdents64, lstatat};
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
    /// What lstat(2) says of it, where that was asked for.
    pub stat: Option<FileStat>,
}

/// The entries of an open directory, in the order in which the file system gives them.
///
/// It owns its descriptor and outlives the chroot it comes from. After an error it ends.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// chroot.create("a", 0o644)?;
/// chroot.create("b", 0o644)?;
/// let mut bytes = 0;
/// for entry in chroot.read_dir_with_stat("/")? {
///     bytes += entry?.stat.expect("was asked for").size();
/// }
/// assert_eq!(bytes, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReadDir {
    directory: OwnedFd,
    entries: Entries,
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
        while let Some(entry) = self.entries.next(self.directory.as_fd())? {
            let mut kind = entry.kind;
            let mut stat = None;
            if self.with_stat {
                match lstatat(self.directory.as_fd(), entry.name) {
                    Ok(found) => {
                        let found = FileStat::new(found);
                        kind = found.kind();
                        stat = Some(found);
                    }
                    Err(error) if error.os_error() == Some(libc::ENOENT) => continue,
                    Err(error) => return Err(error),
                }
            }
            return Ok(Some(DirEntry {
                name: OsStr::from_bytes(entry.name.to_bytes()).to_owned(),
                kind,
                inode: entry.inode,
                stat,
            }));
        }
        Ok(None)
    }
}

impl Iterator for ReadDir {
    type Item = Result<DirEntry>;

    fn next(&mut self) -> Option<Result<DirEntry>> {
        let next = self.next_entry().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.entries.end();
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

/// The records of getdents64(2), buffer after buffer.
pub(super) struct Entries {
    buffer: Vec<u8>,
    position: usize,
    ended: bool,
}

/// A record in the buffer.
pub(super) struct Entry<'a> {
    pub(super) name: &'a CStr,
    pub(super) kind: FileKind,
    inode: u64,
}

impl Entries {
    /// Room for some hundred entries, as the C library takes.
    const BUFFER: usize = 32 * 1024;

    pub(super) fn new() -> Entries {
        Entries {
            buffer: Vec::with_capacity(Self::BUFFER),
            position: 0,
            ended: false,
        }
    }

    /// To read another directory, or the same one again.
    pub(super) fn restart(&mut self) {
        self.buffer.clear();
        self.position = 0;
        self.ended = false;
    }

    fn end(&mut self) {
        self.buffer = Vec::new();
        self.position = 0;
        self.ended = true;
    }

    /// The next entry of `directory`, from its descriptor's position on.
    pub(super) fn next(&mut self, directory: BorrowedFd<'_>) -> Result<Option<Entry<'_>>> {
        loop {
            if self.position == self.buffer.len() && (self.ended || !self.fill(directory)?) {
                self.ended = true;
                return Ok(None);
            }
            let start = self.position;
            let Some((length, inode, kind)) = header(&self.buffer[start..]) else {
                // No kernel writes such a record; nothing behind it can be trusted.
                self.ended = true;
                self.position = self.buffer.len();
                return Ok(None);
            };
            self.position += length;
            if !is_dot(&self.buffer[start + NAME..start + length]) {
                let record = &self.buffer[start + NAME..start + length];
                return Ok(Some(Entry {
                    name: CStr::from_bytes_until_nul(record).unwrap_or(c""),
                    kind,
                    inode,
                }));
            }
        }
    }

    /// False at the end. A directory that was removed has no entries.
    fn fill(&mut self, directory: BorrowedFd<'_>) -> Result<bool> {
        self.position = 0;
        match getdents64(directory, &mut self.buffer) {
            Ok(()) => Ok(!self.buffer.is_empty()),
            Err(error) if error.os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Where the name is in a `linux_dirent64`: inode (8 bytes), offset (8), length (2), type (1), name.
const NAME: usize = 19;

/// Length, inode and kind of the record that `bytes` starts with.
fn header(bytes: &[u8]) -> Option<(usize, u64, FileKind)> {
    let inode = u64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?);
    let length = u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?).into();
    let kind = FileKind::from_entry(*bytes.get(18)?);
    let name = bytes.get(NAME..length)?;
    name.contains(&0).then_some((length, inode, kind))
}

/// Whether the name at the start of `record`, up to its NUL, is "." or "..".
fn is_dot(record: &[u8]) -> bool {
    record.starts_with(b".\0") || record.starts_with(b"..\0")
}

impl Root<'_> {
    pub(crate) fn read_dir(&self, path: &Path, with_stat: bool) -> Result<ReadDir> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let directory = open_in_root(self.as_fd(), path.as_os_str().as_bytes(), flags, 0)?;
        Ok(ReadDir {
            directory,
            entries: Entries::new(),
            with_stat,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_does_not_fit_is_no_record() {
        let mut record = vec![0; 24];
        record[16..18].copy_from_slice(&24u16.to_ne_bytes());
        record[18] = libc::DT_REG;
        record[19] = b'a';
        assert!(matches!(header(&record), Some((24, 0, FileKind::File))));
        for length in [0u16, 18, 19, 25, u16::MAX] {
            record[16..18].copy_from_slice(&length.to_ne_bytes());
            assert!(header(&record).is_none(), "{length}");
        }
        record[16..18].copy_from_slice(&24u16.to_ne_bytes());
        record[19..].fill(b'a');
        assert!(header(&record).is_none(), "no NUL");
        assert!(header(&record[..10]).is_none());
    }
}
