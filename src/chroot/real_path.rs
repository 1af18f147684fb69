//! The path of a file without links, "." and "..", as seen from the root.
//!
//! Not from /proc/thread-self/fd: what is printed there starts where the mount does, doesn't tell a
//! name that ends in " (deleted)" from a deleted one, and needs a /proc. So the path is walked here,
//! and its result checked against what one look-up in the kernel found.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::root::Root;
use super::target::failed;
use crate::error::{Error, Result};
use crate::kernel::descriptor::{fstat, readlink};
use crate::kernel::path::{open_beneath, open_in_root, with_c_path};

/// As many symbolic links as the kernel follows in one look-up.
const LINKS: u32 = 40;

/// How many directories on the way are open at most.
const OPEN: usize = 32;

/// How often a walk that lost to a rename starts again.
const ATTEMPTS: u32 = 16;

impl Root<'_> {
    pub(crate) fn real_path(&self, path: &Path) -> Result<PathBuf> {
        let path = path.as_os_str().as_bytes();
        let changed = || failed(self.as_fd(), path, "realpath", libc::EAGAIN);
        let mut answer = Err(changed());
        for _ in 0..ATTEMPTS {
            // What this look-up says counts, also when it fails.
            let found = open_in_root(self.as_fd(), path, libc::O_PATH, 0)?;
            answer = self.walk(path).and_then(|real| {
                let is_found = self.is_at(&real, &found)?;
                is_found.then_some(real).ok_or_else(changed)
            });
            match &answer {
                Err(error) if may_have_raced(error) => {}
                _ => break,
            }
        }
        answer.map(|real| OsString::from_vec(real).into())
    }

    fn walk(&self, path: &[u8]) -> Result<Vec<u8>> {
        let mut real = RealPath::new(*self);
        let mut left: VecDeque<u8> = path.iter().copied().collect();
        let mut links = 0;
        while let Some(component) = next_component(&mut left) {
            match component.as_slice() {
                b"." => {}
                b".." => real.go_up()?,
                name => {
                    let found = open_place(real.directory(), name)?;
                    if fstat(found.as_fd())?.st_mode & libc::S_IFMT != libc::S_IFLNK {
                        real.go_down(name, found);
                        continue;
                    }
                    links += 1;
                    if links > LINKS {
                        return Err(failed(self.as_fd(), path, "realpath", libc::ELOOP));
                    }
                    let text = readlink(found.as_fd())?;
                    if text.starts_with(b"/") {
                        real = RealPath::new(*self);
                    }
                    left.push_front(b'/');
                    for &byte in text.iter().rev() {
                        left.push_front(byte);
                    }
                }
            }
        }
        Ok(real.into_path())
    }

    fn is_at(&self, real: &[u8], found: &OwnedFd) -> Result<bool> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let there = fstat(open_in_root(self.as_fd(), real, flags, 0)?.as_fd())?;
        let found = fstat(found.as_fd())?;
        Ok((there.st_dev, there.st_ino) == (found.st_dev, found.st_ino))
    }
}

/// Whether a walk may answer so of a path that is there, because something was renamed meanwhile.
fn may_have_raced(error: &Error) -> bool {
    matches!(
        error.os_error(),
        Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::EXDEV | libc::EAGAIN)
    )
}

/// What a name in a directory stands for; a link is itself.
fn open_place(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    with_c_path(name, |name| {
        open_beneath(directory, name, libc::O_PATH | libc::O_NOFOLLOW)
    })
}

/// A path without links, and what its last components stand for.
struct RealPath<'a> {
    root: Root<'a>,
    /// Nothing, or "/a/b".
    path: Vec<u8>,
    /// What the last components stand for, the very last at the end. None only at the root.
    open: VecDeque<OwnedFd>,
}

impl<'a> RealPath<'a> {
    fn new(root: Root<'a>) -> RealPath<'a> {
        RealPath {
            root,
            path: Vec::new(),
            open: VecDeque::new(),
        }
    }

    fn directory(&self) -> BorrowedFd<'_> {
        self.open.back().map_or(self.root.as_fd(), |fd| fd.as_fd())
    }

    fn go_down(&mut self, name: &[u8], found: OwnedFd) {
        self.path.push(b'/');
        self.path.extend_from_slice(name);
        self.open.push_back(found);
        if self.open.len() > OPEN {
            self.open.pop_front();
        }
    }

    fn go_up(&mut self) -> Result<()> {
        self.open.pop_back();
        let parent = self.path.iter().rposition(|&byte| byte == b'/');
        self.path.truncate(parent.unwrap_or(0));
        if self.open.is_empty() && !self.path.is_empty() {
            self.reopen()?;
        }
        Ok(())
    }

    /// Opens the last components again: as many as may be open, so that it is seldom.
    fn reopen(&mut self) -> Result<()> {
        let slashes = self.path.iter().enumerate().rev();
        let mut slashes = slashes.filter(|(_, byte)| **byte == b'/');
        let start = slashes.nth(OPEN - 1).map_or(0, |(place, _)| place);
        let (above, last) = self.path.split_at(start);
        let above = match above {
            b"" => None,
            path => Some(open_in_root(self.root.as_fd(), path, libc::O_PATH, 0)?),
        };
        let above = above.as_ref().map_or(self.root.as_fd(), |fd| fd.as_fd());
        for name in last.split(|&byte| byte == b'/').skip(1) {
            let from = self.open.back().map_or(above, |fd| fd.as_fd());
            let found = open_place(from, name)?;
            self.open.push_back(found);
        }
        Ok(())
    }

    fn into_path(self) -> Vec<u8> {
        match self.path.is_empty() {
            true => b"/".to_vec(),
            false => self.path,
        }
    }
}

/// Takes the next component from the front, with the slashes around it.
fn next_component(left: &mut VecDeque<u8>) -> Option<Vec<u8>> {
    while left.front() == Some(&b'/') {
        left.pop_front();
    }
    let mut component = Vec::new();
    while let Some(byte) = left.pop_front() {
        if byte == b'/' {
            break;
        }
        component.push(byte);
    }
    (!component.is_empty()).then_some(component)
}
