//! Listings, real paths and temporary files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nsgate::{FileKind, OpenOptions, Status};

use crate::differential::user::{AsUser, user};
use crate::files::{Files, errno};
use crate::fuse_tree::FuseTree;

#[test]
fn entries_have_kinds_inodes_and_on_request_their_stat() {
    let files = Files::new();
    files.volume.file("dir/file", "12345");
    files.volume.file("dir/sub/x", "");
    files.chroot.symlink("missing", "dir/link").unwrap();
    nix::unistd::mkfifo(
        &files.volume.path().join("dir/fifo"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    let expected = [
        ("fifo", FileKind::Fifo),
        ("file", FileKind::File),
        ("link", FileKind::Symlink),
        ("sub", FileKind::Directory),
    ];
    for with_stat in [false, true] {
        let listing = match with_stat {
            false => files.chroot.read_dir("dir"),
            true => files.chroot.read_dir_with_stat("dir"),
        };
        let mut entries: Vec<_> = listing.unwrap().map(Result::unwrap).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.name.to_str().unwrap(), entry.kind))
            .collect();
        assert_eq!(found, expected);
        for entry in &entries {
            let path = files.volume.path().join("dir").join(&entry.name);
            let host = fs::symlink_metadata(path).unwrap();
            assert_eq!(entry.inode, host.ino());
            assert_eq!(entry.stat.is_some(), with_stat);
            if let Some(stat) = entry.stat {
                assert_eq!((stat.inode(), stat.size()), (host.ino(), host.len() as i64));
            }
        }
    }
    for (path, expected) in [
        ("", libc::ENOENT),
        ("missing", libc::ENOENT),
        ("dir/file", libc::ENOTDIR),
        ("dir/fifo", libc::ENOTDIR),
        ("dir/link", libc::ENOENT),
    ] {
        assert_eq!(errno(files.chroot.read_dir(path)), expected, "{path}");
    }
}

#[test]
fn a_huge_directory_is_read_as_it_goes() {
    let files = Files::new();
    let expected: BTreeSet<String> = (0..5000).map(|n| format!("{n:0>40}")).collect();
    for name in &expected {
        fs::write(files.volume.path().join(name), "").unwrap();
    }
    let mut listing = files.chroot.read_dir("/").unwrap();
    let first = listing.next().unwrap().unwrap().name;
    let mut names: BTreeSet<String> = listing
        .map(|entry| entry.unwrap().name.into_string().unwrap())
        .collect();
    names.insert(first.into_string().unwrap());
    assert_eq!(names, expected);
}

#[test]
fn entries_that_vanish_are_left_out() {
    let files = Files::new();
    for number in 0..50 {
        files.write(&format!("f{number}"), "");
    }
    files.chroot.mkdir("gone", 0o755).unwrap();
    let mut listing = files.chroot.read_dir_with_stat("/").unwrap();
    let mut of_gone = files.chroot.read_dir("gone").unwrap();
    let first = listing.next().unwrap().unwrap();
    for entry in files.names("/") {
        files.chroot.remove(entry).unwrap();
    }
    // All that was read ahead of the removal is gone.
    assert!(first.stat.is_some());
    assert!(listing.next().is_none());
    assert!(of_gone.next().is_none(), "a removed directory is empty");
}

#[test]
fn entries_that_may_not_be_looked_at_are_listed_without_a_stat() {
    let files = Files::new();
    let names = ["a", "b", "c"];
    for name in names {
        files.volume.file(&format!("dir/{name}"), "");
    }
    // It may be read but not searched.
    let directory = files.volume.path().join("dir");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o444)).unwrap();
    let _user = AsUser::new(user());
    let mut listing = files.chroot.read_dir_with_stat("dir").unwrap();
    let mut found: Vec<_> = listing.by_ref().map(Result::unwrap).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    for (entry, name) in found.iter().zip(names) {
        assert_eq!(entry.name, name);
        assert_eq!((entry.kind, entry.stat.is_none()), (FileKind::File, true));
    }
    assert_eq!(found.len(), names.len());
    assert!(listing.next().is_none());
    assert!(listing.next().is_none());
}

#[test]
fn real_paths_have_no_links_and_start_at_the_volume() {
    let files = Files::new();
    files.volume.file("a/b/file", "");
    files.volume.file("a/b (deleted)", "");
    let links = [
        ("/a/b", "to-b"),
        ("a/../to-b", "twice"),
        ("../../../..", "up"),
        ("/", "a/root"),
        ("file", "a/b/same"),
        ("loop2", "loop1"),
        ("loop1", "loop2"),
    ];
    for (text, link) in links {
        files.chroot.symlink(text, link).unwrap();
    }
    for (path, expected) in [
        ("/", "/"),
        (".", "/"),
        ("..", "/"),
        ("up", "/"),
        ("a/root/a/root", "/"),
        ("to-b", "/a/b"),
        ("twice/file", "/a/b/file"),
        ("twice/same", "/a/b/file"),
        ("to-b/..", "/a"),
        ("a//b/./../b/", "/a/b"),
        ("/a/b (deleted)", "/a/b (deleted)"),
        ("up/a/root/to-b/same", "/a/b/file"),
    ] {
        let real = files.chroot.real_path(path).unwrap();
        assert_eq!(real, Path::new(expected), "{path}");
    }
    let mut chain = String::from("a");
    for number in 0..41 {
        let link = format!("chain{number}");
        files.chroot.symlink(&chain, &link).unwrap();
        chain = link;
    }
    // Up to 40 links are followed; only 20 surely, where the kernel has to begin a look-up again.
    assert_eq!(files.chroot.real_path("chain19").unwrap(), Path::new("/a"));
    for (path, expected) in [
        ("", libc::ENOENT),
        ("missing", libc::ENOENT),
        ("a/b/file/", libc::ENOTDIR),
        ("a/b/file/..", libc::ENOTDIR),
        ("loop1", libc::ELOOP),
        ("chain40", libc::ELOOP),
    ] {
        assert_eq!(errno(files.chroot.real_path(path)), expected, "{path}");
    }
}

#[test]
fn a_real_path_may_cross_mounts() {
    let files = Files::new();
    files.volume.file("mounted/here", "");
    let inner = crate::host::Volume::new();
    inner.file("dir/file", "");
    nix::mount::mount(
        Some(inner.path()),
        &files.volume.path().join("mounted"),
        None::<&str>,
        nix::mount::MsFlags::MS_BIND,
        None::<&str>,
    )
    .unwrap();
    let gate = files.chroot.gate();
    let options = Default::default();
    let chroot = nsgate::Chroot::open(gate, files.volume.path(), &options).unwrap();
    chroot.symlink("/mounted/dir", "mounted/dir/again").unwrap();
    let real = chroot.real_path("mounted/dir/again/file").unwrap();
    assert_eq!(real, Path::new("/mounted/dir/file"));
    chroot.release().unwrap();
}

#[test]
fn a_real_path_costs_about_what_its_look_up_does() {
    let name = "n".repeat(255);
    let tree = FuseTree::new();
    let deep = tree.chain(1, "d", 100);
    tree.directory(deep, "e");
    let (ups, turns) = ("../".repeat(100), "e/../".repeat(50));
    tree.link(deep, "ups", &ups);
    tree.link(deep, "turns", &turns);
    tree.chain(1, &name, 20);
    let half = [name.as_str(); 10].join("/");
    tree.link(1, "half", &half);
    let _host = crate::host::host();
    let Some(volume) = tree.serve() else {
        return;
    };
    let gate = crate::host::gate();
    let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default()).unwrap();
    let down = "d/".repeat(100);
    let whole = format!("/{}", &down[..down.len() - 1]);
    for (path, expected) in [
        (format!("{down}{turns}"), Ok(whole.as_str())),
        (format!("{down}turns"), Ok(&whole)),
        (format!("{down}{ups}"), Ok("/")),
        (format!("{down}ups/{down}{ups}"), Ok("/")),
        // What it is can't be said in a path that the kernel takes.
        (format!("half/{half}"), Err(libc::ENAMETOOLONG)),
    ] {
        let (stat, look_up) = tree.asked(|| chroot.stat(&path));
        stat.unwrap();
        let (real, asked) = tree.asked(|| chroot.real_path(&path));
        match expected {
            Ok(expected) => assert_eq!(real.unwrap(), Path::new(expected)),
            Err(expected) => assert_eq!(errno(real), expected),
        }
        let most = 4 * look_up.lookups;
        assert!(asked.lookups <= most, "{path}: {asked:?}, {look_up:?}");
    }
    chroot.release().unwrap();
    crate::host::close(&gate);
}

#[test]
fn temporary_files_have_names_of_their_own() {
    let files = Files::new();
    files.chroot.mkdir("dir", 0o755).unwrap();
    let digits = |path: &Path, before: &str, after: &str| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let middle = name
            .strip_prefix(before)
            .unwrap()
            .strip_suffix(after)
            .unwrap();
        assert!(
            !middle.is_empty() && middle.bytes().all(|byte| byte.is_ascii_digit()),
            "{name}"
        );
    };
    let mut paths = BTreeSet::new();
    for (pattern, before, after) in [
        ("name-", "name-", ""),
        ("a*b", "a", "b"),
        ("a*b*c", "a*b", "c"),
        ("", "", ""),
    ] {
        for directory in ["dir", "/dir/", "."] {
            let (file, path) = files.chroot.temp_file(directory, pattern).unwrap();
            digits(&path, before, after);
            assert_eq!(path.parent(), PathBuf::from(directory).join("x").parent());
            let host = fs::File::from(file).metadata().unwrap();
            assert_eq!(host.permissions().mode() & 0o777, 0o600);
            assert_eq!(files.chroot.stat(&path).unwrap().inode(), host.ino());
            files
                .chroot
                .open_file(&path, OpenOptions::new(libc::O_RDWR))
                .unwrap();
            assert!(paths.insert(path));
        }
    }
    let error = files.chroot.temp_file("dir", "a/b").unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    assert_eq!(errno(files.chroot.temp_file("missing", "x")), libc::ENOENT);
    assert_eq!(errno(files.chroot.temp_file("", "x")), libc::ENOENT);
    let long = "n".repeat(250);
    assert_eq!(
        errno(files.chroot.temp_file("dir", &long)),
        libc::ENAMETOOLONG
    );
}
