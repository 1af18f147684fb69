//! Opening chroots, and running in them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::mount::MsFlags;
use nsgate::{Chroot, ChrootOptions, Gate, Propagation, Status};

use crate::host::{self, Volume, close, gate, host, soon};

pub(crate) fn open(gate: &Gate, volume: &Volume) -> Chroot {
    Chroot::open(gate, volume.path(), &ChrootOptions::default()).unwrap()
}

#[test]
pub(crate) fn a_job_has_the_volume_as_its_root() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    volume.file("etc/name", "seven");
    let chroot = open(&gate, &volume);
    let (name, mounts, standing) = chroot
        .run(|| {
            let mut cwd = std::env::current_dir().unwrap();
            cwd.push("etc");
            (
                fs::read_to_string("/etc/name").unwrap(),
                fs::read_dir("/proc").is_err(),
                cwd,
            )
        })
        .unwrap();
    assert_eq!((name.as_str(), mounts), ("seven", true));
    assert_eq!(standing, Path::new("/etc"));
    // The tree goes on serving file operations, and both see the same.
    chroot
        .run(|| fs::write("/etc/written", "inside").unwrap())
        .unwrap();
    assert_eq!(chroot.stat("etc/written").unwrap().size(), 6);
    let id = chroot.namespace_id().unwrap();
    assert_eq!(chroot.namespace_id().unwrap(), id);
    drop(chroot);
    close(&gate);
}

#[test]
pub(crate) fn volumes_that_take_no_change_can_be_opened() {
    let _host = host();
    let gate = gate();
    let read_only = Volume::new();
    read_only.file("kept", "x");
    nix::mount::mount(
        None::<&str>,
        read_only.path(),
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
        None::<&str>,
    )
    .unwrap();
    let full = Volume::with_options("size=64k");
    let mut file = fs::File::create(full.path().join("filler")).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[1; 4096]) {
            break error;
        }
    };
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    drop(file);
    let no_inodes = Volume::with_options("nr_inodes=1");
    assert!(fs::write(no_inodes.path().join("x"), "").is_err());
    for volume in [&read_only, &full, &no_inodes] {
        let chroot = open(&gate, volume);
        chroot.run(|| assert!(fs::read_dir("/").is_ok())).unwrap();
        assert!(chroot.lstat("/").unwrap().is_directory());
        drop(chroot);
    }
    close(&gate);
}

#[test]
pub(crate) fn what_is_no_volume_is_refused() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    volume.file("file", "");
    volume.file("directory/inner", "");
    fs::create_dir(volume.path().join("directory/deeper")).unwrap();
    symlink("directory", volume.path().join("link")).unwrap();
    symlink("nowhere", volume.path().join("dangling")).unwrap();
    let options = ChrootOptions::default();
    let errno = |name: &str| {
        let error = Chroot::open(&gate, &volume.path().join(name), &options).unwrap_err();
        assert_eq!(error.status(), Status::Os, "{error}");
        error.os_error().unwrap()
    };
    assert_eq!(errno("file"), libc::ENOTDIR);
    assert_eq!(errno("missing"), libc::ENOENT);
    assert_eq!(errno("dangling"), libc::ENOENT);
    assert_eq!(errno(&"x".repeat(256)), libc::ENAMETOOLONG);
    for path in ["", "a\0b"] {
        let error = Chroot::open(&gate, Path::new(path), &options).unwrap_err();
        assert_eq!(error.status(), Status::InvalidArgument);
    }
    // A link to a directory is opened as given, unless that is refused.
    let link = volume.path().join("link");
    let chroot = Chroot::open(&gate, &link, &options).unwrap();
    assert!(chroot.stat("inner").is_ok());
    drop(chroot);
    let mut nofollow = ChrootOptions::default();
    nofollow.nofollow = true;
    let real = fs::canonicalize(volume.path()).unwrap();
    for path in ["link", "link/", "link/.", "link/inner/..", "link/deeper"] {
        let refused = Chroot::open(&gate, &real.join(path), &nofollow);
        assert_eq!(refused.unwrap_err().os_error(), Some(libc::ELOOP), "{path}");
    }
    for (path, errno) in [("file", libc::ENOTDIR), ("missing", libc::ENOENT)] {
        let refused = Chroot::open(&gate, &real.join(path), &nofollow);
        assert_eq!(refused.unwrap_err().os_error(), Some(errno), "{path}");
    }
    let chroot = Chroot::open(&gate, &real.join("directory/deeper/.."), &nofollow).unwrap();
    assert!(chroot.stat("inner").is_ok());
    drop(chroot);
    close(&gate);
}

#[test]
pub(crate) fn attributes_hold_for_operations_and_for_jobs() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    volume.file("program", "#!/bin/true\n");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(volume.path().join("program"), executable).unwrap();
    symlink("program", volume.path().join("link")).unwrap();
    let mut options = ChrootOptions::default();
    options.read_only = true;
    options.noexec = true;
    options.nosymfollow = true;
    let chroot = Chroot::open(&gate, volume.path(), &options).unwrap();
    let write = chroot.mkdir("new", 0o755).unwrap_err();
    assert_eq!(write.os_error(), Some(libc::EROFS));
    let link = chroot.stat("link").unwrap_err();
    assert_eq!(link.os_error(), Some(libc::ELOOP));
    let flags = nix::sys::statvfs::FsFlags::ST_RDONLY
        | nix::sys::statvfs::FsFlags::ST_NOSUID
        | nix::sys::statvfs::FsFlags::ST_NODEV
        | nix::sys::statvfs::FsFlags::ST_NOEXEC;
    let inside = chroot
        .run(|| nix::sys::statvfs::statvfs("/").unwrap().flags())
        .unwrap();
    assert!(inside.contains(flags), "{inside:?}");
    let executed = chroot
        .run(|| nix::unistd::access("/program", nix::unistd::AccessFlags::X_OK))
        .unwrap();
    assert_eq!(executed, Err(nix::errno::Errno::EACCES));
    // The volume itself is what it was.
    fs::write(volume.path().join("still"), "writable").unwrap();
    drop(chroot);
    close(&gate);
}

#[test]
pub(crate) fn mounts_below_the_volume_come_along_unless_they_should_not() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    fs::create_dir(volume.path().join("below")).unwrap();
    let mount = |name: &str| {
        let target = volume.path().join(name);
        nix::mount::mount(
            Some("tmpfs"),
            &target,
            Some("tmpfs"),
            MsFlags::empty(),
            None::<&str>,
        )
        .unwrap();
        fs::write(target.join("file"), "").unwrap();
    };
    mount("below");
    let chroot = open(&gate, &volume);
    assert!(chroot.stat("below/file").is_ok());
    assert!(chroot.run(|| fs::metadata("/below/file").is_ok()).unwrap());
    let mut options = ChrootOptions::default();
    options.recursive = false;
    let shallow = Chroot::open(&gate, volume.path(), &options).unwrap();
    assert_eq!(
        shallow.stat("below/file").unwrap_err().os_error(),
        Some(libc::ENOENT)
    );
    // What is unmounted on the host stays in the chroot: propagation is private.
    nix::mount::umount2(
        &volume.path().join("below"),
        nix::mount::MntFlags::MNT_DETACH,
    )
    .unwrap();
    assert!(chroot.stat("below/file").is_ok());
    drop((chroot, shallow));
    close(&gate);
}

#[test]
pub(crate) fn a_slave_sees_later_mounts_of_the_host_and_gives_none_back() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    fs::create_dir(volume.path().join("later")).unwrap();
    nix::mount::mount(
        None::<&str>,
        volume.path(),
        None::<&str>,
        MsFlags::MS_SHARED,
        None::<&str>,
    )
    .unwrap();
    let mut options = ChrootOptions::default();
    options.propagation = Propagation::Slave;
    let slave = Chroot::open(&gate, volume.path(), &options).unwrap();
    let private = open(&gate, &volume);
    // Propagation reaches mounts that are in a namespace.
    for chroot in [&slave, &private] {
        chroot.run(|| ()).unwrap();
    }
    let later = volume.path().join("later");
    nix::mount::mount(
        Some("tmpfs"),
        &later,
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    fs::write(later.join("file"), "").unwrap();
    let seen = |chroot: &Chroot| chroot.run(|| fs::metadata("/later/file").is_ok()).unwrap();
    assert!(seen(&slave));
    assert!(!seen(&private));
    let before = host::mounts();
    slave
        .run(|| {
            nix::mount::mount(
                Some("tmpfs"),
                "/later",
                Some("tmpfs"),
                MsFlags::empty(),
                None::<&str>,
            )
            .unwrap();
        })
        .unwrap();
    assert_eq!(host::mounts(), before);
    nix::mount::umount2(&later, nix::mount::MntFlags::MNT_DETACH).unwrap();
    drop((slave, private));
    close(&gate);
}

#[test]
pub(crate) fn two_thousand_chroots_take_no_thread() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let first = open(&gate, &volume);
    first.run(|| ()).unwrap();
    let more = match gate.features().mount_setattr {
        true => 0,
        // Each is opened by a namespace thread, and the one before may not be home yet.
        false => gate.options().namespace_threads as usize,
    };
    let threads = host::thread_ids().len() + more;
    let chroots: Vec<Chroot> = (0..2_000).map(|_| open(&gate, &volume)).collect();
    assert!(host::thread_ids().len() <= threads);
    for chroot in chroots.iter().step_by(100) {
        chroot.run(|| ()).unwrap();
    }
    let before = gate.stats();
    assert_eq!(before.reserved, 2_001);
    drop((chroots, first));
    gate.releases().fence(Some(soon())).unwrap();
    let after = gate.stats();
    assert_eq!(
        (after.released, after.reserved, after.depth),
        (2_001, 0, 0),
        "{after:?}"
    );
    close(&gate);
}
