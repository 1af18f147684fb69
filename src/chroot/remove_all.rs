//! Removing a whole tree, by descriptors: a directory that is swapped for a symbolic link while this
//! runs loses the link, and nothing behind it is touched. What is mounted in the tree is not entered.
//!
//! There is no recursion. [`Removal`] has the [`Way`] from the top of the tree to the directory that is
//! worked on, its last level; each level has the names of directories in it that are still to go. A
//! step of the loop does one of three things with the last level:
//!
//! - while it has names, it takes one and goes down into that directory, which is the last level then;
//! - else, where its listing has not ended, it reads on: files go, directories are noted;
//! - else it takes the level off the way and removes it from the one above. Where that says that it isn't
//!   empty, it goes down again, a bounded number of times.
//!
//! Between two steps the last level is open, whatever [`Way`] has closed above it, and each noted name is
//! that of a directory in one of its levels.

mod sweep;
mod way;

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::target::{Target, failed};
use crate::error::{Error, Result};
use crate::kernel::entries;
use crate::kernel::file::{Unlink, mount_on, unlinkat};
use sweep::sweep;
use way::{Level, Way, open_level};

/// The most levels of a tree: each takes memory here, and more in the kernel.
const DEPTH: usize = 1 << 17;

/// Bytes that the names of directories may take, all levels together. The level at depth d (from one)
/// may have one d(d+1)th of it, which adds up to no more; and one name in any case.
const NOTED: usize = 2 << 20;

/// How often one directory is read again because it wasn't empty when its entries were gone: somebody
/// else fills it, or the file system leaves out entries while others are removed.
const PASSES: u32 = 16;

impl Root<'_> {
    /// `may_have_mounts`: some may lie on names below this root. `go_on` is asked before each directory
    /// and now and then between files; its error ends it.
    pub(crate) fn remove_all(
        &self,
        path: &Path,
        may_have_mounts: bool,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let path = path.as_os_str().as_bytes();
        let target = match Target::resolve(self, path, "unlinkat") {
            Err(error) if is_gone(&error) && !path.is_empty() => return Ok(()),
            other => other?,
        };
        let removed = target.act("unlinkat", libc::EBUSY, |parent, name| {
            let name = without_slash(name);
            let bytes = name.to_bytes();
            if matches!(bytes, b"." | b"..") {
                // EINVAL or ENOTEMPTY, before anything is touched.
                return unlinkat(parent, &name, Unlink::Directory);
            }
            // It would go with the name. Directories are looked at again when they are opened.
            if may_have_mounts && mount_on(parent, &name)?.is_some() {
                return Err(failed(parent, bytes, "unlinkat", libc::EBUSY));
            }
            match unlinkat(parent, &name, Unlink::File) {
                Err(error) if error.os_error() == Some(libc::EISDIR) => {
                    Removal::new(parent, go_on).run(name)
                }
                answer => answer,
            }
        });
        match removed {
            Err(error) if is_gone(&error) => Ok(()),
            answer => answer,
        }
    }
}

fn without_slash(name: &CStr) -> CString {
    let bytes = name.to_bytes();
    let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    CString::new(bytes).unwrap_or_default()
}

fn is_gone(error: &Error) -> bool {
    error.os_error() == Some(libc::ENOENT)
}

/// Something else is there now than the directory that was listed.
fn is_swapped(error: &Error) -> bool {
    matches!(error.os_error(), Some(libc::ENOTDIR | libc::ELOOP))
}

fn is_filled(error: &Error) -> bool {
    matches!(error.os_error(), Some(libc::ENOTEMPTY | libc::EEXIST))
}

struct Removal<'a> {
    way: Way<'a>,
    /// Levels that the way may have.
    depth: usize,
    /// For reading one directory after the other.
    buffer: Vec<u8>,
    go_on: &'a dyn Fn() -> Result<()>,
    error: Option<Error>,
}

impl<'a> Removal<'a> {
    /// `base` is the directory that the top of the tree is in.
    fn new(base: BorrowedFd<'a>, go_on: &'a dyn Fn() -> Result<()>) -> Removal<'a> {
        Removal {
            way: Way::new(base),
            depth: DEPTH,
            buffer: entries::buffer(),
            go_on,
            error: None,
        }
    }

    /// Removes the directory `top` and everything in it that can be removed; the first error counts,
    /// unless it is told to stop.
    fn run(mut self, top: CString) -> Result<()> {
        self.go_down(top, 0);
        while let Some(level) = self.way.last_mut() {
            (self.go_on)()?;
            match level.directories.pop() {
                Some(name) => self.go_down(name, 0),
                None if level.position.is_some() => self.read_on(),
                None => self.go_up(),
            }
        }
        self.error.map_or(Ok(()), Err)
    }

    /// Keeps the first error and marks the directory that it happened in.
    fn fail(&mut self, error: Error) {
        if let Some(level) = self.way.last_mut() {
            level.failed = true;
        }
        self.error.get_or_insert(error);
    }

    /// Goes into the directory `name` of the last level, which was read so many times.
    fn go_down(&mut self, name: CString, passes: u32) {
        let parent = self.way.directory();
        if self.way.depth() == self.depth {
            let error = failed(parent, name.to_bytes(), "openat2", libc::ENAMETOOLONG);
            return self.fail(error);
        }
        match open_level(parent, name.to_bytes()) {
            Ok(fd) => self.way.push(Level::new(name, passes + 1), fd),
            Err(error) if is_gone(&error) => {}
            Err(error) => self.remove_unopened(&name, error),
        }
    }

    /// For what can't be opened as a directory: it may be none any more, or empty all the same. Any
    /// other error than these leaves open whether something is mounted there, which would go with it.
    fn remove_unopened(&mut self, name: &CStr, error: Error) {
        let what = match error.os_error() {
            _ if is_swapped(&error) => Unlink::File,
            Some(libc::EACCES) => Unlink::Directory,
            _ => return self.fail(error),
        };
        match unlinkat(self.way.directory(), name, what) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(_) => self.fail(error),
        }
    }

    /// Reads the last level from where its listing stands.
    fn read_on(&mut self) {
        let depth = self.way.depth();
        let Some((level, fd)) = self.way.last_with_directory() else {
            return;
        };
        let room = NOTED / (depth * (depth + 1));
        let swept = sweep(fd, &mut self.buffer, level, room, self.go_on);
        if let Err(error) = swept {
            self.fail(error);
        }
    }

    /// Removes the last level itself, whose entries are done with.
    fn go_up(&mut self) {
        let Some(level) = self.way.pop() else {
            return;
        };
        let reached = self.way.reopen();
        if level.failed {
            // It can't be empty, and why was noted.
            if let Some(above) = self.way.last_mut() {
                above.failed = true;
            }
            return;
        }
        if let Err(error) = reached {
            // What the level was in is elsewhere now: nothing has its name here.
            return match is_gone(&error) || is_swapped(&error) {
                true => {}
                false => self.fail(error),
            };
        }
        match unlinkat(self.way.directory(), &level.name, Unlink::Directory) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) if is_swapped(&error) => self.remove_unopened(&level.name, error),
            Err(error) if is_filled(&error) && level.passes < PASSES => {
                self.go_down(level.name, level.passes);
            }
            Err(error) => self.fail(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_deeper_than_the_bound_stays_and_the_rest_goes() {
        let base = tempfile::tempdir().expect("the base");
        let base = base.path();
        for path in ["top/2/3/4/5", "top/2/beside", "top/beside"] {
            fs::create_dir_all(base.join(path)).expect("directories");
        }
        let directory = fs::File::open(base).expect("the base");
        let remove = |depth| {
            let mut removal = Removal::new(directory.as_fd(), &|| Ok(()));
            removal.depth = depth;
            removal.run(c"top".to_owned())
        };
        let error = remove(4).expect_err("five levels");
        assert_eq!(error.os_error(), Some(libc::ENAMETOOLONG));
        let left = |path: &str| fs::read_dir(base.join(path)).expect("a directory").count();
        assert_eq!((left("top"), left("top/2"), left("top/2/3/4/5")), (1, 1, 0));
        remove(5).expect("five levels");
        fs::remove_dir(base).expect("an empty directory");
    }
}
