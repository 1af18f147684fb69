//! Where the tree of a new chroot comes from: a directory of the host, or one in another chroot.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::fcntl::AT_FDCWD;

use super::namespace::{go_inside, set_attributes};
use super::options::{ChrootOptions, Propagation};
use super::release::{OpenChroot, Tree};
use super::target::check_length;
use super::{Chroot, Inner};
use crate::error::{Error, Result, Status};
use crate::gate::Gate;
use crate::kernel::path::{directory_in_root, directory_without_links};
use crate::kernel::{mount, served};
use crate::label::Label;
use crate::releasable::{Handle, Releasable};
use crate::release::{Kind, MountProof};
use crate::trace;

impl Chroot {
    /// Opens a private view of the directory `volume`: one detached copy of its mounts, with the
    /// attributes of the options. The volume is not written to, nor are its times changed.
    ///
    /// FULL when the queue has no place for its release; ENOTDIR when the volume is no directory.
    /// The file system is asked for its type: one whose server is silent holds the caller here.
    /// Before Linux 5.12 its namespace is made here, on a namespace thread. There one of the mounts to
    /// be taken along that lies beneath another is UNSUPPORTED, and WOULD_DEADLOCK comes as from a run.
    pub fn open(gate: &Gate, volume: &Path, options: &ChrootOptions) -> Result<Chroot> {
        let path = CString::new(volume.as_os_str().as_bytes()).map_err(|_| {
            Error::new(
                Status::InvalidArgument,
                "the volume's path has a NUL inside",
            )
        })?;
        if path.is_empty() {
            return Err(Error::new(
                Status::InvalidArgument,
                "the volume's path is empty",
            ));
        }
        let clone = || {
            if !options.nofollow {
                return mount::clone_tree(AT_FDCWD, &path, options.recursive);
            }
            // open_tree(2) alone spares only a link at the very end, without a slash behind it.
            let directory = directory_without_links(&path)?;
            mount::clone_tree(directory.as_fd(), c"", options.recursive)
        };
        Chroot::open_from(gate, volume, options, clone)
    }

    /// Opens a private view of a directory in this chroot: a chroot like any other, with a place in
    /// the queue of its own, which stays when this one is released. What the mounts of this one
    /// refuse it refuses too, whatever the options say.
    ///
    /// `path` is looked up as by a file operation, also from inside a job of another chroot. The tree
    /// is copied on a namespace thread: that makes the namespace of this chroot if it has none yet, and
    /// WOULD_DEADLOCK comes as from a run. Otherwise as [`Chroot::open`].
    pub fn open_chroot(&self, path: impl AsRef<Path>, options: &ChrootOptions) -> Result<Chroot> {
        let path = path.as_ref();
        let bytes = path.as_os_str().as_bytes();
        let open = self.0.releasable.begin()?;
        check_length(open.as_fd(), bytes, "openat2")?;
        let gate = &self.0.gate;
        let clone = || {
            let directory = directory_in_root(open.as_fd(), bytes, options.nofollow)?;
            let mut cloned = None;
            let place = &mut cloned;
            // Every kernel copies the mounts of the namespace that the caller is in, no other.
            let enter = || {
                go_inside(gate, &open, &self.0.making)?;
                let made = mount::clone_tree(directory.as_fd(), c"", options.recursive)?;
                *place = Some(made);
                Ok(())
            };
            // The span of the open is the one that tells of it.
            let unrecorded = trace::Visit::default();
            gate.threads().run(enter, || (), unrecorded)?;
            Ok(cloned.expect("the way in has left it here"))
        };
        Chroot::open_from(gate, path, options, clone)
    }

    /// `clone` makes the detached tree.
    fn open_from(
        gate: &Gate,
        volume: &Path,
        options: &ChrootOptions,
        clone: impl FnOnce() -> Result<OwnedFd>,
    ) -> Result<Chroot> {
        trace::open(volume, options, |trace| {
            let label = Label(volume).to_string();
            let reservation = gate.releases().reserve(Kind::Chroot, &label)?;
            let tree = make_tree(gate, options, clone)
                .map_err(|error| error.with_context(format_args!("chroot {label}")))?;
            let ticket = reservation.ticket();
            trace.reserved(ticket);
            Ok(Chroot(Handle::new(Arc::new_cyclic(|chroot| {
                let open = OpenChroot::new(tree, reservation, chroot.clone());
                Inner {
                    gate: gate.clone(),
                    volume: volume.to_owned(),
                    releasable: Releasable::new(gate.releases(), ticket, open),
                    making: Mutex::new(()),
                }
            }))))
        })
    }
}

fn make_tree(
    gate: &Gate,
    options: &ChrootOptions,
    clone: impl FnOnce() -> Result<OwnedFd>,
) -> Result<Tree> {
    let descriptor = clone()?;
    mount::require_directory(descriptor.as_fd())?;
    let namespace = set_attributes(gate, &descriptor, options)?;
    let is_served = served::is_served(descriptor.as_fd())?;
    let proof = match is_served {
        // To be marked, a mount asks its file system for permission: the release would hang.
        true => MountProof::none(),
        false => gate.releases().mount_proof(),
    };
    let is_single = !options.recursive && options.propagation == Propagation::Private;
    Ok(Tree::new(
        descriptor, namespace, is_single, proof, is_served,
    ))
}
