//! Removing one file or empty directory.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::target::Target;
use crate::error::Result;
use crate::kernel::file::{Unlink, unlinkat};

impl Root<'_> {
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        let path = path.as_os_str().as_bytes();
        let target = Target::resolve(self, path, "unlinkat")?;
        // unlink("/") is EISDIR, and rmdir("/") EBUSY.
        target.act("unlinkat", libc::EBUSY, |parent, name| {
            match unlinkat(parent, name, Unlink::File) {
                Err(error) if error.os_error() == Some(libc::EISDIR) => {
                    unlinkat(parent, name, Unlink::Directory)
                }
                answer => answer,
            }
        })
    }
}
