//! The file operations of a chroot, each as the plain system call would answer a process whose root
//! the volume is.
//!
//! They run on the caller's thread and need no namespace. Absolute symbolic links start at the volume,
//! ".." stops there. Any thread may call them, several at once; each keeps the chroot open while it
//! runs, and answers CLOSED after the release. Descriptors that they return are the caller's and stay
//! usable after the release. docs/file-operations.md lists what differs from the plain calls.
//!
//! An error with the status [`Os`](crate::Status::Os) carries the errno. A path with a NUL inside is
//! INVALID_ARGUMENT.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::attributes::Follow;
use super::open::OpenOptions;
use super::read_dir::ReadDir;
use super::rename::RenameOptions;
use super::root::Root;
use super::stat::{FileStat, FileSystemStat, FileTime};
use super::{Chroot, TreeUse};
use crate::error::Result;

impl Chroot {
    /// Opens a file as open(2) does, with any of its flags, `O_TMPFILE` and `O_PATH` included. The
    /// descriptor is always `O_CLOEXEC`.
    ///
    /// Opening a FIFO waits as it does elsewhere, and holds up no other operation; `O_NONBLOCK`
    /// doesn't wait.
    pub fn open_file(&self, path: impl AsRef<Path>, options: OpenOptions) -> Result<OwnedFd> {
        let tree = self.tree()?;
        self.root(&tree).open(path.as_ref(), options)
    }

    /// Creates a file or empties the one that is there, and opens it to read and write:
    /// `O_RDWR | O_CREAT | O_TRUNC`. `mode` is less the process's umask.
    pub fn create(&self, path: impl AsRef<Path>, mode: u32) -> Result<OwnedFd> {
        let tree = self.tree()?;
        self.root(&tree).create(path.as_ref(), mode)
    }

    /// What stat(2) says of the file, of what a symbolic link leads to.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<FileStat> {
        let tree = self.tree()?;
        self.root(&tree).stat(path.as_ref())
    }

    /// What lstat(2) says of the file, of a symbolic link itself.
    pub fn lstat(&self, path: impl AsRef<Path>) -> Result<FileStat> {
        let tree = self.tree()?;
        self.root(&tree).lstat(path.as_ref())
    }

    /// What statfs(2) says of the file system that holds the file.
    pub fn statfs(&self, path: impl AsRef<Path>) -> Result<FileSystemStat> {
        let tree = self.tree()?;
        self.root(&tree).statfs(path.as_ref())
    }

    /// Reads a directory as it goes, however many entries it has (getdents64(2)).
    pub fn read_dir(&self, path: impl AsRef<Path>) -> Result<ReadDir> {
        let tree = self.tree()?;
        self.root(&tree).read_dir(path.as_ref(), false)
    }

    /// The same with what lstat(2) says of each entry. One that vanishes meanwhile is left out; one
    /// that can't be looked at comes without.
    pub fn read_dir_with_stat(&self, path: impl AsRef<Path>) -> Result<ReadDir> {
        let tree = self.tree()?;
        self.root(&tree).read_dir(path.as_ref(), true)
    }

    /// Makes a directory (mkdir(2)). `mode` is less the process's umask.
    pub fn mkdir(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).mkdir(path.as_ref(), mode)
    }

    /// Makes a directory and those above it that are missing, all with `mode` less the umask. A
    /// directory that is there is no error; anything else in the way is ENOTDIR.
    pub fn mkdir_all(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).mkdir_all(path.as_ref(), mode)
    }

    /// Removes a file, a symbolic link itself, or an empty directory: unlink(2), and where that says
    /// EISDIR rmdir(2), as remove(3). The root is EBUSY, and so is what a mount lies on, be it the
    /// chroot's or the host's.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree)
            .remove(path.as_ref(), tree.may_have_mounts())
    }

    /// Removes whatever is at the path, a directory with all that is in it. A symbolic link is removed,
    /// not followed, also with slashes behind it. What a mount lies on stays, with what is mounted, and is
    /// EBUSY; but a file below the path only where the calling thread's namespace has the mount, too.
    ///
    /// Nothing there, or what vanishes meanwhile, is no error. What can't be removed stays, the rest
    /// goes, and the first error is returned. The root is EBUSY, a path that ends in "." EINVAL, in
    /// ".." ENOTEMPTY, and then nothing is removed. What is more than 131,072 levels deep is
    /// ENAMETOOLONG. CLOSED when the chroot is released meanwhile: it stops before the next directory.
    pub fn remove_all(&self, path: impl AsRef<Path>) -> Result<()> {
        let tree = self.tree()?;
        let go_on = || self.tree().map(drop);
        self.root(&tree)
            .remove_all(path.as_ref(), tree.may_have_mounts(), &go_on)
    }

    /// Gives a file another name (rename(2), renameat2(2)). What a mount lies on, be it the chroot's or
    /// the host's, is EBUSY, under either name.
    pub fn rename(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        options: RenameOptions,
    ) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree)
            .rename(from.as_ref(), to.as_ref(), options, tree.may_have_mounts())
    }

    /// Gives a file a further name (link(2)); a symbolic link itself, not what it leads to.
    pub fn link(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).link(from.as_ref(), to.as_ref())
    }

    /// Makes a symbolic link at `link` with the text `target`, which is not looked at (symlink(2)).
    pub fn symlink(&self, target: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).symlink(target.as_ref(), link.as_ref())
    }

    /// The text of a symbolic link, whole (readlink(2)).
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let tree = self.tree()?;
        self.root(&tree).read_link(path.as_ref())
    }

    /// Sets the permission bits, of what a symbolic link leads to (chmod(2)).
    pub fn chmod(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).chmod(path.as_ref(), mode)
    }

    /// Sets owner and group, of what a symbolic link leads to (chown(2)). `u32::MAX` leaves one as
    /// it is.
    pub fn chown(&self, path: impl AsRef<Path>, uid: u32, gid: u32) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).chown(path.as_ref(), uid, gid, Follow::Yes)
    }

    /// Sets owner and group, of a symbolic link itself (lchown(2)). `u32::MAX` leaves one as it is.
    pub fn lchown(&self, path: impl AsRef<Path>, uid: u32, gid: u32) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).chown(path.as_ref(), uid, gid, Follow::No)
    }

    /// Sets the times of access and modification (utimensat(2)); `None` leaves one as it is. `follow`
    /// says whether a symbolic link stands for what it leads to.
    pub fn set_times(
        &self,
        path: impl AsRef<Path>,
        access: Option<FileTime>,
        modification: Option<FileTime>,
        follow: bool,
    ) -> Result<()> {
        let follow = if follow { Follow::Yes } else { Follow::No };
        let tree = self.tree()?;
        self.root(&tree)
            .set_times(path.as_ref(), access, modification, follow)
    }

    /// Cuts a regular file to `length` bytes or extends it with zeros (truncate(2)). Waits while another
    /// process gives up a lease of the file (fcntl(2), F_SETLEASE).
    pub fn truncate(&self, path: impl AsRef<Path>, length: i64) -> Result<()> {
        let tree = self.tree()?;
        self.root(&tree).truncate(path.as_ref(), length)
    }

    /// The path of a file from the root on, with neither symbolic links nor "." and ".." in it, as
    /// realpath(3). EAGAIN when the tree kept changing.
    pub fn real_path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let tree = self.tree()?;
        self.root(&tree).real_path(path.as_ref())
    }

    /// Creates a file that only its owner may read and write, under a new name in `directory`, and
    /// returns it opened for both, with its path. Digits take the place of the last "*" in
    /// `pattern`, or follow it. INVALID_ARGUMENT for a slash in the pattern.
    pub fn temp_file(
        &self,
        directory: impl AsRef<Path>,
        pattern: impl AsRef<Path>,
    ) -> Result<(OwnedFd, PathBuf)> {
        let tree = self.tree()?;
        self.root(&tree)
            .temp_file(directory.as_ref(), pattern.as_ref())
    }

    #[inline]
    fn root<'a>(&'a self, tree: &'a TreeUse<'_>) -> Root<'a> {
        Root::new(tree.as_fd(), self.gate().proc())
    }
}
