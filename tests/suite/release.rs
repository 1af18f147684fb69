//! Releases of real mounts: what is proved about them, and unmounts by path.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nsgate::{
    Chroot, ChrootOptions, Gate, GateOptions, Kind, Outcome, Proof, Status, UnmountOptions,
};

use crate::host::{self, Volume, close, gate, host, proved, proved_gone, soon};
use crate::map_support::eventually;

fn tmpfs(path: &Path) {
    fs::create_dir_all(path).unwrap();
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
}

fn is_mounted(path: &Path) -> bool {
    let path = format!(" {} ", path.display());
    host::mounts().lines().any(|line| line.contains(&path))
}

/// A gate that gives up soon.
fn hasty_gate() -> Gate {
    let mut options = GateOptions::default();
    options.retry.first_pause = Duration::from_micros(100);
    options.retry.attempts = 4;
    Gate::open(options).unwrap()
}

#[test]
fn a_chroot_that_nobody_uses_is_proved_gone() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    for runs in [false, true] {
        let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
        if runs {
            chroot.run(|| fs::write("/inside", "x").unwrap()).unwrap();
        }
        let ticket = chroot.release().unwrap();
        let event = gate.releases().wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.kind, Kind::Chroot);
        assert_eq!(event.outcome, proved_gone(&gate, runs));
    }
    close(&gate);
}

#[test]
fn a_file_that_is_still_open_holds_the_mount_and_that_is_said() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    volume.file("data", "x");
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let files: Vec<File> = chroot
        .run(|| (0..2).map(|_| File::open("/data").unwrap()).collect())
        .unwrap();
    let ticket = chroot.release().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, proved(&gate, Proof::Held { descriptors: 2 }));
    let mapped = files.into_iter().next().unwrap();
    // The next chroot of the same volume is another mount.
    let other = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let event = gate
        .releases()
        .wait(other.release().unwrap(), Some(soon()))
        .unwrap();
    assert_eq!(event.outcome, proved_gone(&gate, false));
    drop(mapped);
    let stats = gate.stats();
    assert_eq!(stats.verified + stats.held + stats.unverified, 2);
    close(&gate);
}

#[test]
fn an_unmount_takes_what_lies_below_deepest_first() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let top = volume.path().join("a path with spaces");
    for below in ["", "b", "b/c", "b/c", "d"] {
        tmpfs(&top.join(below));
    }
    let job = gate
        .releases()
        .reserve_unmount(&top, UnmountOptions::default())
        .unwrap();
    let ticket = job.submit().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.kind, Kind::Unmount);
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    assert!(!host::mounts().contains(r"path\040with"));
    close(&gate);
}

#[test]
fn a_busy_mount_is_tried_again_and_then_given_up() {
    let _host = host();
    let gate = hasty_gate();
    let volume = Volume::new();
    let top = volume.path().join("busy");
    tmpfs(&top);
    let file = File::create(top.join("open")).unwrap();
    let job = gate
        .releases()
        .reserve_unmount(&top, UnmountOptions::default())
        .unwrap();
    let ticket = job.submit().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(
        event.outcome,
        Outcome::Failed {
            os_error: libc::EBUSY
        }
    );
    assert_eq!(event.attempts, 4);
    assert!(is_mounted(&top));
    let failed = gate.releases().failed();
    assert!(failed[0].detail.contains("umount2("), "{failed:?}");
    assert_eq!(failed[0].label, top.to_str().unwrap());
    drop(file);
    let again = gate.releases().retry(ticket).unwrap();
    let event = gate.releases().wait(again, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    assert!(!is_mounted(&top));
    close(&gate);
}

#[test]
fn a_busy_mount_is_detached_where_that_is_allowed_and_who_holds_it_is_said() {
    let _host = host();
    let gate = hasty_gate();
    let volume = Volume::new();
    let top = volume.path().join("busy");
    tmpfs(&top);
    tmpfs(&top.join("below"));
    let file = File::create(top.join("open")).unwrap();
    let job = gate
        .releases()
        .reserve_unmount(&top, UnmountOptions { detach: true })
        .unwrap();
    let ticket = job.submit().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, proved(&gate, Proof::Held { descriptors: 1 }));
    assert!(event.attempts > 1);
    assert!(!is_mounted(&top));
    drop(file);
    close(&gate);
}

#[test]
fn only_the_mount_that_was_there_is_unmounted() {
    let _host = host();
    let gate = hasty_gate();
    let releases = gate.releases();
    let volume = Volume::new();
    let top = volume.path().join("top");
    tmpfs(&top);
    let job = releases
        .reserve_unmount(&top, UnmountOptions::default())
        .unwrap();
    // Another one in its place: the kernel gives it the same small id.
    umount2(&top, MntFlags::empty()).unwrap();
    tmpfs(&top);
    let event = releases.wait(job.submit().unwrap(), Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    assert!(is_mounted(&top));
    // One that lies over it, and is no part of it, goes first all the same: it is mounted on it.
    let job = releases
        .reserve_unmount(&top, UnmountOptions::default())
        .unwrap();
    tmpfs(&top);
    let event = releases.wait(job.submit().unwrap(), Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    assert!(!is_mounted(&top));
    close(&gate);
}

#[test]
fn what_is_no_mount_point_is_refused_when_it_is_reserved() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let directory = volume.path().join("plain");
    fs::create_dir(&directory).unwrap();
    let link = volume.path().join("link");
    std::os::unix::fs::symlink(volume.path(), &link).unwrap();
    let refused: [(PathBuf, i32); 3] = [
        (directory, libc::EINVAL),
        (link, libc::EINVAL),
        (volume.path().join("missing"), libc::ENOENT),
    ];
    for (path, os_error) in refused {
        let error = gate
            .releases()
            .reserve_unmount(&path, UnmountOptions::default())
            .unwrap_err();
        assert_eq!(error.os_error(), Some(os_error), "{error}");
    }
    assert_eq!(gate.stats().reserved, 0);
    // A thread elsewhere would name mounts that the workers don't see.
    let top = volume.path().to_owned();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            let error = gate
                .releases()
                .reserve_unmount(&top, UnmountOptions::default())
                .unwrap_err();
            assert_eq!(error.status(), Status::InvalidState);
        });
    });
    close(&gate);
}

/// Where it does, a submit may take as long as the release.
#[test]
fn a_worker_that_waits_preempts_nobody_who_wakes_it() {
    let _host = host();
    // SAFETY: any number is safe: 0 is the calling thread, others are looked up.
    let policy = |thread| unsafe { libc::sched_getscheduler(thread) };
    let own = policy(0);
    // A policy that the process was given is kept.
    let waiting = match own {
        libc::SCHED_OTHER => libc::SCHED_BATCH,
        given => given,
    };
    let gate = gate();
    let (tell, told) = std::sync::mpsc::channel();
    let job = gate.releases().reserve_job("policy", move || {
        // SAFETY: as above.
        let thread = unsafe { libc::gettid() };
        tell.send((thread, policy(0))).unwrap();
        Ok(())
    });
    job.unwrap().submit().unwrap();
    let (worker, at_work) = told.recv().unwrap();
    eventually("it waits again", || policy(worker) == waiting);
    assert_eq!((at_work, policy(0)), (own, own));
    close(&gate);
}

#[test]
fn a_gate_whose_times_are_beyond_all_clocks_works() {
    let _host = host();
    let mut options = GateOptions::default();
    options.namespace_thread_idle = Duration::MAX;
    options.native_budget = Duration::MAX;
    options.blocking_budget = Duration::MAX;
    options.callback_budget = Duration::MAX;
    options.retry.first_pause = Duration::MAX;
    options.retry.longest_pause = Duration::MAX;
    options.retry.age = Duration::MAX;
    let gate = Gate::open(options).unwrap();
    let volume = Volume::new();
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    chroot.before_release(|| Ok(())).unwrap();
    chroot.run(|| ()).unwrap();
    let ticket = chroot.release().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, proved_gone(&gate, true));
    close(&gate);
}
