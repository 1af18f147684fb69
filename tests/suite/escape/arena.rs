//! A volume with a canary beside it on the same mount, and threads that disturb it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, OpenHow, RenameFlags, ResolveFlag, openat2, renameat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nsgate::Chroot;

use crate::host::{Volume, soon};

/// Longer than anything that is written inside.
pub(crate) const CANARY: &str = "the canary outside";

/// Each disturbance happens so often at least, so that the operations meet it.
const OFTEN: usize = 100;

pub(crate) struct Arena(Volume);

impl Arena {
    pub(crate) fn new() -> Arena {
        let arena = Arena(Volume::new());
        let (volume, outside) = (arena.volume(), arena.outside_path());
        fs::create_dir_all(outside.join("a")).unwrap();
        for path in ["canary", "a/canary", "file"] {
            fs::write(outside.join(path), CANARY).unwrap();
        }
        for path in ["canary", "a/canary", "file", "a"] {
            // An access long after the last change is not noted again when the test itself reads.
            let times = fs::FileTimes::new()
                .set_accessed(SystemTime::now() + Duration::from_secs(1_000_000))
                .set_modified(UNIX_EPOCH);
            File::open(outside.join(path))
                .unwrap()
                .set_times(times)
                .unwrap();
        }
        for path in ["moving/a/b/c", "covered/a", "spot/a", "outside"] {
            fs::create_dir_all(volume.join(path)).unwrap();
        }
        for link in ["moving/up", "moving/a/b/up", "covered/up"] {
            symlink("../../../..", volume.join(link)).unwrap();
        }
        symlink("..", volume.join("spot/up")).unwrap();
        symlink(&outside, volume.join("swap")).unwrap();
        arena.put_inside_back();
        arena
    }

    pub(crate) fn volume(&self) -> PathBuf {
        self.0.path().join("volume")
    }

    pub(crate) fn outside_path(&self) -> PathBuf {
        self.0.path().join("outside")
    }

    /// All there is outside, with what a touch would change. "moving" is the volume's own, wherever
    /// it is.
    pub(crate) fn outside(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.outside_path()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if path == self.outside_path().join("moving") {
                    continue;
                }
                let stat = fs::symlink_metadata(&path).unwrap();
                let mut what = format!(
                    "{:o} {} {} {}",
                    stat.mode(),
                    stat.nlink(),
                    stat.atime(),
                    stat.mtime()
                );
                match stat.is_dir() {
                    true => left.push(path.clone()),
                    false => what += &fs::read_to_string(&path).unwrap(),
                }
                found.insert(path, what);
            }
        }
        found
    }

    /// What operations remove or rename inside is put back, where it can be.
    pub(crate) fn put_inside_back(&self) {
        let _ = fs::write(self.volume().join("canary"), "inside");
        let _ = fs::write(self.volume().join("outside/canary"), "inside");
    }

    /// Puts the tree and the link back that are to change places.
    pub(crate) fn put_spot_back(&self) {
        let swap = self.volume().join("swap");
        let _ = fs::create_dir(self.volume().join("spot"));
        if !fs::symlink_metadata(&swap).is_ok_and(|stat| stat.is_symlink()) {
            let _ = fs::remove_dir_all(&swap);
            let _ = symlink(self.outside_path(), &swap);
        }
    }
}

/// What goes on meanwhile: moves out and back, swaps with links, mounts from the host and inside.
pub(crate) struct Disturbance<'a> {
    arena: &'a Arena,
    stop: AtomicBool,
    counts: [AtomicUsize; 4],
}

impl Disturbance<'_> {
    /// Runs `body` while the arena is disturbed. It is given a question: whether it should go on
    /// because not every disturbance has happened often enough yet.
    pub(crate) fn run<R>(
        arena: &Arena,
        chroot: &Chroot,
        body: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> R,
    ) -> R {
        let it = Disturbance {
            arena,
            stop: AtomicBool::new(false),
            counts: Default::default(),
        };
        let deadline = soon();
        let go_on = || it.rarest() < OFTEN && Instant::now() < deadline;
        let result = thread::scope(|scope| {
            let _stop = StopAtEnd(&it.stop);
            scope.spawn(|| it.repeat(0, || it.move_out_and_back()));
            scope.spawn(|| it.repeat(1, || it.swap()));
            scope.spawn(|| it.repeat(2, || it.cover_from_the_host()));
            scope.spawn(|| it.repeat(3, || it.cover_inside(chroot)));
            body(&go_on)
        });
        assert!(
            it.rarest() >= OFTEN,
            "too rarely disturbed: {:?}",
            it.counts
        );
        result
    }

    fn rarest(&self) -> usize {
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        counts.min().unwrap_or(0)
    }

    fn repeat(&self, which: usize, mut disturb: impl FnMut()) {
        while !self.stop.load(Ordering::Relaxed) {
            disturb();
            self.counts[which].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn move_out_and_back(&self) {
        let inside = self.arena.volume().join("moving");
        let outside = self.arena.outside_path().join("moving");
        // An operation may have renamed it, or made another in its place.
        let _ = fs::rename(&inside, &outside);
        let _ = fs::rename(&outside, &inside);
    }

    /// The directory and the link to the outside change places, at the top of the tree and within.
    /// The way to them must not lead through the link: then this test would reach outside itself.
    fn swap(&self) {
        let volume = File::open(self.arena.volume()).unwrap();
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        for (directory, name) in [
            (".", "spot"),
            ("spot", "a"),
            ("spot/a", "b"),
            ("spot/e", "f"),
        ] {
            for _ in 0..2 {
                if let Ok(directory) = openat2(&volume, directory, how) {
                    let exchange = RenameFlags::RENAME_EXCHANGE;
                    let _ = renameat2(&volume, "swap", &directory, name, exchange);
                }
            }
        }
    }

    /// The outside is mounted over a directory of the volume: the chroot has mounts of its own.
    fn cover_from_the_host(&self) {
        let place = self.arena.volume().join("covered");
        let outside = self.arena.outside_path();
        mount(
            Some(&outside),
            &place,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .unwrap();
        umount2(&place, MntFlags::MNT_DETACH).unwrap();
    }

    /// Inside the chroot's own namespace, too.
    fn cover_inside(&self, chroot: &Chroot) {
        chroot
            .run(|| {
                let place = "/covered/a";
                if mount(
                    Some("tmpfs"),
                    place,
                    Some("tmpfs"),
                    MsFlags::empty(),
                    None::<&str>,
                )
                .is_ok()
                {
                    umount2(place, MntFlags::MNT_DETACH).unwrap();
                }
            })
            .unwrap();
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
