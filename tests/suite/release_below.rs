//! What is proved about a tree with mounts below its root: none of them may be left when it is said to
//! be gone.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nsgate::{
    Chroot, ChrootOptions, Gate, GateOptions, OpenOptions, Outcome, Proof, UnmountOptions,
};

use crate::host::{Volume, close, gate, host, proved, soon};

fn tmpfs(path: &Path) {
    fs::create_dir_all(path).unwrap();
    let (tmpfs, flags) = (Some("tmpfs"), MsFlags::empty());
    mount(tmpfs, path, tmpfs, flags, None::<&str>).unwrap();
}

/// A volume with a mount at "sub", and a file in it.
fn volume() -> Volume {
    let volume = Volume::new();
    tmpfs(&volume.path().join("sub"));
    volume.file("sub/data", "x");
    volume.file("top", "x");
    volume
}

fn outcome(gate: &Gate, chroot: Chroot) -> Outcome {
    let ticket = chroot.release().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    event.outcome
}

fn file(chroot: &Chroot, path: &str) -> File {
    let options = OpenOptions::new(libc::O_RDONLY);
    chroot.open_file(path, options).unwrap().into()
}

#[test]
fn a_chroot_is_not_proved_gone_while_a_mount_below_it_may_be_left() {
    let _host = host();
    let gate = gate();
    let volume = volume();
    for runs in [false, true] {
        let open = || {
            let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
            if runs {
                chroot.run(|| ()).unwrap();
            }
            chroot
        };
        let chroot = open();
        let below = file(&chroot, "/sub/data");
        let unverified = Outcome::Released(Proof::Unverified);
        assert_eq!(outcome(&gate, chroot), unverified, "runs: {runs}");
        drop(below);
        let chroot = open();
        let top = file(&chroot, "/top");
        let held = proved(&gate, Proof::Held { descriptors: 1 });
        assert_eq!(outcome(&gate, chroot), held, "runs: {runs}");
        drop(top);
    }
    close(&gate);
}

#[test]
fn a_mount_that_a_job_left_inside_is_not_overlooked() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    volume.file("sub/x", "x");
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let below = chroot.run(|| {
        tmpfs(Path::new("/sub"));
        File::create("/sub/data").unwrap()
    });
    let unverified = Outcome::Released(Proof::Unverified);
    assert_eq!(outcome(&gate, chroot), unverified);
    drop(below.unwrap());
    close(&gate);
}

#[test]
fn a_chroot_without_the_mounts_below_is_proved_gone() {
    let _host = host();
    let gate = gate();
    let volume = volume();
    let mut options = ChrootOptions::default();
    options.recursive = false;
    let chroot = Chroot::open(&gate, volume.path(), &options).unwrap();
    let proof = match gate.features().mount_setattr {
        true => Proof::Verified,
        // It has its namespace from the start: a job may have mounted something there.
        false => Proof::Unverified,
    };
    assert_eq!(outcome(&gate, chroot), proved(&gate, proof));
    close(&gate);
}

#[test]
fn what_a_detached_mount_had_below_it_is_looked_for_too() {
    let _host = host();
    let mut options = GateOptions::default();
    options.retry.attempts = 2;
    options.retry.first_pause = Duration::from_micros(100);
    let gate = Gate::open(options).unwrap();
    let volume = Volume::new();
    let top = volume.path().join("mounted");
    tmpfs(&top);
    tmpfs(&top.join("sub"));
    let busy = File::create(top.join("sub/data")).unwrap();
    let options = UnmountOptions { detach: true };
    let job = gate.releases().reserve_unmount(&top, options).unwrap();
    let ticket = job.submit().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, proved(&gate, Proof::Held { descriptors: 1 }));
    drop(busy);
    close(&gate);
}
