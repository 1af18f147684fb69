//! What is done under faults. Every success is checked to be one.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nsgate::{
    Chroot, ChrootOptions, Error, Gate, GateOptions, MountNamespace, OpenOptions, Outcome, Result,
    SandboxMap, Ticket, UnmountOptions,
};

use super::seccomp::aside;
use crate::host::{soon, standing};
use crate::map_support::eventually;

/// What did not succeed, with the step that said so.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) errors: Vec<(&'static str, Error)>,
}

impl Ending {
    fn keep<T>(&mut self, step: &'static str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push((step, error));
                None
            }
        }
    }
}

/// `errno` is what may fail; `unmounts`: with mounts of the test's own, to be unmounted.
pub(crate) fn play(volume: &Path, errno: Option<i32>, unmounts: bool) -> Ending {
    let mut ending = Ending::default();
    let mut options = GateOptions::default();
    options.namespace_thread_idle = Duration::from_secs(3600);
    options.retry.first_pause = Duration::from_micros(50);
    options.retry.longest_pause = Duration::from_micros(50);
    options.retry.attempts = 2;
    let Some(gate) = ending.keep("Gate::open", Gate::open(options)) else {
        return ending;
    };
    let mut tickets = vec![
        chroot(&gate, volume, &mut ending),
        namespace(&gate, &mut ending),
        descriptor(&gate, volume, &mut ending),
    ];
    tickets.extend(several(&gate, volume, &mut ending).into_iter().map(Some));
    for detach in [false, true] {
        if unmounts {
            tickets.push(unmount(&gate, volume, detach, &mut ending));
        }
    }
    for ticket in tickets.into_iter().flatten() {
        let event = gate.releases().wait(ticket, Some(soon())).unwrap();
        match event.outcome {
            Outcome::Released(_) => {}
            Outcome::Failed { os_error } => {
                assert_eq!(Some(os_error), errno, "{event:?}");
                let failed = gate.releases().failed();
                let entry = failed.iter().find(|entry| entry.ticket == ticket);
                // What failed without anything left of it is in no list.
                assert!(entry.is_none_or(|entry| entry.os_error == os_error));
                let error = Error::os("release", os_error);
                ending.errors.push(("release", error));
            }
            other => panic!("{other:?}"),
        }
    }
    // What was opened and failed half way has given its place back.
    eventually("no place is taken", || gate.stats().reserved == 0);
    let stats = gate.stats();
    assert_eq!((stats.depth, stats.in_flight), (0, 0));
    assert_eq!(stats.adds, stats.released + stats.failed);
    let report = gate.close(soon()).unwrap();
    assert_eq!((report.remaining, report.stuck), (0, 0), "{report:?}");
    ending
}

fn chroot(gate: &Gate, volume: &Path, ending: &mut Ending) -> Option<Ticket> {
    let opened = Chroot::open(gate, volume, &ChrootOptions::default());
    let chroot = ending.keep("Chroot::open", opened)?;
    aside(|| {
        let root = chroot.open_file(".", OpenOptions::new(libc::O_PATH));
        let flags = fstatvfs(root.unwrap()).unwrap().flags();
        assert!(flags.contains(FsFlags::ST_NOSUID | FsFlags::ST_NODEV));
    });
    let file = chroot.open_file("marker", OpenOptions::new(libc::O_RDONLY));
    if let Some(file) = ending.keep("Chroot::open_file", file) {
        aside(|| {
            let text = std::io::read_to_string(File::from(file)).unwrap();
            assert_eq!(text, "inside");
        });
    }
    // From inside, on another thread, which has to be made for it.
    let seen = chroot.run(|| chroot.run(|| aside(|| fs::read_to_string("/marker"))));
    if let Some(seen) = ending.keep("Chroot::run", seen)
        && let Some(seen) = ending.keep("Chroot::run inside", seen)
    {
        assert_eq!(seen.unwrap(), "inside");
    }
    for _ in 0..2 {
        let seen = chroot.run(|| aside(|| fs::read_to_string("/marker")));
        if let Some(seen) = ending.keep("Chroot::run", seen) {
            assert_eq!(seen.unwrap(), "inside");
        }
    }
    let step = ending.keep("before_release", chroot.before_release(|| Ok(())));
    assert!(step.is_some());
    Some(chroot.release().unwrap())
}

/// Chroots that are released at once, and so are dissolved together.
fn several(gate: &Gate, volume: &Path, ending: &mut Ending) -> Vec<Ticket> {
    // std's hashing wants random bytes and panics without them.
    let map: SandboxMap<()> = aside(|| SandboxMap::new(gate));
    let Ok(life) = map.register("sandbox", "life", ()) else {
        panic!("an empty map has room");
    };
    let mut chroots = Vec::new();
    for _ in 0..4 {
        let opened = Chroot::open(gate, volume, &ChrootOptions::default());
        let Some(chroot) = ending.keep("Chroot::open", opened) else {
            continue;
        };
        life.attach(&chroot).unwrap();
        chroots.push(chroot);
    }
    assert!(life.mark_stopped().unwrap());
    let tickets = chroots.iter().map(|chroot| chroot.ticket().unwrap());
    tickets.collect()
}

fn namespace(gate: &Gate, ending: &mut Ending) -> Option<Ticket> {
    let namespace = ending.keep("MountNamespace::create", MountNamespace::create(gate))?;
    let id = namespace.id();
    let seen = namespace.run(|| aside(|| standing()[0].clone()));
    if let Some(seen) = ending.keep("MountNamespace::run", seen) {
        assert_eq!(seen.to_str().unwrap(), format!("mnt:[{}]", id.inode));
    }
    // A thread that may stay abroad is one that ends.
    let entered = aside(|| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| enter_and_restore(&namespace));
            thread.join().unwrap()
        })
    });
    ending.keep("enter and restore", entered);
    let current = MountNamespace::current(gate);
    if let Some(current) = ending.keep("MountNamespace::current", current) {
        ending.keep("try_clone_fd", current.try_clone_fd());
    }
    Some(namespace.release().unwrap())
}

fn enter_and_restore(namespace: &MountNamespace) -> Result<()> {
    let before = aside(standing);
    let inside = match namespace.enter() {
        Ok(inside) => inside,
        Err(error) => {
            assert_eq!(aside(standing), before, "{error}");
            return Err(error);
        }
    };
    let inode = namespace.id().inode;
    let there = aside(|| standing()[0].clone());
    assert_eq!(there.to_str().unwrap(), format!("mnt:[{inode}]"));
    inside.restore().map_err(|error| error.error)?;
    assert_eq!(aside(standing), before);
    Ok(())
}

fn descriptor(gate: &Gate, volume: &Path, ending: &mut Ending) -> Option<Ticket> {
    let file = aside(|| File::open(volume.join("marker")).unwrap());
    let job = gate.releases().reserve_descriptor(file.into(), "marker");
    Some(ending.keep("reserve_descriptor", job)?.submit().unwrap())
}

/// With `detach`, of a mount that is busy.
fn unmount(gate: &Gate, volume: &Path, detach: bool, ending: &mut Ending) -> Option<Ticket> {
    let place = volume.join(if detach { "busy" } else { "idle" });
    let user = aside(|| {
        tmpfs(&place);
        detach.then(|| File::create(place.join("open")).unwrap())
    });
    let options = UnmountOptions { detach };
    let job = gate.releases().reserve_unmount(&place, options);
    let ticket = ending.keep("reserve_unmount", job)?.submit().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    let is_mounted = aside(|| crate::host::mounts().contains(place.to_str().unwrap()));
    let is_released = matches!(event.outcome, Outcome::Released(_));
    assert_eq!(is_mounted, !is_released, "{event:?}");
    aside(|| drop(user));
    Some(ticket)
}

fn tmpfs(place: &Path) {
    fs::create_dir_all(place).unwrap();
    let none = None::<&str>;
    mount(none, place, Some("tmpfs"), MsFlags::empty(), none).unwrap();
}
