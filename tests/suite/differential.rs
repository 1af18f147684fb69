//! Random operations on two identical trees, through a chroot on one and by the plain calls of a
//! process that is really chrooted on the other: each answer, and the trees, must be the same.
//!
//! NSGATE_SEED repeats one pair of trees; NSGATE_LONG=1 makes it 200,000 operations, on the trees from
//! that seed on.

mod observe;
mod operation;
mod ours;
mod paths;
mod plain;
pub(crate) mod random;
mod tree;
pub(crate) mod user;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use nsgate::{Chroot, ChrootOptions};

use crate::host::{Volume, close, gate, host, soon};
use operation::{Call, Generator, Operation};
use user::{AsUser, user};

/// So many operations are made on one pair of trees; a tree wears out.
const PER_TREE: u32 = 500;

/// So often the trees themselves are compared.
const LOOK: u32 = 50;

#[test]
fn every_answer_is_the_plain_call_s() {
    on_trees(10, false);
}

/// The mounts are in the chroot, or in the helper's namespace, and not in the host's.
#[test]
fn so_it_is_where_the_host_does_not_see_the_mounts() {
    on_trees(5, true);
}

fn on_trees(few: u64, with_mounts: bool) {
    let _host = host();
    let long = std::env::var_os("NSGATE_LONG").is_some();
    let seed: Option<u64> = std::env::var("NSGATE_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    let trees = match (long, seed) {
        (true, _) => 400,
        (false, Some(_)) => 1,
        (false, None) => few,
    };
    let _umask = Umask::set(0o022);
    let first = seed.unwrap_or(0);
    (first..first + trees).for_each(|seed| compare(seed, with_mounts));
}

fn compare(seed: u64, with_mounts: bool) {
    let (ours, theirs) = (Volume::new(), Volume::new());
    for volume in [&ours, &theirs] {
        tree::make(volume.path(), user());
        if with_mounts {
            tree::make_places(volume.path());
        }
    }
    assert_eq!(tree::look(ours.path()), tree::look(theirs.path()));
    let mut generator = match with_mounts {
        false => Generator::new(seed),
        true => Generator::with_mounts(seed),
    };
    let mut helper = Helper::start(theirs.path(), generator.clone(), with_mounts);
    let gate = gate();
    if with_mounts {
        tree::mount(ours.path());
    }
    let chroot = Chroot::open(&gate, ours.path(), &ChrootOptions::default()).unwrap();
    if with_mounts {
        tree::unmount(ours.path());
    }
    let mut busy = 0;
    let mut recent = Vec::new();
    for number in 1..=PER_TREE {
        let operation = generator.next();
        let mut answer = ours_of(&chroot, &operation);
        let mut plain = helper.next();
        // A look-up that the kernel has to begin again because something was mounted anywhere keeps
        // its count of links, so that 21 of them may be too many, to either side. And ours are given
        // up after many renames anywhere during a look-up of "..", which 800 of them in one path
        // meet easily on a busy machine. Neither changes anything: that side is asked again.
        let deadline = soon();
        while answer != plain && Instant::now() < deadline {
            match (answer.as_str(), plain.as_str()) {
                ("ELOOP", "failed") | ("failed", "ELOOP") => answer = plain.clone(),
                ("ELOOP" | "EAGAIN", _) => answer = ours_of(&chroot, &operation),
                (_, "ELOOP") => plain = helper.again(),
                _ => break,
            }
        }
        if with_mounts && is_busy_first(&operation.call, &answer, &plain) {
            busy += 1;
            answer.clone_from(&plain);
        }
        assert!(
            answer == plain,
            "NSGATE_SEED={seed}, after\n{}\n{}\n  nsgate: {answer}\n  plain:  {plain}",
            recent.join("\n"),
            shown(&operation),
        );
        recent.push(format!("{}: {answer}", shown(&operation)));
        if number % LOOK == 0 || number == PER_TREE {
            let (left, right) = (tree::look(ours.path()), tree::look(theirs.path()));
            let different: Vec<_> = left
                .keys()
                .chain(right.keys())
                .filter(|path| left.get(*path) != right.get(*path))
                .map(|path| format!("{path}\n  {:?}\n  {:?}", left.get(path), right.get(path)))
                .collect();
            assert!(
                different.is_empty(),
                "NSGATE_SEED={seed}: after\n{}\nthe trees differ:\n{}",
                recent.join("\n"),
                different.join("\n"),
            );
            recent.clear();
        }
    }
    drop(chroot);
    close(&gate);
    // Trees without any would let everything pass.
    assert!(!with_mounts || busy > 0, "NSGATE_SEED={seed}");
}

/// To remove or rename a mount point is EBUSY here before anything else that speaks against it.
fn is_busy_first(call: &Call, answer: &str, plain: &str) -> bool {
    matches!(call, Call::Remove(_) | Call::Rename(..))
        && answer == "EBUSY"
        && plain.starts_with('E')
}

fn shown(operation: &Operation) -> String {
    let user = if operation.as_user { "user" } else { "root" };
    format!("{} {user} {}", operation.number, operation.call)
}

fn ours_of(chroot: &Chroot, operation: &Operation) -> String {
    let _user = operation.as_user.then(|| AsUser::new(user()));
    ours::call(chroot, &operation.call, operation.number)
}

/// A process whose root is a tree. It draws the same operations and makes one when it is told to.
struct Helper {
    connection: UnixStream,
    pid: nix::unistd::Pid,
}

impl Helper {
    fn start(root: &Path, generator: Generator, with_mounts: bool) -> Helper {
        let (connection, other) = UnixStream::pair().unwrap();
        let user = user();
        // SAFETY: the child calls only functions that take no lock another thread may have held:
        // glibc's allocator is made usable in a child by fork itself, and the child never returns.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Child => {
                drop(connection);
                let served = std::panic::catch_unwind(|| {
                    if with_mounts {
                        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
                        tree::mount(root);
                    }
                    serve(root, generator, other, user);
                });
                // SAFETY: it ends here, without anything of the parent's being dropped.
                unsafe { libc::_exit(served.map_or(1, |()| 0)) }
            }
            nix::unistd::ForkResult::Parent { child } => Helper {
                connection,
                pid: child,
            },
        }
    }

    fn next(&mut self) -> String {
        self.ask(b"n")
    }

    /// The last operation once more.
    fn again(&mut self) -> String {
        self.ask(b"a")
    }

    fn ask(&mut self, what: &[u8; 1]) -> String {
        self.connection.write_all(what).unwrap();
        let mut length = [0; 4];
        self.connection.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_ne_bytes(length) as usize];
        self.connection.read_exact(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The helper ends at the end of its input.
        self.connection.shutdown(std::net::Shutdown::Both).unwrap();
        let ended = nix::sys::wait::waitpid(self.pid, None).unwrap();
        if !std::thread::panicking() {
            assert_eq!(ended, nix::sys::wait::WaitStatus::Exited(self.pid, 0));
        }
    }
}

fn serve(root: &Path, mut generator: Generator, mut connection: UnixStream, user: u32) {
    nix::unistd::chroot(root).unwrap();
    nix::unistd::chdir("/").unwrap();
    let mut operation = generator.next();
    let mut made = false;
    let mut what = [0];
    while connection.read(&mut what).unwrap() == 1 {
        if made && what == *b"n" {
            operation = generator.next();
        }
        made = true;
        let answer = {
            let _user = operation.as_user.then(|| AsUser::new(user));
            plain::call(&operation.call, operation.number)
        };
        let length = (answer.len() as u32).to_ne_bytes();
        connection.write_all(&length).unwrap();
        connection.write_all(answer.as_bytes()).unwrap();
    }
}

/// The process's umask, as it was again afterwards.
struct Umask(nix::sys::stat::Mode);

impl Umask {
    fn set(mask: u32) -> Umask {
        Umask(nix::sys::stat::umask(
            nix::sys::stat::Mode::from_bits_truncate(mask),
        ))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        nix::sys::stat::umask(self.0);
    }
}
