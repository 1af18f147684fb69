//! What every test starts from and must leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nsgate::{Gate, GateOptions, Outcome, Proof};

/// Long enough for anything that isn't stuck, on any machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The deadline of a wait that must succeed.
pub(crate) fn soon() -> Instant {
    Instant::now() + LONG
}

/// The state of the process before a test; checked again when it is dropped.
pub(crate) struct Host {
    mounts: String,
    descriptors: BTreeMap<String, String>,
    threads: usize,
}

/// Begins a test. Keep the value to the end of it.
pub(crate) fn host() -> Host {
    assert_root();
    Host {
        mounts: mounts(),
        descriptors: descriptors(),
        threads: thread_ids().len(),
    }
}

fn assert_root() {
    let privileged = fs::read_to_string("/proc/thread-self/status")
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t"))
        .map(|mask| u64::from_str_radix(mask, 16).unwrap() & (1 << 21) != 0);
    assert_eq!(
        privileged,
        Some(true),
        "these tests need CAP_SYS_ADMIN in a mount namespace of their own: tests/in-namespace"
    );
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // Threads and descriptors go a moment after what they served.
        let deadline = soon();
        loop {
            let threads = thread_ids().len();
            let descriptors = descriptors();
            if threads <= self.threads && descriptors == self.descriptors {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "left behind: {threads} threads where {} were, descriptors {:#?} where {:#?} were",
                self.threads,
                descriptors,
                self.descriptors
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(mounts(), self.mounts, "mounts were left behind");
        assert_no_thread_abroad();
    }
}

/// Every thread of the process stands where its leader does.
pub(crate) fn assert_no_thread_abroad() {
    let leader = |what: &str| fs::read_link(format!("/proc/self/{what}")).unwrap();
    for id in thread_ids() {
        for what in ["ns/mnt", "root", "cwd"] {
            let Ok(there) = fs::read_link(format!("/proc/self/task/{id}/{what}")) else {
                continue; // The thread ended meanwhile.
            };
            assert_eq!(there, leader(what), "{what} of thread {id}");
        }
    }
}

pub(crate) fn thread_ids() -> Vec<i32> {
    let mut ids: Vec<i32> = fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    ids.sort_unstable();
    ids
}

pub(crate) fn mounts() -> String {
    fs::read_to_string("/proc/thread-self/mountinfo").unwrap()
}

/// What each descriptor of the process stands for, without the listing's own.
pub(crate) fn descriptors() -> BTreeMap<String, String> {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let target = fs::read_link(&path).ok()?;
            let number = path.file_name().unwrap().to_str().unwrap().to_string();
            let target = target.to_str().unwrap_or("?").to_string();
            (!target.starts_with("/proc/")).then_some((number, target))
        })
        .collect()
}

/// Sets the soft limit of descriptors and returns what it was.
pub(crate) fn set_descriptor_limit(soft: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a place for the answer, then a limit that is valid for the calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        let before = std::mem::replace(&mut limit.rlim_cur, soft);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

/// A gate with small idle times, so that its threads end within a test.
pub(crate) fn gate() -> Gate {
    let mut options = GateOptions::default();
    options.namespace_thread_idle = Duration::from_millis(50);
    Gate::open(options).unwrap()
}

/// Closes the gate and finds nothing left in it.
pub(crate) fn close(gate: &Gate) {
    let report = gate.close(soon()).unwrap();
    assert_eq!(report.remaining, 0, "{report:?}");
}

/// What can be proved of a mount here: everything for root of the initial user namespace, else nothing.
pub(crate) fn proved(gate: &Gate, proof: Proof) -> Outcome {
    Outcome::Released(match gate.features().mount_proof {
        true => proof,
        false => Proof::Unverified,
    })
}

/// What is proved of a chroot that nobody uses and that could have mounts below it.
pub(crate) fn proved_gone(gate: &Gate, has_namespace: bool) -> Outcome {
    let features = gate.features();
    let is_known = match has_namespace {
        true => features.ns_id,
        false => features.dissolve_together,
    };
    match is_known {
        true => proved(gate, Proof::Verified),
        false => Outcome::Released(Proof::Unverified),
    }
}

/// A directory that is a tmpfs of its own and goes away with the value.
pub(crate) struct Volume(PathBuf);

impl Volume {
    pub(crate) fn new() -> Volume {
        Volume::with_options("")
    }

    /// `options` as for mount(8): "size=64k,nr_inodes=3".
    pub(crate) fn with_options(options: &str) -> Volume {
        let path = temporary_path();
        fs::create_dir(&path).unwrap();
        nix::mount::mount(
            Some("tmpfs"),
            &path,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(options),
        )
        .unwrap();
        Volume(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let flags = nix::mount::MntFlags::MNT_DETACH;
        nix::mount::umount2(&self.0, flags).unwrap();
        fs::remove_dir(&self.0).unwrap();
    }
}

/// A path that nothing has yet.
pub(crate) fn temporary_path() -> PathBuf {
    std::env::temp_dir().join(format!("nsgate-test-{}", unique()))
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Namespace, root and working directory of the calling thread.
pub(crate) fn standing() -> [PathBuf; 3] {
    ["ns/mnt", "root", "cwd"]
        .map(|what| fs::read_link(format!("/proc/thread-self/{what}")).unwrap())
}

/// Numbers for choices; a test says its seed when it fails.
pub(crate) struct Random(u64);

impl Random {
    /// From NSGATE_SEED, or else from the clock.
    pub(crate) fn new() -> Random {
        let given = std::env::var("NSGATE_SEED").ok();
        let given = given.map(|seed| seed.parse().expect("NSGATE_SEED is a number"));
        let clock = || {
            std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .unwrap()
                .as_nanos() as u64
        };
        let seed = given.unwrap_or_else(clock);
        println!("to repeat the choices: NSGATE_SEED={seed}");
        Random(seed | 1)
    }

    /// Another one, for another thread.
    pub(crate) fn fork(&mut self) -> Random {
        Random(self.next() | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The upper bits are the better ones.
        (self.next() >> 11) % bound
    }
}
