//! The end of many detached trees at once (Linux 6.15).
//!
//! The kernel waits for a grace period, for which it interrupts every processor, whenever a detached
//! tree loses its last descriptor. Trees that hang below one parent share the parent's grace period:
//! afterwards their own descriptors close without one.
//!
//! While they hang there, ".." in the root of a tree must not lead to the trees of others: an empty
//! directory lies over the parent's root, so that it leads there.
//!
//! Nothing lists the mounts of a detached tree, but the way to the parent tells whether it has any below
//! its root: the kernel moves no tree with an unbindable mount in it onto a shared one.

use std::ffi::CStr;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use crate::error::Result;
use crate::kernel::mount::{self, Attributes};
use crate::kernel::syscall::check;

/// The root of a detached tree.
pub(crate) struct DetachedTree {
    descriptor: OwnedFd,
    /// Whether no mount is below the root, once that is known. `false` also where nobody wants to know.
    is_alone: OnceLock<bool>,
}

impl DetachedTree {
    /// `is_alone`: whether no mount is below the root; `None`: that is to be found out.
    pub(crate) fn new(descriptor: OwnedFd, is_alone: Option<bool>) -> DetachedTree {
        DetachedTree {
            descriptor,
            is_alone: is_alone.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    /// Whether no mount is below the root, if that is known.
    pub(crate) fn is_alone(&self) -> Option<bool> {
        self.is_alone.get().copied()
    }

    /// Moves the tree to a place on a shared mount, if it has no mounts below its root.
    fn move_alone(&self, parent: &OwnedFd, place: &CStr) -> Result<()> {
        let turn = |propagation, recursive| {
            let attributes = Attributes::propagation(propagation);
            mount::set_attributes(self.as_fd(), attributes, recursive)
        };
        turn(libc::MS_UNBINDABLE, true)?;
        turn(libc::MS_PRIVATE, false)?;
        mount::move_onto(self.as_fd(), parent.as_fd(), place)
    }
}

impl AsFd for DetachedTree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Dissolves detached trees; a cheap thing to keep.
pub(crate) struct Dissolver {
    /// What each parent is a copy of: a directory for each tree, and the cover.
    template: OwnedFd,
}

impl Dissolver {
    /// The most trees that are dissolved together. More would gain little: the grace period is shared
    /// by that many already.
    pub(crate) const MOST: usize = PLACES.len();

    /// `None` where the kernel mounts nothing on a detached tree.
    pub(crate) fn new() -> Option<Dissolver> {
        let attributes = libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV
            | libc::MOUNT_ATTR_NOEXEC;
        let template = mount::detached_tmpfs(0, c"17").ok()?;
        for place in PLACES {
            make_directory(&template, place).ok()?;
        }
        let cover = mount::detached_tmpfs(attributes, c"1").ok()?;
        mount::move_onto(cover.as_fd(), template.as_fd(), c"").ok()?;
        let attributes = Attributes {
            set: attributes,
            propagation: libc::MS_PRIVATE,
        };
        mount::set_attributes(template.as_fd(), attributes, true).ok()?;
        Some(Dissolver { template })
    }

    /// Dissolves the first [`Dissolver::MOST`] of the trees, and finds out which of them are alone. Their
    /// descriptors stay: what was opened through them goes on, but no namespace can be made of them. One
    /// that can't be moved stays as it is: closing it ends it.
    pub(crate) fn dissolve<T: Deref<Target = DetachedTree>>(&self, trees: &[T]) -> Result<()> {
        self.gather(trees).map(drop)
    }

    /// A parent with the trees below it, which ends with it.
    fn gather<T: Deref<Target = DetachedTree>>(&self, trees: &[T]) -> Result<OwnedFd> {
        let parent = mount::clone_tree(self.template.as_fd(), c"", true)?;
        let places = trees.iter().zip(PLACES);
        let (unknown, mut others): (Vec<_>, Vec<_>) =
            places.partition(|(tree, _)| tree.is_alone().is_none());
        if !unknown.is_empty() {
            let turn = |propagation| {
                let attributes = Attributes::propagation(propagation);
                mount::set_attributes(parent.as_fd(), attributes, false)
            };
            turn(libc::MS_SHARED)?;
            for (tree, place) in unknown {
                let is_moved = tree.move_alone(&parent, place).is_ok();
                tree.is_alone.get_or_init(|| is_moved);
                if !is_moved {
                    others.push((tree, place));
                }
            }
            turn(libc::MS_PRIVATE)?;
        }
        for (tree, place) in others {
            // A tree with a namespace's file bound in it is ELOOP, for example.
            let _ = mount::move_onto(tree.as_fd(), parent.as_fd(), place);
        }
        Ok(parent)
    }
}

const PLACES: [&CStr; 16] = [
    c"0", c"1", c"2", c"3", c"4", c"5", c"6", c"7", c"8", c"9", c"10", c"11", c"12", c"13", c"14",
    c"15",
];

fn make_directory(parent: &OwnedFd, name: &CStr) -> Result<()> {
    // SAFETY: an open descriptor and a NUL-terminated name.
    let value = unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o555) };
    check(value.into(), || {
        format!("mkdirat({}, {name:?}, 0555)", parent.as_raw_fd())
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::BorrowedFd;

    use nix::errno::Errno;
    use nix::fcntl::{AT_FDCWD, OFlag, openat};
    use nix::sys::stat::Mode;

    use super::*;

    fn open(directory: BorrowedFd<'_>, path: &str) -> nix::Result<File> {
        openat(directory, path, OFlag::O_RDONLY, Mode::empty()).map(File::from)
    }

    fn volume() -> (tempfile::TempDir, DetachedTree) {
        let volume = tempfile::tempdir().unwrap();
        fs::write(volume.path().join("secret"), "of this volume").unwrap();
        fs::create_dir(volume.path().join("below")).unwrap();
        let path = std::ffi::CString::new(volume.path().to_str().unwrap()).unwrap();
        let tree = mount::clone_tree(AT_FDCWD, &path, true).unwrap();
        (volume, DetachedTree::new(tree, None))
    }

    fn dissolver() -> Option<Dissolver> {
        let dissolver = Dissolver::new();
        if dissolver.is_none() {
            eprintln!("this kernel mounts nothing on a detached tree (before Linux 6.15)");
        }
        dissolver
    }

    #[test]
    fn no_path_leads_from_one_tree_to_another_while_they_are_together() {
        let Some(dissolver) = dissolver() else { return };
        let volumes = [volume(), volume()];
        let trees = volumes.each_ref().map(|(_, tree)| tree);
        let parent = dissolver.gather(&trees).unwrap();
        for place in 0..2 {
            let inside = open(parent.as_fd(), &format!("{place}/secret"));
            assert!(inside.is_ok(), "the test sees the trees below the parent");
        }
        for tree in trees {
            let below = open(tree.as_fd(), "below").unwrap();
            for up in ["..", "below/../..", "../..", "../../.."] {
                let above = open(tree.as_fd(), up).unwrap();
                for name in ["0", "1", "secret", "0/secret", "1/secret"] {
                    let found = open(above.as_fd(), name).map(drop);
                    assert_eq!(found, Err(Errno::ENOENT), "{up}/{name}");
                }
            }
            assert!(open(below.as_fd(), "../secret").is_ok());
            assert!(open(below.as_fd(), "../../0").is_err());
        }
    }

    #[test]
    fn what_was_opened_before_goes_on_and_stays_in_its_tree() {
        let Some(dissolver) = dissolver() else { return };
        let volumes = [0; Dissolver::MOST].map(|_| volume());
        let trees = volumes.each_ref().map(|(_, tree)| tree);
        let mut opened = trees.map(|tree| open(tree.as_fd(), "secret").unwrap());
        dissolver.dissolve(&trees).unwrap();
        for (tree, opened) in trees.iter().zip(&mut opened) {
            let mut content = String::new();
            opened.read_to_string(&mut content).unwrap();
            assert_eq!(content, "of this volume");
            let at_the_top = open(tree.as_fd(), "../secret");
            assert!(at_the_top.is_ok(), "the root has no parent any more");
        }
    }

    #[test]
    fn a_tree_that_cannot_be_moved_does_not_keep_the_others_back() {
        let Some(dissolver) = dissolver() else { return };
        let (_one, first) = volume();
        let (_two, second) = volume();
        let none = File::open("/dev/null").unwrap();
        let none = DetachedTree::new(none.into(), None);
        let parent = dissolver.gather(&[&first, &none, &second]).unwrap();
        assert!(open(parent.as_fd(), "0/secret").is_ok());
        assert!(open(parent.as_fd(), "1/secret").is_err());
        assert!(open(parent.as_fd(), "2/secret").is_ok());
    }

    #[test]
    fn the_way_to_the_parent_tells_which_trees_have_mounts_below() {
        let Some(dissolver) = dissolver() else { return };
        let volumes = [0; 3].map(|_| volume());
        let [first, second, third] = volumes.each_ref().map(|(_, tree)| tree);
        let below = mount::detached_tmpfs(0, c"1").unwrap();
        mount::move_onto(below.as_fd(), second.as_fd(), c"below").unwrap();
        let parent = dissolver.gather(&[first, second, third]).unwrap();
        let alone = [first, second, third].map(DetachedTree::is_alone);
        assert_eq!(alone, [Some(true), Some(false), Some(true)]);
        // It shares the grace period all the same.
        for place in ["0/secret", "1/secret", "2/secret"] {
            assert!(open(parent.as_fd(), place).is_ok(), "{place}");
        }
        drop(parent);
        assert!(open(second.as_fd(), "secret").is_ok());
    }
}
