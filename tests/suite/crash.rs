//! SIGKILL, at random moments under load and at every system call of a scenario: nothing survives
//! the process. Its namespaces and mounts go with it, the host and the volume are as before.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, MountNamespace, SandboxMap};

use crate::child::forked;
use crate::fault::{scenario, seccomp};
use crate::host::{Random, Volume, host, mounts, soon};

/// The volume as others see it, with its times.
fn look(volume: &Path) -> Vec<(String, i64, i64, u64)> {
    let entries = fs::read_dir(volume).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut seen: Vec<_> = std::iter::once(volume.to_owned())
        .chain(paths)
        .map(|path| {
            let stat = fs::symlink_metadata(&path).unwrap();
            let name = path.display().to_string();
            (name, stat.mtime(), stat.mtime_nsec(), stat.size())
        })
        .collect();
    seen.sort();
    seen
}

/// Everything at once, for ever. `ready` is written to once it is under way.
fn load(volume: &Path, mut ready: impl Write + Send) {
    let gate = Gate::open(GateOptions::default()).unwrap();
    let open = || Chroot::open(&gate, volume, &ChrootOptions::default()).unwrap();
    let forever = |work: &(dyn Fn() + Sync)| {
        loop {
            work();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            forever(&|| {
                let chroot = open();
                chroot.stat("marker").unwrap();
                chroot.run(|| fs::read("/marker").unwrap()).unwrap();
                chroot.release().unwrap();
            });
        });
        scope.spawn(|| {
            forever(&|| {
                let namespace = MountNamespace::create(&gate).unwrap();
                let inside = namespace.enter().unwrap();
                inside.restore().unwrap();
                let releases = gate.releases();
                releases
                    .wait(namespace.release().unwrap(), Some(soon()))
                    .unwrap();
            });
        });
        scope.spawn(|| {
            forever(&|| {
                let map = SandboxMap::new(&gate);
                let life = map
                    .register("sandbox", "life", ())
                    .map_err(|(error, _)| error);
                let life = life.unwrap();
                for _ in 0..8 {
                    life.attach(&open()).unwrap();
                }
                life.network_released().unwrap();
                life.mark_stopped().unwrap();
                gate.releases().fence(Some(soon())).unwrap();
            });
        });
        scope.spawn(|| {
            forever(&|| {
                let other = Gate::open(GateOptions::default()).unwrap();
                other.close(soon()).unwrap();
            });
        });
        ready.write_all(b"r").unwrap();
    });
}

#[test]
fn a_kill_at_any_moment_leaves_nothing() {
    let _host = host();
    let long = std::env::var_os("NSGATE_LONG").is_some();
    let kills = if long { 1_000 } else { 20 };
    let volume = Volume::new();
    volume.file("marker", "inside");
    let before = (mounts(), look(volume.path()));
    let mut random = Random::new();
    for _ in 0..kills {
        let (mut waits, ready) = std::io::pipe().unwrap();
        let child = forked(|| {
            load(volume.path(), ready);
            0
        });
        wait_for_load(&mut waits);
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        // SAFETY: no memory is involved; the child is ours and was not waited for.
        unsafe { libc::kill(child.as_raw(), libc::SIGKILL) };
        let ended = waitpid(child, None).unwrap();
        assert_eq!(ended, WaitStatus::Signaled(child, Signal::SIGKILL, false));
        assert_eq!((mounts(), look(volume.path())), before);
    }
    is_free(volume.path());
}

/// Waits until the child is under way; it says so, or ends.
fn wait_for_load(ready: &mut impl Read) {
    let mut byte = [0];
    assert_eq!(ready.read(&mut byte).unwrap(), 1, "the load ended early");
}

/// Nobody uses the volume: an unmount without force succeeds.
fn is_free(volume: &Path) {
    nix::mount::umount2(volume, nix::mount::MntFlags::empty()).unwrap();
    // For the volume's own end.
    let none = None::<&str>;
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(none, volume, Some("tmpfs"), flags, none).unwrap();
}

#[test]
fn a_kill_at_every_system_call_leaves_nothing() {
    let _host = host();
    let volume = Volume::new();
    volume.file("marker", "inside");
    let place = volume.path().to_owned();
    let watched = seccomp::watch(None, move || scenario::play(&place, None, false));
    assert!(watched.result.errors.is_empty(), "{:?}", watched.result);
    let long = std::env::var_os("NSGATE_LONG").is_some();
    // Between two of the others nothing changes that would outlive a process.
    let calls = watched.calls.into_iter();
    let calls = calls.filter(|(call, _)| {
        long || !(call.is_memory() || call.is(libc::SYS_futex) || call.is_wait())
    });
    let before = (mounts(), look(volume.path()));
    let mut killed = 0;
    for (call, count) in calls {
        for occurrence in 1..=count {
            let fault = seccomp::Fault {
                call,
                occurrence,
                errno: seccomp::KILL,
            };
            let place = volume.path().to_owned();
            let child = forked(move || {
                seccomp::watch(Some(fault), move || scenario::play(&place, None, false));
                0
            });
            match waitpid(child, None).unwrap() {
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => killed += 1,
                // The order of threads decides how often some calls are made.
                ended => assert_eq!(ended, WaitStatus::Exited(child, 0), "{fault:?}"),
            }
            assert_eq!((mounts(), look(volume.path())), before, "{fault:?}");
        }
    }
    assert!(killed >= 50, "{killed} kills");
    is_free(volume.path());
}
