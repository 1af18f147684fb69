//! Removing trees: deep ones, wide ones, and those that resist.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;

use nsgate::OpenOptions;

use crate::files::{Files, errno};
use crate::host::{Volume, descriptors, set_descriptor_limit};

#[test]
fn a_tree_goes_and_what_its_links_lead_to_stays() {
    let files = Files::new();
    let outside = Volume::new();
    outside.file("canary", "alive");
    files.volume.file("kept/file", "kept");
    for path in ["tree/file", "tree/a/b/c/file", "tree/a/x", "tree/z/z/z/z"] {
        files.volume.file(path, "");
    }
    let tree = files.volume.path().join("tree");
    symlink("/kept", tree.join("a/link")).unwrap();
    symlink("../kept", tree.join("up")).unwrap();
    symlink(outside.path(), tree.join("out")).unwrap();
    files.chroot.remove_all("tree").unwrap();
    assert_eq!(files.names("/"), ["kept"]);
    assert_eq!(files.read("kept/file"), "kept");
    assert_eq!(
        fs::read_to_string(outside.path().join("canary")).unwrap(),
        "alive"
    );
}

#[test]
fn each_form_of_a_path_has_its_answer() {
    let files = Files::new();
    files.volume.file("dir/sub/file", "");
    files.write("file", "");
    files.chroot.symlink("dir", "link").unwrap();
    for (path, expected) in [
        ("", libc::ENOENT),
        ("/", libc::EBUSY),
        ("//", libc::EBUSY),
        (".", libc::EINVAL),
        ("dir/.", libc::EINVAL),
        ("..", libc::ENOTEMPTY),
        ("dir/..", libc::ENOTEMPTY),
        ("dir/sub/../", libc::ENOTEMPTY),
        ("file/x", libc::ENOTDIR),
    ] {
        assert_eq!(errno(files.chroot.remove_all(path)), expected, "{path}");
    }
    assert_eq!(files.names("dir/sub"), ["file"]);
    for path in ["missing", "missing/too", "dir/missing/"] {
        files.chroot.remove_all(path).unwrap();
    }
    files.chroot.remove_all("link/").unwrap();
    assert_eq!(files.names("/"), ["dir", "file"]);
    files.chroot.remove_all("file/").unwrap();
    files.chroot.remove_all("/dir//").unwrap();
    assert!(files.names("/").is_empty());
}

#[test]
fn depth_costs_neither_stack_nor_descriptors() {
    const DEPTH: usize = 3000;
    let files = Files::new();
    // Deeper than any one path can name; every tenth name is a long one.
    let mut directory = files
        .chroot
        .open_file("/", OpenOptions::new(libc::O_PATH))
        .unwrap();
    for level in 0..DEPTH {
        let name = if level % 10 == 0 {
            "n".repeat(255)
        } else {
            "d".into()
        };
        fs::write(below(&directory, "file"), "").unwrap();
        fs::create_dir(below(&directory, &name)).unwrap();
        fs::create_dir(below(&directory, "side")).unwrap();
        let next = fs::File::open(below(&directory, &name)).unwrap();
        directory = next.into();
    }
    drop(directory);
    fs::create_dir(files.volume.path().join("top")).unwrap();
    let first = "n".repeat(255);
    files
        .chroot
        .rename(&first, "top/tree", Default::default())
        .unwrap();
    let open = descriptors();
    let open = open.keys().map(|number| number.parse().unwrap());
    let before = set_descriptor_limit(open.max().unwrap_or(0u64) + 64);
    let removed = files.chroot.remove_all("top");
    set_descriptor_limit(before);
    removed.unwrap();
    assert_eq!(files.names("/"), ["file", "side"]);
}

fn below(directory: &OwnedFd, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())
}

#[test]
fn a_wide_tree_goes_whole() {
    let files = Files::new();
    for directory in 0..60 {
        let path = files.volume.path().join(format!("tree/{directory}"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..100 {
            fs::write(path.join(format!("{file:0>60}")), "").unwrap();
        }
    }
    files.chroot.remove_all("tree").unwrap();
    assert!(files.names("/").is_empty());
}

#[test]
fn what_cannot_go_stays_and_is_told_and_the_rest_goes() {
    let files = Files::new();
    for path in ["tree/a/file", "tree/busy/below", "tree/c/d/file"] {
        files.volume.file(path, "");
    }
    let inner = Volume::new();
    inner.file("of-the-mount", "");
    nix::mount::mount(
        Some(inner.path()),
        &files.volume.path().join("tree/busy"),
        None::<&str>,
        nix::mount::MsFlags::MS_BIND,
        None::<&str>,
    )
    .unwrap();
    let gate = files.chroot.gate();
    let chroot = nsgate::Chroot::open(gate, files.volume.path(), &Default::default()).unwrap();
    assert_eq!(errno(chroot.remove_all("tree")), libc::EBUSY);
    let left: Vec<_> = chroot
        .read_dir("tree")
        .unwrap()
        .map(|e| e.unwrap().name)
        .collect();
    assert_eq!(left, ["busy"]);
    chroot.release().unwrap();
    nix::mount::umount(&files.volume.path().join("tree/busy")).unwrap();
    files.chroot.remove_all("tree").unwrap();
    assert!(files.names("/").is_empty());
}
