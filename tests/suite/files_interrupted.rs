//! Calls that a signal interrupts, as file systems with a server behind them answer: they are made
//! again, whatever the operation.

use std::path::Path;

use libc::*;
use nsgate::{Chroot, ChrootOptions, FileTime, OpenOptions, RenameOptions, Result};

use crate::fault::seccomp::{Fault, aside, watch};
use crate::files::Files;

/// What the operations call, and the server of a file system may answer EINTR to.
const INTERRUPTED: [c_long; 18] = [
    SYS_open_tree,
    SYS_openat2,
    SYS_openat,
    SYS_statx,
    SYS_newfstatat,
    SYS_fstatfs,
    SYS_getdents64,
    SYS_readlinkat,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    FCHMODAT2,
    SYS_fchownat,
    SYS_utimensat,
    SYS_ftruncate,
];

/// The libc crate lacks it on arm64; the number is the same everywhere.
const FCHMODAT2: c_long = 452;

/// Every operation once; the file system is as before.
fn every_operation(chroot: &Chroot) -> Result<()> {
    let exchange = RenameOptions {
        exchange: true,
        ..RenameOptions::default()
    };
    drop(Chroot::open(
        chroot.gate(),
        chroot.volume(),
        &ChrootOptions::default(),
    )?);
    chroot.mkdir("new", 0o755)?;
    chroot.mkdir_all("new/a/b", 0o755)?;
    let (_, temporary) = chroot.temp_file("new", "x*")?;
    chroot.create("new/file", 0o644)?;
    chroot.open_file("new/file", OpenOptions::new(O_RDONLY))?;
    chroot.symlink("/new/file", "new/link")?;
    chroot.link("new/file", "new/second")?;
    chroot.link("new/a/", "new/b").expect_err("a directory");
    chroot.rename("new/second", "new/third", RenameOptions::default())?;
    chroot.rename("new/third", temporary, exchange)?;
    chroot.chmod("new/link", 0o600)?;
    chroot.chown("new/file", u32::MAX, u32::MAX)?;
    chroot.lchown("new/link", u32::MAX, u32::MAX)?;
    chroot.set_times("new/file", Some(FileTime::NOW), None, true)?;
    chroot.truncate("new/file", 7)?;
    assert_eq!(chroot.stat("new/link")?.size(), 7);
    assert_eq!(chroot.lstat("new")?.inode(), chroot.stat("new")?.inode());
    assert_eq!(chroot.read_link("new/link")?, Path::new("/new/file"));
    assert_eq!(chroot.real_path("new/link")?, Path::new("/new/file"));
    chroot.statfs("new")?;
    let names = chroot.read_dir_with_stat("new")?;
    for entry in names {
        assert!(entry?.stat.is_some());
    }
    chroot.remove("new/third")?;
    chroot.remove("new/a/b")?;
    chroot.remove_all("new")
}

#[test]
fn what_a_signal_interrupts_is_done_again() {
    let files = Files::new();
    let play = |fault| {
        let chroot = files.chroot.clone();
        let watched = watch(fault, move || {
            let answer = every_operation(&chroot);
            aside(|| drop(chroot));
            answer
        });
        assert_eq!(watched.fired, fault.is_some());
        if let Err(error) = &watched.result {
            panic!("{fault:?}: {error}");
        }
        assert!(files.names("/").is_empty(), "{fault:?}");
        watched.calls
    };
    let calls = play(None);
    for number in INTERRUPTED {
        let made = calls.iter().find(|(call, _)| call.is(number));
        let (call, count) = made.unwrap_or_else(|| panic!("call {number} is not made"));
        for occurrence in 1..=*count {
            play(Some(Fault {
                call: *call,
                occurrence,
                errno: EINTR,
            }));
        }
    }
}
