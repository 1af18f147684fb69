//! Removing a whole tree, by descriptors: a directory that is swapped for a symbolic link while this
//! runs loses the link, and nothing behind it is touched.
//!
//! Depth costs memory only. The deepest few directories are kept open, and the way back up to one that
//! was closed is looked up again from the directory that the tree is in, beneath it and through no
//! link. There is no recursion.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::target::Target;
use crate::error::{Error, Result, Status};
use crate::kernel::entries::{self, Entries, getdents64};
use crate::kernel::file::{Unlink, unlinkat};
use crate::kernel::path::{PATH_MAX, open_beneath, with_c_path};

/// How many directories of the tree are open at most.
const OPEN: usize = 32;

/// How often one directory is read again because it wasn't empty when its entries were gone: somebody
/// else fills it, or the file system leaves out entries while others are removed.
const PASSES: u32 = 16;

impl Root<'_> {
    pub(crate) fn remove_all(&self, path: &Path) -> Result<()> {
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
            match unlinkat(parent, &name, Unlink::File) {
                Err(error) if error.os_error() == Some(libc::EISDIR) => {
                    Removal::new(parent).run(&name)
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

/// A directory on the way from the top of the tree to where the work is.
struct Level {
    name: CString,
    fd: Option<OwnedFd>,
    /// Names of directories in it that are still to be removed.
    directories: Vec<CString>,
    passes: u32,
    /// Something in it could not be removed.
    failed: bool,
}

struct Removal<'a> {
    /// The directory that the top of the tree is in.
    base: BorrowedFd<'a>,
    levels: Vec<Level>,
    /// Levels below this number are closed.
    first_open: usize,
    /// For reading one directory after the other.
    buffer: Vec<u8>,
    error: Option<Error>,
}

impl<'a> Removal<'a> {
    fn new(base: BorrowedFd<'a>) -> Removal<'a> {
        Removal {
            base,
            levels: Vec::new(),
            first_open: 0,
            buffer: entries::buffer(),
            error: None,
        }
    }

    /// Removes the directory `top` and everything in it that can be removed; the first error counts.
    fn run(mut self, top: &CStr) -> Result<()> {
        self.enter(top.to_owned());
        while let Some(level) = self.levels.last_mut() {
            match level.directories.pop() {
                Some(name) => self.enter(name),
                None => self.leave(),
            }
        }
        self.error.map_or(Ok(()), Err)
    }

    /// Keeps the first error and marks the directory that it happened in.
    fn fail(&mut self, error: Error) {
        if let Some(level) = self.levels.last_mut() {
            level.failed = true;
        }
        self.error.get_or_insert(error);
    }

    /// Goes down into the directory `name`, and removes all in it but directories.
    fn enter(&mut self, name: CString) {
        let opened = self.open_last().and_then(|parent| {
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            open_beneath(parent, &name, flags)
        });
        let fd = match opened {
            Ok(fd) => fd,
            Err(error) if is_gone(&error) => return,
            Err(error) => return self.remove_unopened(&name, error),
        };
        self.levels.push(Level {
            name,
            fd: Some(fd),
            directories: Vec::new(),
            passes: 0,
            failed: false,
        });
        if self.levels.len() - self.first_open > OPEN {
            self.levels[self.first_open].fd = None;
            self.first_open += 1;
        }
        self.sweep();
    }

    /// For what can't be opened as a directory: it may be none any more, or empty all the same.
    fn remove_unopened(&mut self, name: &CStr, error: Error) {
        let what = match is_swapped(&error) {
            true => Unlink::File,
            false => Unlink::Directory,
        };
        let removed = self
            .open_last()
            .and_then(|parent| unlinkat(parent, name, what));
        match removed {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(_) => self.fail(error),
        }
    }

    /// Removes every entry of the last level that is no directory, and notes those that are.
    fn sweep(&mut self) {
        let Some(mut level) = self.levels.pop() else {
            return;
        };
        level.passes += 1;
        let swept = match &level.fd {
            Some(fd) => sweep(fd.as_fd(), &mut self.buffer, &mut level.directories),
            None => Ok(()),
        };
        // They are taken from the end: in the order in which the file system lists them.
        level.directories.reverse();
        self.levels.push(level);
        if let Err(error) = swept {
            self.fail(error);
        }
    }

    /// Removes the last level itself, whose entries are done with.
    fn leave(&mut self) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        if level.failed {
            // It can't be empty, and why was noted.
            if let Some(above) = self.levels.last_mut() {
                above.failed = true;
            }
            return self.close_up();
        }
        let removed = self
            .open_last()
            .and_then(|parent| unlinkat(parent, &level.name, Unlink::Directory));
        match removed {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) if is_swapped(&error) => self.remove_unopened(&level.name, error),
            Err(error) if is_filled(&error) && level.passes < PASSES => self.again(level),
            Err(error) => self.fail(error),
        }
        self.close_up();
    }

    /// Reads a directory from its start again.
    fn again(&mut self, level: Level) {
        let passes = level.passes;
        let depth = self.levels.len();
        self.enter(level.name);
        if let Some(level) = self.levels.get_mut(depth) {
            level.passes += passes;
        }
    }

    fn close_up(&mut self) {
        self.first_open = self.first_open.min(self.levels.len());
    }

    /// The directory of the last level, opened again if it was closed; the base when there is none.
    fn open_last(&mut self) -> Result<BorrowedFd<'_>> {
        let Some(last) = self.levels.len().checked_sub(1) else {
            return Ok(self.base);
        };
        if self.first_open > last {
            self.reopen()?;
        }
        match &self.levels[last].fd {
            Some(fd) => Ok(fd.as_fd()),
            None => Err(Error::new(Status::InvalidState, "a level is not open")),
        }
    }

    /// Opens the last half of [`OPEN`] levels again, after all had been closed on the way down.
    fn reopen(&mut self) -> Result<()> {
        let first = self.levels.len().saturating_sub(OPEN / 2);
        let mut above: Option<OwnedFd> = None;
        let mut way = Vec::new();
        for level in &self.levels[..first] {
            if way.len() + level.name.count_bytes() + 2 >= PATH_MAX {
                above = Some(step(
                    above.as_ref().map_or(self.base, |fd| fd.as_fd()),
                    &way,
                )?);
                way.clear();
            }
            way.extend_from_slice(level.name.to_bytes());
            way.push(b'/');
        }
        if !way.is_empty() {
            above = Some(step(
                above.as_ref().map_or(self.base, |fd| fd.as_fd()),
                &way,
            )?);
        }
        let mut above = above.as_ref().map_or(self.base, |fd| fd.as_fd());
        for level in &mut self.levels[first..] {
            let opened = step(above, level.name.to_bytes())?;
            let opened: &OwnedFd = level.fd.insert(opened);
            above = opened.as_fd();
        }
        self.first_open = first;
        Ok(())
    }
}

/// Down again along `way`. Where something else than a directory is now, the directory that was
/// listed has vanished, which is no error here.
fn step(from: BorrowedFd<'_>, way: &[u8]) -> Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    with_c_path(way, |way| open_beneath(from, way, flags)).map_err(|error| {
        if is_swapped(&error) {
            Error::os(error, libc::ENOENT)
        } else {
            error
        }
    })
}

fn is_filled(error: &Error) -> bool {
    matches!(error.os_error(), Some(libc::ENOTEMPTY | libc::EEXIST))
}

/// Removes every entry that is no directory; goes on after an error and returns the first.
// As a part of its caller the loop keeps its variables in memory, and a removal takes a tenth longer.
#[inline(never)]
fn sweep(
    directory: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    directories: &mut Vec<CString>,
) -> Result<()> {
    let mut first = Ok(());
    loop {
        getdents64(directory, buffer)?;
        if buffer.is_empty() {
            return first;
        }
        for entry in Entries::of(buffer) {
            if entry.kind() == libc::DT_DIR {
                directories.push(entry.name().to_owned());
                continue;
            }
            match unlinkat(directory, entry.name(), Unlink::File) {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) if error.os_error() == Some(libc::EISDIR) => {
                    directories.push(entry.name().to_owned());
                }
                Err(error) => first = first.and(Err(error)),
            }
        }
    }
}
