//! What a file is: stat, lstat, statfs.

use std::fmt;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::root::Root;
use crate::error::Result;
use crate::kernel::descriptor::{fstat, fstatfs};
use crate::kernel::file::lstatat;
use crate::kernel::path::{open_in_root, with_c_path};

/// The kind of a file, as the type bits of its mode and the type in its directory entry say.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::FileKind;
///
/// chroot.symlink("/etc/passwd", "link")?;
/// assert_eq!(chroot.lstat("link")?.kind(), FileKind::Symlink);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// The file system does not tell without a stat.
    Unknown,
    /// A FIFO.
    Fifo,
    /// A character device.
    CharacterDevice,
    /// A directory.
    Directory,
    /// A block device.
    BlockDevice,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A socket.
    Socket,
}

impl FileKind {
    /// From a `DT_` number of readdir(3).
    pub(super) fn from_entry(kind: u8) -> FileKind {
        match kind {
            libc::DT_FIFO => FileKind::Fifo,
            libc::DT_CHR => FileKind::CharacterDevice,
            libc::DT_DIR => FileKind::Directory,
            libc::DT_BLK => FileKind::BlockDevice,
            libc::DT_REG => FileKind::File,
            libc::DT_LNK => FileKind::Symlink,
            libc::DT_SOCK => FileKind::Socket,
            _ => FileKind::Unknown,
        }
    }

    /// The `DT_` number of readdir(3).
    pub fn as_raw(self) -> u8 {
        match self {
            FileKind::Unknown => libc::DT_UNKNOWN,
            FileKind::Fifo => libc::DT_FIFO,
            FileKind::CharacterDevice => libc::DT_CHR,
            FileKind::Directory => libc::DT_DIR,
            FileKind::BlockDevice => libc::DT_BLK,
            FileKind::File => libc::DT_REG,
            FileKind::Symlink => libc::DT_LNK,
            FileKind::Socket => libc::DT_SOCK,
        }
    }
}

/// A time of a file: seconds since 1970 (negative before it) and nanoseconds from there on.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::FileTime;
///
/// chroot.create("file", 0o644)?;
/// let moon = FileTime { seconds: -14_182_940, nanoseconds: 0 };
/// chroot.set_times("file", None, Some(moon), true)?;
/// assert_eq!(chroot.stat("file")?.modification(), moon);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct FileTime {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// Nanoseconds after that, 0 to 999,999,999, also when the seconds are negative.
    pub nanoseconds: u32,
}

impl FileTime {
    /// The kernel's clock at the time of the call (`UTIME_NOW` of utimensat(2)): whoever may write to
    /// a file may set this, and only its owner any other time.
    pub const NOW: FileTime = FileTime {
        seconds: 0,
        nanoseconds: libc::UTIME_NOW as u32,
    };
}

impl From<SystemTime> for FileTime {
    fn from(time: SystemTime) -> FileTime {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => FileTime {
                seconds: after.as_secs() as i64,
                nanoseconds: after.subsec_nanos(),
            },
            Err(error) => {
                let before = error.duration();
                let (whole, rest) = (before.as_secs() as i64, before.subsec_nanos());
                match rest {
                    0 => FileTime {
                        seconds: -whole,
                        nanoseconds: 0,
                    },
                    rest => FileTime {
                        seconds: -whole - 1,
                        nanoseconds: 1_000_000_000 - rest,
                    },
                }
            }
        }
    }
}

impl From<FileTime> for SystemTime {
    fn from(time: FileTime) -> SystemTime {
        let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        if time.seconds < 0 {
            UNIX_EPOCH - seconds + nanoseconds
        } else {
            UNIX_EPOCH + seconds + nanoseconds
        }
    }
}

/// What stat(2) says of a file.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// chroot.create("file", 0o600)?;
/// chroot.truncate("file", 4096)?;
/// let stat = chroot.stat("file")?;
/// assert_eq!((stat.size(), stat.mode() & 0o777), (4096, 0o600));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct FileStat(libc::stat);

impl FileStat {
    pub(super) fn new(stat: libc::stat) -> FileStat {
        FileStat(stat)
    }

    /// The device that holds the file.
    pub fn device(&self) -> u64 {
        self.0.st_dev
    }

    /// Its number there.
    pub fn inode(&self) -> u64 {
        self.0.st_ino
    }

    /// How many names it has.
    // The width differs between x86-64 and arm64.
    #[allow(clippy::useless_conversion)]
    pub fn link_count(&self) -> u64 {
        self.0.st_nlink.into()
    }

    /// Type and permission bits, as `st_mode`.
    pub fn mode(&self) -> u32 {
        self.0.st_mode
    }

    /// The type bits of the mode.
    pub fn kind(&self) -> FileKind {
        // A directory entry's type is the mode's, shifted.
        FileKind::from_entry(((self.0.st_mode & libc::S_IFMT) >> 12) as u8)
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == FileKind::Directory
    }

    /// The owner.
    pub fn uid(&self) -> u32 {
        self.0.st_uid
    }

    /// The group.
    pub fn gid(&self) -> u32 {
        self.0.st_gid
    }

    /// What device a device file stands for.
    pub fn special_device(&self) -> u64 {
        self.0.st_rdev
    }

    /// Bytes in it.
    pub fn size(&self) -> i64 {
        self.0.st_size
    }

    /// The size of a block for efficient reading and writing, in bytes.
    #[allow(clippy::useless_conversion)]
    pub fn block_size(&self) -> i64 {
        self.0.st_blksize.into()
    }

    /// Allocated blocks of 512 bytes.
    pub fn blocks(&self) -> i64 {
        self.0.st_blocks
    }

    /// The last access.
    pub fn access(&self) -> FileTime {
        FileTime {
            seconds: self.0.st_atime,
            nanoseconds: self.0.st_atime_nsec as u32,
        }
    }

    /// The last change of the content.
    pub fn modification(&self) -> FileTime {
        FileTime {
            seconds: self.0.st_mtime,
            nanoseconds: self.0.st_mtime_nsec as u32,
        }
    }

    /// The last change of content or attributes.
    pub fn change(&self) -> FileTime {
        FileTime {
            seconds: self.0.st_ctime,
            nanoseconds: self.0.st_ctime_nsec as u32,
        }
    }
}

impl fmt::Debug for FileStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStat")
            .field("device", &self.device())
            .field("inode", &self.inode())
            .field("mode", &format_args!("{:#o}", self.mode()))
            .field("link_count", &self.link_count())
            .field("uid", &self.uid())
            .field("gid", &self.gid())
            .field("size", &self.size())
            .field("modification", &self.modification())
            .finish_non_exhaustive()
    }
}

/// What statfs(2) says of a file system.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// let volume = chroot.statfs("/")?;
/// println!("{} bytes free", volume.blocks_available * volume.fragment_size as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct FileSystemStat {
    /// The type, `EXT4_SUPER_MAGIC` for example.
    pub kind: i64,
    /// The size of a block for efficient transfer, in bytes.
    pub block_size: i64,
    /// All blocks, of `fragment_size` bytes.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks for users without privileges.
    pub blocks_available: u64,
    /// All inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// The longest name, in bytes.
    pub name_length: i64,
    /// The size that the counts of blocks are in, in bytes.
    pub fragment_size: i64,
    /// Mount flags, `ST_RDONLY` for example.
    pub flags: u64,
}

impl FileSystemStat {
    fn new(statfs: &libc::statfs64) -> FileSystemStat {
        FileSystemStat {
            kind: statfs.f_type,
            block_size: statfs.f_bsize,
            blocks: statfs.f_blocks,
            blocks_free: statfs.f_bfree,
            blocks_available: statfs.f_bavail,
            files: statfs.f_files,
            files_free: statfs.f_ffree,
            name_length: statfs.f_namelen,
            fragment_size: statfs.f_frsize,
            flags: statfs.f_flags as u64,
        }
    }
}

/// A name in the root itself, with no way to anywhere else in it.
fn is_name_in_root(path: &[u8]) -> bool {
    !path.contains(&b'/') && !matches!(path, b"" | b"." | b"..")
}

impl Root<'_> {
    pub(crate) fn stat(&self, path: &Path) -> Result<FileStat> {
        let path = path.as_os_str().as_bytes();
        if is_name_in_root(path) {
            let stat = with_c_path(path, |name| lstatat(self.as_fd(), name))?;
            if stat.st_mode & libc::S_IFMT != libc::S_IFLNK {
                return Ok(FileStat(stat));
            }
        }
        let fd = open_in_root(self.as_fd(), path, libc::O_PATH, 0)?;
        fstat(fd.as_fd()).map(FileStat)
    }

    pub(crate) fn lstat(&self, path: &Path) -> Result<FileStat> {
        let path = path.as_os_str().as_bytes();
        if is_name_in_root(path) {
            return with_c_path(path, |name| lstatat(self.as_fd(), name)).map(FileStat);
        }
        let fd = open_in_root(self.as_fd(), path, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
        fstat(fd.as_fd()).map(FileStat)
    }

    pub(crate) fn statfs(&self, path: &Path) -> Result<FileSystemStat> {
        let fd = open_in_root(self.as_fd(), path.as_os_str().as_bytes(), libc::O_PATH, 0)?;
        fstatfs(fd.as_fd()).map(|statfs| FileSystemStat::new(&statfs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert_exactly_before_1970_too() {
        let cases = [
            (0, 0),
            (1, 999_999_999),
            (-1, 0),
            (-1, 1),
            (-7, 999_999_999),
        ];
        for (seconds, nanoseconds) in cases {
            let time = FileTime {
                seconds,
                nanoseconds,
            };
            assert_eq!(FileTime::from(SystemTime::from(time)), time);
        }
        let before = UNIX_EPOCH - Duration::new(1, 500_000_000);
        let expected = FileTime {
            seconds: -2,
            nanoseconds: 500_000_000,
        };
        assert_eq!(FileTime::from(before), expected);
    }
}
