//! The release of a mount in the process's namespace.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use super::outcome::Proof;
use super::proof::MountProof;
use super::resource::Resource;
use crate::error::{Error, Result, Status};
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::process::{self, ProcRoot};
use crate::kernel::unmount::{self as kernel, MountIdentity};

/// How [`crate::ReleaseQueue::reserve_unmount`] goes about it.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let (tmpfs, flags) = (Some("tmpfs"), nix::mount::MsFlags::empty());
/// # nix::mount::mount(tmpfs, volume.path(), tmpfs, flags, None::<&str>)?;
/// use nsgate::{Outcome, UnmountOptions};
///
/// let options = UnmountOptions { detach: true };
/// let job = gate.releases().reserve_unmount(volume.path(), options)?;
/// let event = gate.releases().wait(job.submit()?, None)?;
/// assert!(matches!(event.outcome, Outcome::Released(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UnmountOptions {
    /// Detach the mount (MNT_DETACH) when half of the attempts found it busy. It then leaves the
    /// namespace at once and goes away when its last user does; the proof says whether it is gone.
    pub detach: bool,
}

pub(super) struct Unmount {
    proc: Arc<ProcRoot>,
    proof: MountProof,
    mount: MountIdentity,
    /// Attempts before the mount is detached; `None`: it never is.
    plain_attempts: Option<u32>,
    attempts: u32,
}

impl Unmount {
    pub(super) fn new(
        proc: Arc<ProcRoot>,
        proof: MountProof,
        path: &Path,
        options: UnmountOptions,
        attempts: u32,
    ) -> Result<Unmount> {
        let place = |link| process::place(proc.open_at(link, libc::O_RDONLY)?.as_fd());
        if place(c"thread-self/ns/mnt")? != place(c"self/ns/mnt")? {
            return Err(Error::new(
                Status::InvalidState,
                "this thread is in another mount namespace than the queue's workers",
            ));
        }
        Ok(Unmount {
            mount: kernel::identify(path)?,
            proc,
            proof,
            plain_attempts: options.detach.then_some((attempts / 2).max(1)),
            attempts: 0,
        })
    }

    /// Detaches the last of the mounts, which takes the others along.
    fn detach(&self, doomed: &[&Mount]) -> Result<Proof> {
        // To be marked, a mount asks its file system for permission, as does a path to what is below it:
        // a silent server would hang what is to get rid of it.
        let reaches_all = !doomed.iter().any(|mount| mount.is_served);
        let (mut mark, mut is_all) = (None, reaches_all);
        let [below @ .., top] = doomed else {
            return Ok(Proof::Verified);
        };
        // The descriptors are closed before the look: they must not be what holds the mounts.
        if !top.is_served
            && let Ok(root) = kernel::open(top)
        {
            mark = self.proof.mark(root.as_fd());
        }
        if let Some(mark) = mark.as_mut().filter(|_| reaches_all) {
            for mount in below {
                is_all &= kernel::open(mount).is_ok_and(|root| mark.extend(root.as_fd()));
            }
        }
        kernel::unmount(&self.proc, top, true)?;
        Ok(self.proof.outcome(mark, is_all))
    }
}

impl Resource for Unmount {
    fn release(&mut self) -> Result<Proof> {
        self.attempts += 1;
        let mounts = mountinfo::mounts(&self.proc)?;
        let doomed = mountinfo::deepest_first(&mounts, self.mount.id);
        let Some(last) = doomed.last() else {
            // Somebody else unmounted it.
            return Ok(Proof::Verified);
        };
        if !kernel::is_same(last, self.mount)? {
            return Ok(Proof::Verified);
        }
        if self
            .plain_attempts
            .is_some_and(|plain| self.attempts > plain)
        {
            return self.detach(&doomed);
        }
        for mount in doomed {
            if let Err(error) = kernel::unmount(&self.proc, mount, false) {
                let gone = !mountinfo::mounts(&self.proc)?
                    .iter()
                    .any(|now| now.id == mount.id);
                if !gone {
                    return Err(error);
                }
            }
        }
        // A plain unmount succeeds only when nobody uses the mount.
        Ok(Proof::Verified)
    }
}
