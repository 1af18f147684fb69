//! Releases that hang: nothing waits behind them, they are reported with what they hang in, and
//! their outcome counts when they come back. The deadlines are generous, the order is what counts.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nsgate::{
    Chroot, ChrootOptions, Gate, GateOptions, Job, Outcome, Proof, ReleaseState, SandboxMap,
    Status, StuckRelease, Ticket, UnmountOptions,
};

use crate::fuse_volume::FuseVolume;
use crate::host::{LONG, Volume, close, host, soon};
use crate::map_support::eventually;

/// Enough for what does not hang.
const BUDGET: Duration = Duration::from_millis(100);
/// A wait that ends in vain, or a close that abandons.
const SHORT: Duration = Duration::from_millis(100);

fn hasty_gate(change: impl FnOnce(&mut GateOptions)) -> Gate {
    let mut options = GateOptions::default();
    options.native_budget = BUDGET;
    options.blocking_budget = BUDGET;
    options.blocking_workers = 1;
    options.namespace_thread_idle = Duration::from_millis(50);
    change(&mut options);
    Gate::open(options).unwrap()
}

fn open(gate: &Gate, path: &Path) -> Chroot {
    Chroot::open(gate, path, &ChrootOptions::default()).unwrap()
}

/// A release that has nothing to do with what hangs.
fn other_release_ends(gate: &Gate, volume: &Volume) {
    let ticket = open(gate, volume.path()).release().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert!(matches!(event.outcome, Outcome::Released(_)), "{event:?}");
    let job = gate.releases().reserve_job("another", || Ok(())).unwrap();
    let event = gate
        .releases()
        .wait(job.submit().unwrap(), Some(soon()))
        .unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
}

/// The one stuck release, once somebody has looked at what it hangs in.
fn stuck(gate: &Gate, ticket: Ticket) -> StuckRelease {
    let find = || {
        let stuck = gate.releases().stuck().into_iter();
        stuck.clone().find(|stuck| stuck.ticket == Some(ticket))
    };
    eventually("it is found and described", || {
        find().is_some_and(|stuck| !stuck.detail.is_empty())
    });
    find().unwrap()
}

/// Everything that waits keeps to its deadline, and says what hangs.
fn waits_keep_their_deadlines(gate: &Gate, ticket: Ticket, label: &str) {
    let start = Instant::now();
    let late = gate.releases().fence(Some(start + SHORT)).unwrap_err();
    assert_eq!(late.status(), Status::TimedOut);
    let late = gate.releases().wait(ticket, Some(Instant::now() + SHORT));
    assert_eq!(late.unwrap_err().status(), Status::TimedOut);
    let report = gate.releases().drain(Instant::now() + SHORT).unwrap();
    assert_eq!((report.remaining, report.stuck), (1, 1), "{report:?}");
    let item = &report.items[0];
    assert_eq!((item.ticket, item.state), (ticket, ReleaseState::Stuck));
    assert_eq!(item.label, label);
    assert!(start.elapsed() < LONG);
}

/// The worker that replaced the stuck one is one too many once that is back.
fn extra_worker_retires(gate: &Gate) {
    eventually("the extra worker retires", || {
        let stats = gate.stats();
        (stats.stuck, stats.replacement_workers) == (0, 0)
    });
}

/// Closing does not wait beyond its deadline for what hangs.
fn closes_in_time(gate: &Gate, ticket: Ticket) {
    let start = Instant::now();
    let report = gate.close(start + SHORT).unwrap();
    assert!(start.elapsed() < LONG);
    assert_eq!((report.remaining, report.abandoned), (1, 1), "{report:?}");
    let event = gate.releases().wait(ticket, None).unwrap();
    assert_eq!(event.outcome, Outcome::Abandoned);
}

fn fifo(volume: &Volume) -> PathBuf {
    let path = volume.path().join("fifo");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
    path
}

/// A job that hangs until somebody opens the other end of the FIFO.
fn fifo_job(gate: &Gate, path: &Path) -> Job {
    let other_end = path.to_owned();
    let job = move || {
        File::open(&other_end).unwrap();
        Ok(())
    };
    let label = path.to_str().unwrap();
    gate.releases().reserve_job(label, job).unwrap()
}

fn open_other_end(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap();
}

#[test]
fn nothing_waits_behind_a_job_that_hangs_in_a_fifo() {
    let _host = host();
    let gate = hasty_gate(|_| ());
    let volume = Volume::new();
    let fifo = fifo(&volume);
    let ticket = fifo_job(&gate, &fifo).submit().unwrap();
    let found = stuck(&gate, ticket);
    assert_eq!(found.label, fifo.to_str().unwrap());
    assert!(found.detail.contains("(openat)"), "{}", found.detail);
    other_release_ends(&gate, &volume);
    waits_keep_their_deadlines(&gate, ticket, fifo.to_str().unwrap());
    open_other_end(&fifo);
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
    assert!(event.worked >= BUDGET);
    extra_worker_retires(&gate);
    close(&gate);
}

#[test]
fn when_no_replacement_is_left_waits_and_close_still_end() {
    let _host = host();
    let gate = hasty_gate(|options| options.replacement_workers = 2);
    let volume = Volume::new();
    let fifo = fifo(&volume);
    for _ in 0..3 {
        let ticket = fifo_job(&gate, &fifo).submit().unwrap();
        stuck(&gate, ticket);
    }
    let queued = gate.releases().reserve_job("queued", || Ok(())).unwrap();
    let queued = queued.submit().unwrap();
    // The native lane has its own worker, which does not hang.
    let chroot = open(&gate, volume.path()).release().unwrap();
    gate.releases().wait(chroot, Some(soon())).unwrap();
    let report = gate.releases().drain(Instant::now() + SHORT).unwrap();
    assert_eq!((report.remaining, report.stuck), (4, 3));
    let start = Instant::now();
    let report = gate.close(start + SHORT).unwrap();
    assert!(start.elapsed() < LONG);
    assert_eq!((report.remaining, report.abandoned), (4, 4));
    let event = gate.releases().wait(queued, None).unwrap();
    assert_eq!(event.outcome, Outcome::Abandoned);
    // All three may wait for one opener each, or for the same one.
    eventually("the workers come back", || {
        if let Ok(fd) = nix::fcntl::open(
            &fifo,
            nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK,
            Mode::empty(),
        ) {
            drop(fd);
        }
        gate.stats().workers == 0
    });
}

#[test]
fn a_chroot_of_a_silent_server_is_released_without_a_word_to_it() {
    let _host = host();
    for options in ["", ",default_permissions"] {
        let Some(volume) = FuseVolume::new(options) else {
            return;
        };
        let gate = hasty_gate(|options| options.native_budget = LONG);
        let chroots = [open(&gate, volume.path()), open(&gate, volume.path())];
        chroots[0].run(|| ()).unwrap();
        volume.fall_silent();
        let map = SandboxMap::new(&gate);
        let sandbox = map.register("a", "life", ()).map_err(|(e, _)| e).unwrap();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(sandbox.assign_network(address).unwrap());
        for chroot in &chroots {
            sandbox.attach(chroot).unwrap();
        }
        assert!(map.network_released(address, "life").unwrap());
        gate.releases().fence(Some(soon())).unwrap();
        assert_eq!(gate.stats().released, 2, "{options}");
        close(&gate);
    }
}

/// A file of the volume that its server does not let go of: closing it waits for a flush.
fn file_to_flush(gate: &Gate, volume: &FuseVolume) -> (Chroot, Job, String) {
    let chroot = open(gate, volume.path());
    let options = nsgate::OpenOptions::new(libc::O_RDWR);
    let mut file = File::from(chroot.open_file("data", options).unwrap());
    file.write_all(b"x").unwrap();
    volume.fall_silent();
    let label = volume.path().join("data").to_str().unwrap().to_string();
    let job = gate.releases().reserve_descriptor(file.into(), &label);
    (chroot, job.unwrap(), label)
}

#[test]
fn a_descriptor_of_a_silent_server_delays_nobody_and_counts_when_the_server_answers() {
    let _host = host();
    let Some(volume) = FuseVolume::new("") else {
        return;
    };
    let plain = Volume::new();
    let gate = hasty_gate(|_| ());
    let (chroot, job, label) = file_to_flush(&gate, &volume);
    let neighbour = open(&gate, plain.path());
    let map = SandboxMap::new(&gate);
    let sandbox = map.register("a", "life", ()).map_err(|(e, _)| e).unwrap();
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    sandbox.assign_network(address).unwrap();
    sandbox.attach_job(&job).unwrap();
    sandbox.attach(&chroot).unwrap();
    sandbox.attach(&neighbour).unwrap();
    assert!(map.network_released(address, "life").unwrap());
    let ticket = job.ticket().unwrap();
    volume.wait_for_request();
    let found = stuck(&gate, ticket);
    assert_eq!(found.label, label);
    assert!(found.detail.contains("(close)"), "{}", found.detail);
    eventually("both chroots are released", || gate.stats().released == 2);
    other_release_ends(&gate, &plain);
    waits_keep_their_deadlines(&gate, ticket, &label);
    volume.answer();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
    extra_worker_retires(&gate);
    close(&gate);
}

#[test]
fn an_aborted_server_fails_what_hung_in_it() {
    let _host = host();
    let Some(volume) = FuseVolume::new("") else {
        return;
    };
    let gate = hasty_gate(|_| ());
    let (_chroot, job, _) = file_to_flush(&gate, &volume);
    let ticket = job.submit().unwrap();
    volume.wait_for_request();
    stuck(&gate, ticket);
    volume.abort();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    // The descriptor is closed all the same; what is told is that its data may be lost.
    assert_eq!(
        event.outcome,
        Outcome::Failed {
            os_error: libc::ECONNABORTED
        }
    );
    extra_worker_retires(&gate);
    close(&gate);
}

#[test]
fn a_gate_closes_over_a_silent_server() {
    let _host = host();
    let Some(volume) = FuseVolume::new("") else {
        return;
    };
    let plain = Volume::new();
    let gate = hasty_gate(|_| ());
    let (chroot, job, _) = file_to_flush(&gate, &volume);
    let ticket = job.submit().unwrap();
    drop(chroot);
    volume.wait_for_request();
    other_release_ends(&gate, &plain);
    gate.releases()
        .wait(ticket, Some(Instant::now()))
        .unwrap_err();
    eventually("all but one are done", || gate.stats().in_flight == 1);
    closes_in_time(&gate, ticket);
    volume.answer();
}

#[test]
fn a_step_before_the_release_that_hangs_is_reported_by_its_volume() {
    let _host = host();
    let Some(volume) = FuseVolume::new("") else {
        return;
    };
    let plain = Volume::new();
    let gate = hasty_gate(|_| ());
    let chroot = open(&gate, volume.path());
    let data = volume.path().join("data");
    chroot
        .before_release(move || {
            std::fs::metadata(&data).unwrap();
            Ok(())
        })
        .unwrap();
    volume.fall_silent();
    let ticket = chroot.release().unwrap();
    volume.wait_for_request();
    let found = stuck(&gate, ticket);
    assert_eq!(found.label, volume.path().to_str().unwrap());
    other_release_ends(&gate, &plain);
    waits_keep_their_deadlines(&gate, ticket, volume.path().to_str().unwrap());
    volume.answer();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert!(matches!(event.outcome, Outcome::Released(_)));
    assert_eq!(event.before_release_failed, None);
    extra_worker_retires(&gate);
    close(&gate);
}

#[test]
fn an_operation_that_hangs_delays_no_other_and_its_chroot_is_released_after_it() {
    let _host = host();
    let Some(volume) = FuseVolume::new("") else {
        return;
    };
    let plain = Volume::new();
    let gate = hasty_gate(|_| ());
    let (hanging, other) = (open(&gate, volume.path()), open(&gate, plain.path()));
    hanging.run(|| ()).unwrap();
    volume.fall_silent();
    let ticket = std::thread::scope(|scope| {
        let stat = scope.spawn(|| hanging.stat("data").map(drop));
        let job = scope.spawn(|| hanging.run(|| std::fs::metadata("/data").map(drop)));
        volume.wait_for_request();
        // Both are under way once both threads are in the kernel; either order is fine after that.
        assert!(other.stat(".").is_ok());
        assert!(other.run(|| std::fs::metadata("/").is_ok()).unwrap());
        let ticket = hanging.release().unwrap();
        assert_eq!(hanging.stat("data").unwrap_err().status(), Status::Closed);
        other_release_ends(&gate, &plain);
        let late = gate.releases().wait(ticket, Some(Instant::now() + SHORT));
        assert_eq!(late.unwrap_err().status(), Status::TimedOut);
        let report = gate.releases().drain(Instant::now() + SHORT).unwrap();
        assert_eq!((report.remaining, report.stuck), (1, 0));
        assert_eq!(report.items[0].label, volume.path().to_str().unwrap());
        volume.answer();
        // The later of the two may have found the chroot closed already.
        for result in [
            stat.join().unwrap(),
            job.join().unwrap().map(|done| done.unwrap()),
        ] {
            if let Err(error) = result {
                assert_eq!(error.status(), Status::Closed);
            }
        }
        ticket
    });
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert!(matches!(event.outcome, Outcome::Released(_)));
    drop(other);
    close(&gate);
}

#[test]
fn a_mount_of_a_silent_server_is_unmounted_or_detached_without_a_word_to_it() {
    let _host = host();
    for busy in [false, true] {
        let Some(volume) = FuseVolume::new(",default_permissions") else {
            return;
        };
        let plain = Volume::new();
        let gate = hasty_gate(|options| {
            options.retry.attempts = 2;
            options.blocking_budget = LONG;
        });
        let user = busy.then(|| File::open(volume.path().join("data")).unwrap());
        volume.fall_silent();
        let options = UnmountOptions { detach: true };
        let job = gate.releases().reserve_unmount(volume.path(), options);
        let ticket = job.unwrap().submit().unwrap();
        other_release_ends(&gate, &plain);
        let event = gate.releases().wait(ticket, Some(soon())).unwrap();
        let proof = if busy {
            Proof::Unverified
        } else {
            Proof::Verified
        };
        assert_eq!(event.outcome, Outcome::Released(proof));
        volume.answer();
        drop(user);
        close(&gate);
    }
}
