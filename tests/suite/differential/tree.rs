//! The tree that both sides start from, and what a tree looks like to the host.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::plain;
use crate::files_mounts;

/// Fills an empty directory: a deep chain, a web of links, and places with all kinds of permissions.
/// `user` is who the operations without rights are made as.
pub(crate) fn make(root: &Path, user: u32) {
    for directory in [
        "a/b/c",
        "d",
        "deep/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
        "open",
        "shut",
        "search",
        "sticky",
        "readonly",
    ] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for file in [
        "file",
        "f2",
        "a/file",
        "a/b/f2",
        "d/file",
        "open/mine",
        "shut/file",
        "search/file",
        "sticky/theirs",
        "readonly/file",
    ] {
        fs::write(root.join(file), file).unwrap();
    }
    for (text, link) in [
        ("a", "link"),
        ("/a/b", "l2"),
        ("l2/../link/b", "l3"),
        ("/nowhere", "dangling"),
        ("loop2", "loop1"),
        ("/loop1", "loop2"),
        ("self", "self"),
        ("/", "root"),
        ("../../../../a/b/..", "dots"),
        ("a/b/", "slash"),
        ("../../../file", "a/b/c/up"),
        ("b", "a/link"),
        ("/link/link/c", "a/l2"),
        ("/a", "chain0"),
        ("../file", "sticky/link"),
    ] {
        symlink(text, root.join(link)).unwrap();
    }
    for number in 1..=41 {
        symlink(
            format!("chain{}", number - 1),
            root.join(format!("chain{number}")),
        )
        .unwrap();
    }
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::unistd::mkfifo(&root.join("fifo"), mode).unwrap();
    for (path, owner, mode) in [
        ("open", 0, 0o777),
        ("open/mine", user, 0o600),
        ("shut", 0, 0o700),
        ("search", 0, 0o711),
        ("search/file", 0, 0o644),
        ("sticky", 0, 0o1777),
        ("sticky/theirs", 0, 0o666),
        ("readonly", 0, 0o555),
        ("readonly/file", 0, 0o444),
        ("a/b", user, 0o755),
        ("d", user, 0o500),
        ("", 0, 0o777),
    ] {
        std::os::unix::fs::lchown(root.join(path), Some(owner), Some(owner)).unwrap();
        fs::set_permissions(root.join(path), Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::lchown(root.join("sticky/link"), Some(user), Some(user)).unwrap();
}

/// Mounts that only those who are in a namespace with them see: a directory's, an empty one's and a
/// file's. The places were made by [`make_places`].
pub(crate) fn mount(root: &Path) {
    for directory in ["m/on", "m/empty"] {
        files_mounts::tmpfs(&root.join(directory));
    }
    fs::create_dir(root.join("m/on/dir")).unwrap();
    fs::write(root.join("m/on/file"), "of the mount").unwrap();
    for path in ["m/on", "m/on/dir", "m/on/file", "m/empty"] {
        fs::set_permissions(root.join(path), Permissions::from_mode(0o777)).unwrap();
    }
    files_mounts::bind(&root.join("m/on/file"), &root.join("m/bound"));
}

pub(crate) fn unmount(root: &Path) {
    for place in ["m/bound", "m/on", "m/empty"] {
        files_mounts::unmount(&root.join(place));
    }
}

pub(crate) fn make_places(root: &Path) {
    for directory in ["m/on", "m/empty"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("m/bound"), "").unwrap();
    fs::set_permissions(root.join("m"), Permissions::from_mode(0o777)).unwrap();
}

/// Every path below `root` with what there is at it. Names of one file are told by the first of them.
/// Each directory is read by its descriptor: a path may be longer than the kernel takes.
pub(crate) fn look(root: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut inodes = HashMap::new();
    let mut left = vec![(File::open(root).unwrap(), String::new())];
    while let Some((directory, path)) = left.pop() {
        let here = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let mut names: Vec<_> = fs::read_dir(&here)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        tree.insert(
            path.clone(),
            plain::metadata(&directory.metadata().unwrap()),
        );
        for name in names {
            let there = Path::new(&here).join(&name);
            let path = format!("{path}/{}", name.as_bytes().escape_ascii());
            let stat = fs::symlink_metadata(&there).unwrap();
            if stat.is_dir() {
                left.push((File::open(&there).unwrap(), path));
                continue;
            }
            let mut what = plain::metadata(&stat);
            if stat.is_symlink() {
                what += &format!(" to {:?}", fs::read_link(&there).unwrap());
            } else if stat.is_file() {
                let mut start = Vec::new();
                let file = File::open(&there).unwrap();
                file.take(256).read_to_end(&mut start).unwrap();
                what += &format!(" content {}", start.escape_ascii());
            }
            if stat.nlink() > 1 {
                let first = inodes.entry(stat.ino()).or_insert_with(|| path.clone());
                what += &format!(" same as {first}");
            }
            tree.insert(path, what);
        }
    }
    tree
}
