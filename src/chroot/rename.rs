//! Renaming and linking.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::root::Root;
use super::target::{Target, check_length, failed};
use crate::error::Result;
use crate::kernel::descriptor::{fstat, link_descriptor, readlink};
use crate::kernel::file::{linkat, lstatat, mount_on, renameat2, symlinkat};
use crate::kernel::path::{open_in_root, with_c_path};

/// How a rename treats what is at the new name, as the flags of renameat2(2).
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::RenameOptions;
///
/// chroot.create("current", 0o644)?;
/// chroot.mkdir("next", 0o755)?;
/// let exchange = RenameOptions { exchange: true, ..RenameOptions::default() };
/// chroot.rename("next", "current", exchange)?;
/// assert!(chroot.stat("current")?.is_directory());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RenameOptions {
    /// EEXIST when there is something (`RENAME_NOREPLACE`).
    pub noreplace: bool,
    /// Both change places (`RENAME_EXCHANGE`).
    pub exchange: bool,
}

impl RenameOptions {
    fn flags(self) -> u32 {
        let noreplace = if self.noreplace {
            libc::RENAME_NOREPLACE
        } else {
            0
        };
        let exchange = if self.exchange {
            libc::RENAME_EXCHANGE
        } else {
            0
        };
        noreplace | exchange
    }
}

impl Root<'_> {
    /// `may_have_mounts`: some may lie on names below this root.
    pub(crate) fn rename(
        &self,
        from: &Path,
        to: &Path,
        options: RenameOptions,
        may_have_mounts: bool,
    ) -> Result<()> {
        let (from, to) = (from.as_os_str().as_bytes(), to.as_os_str().as_bytes());
        let flags = options.flags();
        if options.noreplace && options.exchange {
            return Err(failed(self.as_fd(), from, "renameat2", libc::EINVAL));
        }
        let from = Target::resolve(self, from, "renameat2")?;
        let to = match Target::resolve(self, to, "renameat2") {
            Ok(to) => to,
            Err(error) => {
                from.require_search()?;
                return Err(error);
            }
        };
        // The kernel treats "/" as it does "..", and the root's ".." is the root. "/" itself would
        // name this process's root, which is on another mount.
        let from_name = from.name().unwrap_or(b"..");
        let to_name = to.name().unwrap_or(b"..");
        let renamed = with_c_path(from_name, |from_name| {
            with_c_path(to_name, |to_name| {
                if may_have_mounts {
                    let lies_on_from = mount_on(from.parent(), from_name)?;
                    // The same on both is the same name twice, which changes nothing.
                    if lies_on_from != mount_on(to.parent(), to_name)? {
                        let name = from_name.to_bytes();
                        return Err(failed(from.parent(), name, "renameat2", libc::EBUSY));
                    }
                }
                renameat2((from.parent(), from_name), (to.parent(), to_name), flags)
            })
        });
        from.explain(renamed)
    }

    pub(crate) fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (from.as_os_str().as_bytes(), to.as_os_str().as_bytes());
        let source = Target::resolve(self, from, "linkat")?;
        let Some(name) = source.name().filter(|name| is_plain(name)) else {
            return self.link_directory(from, to);
        };
        with_c_path(name, |name| {
            let linked = Target::resolve(self, to, "linkat").and_then(|target| {
                target.act("linkat", libc::EEXIST, |parent, new_name| {
                    linkat((source.parent(), name), (parent, new_name))
                })
            });
            // A missing source counts before anything about the new name.
            linked.or_else(|error| {
                source.explain(lstatat(source.parent(), name))?;
                Err(error)
            })
        })
    }

    /// A link to "/", "x/", "." or ".." can only fail; with what, only the kernel knows. A slash at
    /// the end follows a symbolic link, so that the look-up has to be ours.
    fn link_directory(&self, from: &[u8], to: &[u8]) -> Result<()> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let source = open_in_root(self.as_fd(), from, flags, 0)?;
        let target = Target::resolve(self, to, "linkat")?;
        target.act("linkat", libc::EEXIST, |parent, name| {
            link_descriptor(self.proc(), source.as_fd(), (parent, name))
        })
    }

    pub(crate) fn symlink(&self, text: &Path, link: &Path) -> Result<()> {
        let text = text.as_os_str().as_bytes();
        check_length(self.as_fd(), text, "symlinkat")?;
        let target = Target::resolve(self, link.as_os_str().as_bytes(), "symlinkat")?;
        target.act("symlinkat", libc::EEXIST, |parent, name| {
            with_c_path(text, |text| symlinkat(text, parent, name))
        })
    }

    pub(crate) fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let path = path.as_os_str().as_bytes();
        let fd = open_in_root(self.as_fd(), path, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
        match readlink(fd.as_fd()) {
            Ok(text) => Ok(OsString::from_vec(text).into()),
            // An empty path makes this ENOENT of what EINVAL is by name: not a link.
            Err(error) if error.os_error() == Some(libc::ENOENT) => {
                let stat = fstat(fd.as_fd())?;
                if stat.st_mode & libc::S_IFMT == libc::S_IFLNK {
                    return Err(error);
                }
                Err(failed(self.as_fd(), path, "readlinkat", libc::EINVAL))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_plain(name: &[u8]) -> bool {
    !name.ends_with(b"/") && !matches!(name, b"." | b"..")
}
