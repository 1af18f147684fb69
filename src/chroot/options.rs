//! What a chroot is opened with.

use crate::kernel::mount::Attributes;

/// How mounts made later on the host's side reach the chroot.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// use nsgate::{Chroot, ChrootOptions, Propagation};
///
/// let mut options = ChrootOptions::default();
/// options.propagation = Propagation::Slave;
/// let chroot = Chroot::open(&gate, volume.path(), &options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Propagation {
    /// They don't, nor the other way round.
    #[default]
    Private,
    /// Mounts and unmounts below the volume reach the chroot once its namespace is made, but
    /// nothing goes back. The volume must lie on a shared mount for that.
    ///
    /// A later mount keeps the attributes that the host gives it: what the options refuse (changes,
    /// devices, setuid, programs) holds for the mounts that were there at the open only.
    Slave,
}

/// The attributes of a chroot's mounts; all of them are set, on all mounts of the tree, before
/// anybody can use it. Later mounts of the host ([`Propagation::Slave`]) and of jobs have their own.
///
/// ```
/// let mut options = nsgate::ChrootOptions::default();
/// options.read_only = true;
/// assert!(options.nosuid && options.nodev);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChrootOptions {
    /// Refuse all changes (EROFS).
    pub read_only: bool,
    /// Ignore setuid, setgid and file capabilities. On by default.
    pub nosuid: bool,
    /// Refuse to open device files. On by default.
    pub nodev: bool,
    /// Refuse to execute programs.
    pub noexec: bool,
    /// Follow no symbolic link (Linux 5.10; EINVAL on 5.12 and 5.13).
    pub nosymfollow: bool,
    /// Whether later mounts of the host reach the chroot.
    pub propagation: Propagation,
    /// Take the mounts below the volume along. On by default.
    pub recursive: bool,
    /// Refuse a path that leads through a symbolic link, at its end or before (ELOOP); otherwise links
    /// are followed.
    pub nofollow: bool,
}

impl Default for ChrootOptions {
    fn default() -> ChrootOptions {
        ChrootOptions {
            read_only: false,
            nosuid: true,
            nodev: true,
            noexec: false,
            nosymfollow: false,
            propagation: Propagation::Private,
            recursive: true,
            nofollow: false,
        }
    }
}

impl ChrootOptions {
    pub(super) fn attributes(&self) -> Attributes {
        let chosen = [
            (self.read_only, libc::MOUNT_ATTR_RDONLY),
            (self.nosuid, libc::MOUNT_ATTR_NOSUID),
            (self.nodev, libc::MOUNT_ATTR_NODEV),
            (self.noexec, libc::MOUNT_ATTR_NOEXEC),
            (self.nosymfollow, libc::MOUNT_ATTR_NOSYMFOLLOW),
        ];
        let set = chosen
            .iter()
            .filter(|(wanted, _)| *wanted)
            .fold(0, |set, (_, attribute)| set | attribute);
        Attributes {
            set,
            propagation: match self.propagation {
                Propagation::Private => libc::MS_PRIVATE,
                Propagation::Slave => libc::MS_SLAVE,
            },
        }
    }
}
