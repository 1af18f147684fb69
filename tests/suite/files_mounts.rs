//! Names that a mount lies on which only the chroot has: the host has unmounted its own, or a job made
//! it. To remove or rename one is EBUSY, as it is for a process in the chroot.

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nsgate::{Chroot, ChrootOptions, Propagation, RenameOptions};

use crate::files::{Files, content, errno};

const EXCHANGE: RenameOptions = RenameOptions {
    noreplace: false,
    exchange: true,
};

pub(crate) fn tmpfs(place: &Path) {
    let none = None::<&str>;
    mount(none, place, Some("tmpfs"), MsFlags::empty(), none).unwrap();
}

pub(crate) fn bind(source: &Path, place: &Path) {
    let none = None::<&str>;
    mount(Some(source), place, none, MsFlags::MS_BIND, none).unwrap();
}

pub(crate) fn unmount(place: &Path) {
    umount2(place, MntFlags::MNT_DETACH).unwrap();
}

/// A chroot with a tmpfs at "below/data" and a file on "below/file", which the host has no more.
fn with_mounts_of_its_own(files: &Files) -> Chroot {
    for file in ["below/file", "other"] {
        files.volume.file(file, "of the host");
    }
    for directory in ["below/data", "empty"] {
        std::fs::create_dir(files.volume.path().join(directory)).unwrap();
    }
    let below = files.volume.path().join("below");
    tmpfs(&below.join("data"));
    files.volume.file("below/data/inside", "of the mount");
    bind(&below.join("data/inside"), &below.join("file"));
    let options = ChrootOptions::default();
    let chroot = Chroot::open(files.chroot.gate(), files.volume.path(), &options).unwrap();
    unmount(&below.join("file"));
    unmount(&below.join("data"));
    chroot
}

fn still_there(chroot: &Chroot) {
    for path in ["below/data/inside", "below/file"] {
        let file = chroot.open_file(path, nsgate::OpenOptions::new(libc::O_RDONLY));
        assert_eq!(content(file), "of the mount", "{path}");
    }
}

#[test]
fn a_mount_point_of_the_chroot_is_not_removed() {
    let files = Files::new();
    let chroot = with_mounts_of_its_own(&files);
    for path in ["below/data", "/below/data/", "below/file"] {
        let error = chroot.remove(path).unwrap_err();
        assert_eq!(error.os_error(), Some(libc::EBUSY), "{error}");
        assert!(error.to_string().contains("unlinkat("), "{error}");
    }
    still_there(&chroot);
    // What is in the mount is like any other file.
    chroot
        .link("below/data/inside", "below/data/again")
        .unwrap();
    chroot.remove("below/data/again").unwrap();
    chroot.release().unwrap();
}

#[test]
fn nor_by_the_removal_of_a_tree_that_starts_there() {
    let files = Files::new();
    let chroot = with_mounts_of_its_own(&files);
    for path in ["below/data", "/below/data/", "below/file", "below/file/"] {
        let error = chroot.remove_all(path).unwrap_err();
        assert_eq!(error.os_error(), Some(libc::EBUSY), "{error}");
        assert!(error.to_string().contains("unlinkat("), "{error}");
        still_there(&chroot);
    }
    chroot.release().unwrap();
}

#[test]
fn a_mount_point_of_the_chroot_is_not_renamed() {
    let files = Files::new();
    let chroot = with_mounts_of_its_own(&files);
    let plain = RenameOptions::default();
    for (from, to, options) in [
        ("below/data", "elsewhere", plain),
        ("below/data/", "elsewhere/", plain),
        ("below/file", "elsewhere", plain),
        ("empty", "below/data", plain),
        ("other", "below/file", plain),
        ("other", "below/data", EXCHANGE),
        ("below/data", "other", EXCHANGE),
        ("below/data", "below/file", EXCHANGE),
    ] {
        let error = chroot.rename(from, to, options).unwrap_err();
        assert_eq!(
            error.os_error(),
            Some(libc::EBUSY),
            "{from} to {to}: {error}"
        );
        assert!(error.to_string().contains("renameat2("), "{error}");
        still_there(&chroot);
    }
    // To its own name is to nowhere; and a directory that a mount lies below is like any other.
    chroot.rename("below/data", "below/data", plain).unwrap();
    chroot.rename("below", "moved", plain).unwrap();
    chroot.rename("moved", "below", plain).unwrap();
    still_there(&chroot);
    chroot.release().unwrap();
}

#[test]
fn nor_is_one_that_a_job_made() {
    for recursive in [true, false] {
        let mut options = ChrootOptions::default();
        options.recursive = recursive;
        let files = Files::with_options(&options);
        files.chroot.mkdir("data", 0o755).unwrap();
        files.chroot.mkdir("empty", 0o755).unwrap();
        files.chroot.remove("empty").unwrap();
        files.chroot.run(|| tmpfs(Path::new("/data"))).unwrap();
        files.write("data/inside", "kept");
        assert_eq!(errno(files.chroot.remove("data")), libc::EBUSY);
        let renamed = files.chroot.rename("data", "x", RenameOptions::default());
        assert_eq!(errno(renamed), libc::EBUSY);
        assert_eq!(files.read("data/inside"), "kept");
        files.chroot.run(|| unmount(Path::new("/data"))).unwrap();
        files.chroot.remove("data").unwrap();
    }
}

/// What only the host has the kernel refuses to remove by itself: it asks the calling thread's namespace.
#[test]
fn a_later_mount_of_the_host_is_in_the_way_unseen() {
    let files = Files::new();
    let late = files.volume.path().join("late");
    std::fs::create_dir(&late).unwrap();
    tmpfs(&late);
    files.volume.file("late/inside", "");
    assert!(files.names("late").is_empty());
    assert_eq!(errno(files.chroot.remove("late")), libc::EBUSY);
    unmount(&late);
    files.chroot.remove("late").unwrap();
}

/// The options are no promise about these; the documentation says so.
#[test]
fn a_later_mount_in_a_slave_has_the_host_s_attributes() {
    let host = Files::new();
    let late = host.volume.path().join("late");
    std::fs::create_dir(&late).unwrap();
    let none = None::<&str>;
    mount(none, host.volume.path(), none, MsFlags::MS_SHARED, none).unwrap();
    let mut options = ChrootOptions::default();
    options.read_only = true;
    options.propagation = Propagation::Slave;
    let slave = Chroot::open(host.chroot.gate(), host.volume.path(), &options).unwrap();
    slave.namespace_id().unwrap();
    assert_eq!(errno(slave.create("late/file", 0o644)), libc::EROFS);
    tmpfs(&late);
    slave.create("late/file", 0o644).unwrap();
    assert_eq!(errno(slave.remove("late")), libc::EBUSY);
    unmount(&late);
    slave.release().unwrap();
}
