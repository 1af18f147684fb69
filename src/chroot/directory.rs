//! Making directories.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::target::{Target, check_length};
use crate::error::{Error, Result};
use crate::kernel::file::mkdirat;
use crate::kernel::path::open_in_root;

impl Root<'_> {
    pub(crate) fn mkdir(&self, path: &Path, mode: u32) -> Result<()> {
        self.make(path.as_os_str().as_bytes(), mode)
    }

    pub(crate) fn mkdir_all(&self, path: &Path, mode: u32) -> Result<()> {
        let path = path.as_os_str().as_bytes();
        check_length(self.as_fd(), path, "mkdirat")?;
        match self.require_directory(path) {
            Err(error) if error.os_error() == Some(libc::ENOENT) => {}
            there_or_failed => return there_or_failed,
        }
        // Up to the first directory that there is or that can be made, then down again. Each step
        // looks its path up from the root, so that none can end elsewhere.
        let ends = component_ends(path);
        let mut next = ends.len();
        let mut made = Ok(());
        while next > 0 {
            next -= 1;
            made = self.make(&path[..ends[next]], mode);
            if !matches!(&made, Err(error) if error.os_error() == Some(libc::ENOENT)) {
                break;
            }
        }
        for &end in &ends[(next + 1).min(ends.len())..] {
            accept_existing(made)?;
            made = self.make(&path[..end], mode);
        }
        match made {
            Err(error) if is_existing(&error) => match self.require_directory(path) {
                // A dangling link is in the way.
                Err(other) if other.os_error() == Some(libc::ENOENT) => Err(error),
                answer => answer,
            },
            answer => answer,
        }
    }

    fn make(&self, path: &[u8], mode: u32) -> Result<()> {
        let target = Target::resolve(self, path, "mkdirat")?;
        target.act("mkdirat", libc::EEXIST, |parent, name| {
            mkdirat(parent, name, mode)
        })
    }

    fn require_directory(&self, path: &[u8]) -> Result<()> {
        open_in_root(self.as_fd(), path, libc::O_PATH | libc::O_DIRECTORY, 0).map(drop)
    }
}

fn is_existing(error: &Error) -> bool {
    error.os_error() == Some(libc::EEXIST)
}

fn accept_existing(made: Result<()>) -> Result<()> {
    match made {
        Err(error) if is_existing(&error) => Ok(()),
        other => other,
    }
}

/// Where each component of `path` ends.
fn component_ends(path: &[u8]) -> Vec<usize> {
    let inside = |index: usize| path.get(index).is_some_and(|&byte| byte != b'/');
    (1..=path.len())
        .filter(|&end| inside(end - 1) && !inside(end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_end_before_their_slashes() {
        assert_eq!(component_ends(b"//ab//c/d/"), [4, 7, 9]);
        assert_eq!(component_ends(b"///"), [0; 0]);
        assert_eq!(component_ends(b"a"), [1]);
    }
}
