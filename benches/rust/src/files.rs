//! File operations, beside cap-std, pathrs and the bare system calls.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use nsgate::{Chroot, ChrootOptions, Gate, OpenOptions};
use pathrs::Root;
use pathrs::flags::OpenFlags;

use crate::Outcome;
use crate::bare;
use crate::fixture::{DEPTHS, Fixture, c_path};
use crate::measure::{Contender, Goal, compare};

/// Many short batches rather than few long ones: most of them fit between two time slices of whatever
/// else the machine does, so the median is of undisturbed ones.
const ROUNDS: usize = 501;
/// Rust's own cost on top of the system calls.
const BARE: Goal = Goal::AtMost(1.15);

pub fn measure(gate: &Gate, fixture: &Fixture) -> Outcome {
    let volume = fixture.volume();
    let chroot = Chroot::open(gate, &volume, &ChrootOptions::default())?;
    let tree = bare::open_tree(&c_path(&volume)?)?;
    let dir = Dir::open_ambient_dir(&volume, ambient_authority())?;
    let root = Root::open(&volume)?;

    for (depth, path) in DEPTHS {
        let c_path = CString::new(path)?;
        compare(
            &format!("open + close, depth {depth}"),
            ROUNDS,
            Contender::repeat("nsgate", 20, || {
                chroot
                    .open_file(path, OpenOptions::new(libc::O_RDONLY))
                    .expect("open")
            }),
            vec![
                (
                    Contender::repeat("bare openat2", 20, || {
                        bare::openat2(tree.as_fd(), &c_path, libc::O_RDONLY, 0).expect("open")
                    }),
                    BARE,
                ),
                (
                    Contender::repeat("cap-std", 20, || dir.open(path).expect("open")),
                    Goal::Faster,
                ),
                (
                    Contender::repeat("pathrs", 20, || {
                        root.open_subpath(path, OpenFlags::O_RDONLY).expect("open")
                    }),
                    Goal::Faster,
                ),
            ],
        );
    }
    for (depth, path) in DEPTHS {
        let c_path = CString::new(path)?;
        compare(
            &format!("stat, depth {depth}"),
            ROUNDS,
            Contender::repeat("nsgate", 20, || chroot.stat(path).expect("stat")),
            vec![
                (
                    Contender::repeat("bare openat2 + fstat", 20, || {
                        bare::stat(tree.as_fd(), &c_path).expect("stat")
                    }),
                    BARE,
                ),
                (
                    Contender::repeat("cap-std", 20, || dir.metadata(path).expect("stat")),
                    Goal::Faster,
                ),
                (
                    Contender::repeat("pathrs", 20, || pathrs_stat(&root, path)),
                    Goal::Faster,
                ),
            ],
        );
    }
    for (name, count, rounds) in [("hundred", 100, ROUNDS), ("ten-thousand", 10_000, 31)] {
        let c_name = CString::new(name)?;
        compare(
            &format!("readdir of {count}"),
            rounds,
            Contender::repeat("nsgate", 1, || read_dir(&chroot, name, count)),
            vec![
                (
                    Contender::repeat("bare getdents64", 1, || {
                        let entries = bare::read_dir(tree.as_fd(), &c_name).expect("readdir");
                        assert_eq!(entries.len(), count);
                        entries
                    }),
                    BARE,
                ),
                (
                    Contender::repeat("cap-std", 1, || {
                        let entries: Vec<_> = dir
                            .read_dir(name)
                            .expect("readdir")
                            .map(|entry| {
                                let entry = entry.expect("an entry");
                                (entry.file_name(), entry.file_type().expect("its type"))
                            })
                            .collect();
                        assert_eq!(entries.len(), count);
                        entries
                    }),
                    Goal::Faster,
                ),
            ],
        );
    }
    create_and_remove(&chroot, tree.as_fd(), &dir, &root)?;
    chroot.release()?;
    Ok(gate.releases().fence(None)?)
}

fn read_dir(
    chroot: &Chroot,
    name: &str,
    count: usize,
) -> Vec<(std::ffi::OsString, nsgate::FileKind)> {
    let entries: Vec<_> = chroot
        .read_dir(name)
        .expect("readdir")
        .map(|entry| {
            let entry = entry.expect("an entry");
            (entry.name, entry.kind)
        })
        .collect();
    assert_eq!(entries.len(), count);
    entries
}

fn pathrs_stat(root: &Root, path: &str) -> std::fs::Metadata {
    use std::os::fd::OwnedFd;
    let handle = root.resolve(path).expect("resolve");
    // The descriptor is O_PATH: fstat works on it.
    std::fs::File::from(OwnedFd::from(handle))
        .metadata()
        .expect("stat")
}

fn create_and_remove(
    chroot: &Chroot,
    tree: std::os::fd::BorrowedFd<'_>,
    dir: &Dir,
    root: &Root,
) -> Outcome {
    let name = "a/b/c/new";
    compare(
        "create + close + remove, depth 4",
        ROUNDS,
        Contender::repeat("nsgate", 10, || {
            drop(chroot.create(name, 0o644).expect("create"));
            chroot.remove(name).expect("remove");
        }),
        vec![
            (
                Contender::repeat("bare openat2 + unlinkat", 10, || {
                    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
                    drop(bare::openat2(tree, c"a/b/c/new", flags, 0o644).expect("create"));
                    let flags = libc::O_PATH | libc::O_DIRECTORY;
                    let parent = bare::openat2(tree, c"a/b/c", flags, 0).expect("the parent");
                    bare::unlinkat(parent.as_fd(), c"new", 0).expect("remove");
                }),
                BARE,
            ),
            (
                Contender::repeat("cap-std", 10, || {
                    drop(dir.create(name).expect("create"));
                    dir.remove_file(name).expect("remove");
                }),
                Goal::Faster,
            ),
            (
                Contender::repeat("pathrs", 10, || {
                    use std::os::unix::fs::PermissionsExt;
                    let mode = std::fs::Permissions::from_mode(0o644);
                    drop(
                        root.create_file(Path::new(name), OpenFlags::O_RDWR, &mode)
                            .expect("create"),
                    );
                    root.remove_file(name).expect("remove");
                }),
                Goal::Faster,
            ),
        ],
    );
    Ok(())
}
