//! Removing one file or empty directory.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::root::Root;
use super::target::{Target, failed};
use crate::error::Result;
use crate::kernel::file::{Unlink, mount_on, unlinkat};

impl Root<'_> {
    /// `may_have_mounts`: some may lie on names below this root.
    pub(crate) fn remove(&self, path: &Path, may_have_mounts: bool) -> Result<()> {
        let path = path.as_os_str().as_bytes();
        let target = Target::resolve(self, path, "unlinkat")?;
        // unlink("/") is EISDIR, and rmdir("/") EBUSY.
        target.act("unlinkat", libc::EBUSY, |parent, name| {
            if may_have_mounts && mount_on(parent, name)?.is_some() {
                return Err(failed(parent, name.to_bytes(), "unlinkat", libc::EBUSY));
            }
            match unlinkat(parent, name, Unlink::File) {
                Err(error) if error.os_error() == Some(libc::EISDIR) => {
                    unlinkat(parent, name, Unlink::Directory)
                }
                answer => answer,
            }
        })
    }
}
