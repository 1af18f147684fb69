//! How chroots go away: released, dropped, full, and with a killed process.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use nix::mount::MsFlags;
use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, Kind, Outcome, Status};

use crate::chroot::open;
use crate::host::{Volume, close, gate, host, soon};

#[test]
pub(crate) fn a_release_waits_for_running_operations_and_refuses_new_ones() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let chroot = open(&gate, &volume);
    let (inside, released) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            chroot
                .run(|| {
                    inside.wait();
                    released.wait();
                    assert!(fs::read_dir("/").is_ok());
                })
                .unwrap();
        });
        inside.wait();
        assert_eq!(chroot.ticket(), None);
        let ticket = chroot.release().unwrap();
        assert_eq!(chroot.ticket(), Some(ticket));
        assert_eq!(chroot.stat("/").unwrap_err().status(), Status::Closed);
        assert_eq!(chroot.release().unwrap_err().status(), Status::Closed);
        let early = gate
            .releases()
            .wait(ticket, Some(std::time::Instant::now()));
        assert_eq!(early.unwrap_err().status(), Status::TimedOut);
        assert_eq!(gate.stats().depth, 1, "it counts as handed over");
        released.wait();
        let event = gate.releases().wait(ticket, Some(soon())).unwrap();
        assert!(matches!(event.outcome, Outcome::Released(_)));
    });
    close(&gate);
}

#[test]
pub(crate) fn closing_while_many_operate_closes_each_descriptor_once() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let (operations, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..200 {
        let chroot = open(&gate, &volume);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        match chroot.stat("/") {
                            Ok(_) => operations.fetch_add(1, Ordering::Relaxed),
                            Err(error) => {
                                assert_eq!(error.status(), Status::Closed);
                                refused.fetch_add(1, Ordering::Relaxed);
                                break;
                            }
                        };
                    }
                });
            }
            thread::yield_now();
            chroot.release().unwrap();
        });
    }
    assert_eq!(refused.into_inner(), 600);
    gate.releases().fence(Some(soon())).unwrap();
    assert_eq!(gate.stats().released, 200);
    close(&gate);
}

#[test]
pub(crate) fn dropping_the_last_handle_releases() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let chroot = Arc::new(open(&gate, &volume));
    let other = chroot.clone();
    drop(chroot);
    assert!(other.stat("/").is_ok());
    drop(other);
    gate.releases().fence(Some(soon())).unwrap();
    assert_eq!(gate.stats().released, 1);
    close(&gate);
}

#[test]
pub(crate) fn more_than_the_capacity_is_full_at_once_and_room_comes_back() {
    let _host = host();
    let mut options = GateOptions::default();
    options.capacity = 3;
    let gate = Gate::open(options).unwrap();
    let volume = Volume::new();
    let mut chroots: Vec<Chroot> = (0..3).map(|_| open(&gate, &volume)).collect();
    let full = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap_err();
    assert_eq!(full.status(), Status::Full);
    let ticket = chroots.pop().unwrap().release().unwrap();
    gate.releases().wait(ticket, Some(soon())).unwrap();
    chroots.push(open(&gate, &volume));
    drop(chroots);
    close(&gate);
}

#[test]
pub(crate) fn opening_and_releasing_leaves_the_volume_as_it_was() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    volume.file("a/b", "c");
    let look = || {
        let meta = fs::metadata(volume.path()).unwrap();
        let names: Vec<_> = fs::read_dir(volume.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        (
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime_nsec(),
            meta.nlink(),
            names,
        )
    };
    let before = look();
    let chroot = open(&gate, &volume);
    chroot.run(|| ()).unwrap();
    let ticket = chroot.release().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.kind, Kind::Chroot);
    assert!(matches!(event.outcome, Outcome::Released(_)), "{event:?}");
    assert_eq!(look(), before);
    close(&gate);
}

/// The name under which the test program plays the victim of a kill.
const VICTIM: &str = "NSGATE_TEST_VICTIM";

#[test]
pub(crate) fn kill_leaves_no_mount_directory_or_namespace() {
    if let Ok(volume) = std::env::var(VICTIM) {
        return be_killed(Path::new(&volume));
    }
    let _host = host();
    let volume = Volume::new();
    volume.file("kept", "x");
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "chroot_release::kill_leaves_no_mount_directory_or_namespace",
                "--nocapture",
            ])
            .env(VICTIM, volume.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = soon();
        while !volume.path().join(format!("ready-{}", child.id())).exists() {
            assert!(
                std::time::Instant::now() < deadline,
                "the victim never got ready"
            );
            assert!(
                child.try_wait().unwrap().is_none(),
                "the victim died by itself"
            );
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let names = fs::read_dir(volume.path()).unwrap().count();
        assert_eq!(
            names,
            2 + round,
            "the volume's file and a mark of each victim"
        );
    }
    // Nobody holds the volume any more: it can be unmounted without MNT_DETACH.
    nix::mount::umount(volume.path()).unwrap();
    remount(volume.path());
}

/// So that the end of the volume finds a mount.
fn remount(path: &Path) {
    nix::mount::mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
}

fn be_killed(volume: &Path) {
    let gate = Gate::open(GateOptions::default()).unwrap();
    let mut kept = Vec::new();
    loop {
        for _ in 0..20 {
            let chroot = Chroot::open(&gate, volume, &ChrootOptions::default()).unwrap();
            chroot.run(|| ()).unwrap();
            kept.push(chroot);
        }
        kept.drain(..10);
        if kept.len() > 100 {
            fs::write(volume.join(format!("ready-{}", std::process::id())), "").unwrap();
            kept.clear();
        }
    }
}
