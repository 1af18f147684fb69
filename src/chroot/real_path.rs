//! The path of a file without links, "." and "..", as seen from the root.
//!
//! Not from /proc/thread-self/fd: what is printed there starts where the mount does, doesn't tell a
//! name that ends in " (deleted)" from a deleted one, and needs a /proc. So the path is walked here,
//! and its result checked against what one look-up in the kernel found.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::root::Root;
use super::target::failed;
use crate::error::Result;
use crate::kernel::descriptor::{fstat, readlink};
use crate::kernel::path::{open_beneath, open_in_root, with_c_path};

/// As many symbolic links as the kernel follows in one look-up.
const LINKS: u32 = 40;

/// How often a walk that lost to a rename starts again.
const ATTEMPTS: u32 = 16;

impl Root<'_> {
    pub(crate) fn real_path(&self, path: &Path) -> Result<PathBuf> {
        let path = path.as_os_str().as_bytes();
        let mut answer = Err(failed(self.as_fd(), path, "realpath", libc::EAGAIN));
        for _ in 0..ATTEMPTS {
            // What this look-up says counts, also when it fails.
            let found = open_in_root(self.as_fd(), path, libc::O_PATH, 0)?;
            answer = self.walk(path);
            if let Ok(real) = &answer {
                match self.is_at(real, &found) {
                    Ok(true) => break,
                    Ok(false) => {
                        answer = Err(failed(self.as_fd(), path, "realpath", libc::EAGAIN));
                    }
                    Err(error) => answer = Err(error),
                }
            }
        }
        answer.map(|real| OsString::from_vec(real).into())
    }

    fn walk(&self, path: &[u8]) -> Result<Vec<u8>> {
        let mut real = Vec::new();
        // The directory that `real` names; none stands for the root.
        let mut directory: Option<OwnedFd> = None;
        let mut left: VecDeque<u8> = path.iter().copied().collect();
        let mut links = 0;
        while let Some(component) = next_component(&mut left) {
            match component.as_slice() {
                b"." => {}
                b".." => {
                    let parent = real.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                    real.truncate(parent);
                    directory = match real.is_empty() {
                        true => None,
                        false => Some(open_in_root(self.as_fd(), &real, libc::O_PATH, 0)?),
                    };
                }
                name => {
                    let here = directory.as_ref().map_or(self.as_fd(), |fd| fd.as_fd());
                    let found = with_c_path(name, |name| {
                        open_beneath(here, name, libc::O_PATH | libc::O_NOFOLLOW)
                    })?;
                    if fstat(found.as_fd())?.st_mode & libc::S_IFMT != libc::S_IFLNK {
                        real.push(b'/');
                        real.extend_from_slice(name);
                        directory = Some(found);
                        continue;
                    }
                    links += 1;
                    if links > LINKS {
                        return Err(failed(self.as_fd(), path, "realpath", libc::ELOOP));
                    }
                    let text = readlink(found.as_fd())?;
                    if text.starts_with(b"/") {
                        real.clear();
                        directory = None;
                    }
                    left.push_front(b'/');
                    for &byte in text.iter().rev() {
                        left.push_front(byte);
                    }
                }
            }
        }
        if real.is_empty() {
            real.push(b'/');
        }
        Ok(real)
    }

    fn is_at(&self, real: &[u8], found: &OwnedFd) -> Result<bool> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let there = fstat(open_in_root(self.as_fd(), real, flags, 0)?.as_fd())?;
        let found = fstat(found.as_fd())?;
        Ok((there.st_dev, there.st_ino) == (found.st_dev, found.st_ino))
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
