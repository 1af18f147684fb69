//! Making, renaming, linking and removing names.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nsgate::{RenameOptions, Status};

use crate::files::{Files, errno};

#[test]
fn directories_are_made_with_and_without_slashes() {
    let files = Files::new();
    files.write("file", "");
    files.chroot.mkdir("a", 0o755).unwrap();
    files.chroot.mkdir("/a/b//", 0o700).unwrap();
    files.chroot.symlink("/a", "link").unwrap();
    files.chroot.mkdir("link/c", 0o755).unwrap();
    assert_eq!(files.names("a"), ["b", "c"]);
    assert_eq!(files.chroot.stat("a/b").unwrap().mode() & 0o777, 0o700);
    for (path, expected) in [
        ("", libc::ENOENT),
        ("/", libc::EEXIST),
        ("//", libc::EEXIST),
        (".", libc::EEXIST),
        ("..", libc::EEXIST),
        ("a/..", libc::EEXIST),
        ("a", libc::EEXIST),
        ("a/", libc::EEXIST),
        ("link", libc::EEXIST),
        ("link/", libc::EEXIST),
        ("file/x", libc::ENOTDIR),
        ("missing/x", libc::ENOENT),
        (&"n".repeat(256), libc::ENAMETOOLONG),
        (&format!("{}x", "./".repeat(2048)), libc::ENAMETOOLONG),
    ] {
        assert_eq!(
            errno(files.chroot.mkdir(path, 0o755)),
            expected,
            "{path:.40}"
        );
    }
    let error = files.chroot.mkdir("missing/a\0b", 0o755).unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
}

#[test]
fn missing_directories_above_are_made_too() {
    let files = Files::new();
    files.write("file", "");
    files.chroot.symlink("/far", "link").unwrap();
    let long = "a/".repeat(600);
    for path in [
        "x/y/z",
        "x/y/z",
        "x/w/",
        "/",
        "new/../other/deep",
        &long,
        ".",
        "x/./y",
    ] {
        files.chroot.mkdir_all(path, 0o755).unwrap();
        assert!(files.chroot.stat(path).unwrap().mode() & libc::S_IFDIR != 0);
    }
    for (path, expected) in [
        ("", libc::ENOENT),
        ("file", libc::ENOTDIR),
        ("file/", libc::ENOTDIR),
        ("file/x", libc::ENOTDIR),
        ("x/n/../../file/x", libc::ENOTDIR),
        ("link", libc::EEXIST),
        ("link/x", libc::ENOENT),
        (&format!("p/q/{}", "n".repeat(256)), libc::ENAMETOOLONG),
        (&"a/".repeat(2048), libc::ENAMETOOLONG),
    ] {
        assert_eq!(
            errno(files.chroot.mkdir_all(path, 0o755)),
            expected,
            "{path:.40}"
        );
    }
    files.chroot.mkdir("far", 0o755).unwrap();
    files.chroot.mkdir_all("link/x/y", 0o755).unwrap();
    assert_eq!(files.names("far/x"), ["y"]);
}

#[test]
fn removing_takes_files_links_and_empty_directories() {
    let files = Files::new();
    files.write("target", "");
    files.volume.file("full/file", "");
    files.chroot.mkdir("empty", 0o755).unwrap();
    files.chroot.mkdir("empty2", 0o755).unwrap();
    files.chroot.symlink("/target", "link").unwrap();
    files.chroot.symlink("full", "dirlink").unwrap();
    for (path, expected) in [
        ("", libc::ENOENT),
        ("missing", libc::ENOENT),
        ("missing/", libc::ENOENT),
        ("target/", libc::ENOTDIR),
        ("target/x", libc::ENOTDIR),
        ("dirlink/", libc::ENOTDIR),
        ("full", libc::ENOTEMPTY),
        ("/", libc::EBUSY),
        (".", libc::EINVAL),
        ("empty/.", libc::EINVAL),
        ("..", libc::ENOTEMPTY),
        ("empty/..", libc::ENOTEMPTY),
    ] {
        assert_eq!(errno(files.chroot.remove(path)), expected, "{path}");
    }
    for path in ["link", "dirlink", "empty", "empty2//", "/full/file", "full"] {
        files.chroot.remove(path).unwrap();
    }
    assert_eq!(files.names("/"), ["target"]);
}

#[test]
fn renames_replace_refuse_and_exchange() {
    let files = Files::new();
    let chroot = &files.chroot;
    let plain = RenameOptions::default();
    let noreplace = RenameOptions {
        noreplace: true,
        ..plain
    };
    let exchange = RenameOptions {
        exchange: true,
        ..plain
    };
    files.write("a", "a");
    files.write("b", "b");
    chroot.mkdir_all("dir/sub", 0o755).unwrap();
    chroot.symlink("/dir", "way").unwrap();
    assert_eq!(errno(chroot.rename("a", "b", noreplace)), libc::EEXIST);
    chroot.rename("a", "b", exchange).unwrap();
    assert_eq!((files.read("a"), files.read("b")), ("b".into(), "a".into()));
    chroot.rename("a", "way/sub/a", noreplace).unwrap();
    chroot.rename("b", "/dir/sub/a", plain).unwrap();
    assert_eq!(files.read("dir/sub/a"), "a");
    chroot.rename("dir/", "moved/", plain).unwrap();
    assert_eq!(files.names("/"), ["moved", "way"]);
    files.write("file", "");
    chroot.symlink("file", "way2").unwrap();
    let both = RenameOptions {
        noreplace: true,
        exchange: true,
    };
    for (from, to, options, expected) in [
        ("", "x", plain, libc::ENOENT),
        ("file", "", plain, libc::ENOENT),
        ("missing", "x", plain, libc::ENOENT),
        ("missing", "also/missing", plain, libc::ENOENT),
        ("file", "missing/x", plain, libc::ENOENT),
        ("file", "file/x", plain, libc::ENOTDIR),
        ("file/", "x", plain, libc::ENOTDIR),
        ("file", "x/", plain, libc::ENOTDIR),
        ("file", "moved", plain, libc::EISDIR),
        ("moved", "file", plain, libc::ENOTDIR),
        ("moved", "moved/sub/x", plain, libc::EINVAL),
        ("file", "missing", exchange, libc::ENOENT),
        ("file", "moved", both, libc::EINVAL),
        ("/", "x", plain, libc::EBUSY),
        ("file", "/", plain, libc::EBUSY),
        ("file", "/", noreplace, libc::EEXIST),
        ("/", "/", plain, libc::EBUSY),
        (".", "x", plain, libc::EBUSY),
        ("file", "moved/..", plain, libc::EBUSY),
        ("moved", "way/", plain, libc::ENOTDIR),
    ] {
        let renamed = chroot.rename(from, to, options);
        assert_eq!(errno(renamed), expected, "{from} to {to}");
    }
    // The link is renamed, not what it leads to.
    chroot.rename("way2", "way3", plain).unwrap();
    assert_eq!(chroot.read_link("way3").unwrap(), Path::new("file"));
}

#[test]
fn links_are_made_to_the_file_or_link_itself() {
    let files = Files::new();
    let chroot = &files.chroot;
    files.write("file", "text");
    chroot.mkdir("dir", 0o755).unwrap();
    chroot.symlink("/file", "link").unwrap();
    chroot.symlink("/dir", "dirlink").unwrap();
    chroot.link("file", "dirlink/second").unwrap();
    assert_eq!(chroot.stat("file").unwrap().link_count(), 2);
    assert_eq!(
        chroot.stat("dir/second").unwrap().inode(),
        chroot.stat("file").unwrap().inode()
    );
    chroot.link("link", "link2").unwrap();
    assert_eq!(chroot.read_link("link2").unwrap(), Path::new("/file"));
    assert_eq!(
        fs::metadata(files.volume.path().join("file"))
            .unwrap()
            .nlink(),
        2
    );
    for (from, to, expected) in [
        ("", "x", libc::ENOENT),
        ("file", "", libc::ENOENT),
        ("missing", "x", libc::ENOENT),
        ("missing", "file", libc::ENOENT),
        ("missing", "missing/x", libc::ENOENT),
        ("missing", "/", libc::ENOENT),
        ("file", "missing/x", libc::ENOENT),
        ("file", "link", libc::EEXIST),
        ("file", "/", libc::EEXIST),
        ("file", ".", libc::EEXIST),
        ("file", "x/", libc::ENOENT),
        ("file/", "x", libc::ENOTDIR),
        ("link/", "x", libc::ENOTDIR),
        ("dir", "x", libc::EPERM),
        ("dir/", "x", libc::EPERM),
        ("dirlink/", "x", libc::EPERM),
        ("/", "x", libc::EPERM),
        ("dir/..", "x", libc::EPERM),
        (".", "file", libc::EEXIST),
    ] {
        assert_eq!(errno(chroot.link(from, to)), expected, "{from} to {to}");
    }
}

#[test]
fn symbolic_links_keep_their_text() {
    let files = Files::new();
    let chroot = &files.chroot;
    chroot.mkdir("dir", 0o755).unwrap();
    files.write("file", "");
    let longest = "t".repeat(4095);
    for text in ["/absolute", "../../up", "dangling", "a//b/", &longest] {
        chroot.symlink(text, "dir/link").unwrap();
        assert_eq!(chroot.read_link("dir/link").unwrap(), Path::new(text));
        chroot.remove("dir/link").unwrap();
    }
    chroot.symlink("/dir", "link").unwrap();
    for (text, link, expected) in [
        ("", "x", libc::ENOENT),
        ("t", "", libc::ENOENT),
        ("t", "/", libc::EEXIST),
        ("t", "file", libc::EEXIST),
        ("t", "link/", libc::EEXIST),
        ("t", "x/", libc::ENOENT),
        (&"t".repeat(4096), "missing/x", libc::ENAMETOOLONG),
    ] {
        assert_eq!(errno(chroot.symlink(text, link)), expected, "{link}");
    }
    for (path, expected) in [
        ("", libc::ENOENT),
        ("missing", libc::ENOENT),
        ("file", libc::EINVAL),
        ("dir", libc::EINVAL),
        ("/", libc::EINVAL),
        ("link/", libc::EINVAL),
        ("file/", libc::ENOTDIR),
    ] {
        assert_eq!(errno(chroot.read_link(path)), expected, "{path}");
    }
}
