//! While directories are moved out of the volume and back, swapped with links that lead out, and
//! mounted over, no operation ever reaches what lies outside.
//!
//! NSGATE_LONG=1 makes each run sixty times longer, millions of operations.

mod arena;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::thread;

use nsgate::{Chroot, ChrootOptions, FileTime, OpenOptions, RenameOptions, Result};

use crate::differential::random::Random;
use crate::files::{content, errno};
use crate::host::{close, gate, host};
use arena::{Arena, Disturbance};

fn rounds(short: usize) -> usize {
    match std::env::var_os("NSGATE_LONG") {
        Some(_) => short * 60,
        None => short,
    }
}

/// Ways to the name "canary", which is in the volume too, that cross what is being moved.
const WAYS: [&str; 12] = [
    "moving/../canary",
    "moving/a/../../canary",
    "moving/a/b/../../../canary",
    "/moving/a/b/c/../../../../../../canary",
    "moving/up/canary",
    "moving/a/b/up/canary",
    "spot/canary",
    "/spot/a/../canary",
    "spot/../outside/canary",
    "covered/../canary",
    "covered/a/../../canary",
    "covered/up/canary",
];

/// One operation at one of the ways. What succeeds must have been made inside.
fn disturb_canary(chroot: &Chroot, random: &mut Random, number: usize) -> Result<()> {
    let way = random.pick(&WAYS);
    let beside = way.replace("canary", &format!("new{}", number % 50));
    match random.below(14) {
        0..=3 => {
            let flags = random.pick(&[libc::O_RDONLY, libc::O_RDWR, libc::O_RDWR | libc::O_CREAT]);
            let file = chroot.open_file(way, OpenOptions::new(flags).mode(0o600))?;
            // A new directory may have got the name.
            if !File::from(file.try_clone().unwrap())
                .metadata()
                .unwrap()
                .is_dir()
            {
                let text = content(Ok(file));
                assert!(
                    text.is_empty() || text == "inside",
                    "{way} reached {text:?}"
                );
            }
            Ok(())
        }
        4 => chroot.create(&beside, 0o600).map(drop),
        5 => chroot.mkdir(&beside, 0o700),
        6 => chroot.remove(way),
        7 => chroot.remove_all(&beside),
        8 => chroot.rename(&beside, way, RenameOptions::default()),
        9 => chroot.rename(way, &beside, RenameOptions::default()),
        10 => chroot.link(way, &beside),
        11 => chroot.chmod(way, 0o640),
        12 => chroot.set_times(way, Some(FileTime::default()), None, true),
        _ => {
            let stat = chroot.stat(way)?;
            let small = stat.is_directory() || stat.size() <= "inside".len() as i64;
            assert!(small, "{way} reached a file of {} bytes", stat.size());
            Ok(())
        }
    }
}

#[test]
fn nothing_outside_is_reached_while_the_way_there_is_moved_swapped_and_covered() {
    let _host = host();
    let arena = Arena::new();
    let gate = gate();
    let chroot = Chroot::open(&gate, &arena.volume(), &ChrootOptions::default()).unwrap();
    let before = arena.outside();
    let done = Disturbance::run(&arena, &chroot, |go_on| {
        let workers: Vec<u64> = (0..2).collect();
        thread::scope(|scope| {
            let threads: Vec<_> = workers
                .into_iter()
                .map(|seed| {
                    let (chroot, arena) = (&chroot, &arena);
                    scope.spawn(move || {
                        let mut random = Random::new(seed);
                        let mut succeeded = 0;
                        let mut number = 0;
                        while number < rounds(20_000) || go_on() {
                            succeeded +=
                                disturb_canary(chroot, &mut random, number).is_ok() as usize;
                            if number % 64 == 0 {
                                arena.put_inside_back();
                            }
                            number += 1;
                        }
                        succeeded
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        })
    });
    assert!(done > 0, "no operation succeeded at all");
    assert_eq!(arena.outside(), before);
    drop(chroot);
    close(&gate);
}

/// Makes a tree where directories and links change places. A swap may be in the way of any of it.
fn fill(chroot: &Chroot) {
    for directory in ["spot/a/b/c", "spot/d", "spot/e/f"] {
        let _ = chroot.mkdir_all(directory, 0o755);
        for number in 0..20 {
            let _ = chroot.create(format!("{directory}/file{number}"), 0o644);
        }
        let _ = chroot.symlink("/outside", format!("{directory}/link"));
    }
}

#[test]
fn removing_a_tree_never_leaves_it_while_its_directories_are_swapped_with_links() {
    let _host = host();
    let arena = Arena::new();
    let gate = gate();
    let chroot = Chroot::open(&gate, &arena.volume(), &ChrootOptions::default()).unwrap();
    let before = arena.outside();
    let mut removed = 0;
    Disturbance::run(&arena, &chroot, |go_on| {
        let mut round = 0;
        while round < rounds(60) || go_on() {
            fill(&chroot);
            let answer = chroot.remove_all("spot");
            removed += answer.is_ok() as usize;
            arena.put_spot_back();
            round += 1;
        }
        round
    });
    assert!(removed > 0, "no tree was removed at all");
    assert_eq!(arena.outside(), before);
    drop(chroot);
    close(&gate);
}

#[test]
fn magic_links_of_a_proc_inside_lead_nowhere() {
    let _host = host();
    let arena = Arena::new();
    fs::create_dir(arena.volume().join("proc")).unwrap();
    nix::mount::mount(
        Some("/proc"),
        &arena.volume().join("proc"),
        None::<&str>,
        nix::mount::MsFlags::MS_BIND | nix::mount::MsFlags::MS_REC,
        None::<&str>,
    )
    .unwrap();
    let gate = gate();
    let chroot = Chroot::open(&gate, &arena.volume(), &ChrootOptions::default()).unwrap();
    let open = fs::File::open(arena.outside_path().join("canary")).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&open);
    // "self" is a link with a text, and leads to this process's directory.
    assert!(chroot.stat("proc/self/status").unwrap().mode() & libc::S_IFREG != 0);
    chroot.symlink("/proc/self/root", "way").unwrap();
    for path in [
        "proc/self/root",
        "proc/self/root/",
        "proc/self/root/etc",
        "proc/thread-self/root/..",
        "proc/self/cwd/Cargo.toml",
        "proc/self/exe",
        "proc/self/ns/mnt",
        &format!("proc/self/fd/{fd}"),
        &format!("/proc/thread-self/fd/{fd}"),
        "way",
        "way/etc/passwd",
    ] {
        let now = Some(FileTime::NOW);
        let answers = [
            chroot
                .open_file(path, OpenOptions::new(libc::O_RDONLY))
                .map(drop),
            chroot
                .open_file(path, OpenOptions::new(libc::O_PATH))
                .map(drop),
            chroot.stat(path).map(drop),
            chroot.statfs(path).map(drop),
            chroot.read_dir(path).map(drop),
            chroot.real_path(path).map(drop),
            chroot.chmod(path, 0o777),
            chroot.chown(path, 0, 0),
            chroot.set_times(path, now, now, true),
            chroot.truncate(path, 0),
            chroot.mkdir_all(format!("{path}/x"), 0o700),
            chroot.mkdir(format!("{path}/x"), 0o700),
            chroot.remove(format!("{path}/x")),
            chroot.remove_all(format!("{path}/x")),
            chroot.rename(format!("{path}/x"), "y", RenameOptions::default()),
            chroot.link(format!("{path}/x"), "y"),
            chroot.symlink("y", format!("{path}/x")),
            chroot.temp_file(path, "x").map(drop),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(errno(answer), libc::ELOOP, "call {number} of {path}");
        }
    }
    // The link itself may be looked at.
    let link = format!("proc/self/fd/{fd}");
    assert_eq!(
        chroot.lstat(&link).unwrap().mode() & libc::S_IFMT,
        libc::S_IFLNK
    );
    assert_eq!(
        chroot.read_link(&link).unwrap(),
        arena.outside_path().join("canary")
    );
    let canary = fs::metadata(arena.outside_path().join("canary")).unwrap();
    assert_eq!(canary.size(), arena::CANARY.len() as u64);
    drop((open, chroot));
    close(&gate);
}
