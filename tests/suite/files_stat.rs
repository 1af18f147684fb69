//! stat, lstat, statfs and the attributes that can be changed.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, Instant, SystemTime};

use nsgate::{Chroot, ChrootOptions, FileKind, FileTime};

use crate::files::{Files, errno};
use crate::host;

#[test]
fn stat_says_what_the_host_sees() {
    let files = Files::new();
    files.volume.file("dir/sub/file", "12345");
    symlink("/dir/sub/file", files.volume.path().join("link")).unwrap();
    symlink("sub", files.volume.path().join("dir/way")).unwrap();
    let host = fs::metadata(files.volume.path().join("dir/sub/file")).unwrap();
    for path in [
        "dir/sub/file",
        "/dir/sub/file",
        "link",
        "dir/way/file",
        "dir/way/../../link",
    ] {
        let stat = files.chroot.stat(path).unwrap();
        assert_eq!(
            (stat.inode(), stat.device()),
            (host.ino(), host.dev()),
            "{path}"
        );
        assert_eq!((stat.size(), stat.kind()), (5, FileKind::File));
        assert_eq!(
            (stat.mode(), stat.uid(), stat.gid()),
            (host.mode(), host.uid(), host.gid())
        );
        assert_eq!(stat.link_count(), host.nlink());
        assert_eq!(
            (stat.blocks(), stat.block_size()),
            (host.blocks() as i64, host.blksize() as i64)
        );
        let modified = (
            stat.modification().seconds,
            stat.modification().nanoseconds.into(),
        );
        assert_eq!(modified, (host.mtime(), host.mtime_nsec()));
        assert_eq!(
            SystemTime::from(stat.modification()),
            host.modified().unwrap()
        );
    }
    for (path, kind) in [
        ("link", FileKind::Symlink),
        ("/link", FileKind::Symlink),
        ("dir/way", FileKind::Symlink),
        ("dir/way/", FileKind::Directory),
        (".", FileKind::Directory),
        ("/", FileKind::Directory),
        ("..", FileKind::Directory),
    ] {
        assert_eq!(files.chroot.lstat(path).unwrap().kind(), kind, "{path}");
    }
    let root = fs::metadata(files.volume.path()).unwrap().ino();
    for path in ["/", ".", "..", "dir/../..", "/../.."] {
        assert_eq!(files.chroot.stat(path).unwrap().inode(), root, "{path}");
    }
    for (path, expected) in [
        ("", libc::ENOENT),
        ("missing", libc::ENOENT),
        ("link/", libc::ENOTDIR),
        ("dir/sub/file/", libc::ENOTDIR),
        ("dir/sub/file/x", libc::ENOTDIR),
    ] {
        assert_eq!(errno(files.chroot.stat(path)), expected, "{path}");
        assert_eq!(errno(files.chroot.lstat(path)), expected, "{path}");
    }
}

#[test]
fn statfs_is_of_the_file_system_at_the_path() {
    let files = Files::new();
    files.chroot.mkdir("dir", 0o755).unwrap();
    let statfs = files.chroot.statfs("dir").unwrap();
    assert_eq!(statfs.kind, libc::TMPFS_MAGIC);
    assert_eq!(statfs.name_length, 255);
    assert!(statfs.blocks_free <= statfs.blocks);
    assert_eq!(statfs.flags & libc::ST_NODEV, libc::ST_NODEV);
    assert_eq!(errno(files.chroot.statfs("missing")), libc::ENOENT);
}

#[test]
fn permissions_change_through_links_and_on_links_not_at_all() {
    let files = Files::new();
    files.write("file", "");
    files.chroot.symlink("/file", "link").unwrap();
    for mode in [0o0, 0o644, 0o1777, 0o2755, 0o4711, 0o7777] {
        files.chroot.chmod("link", mode).unwrap();
        assert_eq!(files.chroot.stat("file").unwrap().mode() & 0o7777, mode);
        assert_eq!(files.chroot.lstat("link").unwrap().mode() & 0o7777, 0o777);
    }
    files.chroot.chmod("/", 0o700).unwrap();
    assert_eq!(files.chroot.stat("/").unwrap().mode() & 0o7777, 0o700);
    assert_eq!(errno(files.chroot.chmod("missing", 0o600)), libc::ENOENT);
    assert_eq!(errno(files.chroot.chmod("file/", 0o600)), libc::ENOTDIR);
}

#[test]
fn owners_change_of_the_file_or_of_the_link() {
    let files = Files::new();
    // In a directory like /tmp, fs.protected_symlinks refuses to follow another owner's link.
    files.chroot.chmod("/", 0o755).unwrap();
    files.write("file", "");
    files.chroot.symlink("file", "link").unwrap();
    let owner = |path: &str| {
        let stat = files.chroot.lstat(path).unwrap();
        (stat.uid(), stat.gid())
    };
    let before = owner("file");
    files.chroot.chown("link", u32::MAX, u32::MAX).unwrap();
    files.chroot.lchown("link", u32::MAX, u32::MAX).unwrap();
    assert_eq!((owner("file"), owner("link")), (before, before));
    // In a user namespace with one user no other can be given to a file: EINVAL, as the plain call.
    match nix::unistd::chown(
        &files.volume.path().join("file"),
        Some(1.into()),
        Some(2.into()),
    ) {
        Ok(()) => {
            files.chroot.lchown("link", 3, 4).unwrap();
            assert_eq!((owner("file"), owner("link")), ((1, 2), (3, 4)));
            files.chroot.chown("link", u32::MAX, 5).unwrap();
            assert_eq!((owner("file"), owner("link")), ((1, 5), (3, 4)));
        }
        Err(plain) => {
            assert_eq!(errno(files.chroot.chown("file", 1, 2)), plain as i32);
            assert_eq!(errno(files.chroot.lchown("link", 3, 4)), plain as i32);
        }
    }
    assert_eq!(errno(files.chroot.chown("missing", 0, 0)), libc::ENOENT);
}

#[test]
fn times_are_set_exactly_one_or_both_before_1970_and_now() {
    let files = Files::new();
    files.write("file", "");
    files.chroot.symlink("file", "link").unwrap();
    let time = |seconds, nanoseconds| FileTime {
        seconds,
        nanoseconds,
    };
    let times = |path: &str| {
        let stat = files.chroot.lstat(path).unwrap();
        (stat.access(), stat.modification())
    };
    let chroot = &files.chroot;
    let (old, recent) = (time(-7, 123_456_789), time(1_700_000_000, 999_999_999));
    chroot
        .set_times("link", Some(old), Some(recent), true)
        .unwrap();
    assert_eq!(times("file"), (old, recent));
    chroot
        .set_times("file", None, Some(time(5, 6)), true)
        .unwrap();
    assert_eq!(times("file"), (old, time(5, 6)));
    chroot.set_times("file", Some(recent), None, true).unwrap();
    assert_eq!(times("file"), (recent, time(5, 6)));
    chroot
        .set_times("link", Some(time(1, 2)), Some(old), false)
        .unwrap();
    assert_eq!(
        (times("file"), times("link")),
        ((recent, time(5, 6)), (time(1, 2), old))
    );
    let began = SystemTime::now() - Duration::from_secs(5);
    chroot
        .set_times("file", Some(FileTime::NOW), Some(FileTime::NOW), true)
        .unwrap();
    let (access, modification) = times("file");
    assert_eq!(access, modification);
    assert!(SystemTime::from(access) > began);
    // Nothing to set: the kernel doesn't even look.
    chroot.set_times("missing", None, None, true).unwrap();
    assert_eq!(
        errno(chroot.set_times("missing", Some(old), None, true)),
        libc::ENOENT
    );
    let beyond = time(0, 1_000_000_000);
    assert_eq!(
        errno(chroot.set_times("file", Some(beyond), None, true)),
        libc::EINVAL
    );
}

#[test]
fn truncate_takes_regular_files_only() {
    let files = Files::new();
    files.write("file", "0123456789");
    files.chroot.symlink("/file", "link").unwrap();
    files.chroot.truncate("link", 4).unwrap();
    assert_eq!(files.read("file"), "0123");
    files.chroot.truncate("file", 6).unwrap();
    assert_eq!(files.read("file"), "0123\0\0");
    nix::unistd::mkfifo(
        &files.volume.path().join("fifo"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    for (path, length, expected) in [
        ("file", -1, libc::EINVAL),
        ("missing", -1, libc::EINVAL),
        ("missing", 0, libc::ENOENT),
        ("/", 0, libc::EISDIR),
        ("fifo", 0, libc::EINVAL),
        ("file/", 0, libc::ENOTDIR),
        ("file", i64::MAX, libc::EFBIG),
    ] {
        // tmpfs takes any length that fits; then it has to be the plain call's answer too.
        let plain = nix::unistd::truncate(
            &files.volume.path().join(path.trim_start_matches('/')),
            length,
        );
        match plain {
            Ok(()) => files.chroot.truncate(path, length).unwrap(),
            Err(plain) => {
                assert_eq!(
                    errno(files.chroot.truncate(path, length)),
                    plain as i32,
                    "{path}"
                );
                assert_eq!(plain as i32, expected, "{path}");
            }
        }
    }
}

#[test]
fn truncate_waits_until_a_lease_is_given_up() {
    let files = Files::new();
    files.write("file", "0123456789");
    let holder = File::open(files.volume.path().join("file")).unwrap();
    let lease = |command, argument: i32| {
        // SAFETY: an open descriptor; none of these commands takes memory.
        let answer = unsafe { libc::fcntl(holder.as_raw_fd(), command, argument) };
        assert_ne!(answer, -1, "{}", std::io::Error::last_os_error());
        answer
    };
    // Of the break the holder is told by a signal, one that is ignored here.
    lease(10 /* F_SETSIG */, libc::SIGURG);
    lease(libc::F_SETLEASE, libc::F_RDLCK);
    std::thread::scope(|scope| {
        let truncating = scope.spawn(|| files.chroot.truncate("file", 4));
        let deadline = host::soon();
        while lease(libc::F_GETLEASE, 0) == libc::F_RDLCK {
            assert!(Instant::now() < deadline, "nobody asks for it");
            std::thread::sleep(Duration::from_millis(1));
        }
        lease(libc::F_SETLEASE, libc::F_UNLCK);
        truncating.join().unwrap().unwrap();
    });
    assert_eq!(files.read("file"), "0123");
}

#[test]
fn a_read_only_chroot_refuses_every_change() {
    let files = Files::new();
    files.volume.file("dir/file", "text");
    let mut options = ChrootOptions::default();
    options.read_only = true;
    let gate = files.chroot.gate();
    let chroot = Chroot::open(gate, files.volume.path(), &options).unwrap();
    let now = Some(FileTime::NOW);
    let refused = [
        chroot.create("dir/file", 0o644).map(drop),
        chroot.mkdir("new", 0o755),
        chroot.mkdir_all("new/a", 0o755),
        chroot.remove("dir/file"),
        chroot.remove_all("dir"),
        chroot.rename("dir/file", "new", Default::default()),
        chroot.link("dir/file", "new"),
        chroot.symlink("dir/file", "new"),
        chroot.chmod("dir/file", 0o600),
        chroot.chown("dir/file", 0, 0),
        chroot.lchown("dir/file", 0, 0),
        chroot.set_times("dir/file", now, now, true),
        chroot.truncate("dir/file", 0),
        chroot.temp_file("dir", "x").map(drop),
    ];
    for (number, result) in refused.into_iter().enumerate() {
        assert_eq!(errno(result), libc::EROFS, "call {number}");
    }
    chroot.mkdir_all("dir", 0o755).unwrap();
    assert_eq!(chroot.stat("dir/file").unwrap().size(), 4);
    chroot.release().unwrap();
    assert_eq!(files.read("dir/file"), "text");
}
