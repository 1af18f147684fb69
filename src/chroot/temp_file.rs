//! Files under names that nobody else has.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::root::Root;
use crate::error::{Error, Result, Status};
use crate::kernel::path::{Clipped, open_in_root};
use crate::kernel::random::random;

/// So many names that are all taken are no accident.
const ATTEMPTS: u32 = 10_000;

impl Root<'_> {
    pub(crate) fn temp_file(&self, directory: &Path, pattern: &Path) -> Result<(OwnedFd, PathBuf)> {
        let pattern = pattern.as_os_str().as_bytes();
        if pattern.contains(&b'/') {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("a slash in the pattern {}", Clipped(pattern)),
            ));
        }
        let (before, after) = match pattern.iter().rposition(|&byte| byte == b'*') {
            Some(star) => (&pattern[..star], &pattern[star + 1..]),
            None => (pattern, &b""[..]),
        };
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let found = open_in_root(self.as_fd(), directory.as_os_str().as_bytes(), flags, 0)?;
        let mut attempt = 1;
        loop {
            let digits = random()?.to_string();
            let name = [before, digits.as_bytes(), after].concat();
            let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
            match open_in_root(found.as_fd(), &name, flags, 0o600) {
                Ok(file) => return Ok((file, directory.join(OsString::from_vec(name)))),
                Err(error) if error.os_error() == Some(libc::EEXIST) && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
