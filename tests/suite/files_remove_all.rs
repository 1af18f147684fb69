//! Removing trees: deep ones, wide ones, and those that resist.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;

use nsgate::{Chroot, OpenOptions, Status};

use crate::files::{Files, errno};
use crate::fuse_tree::FuseTree;
use crate::host::{Volume, close, descriptors, gate, host, set_descriptor_limit};

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

#[test]
fn a_mount_that_only_the_chroot_has_keeps_its_content() {
    let files = Files::new();
    for path in ["tree/a/file", "tree/b/mounted/below", "tree/c/file"] {
        files.volume.file(path, "");
    }
    let inner = Volume::new();
    inner.file("canary", "alive");
    let at = files.volume.path().join("tree/b/mounted");
    let bind = nix::mount::MsFlags::MS_BIND;
    nix::mount::mount(Some(inner.path()), &at, None::<&str>, bind, None::<&str>).unwrap();
    let gate = files.chroot.gate();
    let chroot = Chroot::open(gate, files.volume.path(), &Default::default()).unwrap();
    // Now the kernel has no reason left to protect it for the calling thread.
    nix::mount::umount(&at).unwrap();
    for path in ["tree/b/mounted", "tree"] {
        assert_eq!(errno(chroot.remove_all(path)), libc::EBUSY, "{path}");
        assert!(chroot.stat("tree/b/mounted/canary").is_ok(), "{path}");
    }
    assert_eq!(files.names("tree"), ["b"]);
    let canary = fs::read_to_string(inner.path().join("canary")).unwrap();
    assert_eq!(canary, "alive");
    chroot.release().unwrap();
    files.chroot.remove_all("tree").unwrap();
}

/// A chroot of a volume whose server counts.
fn served(tree: &FuseTree, test: impl FnOnce(&Chroot, &crate::fuse_volume::FuseVolume)) {
    let _host = host();
    let Some(volume) = tree.serve() else {
        return;
    };
    let gate = gate();
    let chroot = Chroot::open(&gate, volume.path(), &Default::default()).unwrap();
    test(&chroot, &volume);
    // It may have been released by the test.
    let _ = chroot.release();
    close(&gate);
}

#[test]
fn the_way_up_costs_about_what_the_way_down_does() {
    const LEVELS: u64 = 600;
    let tree = FuseTree::new();
    tree.chain(1, "d", LEVELS as usize);
    served(&tree, |chroot, _| {
        let (removed, asked) = tree.asked(|| chroot.remove_all("d"));
        removed.unwrap();
        assert_eq!(tree.names(), 0);
        // One to enter it and one to remove it: the rest is for the way up.
        assert!(asked.lookups < 6 * LEVELS, "{asked:?}");
    });
}

#[test]
fn chains_that_end_below_a_deep_directory_cost_no_way_from_the_top() {
    const CHAINS: u64 = 40;
    const LEVELS: u64 = 60;
    let tree = FuseTree::new();
    // From 127 to 128 the most is closed.
    let deep = tree.chain(1, "d", 127);
    for number in 0..CHAINS {
        tree.chain(deep, &number.to_string(), 1);
        let top = tree.directory(deep, &format!("chain{number}"));
        tree.chain(top, "d", LEVELS as usize - 1);
    }
    served(&tree, |chroot, _| {
        let (removed, asked) = tree.asked(|| chroot.remove_all("d"));
        removed.unwrap();
        assert_eq!(tree.names(), 0);
        assert!(asked.lookups < 6 * CHAINS * LEVELS, "{asked:?}");
    });
}

#[test]
fn directories_are_noted_in_parts_and_all_go() {
    const DIRECTORIES: u64 = 6000;
    let tree = FuseTree::new();
    let top = tree.directory(1, "top");
    for number in 0..DIRECTORIES {
        tree.directory(top, &format!("{number:0>255}"));
    }
    served(&tree, |chroot, _| {
        let (removed, asked) = tree.asked(|| chroot.remove_all("top"));
        removed.unwrap();
        assert_eq!(tree.names(), 0);
        assert!(asked.pending < DIRECTORIES * 3 / 4, "{asked:?}");
    });
}

#[test]
fn a_release_stops_it_between_two_directories() {
    let tree = FuseTree::new();
    let top = tree.directory(1, "top");
    for number in 0..50 {
        tree.directory(top, &number.to_string());
    }
    served(&tree, |chroot, volume| {
        std::thread::scope(|scope| {
            volume.fall_silent();
            let removing = scope.spawn(|| chroot.remove_all("top"));
            volume.wait_for_request();
            chroot.release().unwrap();
            volume.answer();
            let stopped = removing.join().unwrap().unwrap_err();
            assert_eq!(stopped.status(), Status::Closed, "{stopped}");
        });
        assert_eq!(tree.names(), 1);
    });
}
