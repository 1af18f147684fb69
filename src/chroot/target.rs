//! From a path to the directory and the name that a changing call acts on.

use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::root::Root;
use crate::error::{Error, Result};
use crate::kernel::path::{Clipped, PATH_MAX, open_in_root, refuse_nul, with_c_path};

/// The last component of a path and the directory it is in.
///
/// Looking up the parent alone must answer as the whole look-up would have. So the last component is
/// replaced by ".": the component before it stays one in the middle, which is followed whatever
/// fs.protected_symlinks says, and which must be a directory that may be searched.
pub(super) struct Target<'r, 'p> {
    path: &'p [u8],
    parent: Parent<'r>,
    name: Option<&'p [u8]>,
}

enum Parent<'r> {
    Root(BorrowedFd<'r>),
    Below(OwnedFd),
}

impl<'r, 'p> Target<'r, 'p> {
    /// Looks up all but the last component of `path`; `call` is for the error.
    pub(super) fn resolve(
        root: &Root<'r>,
        path: &'p [u8],
        call: &'static str,
    ) -> Result<Target<'r, 'p>> {
        check_length(root.as_fd(), path, call)?;
        let Some((before, name)) = split(path) else {
            return Ok(Target {
                path,
                parent: Parent::Root(root.as_fd()),
                name: None,
            });
        };
        let parent = if before.iter().all(|&byte| byte == b'/') {
            Parent::Root(root.as_fd())
        } else {
            let fd = open_parent(root.as_fd(), before)
                .map_err(|error| error.with_context(Clipped(path)))?;
            Parent::Below(fd)
        };
        Ok(Target {
            path,
            parent,
            name: Some(name),
        })
    }

    /// The directory that the name is in.
    pub(super) fn parent(&self) -> BorrowedFd<'_> {
        match &self.parent {
            Parent::Root(fd) => *fd,
            Parent::Below(fd) => fd.as_fd(),
        }
    }

    /// Whether the parent may be searched, where the look-up didn't ask because it is the root: for an
    /// error that the call itself would have found before another one.
    pub(super) fn require_search(&self) -> Result<()> {
        match (&self.parent, self.name) {
            (Parent::Root(root), Some(_)) => {
                open_in_root(*root, b".", libc::O_PATH | libc::O_DIRECTORY, 0).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The last component with at most one slash behind it; `None` is the root itself. May be "." or
    /// "..", which the calls that take a name refuse.
    pub(super) fn name(&self) -> Option<&'p [u8]> {
        self.name
    }

    /// Calls `body` with the parent and the last component; the root itself answers `at_root`, which
    /// is what the kernel says of "/".
    pub(super) fn act<R>(
        &self,
        call: &'static str,
        at_root: i32,
        body: impl FnOnce(BorrowedFd<'_>, &CStr) -> Result<R>,
    ) -> Result<R> {
        let Some(name) = self.name else {
            return Err(failed(self.parent(), self.path, call, at_root));
        };
        let result = with_c_path(name, |name| body(self.parent(), name));
        match &self.parent {
            Parent::Root(_) => result,
            // The call names the last component only.
            Parent::Below(_) => self.explain(result),
        }
    }

    /// Puts the whole path in front of an error.
    pub(super) fn explain<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|error| error.with_context(Clipped(self.path)))
    }
}

fn open_parent(root: BorrowedFd<'_>, before: &[u8]) -> Result<OwnedFd> {
    const ON_STACK: usize = 256;
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let length = before.len() + 1;
    if length <= ON_STACK {
        let mut buffer = [b'.'; ON_STACK];
        buffer[..before.len()].copy_from_slice(before);
        open_in_root(root, &buffer[..length], flags, 0)
    } else {
        let mut buffer = Vec::with_capacity(length);
        buffer.extend_from_slice(before);
        buffer.push(b'.');
        open_in_root(root, &buffer, flags, 0)
    }
}

/// What the kernel checks before it looks anything up: an empty path is ENOENT, one that is too long
/// ENAMETOOLONG.
pub(super) fn check_length(root: BorrowedFd<'_>, path: &[u8], call: &'static str) -> Result<()> {
    refuse_nul(path)?;
    if path.is_empty() {
        Err(failed(root, path, call, libc::ENOENT))
    } else if path.len() >= PATH_MAX {
        Err(failed(root, path, call, libc::ENAMETOOLONG))
    } else {
        Ok(())
    }
}

/// The error of a call that was answered without making it.
#[cold]
pub(super) fn failed(
    directory: BorrowedFd<'_>,
    path: &[u8],
    call: impl fmt::Display,
    os_error: i32,
) -> Error {
    let fd = directory.as_raw_fd();
    Error::os(format_args!("{call}({fd}, {}, …)", Clipped(path)), os_error)
}

/// All before the last component (empty, or with a slash at its end), and that component with at most
/// one slash behind it. `None` for a path of slashes only.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|&byte| byte != b'/')? + 1;
    let start = path[..end]
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    Some((&path[..start], &path[start..path.len().min(end + 1)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_before_its_last_component() {
        let cases: [(&str, Option<(&str, &str)>); 10] = [
            ("a", Some(("", "a"))),
            ("a/", Some(("", "a/"))),
            ("a///", Some(("", "a/"))),
            ("/a", Some(("/", "a"))),
            ("a/b", Some(("a/", "b"))),
            ("//a//b//", Some(("//a//", "b/"))),
            ("a/..", Some(("a/", ".."))),
            (".", Some(("", "."))),
            ("/", None),
            ("///", None),
        ];
        for (path, expected) in cases {
            let expected = expected.map(|(before, name)| (before.as_bytes(), name.as_bytes()));
            assert_eq!(split(path.as_bytes()), expected, "{path}");
        }
    }
}
