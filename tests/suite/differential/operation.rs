//! The operations, and how they are drawn.

use super::paths::{Bytes, Paths};
use super::random::Random;

/// Seconds and nanoseconds.
pub(crate) type Time = (i64, u32);

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Open(Bytes, i32, u32),
    Create(Bytes, u32),
    Stat(Bytes),
    Lstat(Bytes),
    Statfs(Bytes),
    ReadDir(Bytes, bool),
    Mkdir(Bytes, u32),
    MkdirAll(Bytes, u32),
    Remove(Bytes),
    RemoveAll(Bytes),
    Rename(Bytes, Bytes, bool, bool),
    Link(Bytes, Bytes),
    Symlink(Bytes, Bytes),
    ReadLink(Bytes),
    Chmod(Bytes, u32),
    Chown(Bytes, u32, u32),
    Lchown(Bytes, u32, u32),
    SetTimes(Bytes, Option<Time>, Option<Time>, bool),
    Truncate(Bytes, i64),
    RealPath(Bytes),
}

#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) number: u32,
    /// Without root's rights over files.
    pub(crate) as_user: bool,
    pub(crate) call: Call,
}

/// Draws the same operations from the same seed, whatever became of the earlier ones.
#[derive(Clone)]
pub(crate) struct Generator {
    random: Random,
    paths: Paths,
    number: u32,
    with_mounts: bool,
}

/// What the initial tree has, and links that it doesn't lead to anything by.
pub(crate) const KNOWN: [&str; 36] = [
    "a",
    "a/b",
    "a/b/c",
    "a/file",
    "a/b/f2",
    "a/link",
    "a/l2",
    "a/b/c/up",
    "d",
    "d/file",
    "file",
    "f2",
    "fifo",
    "link",
    "l2",
    "l3",
    "dangling",
    "loop1",
    "loop2",
    "self",
    "root",
    "dots",
    "slash",
    "chain39",
    "chain40",
    "deep/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
    "open",
    "open/mine",
    "shut",
    "shut/file",
    "search",
    "search/file",
    "sticky",
    "sticky/theirs",
    "sticky/link",
    "readonly/file",
];

/// What a tree with mounts has besides. Often drawn.
const MOUNTED: [&str; 8] = [
    "m",
    "m/on",
    "m/on",
    "m/on/file",
    "m/on/dir",
    "m/bound",
    "m/bound",
    "m/empty",
];

impl Generator {
    pub(crate) fn new(seed: u64) -> Generator {
        Generator {
            random: Random::new(seed),
            paths: Paths::new(KNOWN),
            number: 0,
            with_mounts: false,
        }
    }

    /// For a tree with mounts. What `remove_all` does to one is not the C library's business.
    pub(crate) fn with_mounts(seed: u64) -> Generator {
        Generator {
            paths: Paths::new(MOUNTED.into_iter().cycle().take(40).chain(KNOWN)),
            with_mounts: true,
            ..Generator::new(seed)
        }
    }

    pub(crate) fn next(&mut self) -> Operation {
        self.number += 1;
        let as_user = self.random.chance(35);
        let call = self.call();
        // A tree that is removed in part leaves different parts; root removes all of it.
        let whole = matches!(call, Call::RemoveAll(_));
        Operation {
            number: self.number,
            as_user: as_user && !whole,
            call,
        }
    }

    fn path(&mut self) -> Bytes {
        self.paths.any(&mut self.random)
    }

    fn new_path(&mut self) -> Bytes {
        let path = self.path();
        self.paths.remember(&path);
        path
    }

    fn mode(&mut self) -> u32 {
        match self.random.below(4) {
            0 => self.random.next() as u32 & 0o17777,
            _ => self
                .random
                .pick(&[0o755, 0o700, 0o644, 0o777, 0o1777, 0o2775, 0o4755, 0o111, 0]),
        }
    }

    fn owner(&mut self) -> u32 {
        self.random.pick(&[0, 1000, 1001, u32::MAX])
    }

    fn time(&mut self) -> Option<Time> {
        let seconds = self.random.below(1_999_999_998) as i64 - 999_999_999;
        match self.random.below(12) {
            0..=1 => None,
            2 => Some((0, libc::UTIME_NOW as u32)),
            3 => Some((0, libc::UTIME_OMIT as u32)),
            4 => Some((seconds, 1_000_000_000)),
            _ => Some((seconds, self.random.below(1_000_000_000) as u32)),
        }
    }

    fn flags(&mut self) -> i32 {
        let access = [
            libc::O_RDONLY,
            libc::O_WRONLY,
            libc::O_RDWR,
            libc::O_ACCMODE,
        ];
        let rare = [
            libc::O_EXCL,
            libc::O_TRUNC,
            libc::O_APPEND,
            libc::O_DIRECTORY,
            libc::O_NOFOLLOW,
            libc::O_PATH,
            libc::O_TMPFILE,
            libc::O_NOATIME,
            libc::O_SYNC,
            libc::O_NOCTTY,
            1 << 30,
        ];
        // A FIFO would hold everything up.
        let mut flags = access[self.random.below(13) % 4] | libc::O_NONBLOCK;
        if self.random.chance(45) {
            flags |= libc::O_CREAT;
        }
        while self.random.chance(40) {
            flags |= self.random.pick(&rare);
        }
        flags
    }

    fn call(&mut self) -> Call {
        match self.random.below(100) {
            0..=15 => {
                let path = self.new_path();
                let flags = self.flags();
                Call::Open(path, flags, self.mode())
            }
            16..=18 => Call::Create(self.new_path(), self.mode()),
            19..=24 => Call::Stat(self.path()),
            25..=29 => Call::Lstat(self.path()),
            30 => Call::Statfs(self.path()),
            31..=34 => Call::ReadDir(self.path(), self.random.chance(50)),
            35..=42 => Call::Mkdir(self.new_path(), self.mode()),
            43..=44 => Call::MkdirAll(self.new_path(), 0o755),
            45..=49 => Call::Remove(self.path()),
            50 if self.with_mounts => Call::Remove(self.path()),
            50 => Call::RemoveAll(self.path()),
            51..=60 => {
                let from = self.path();
                let to = self.new_path();
                let (noreplace, exchange) = (self.random.chance(20), self.random.chance(20));
                Call::Rename(from, to, noreplace, exchange)
            }
            61..=66 => Call::Link(self.path(), self.new_path()),
            67..=74 => Call::Symlink(self.path(), self.new_path()),
            75..=79 => Call::ReadLink(self.path()),
            80..=83 => Call::Chmod(self.path(), self.mode()),
            84..=85 => Call::Chown(self.path(), self.owner(), self.owner()),
            86..=87 => Call::Lchown(self.path(), self.owner(), self.owner()),
            88..=90 => {
                let path = self.path();
                let (access, modification) = (self.time(), self.time());
                Call::SetTimes(path, access, modification, self.random.chance(50))
            }
            91..=94 => {
                let length = self.random.pick(&[-1, 0, 1, 5, 4096, 100_000, i64::MAX]);
                Call::Truncate(self.path(), length)
            }
            _ => Call::RealPath(self.path()),
        }
    }
}

impl std::fmt::Display for Call {
    /// As in a program, so that a failure can be read, whatever bytes its paths have.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let debug = format!("{self:?}");
        let name = debug.split('(').next().unwrap_or_default();
        let q = |path: &Bytes| match path.len() {
            ..300 => format!("\"{}\"", path.escape_ascii()),
            length => format!("\"{}…\" ({length} bytes)", path[..40].escape_ascii()),
        };
        match self {
            Call::Open(path, flags, mode) => {
                write!(f, "{name}({}, {flags:#o}, {mode:#o})", q(path))
            }
            Call::Stat(path)
            | Call::Lstat(path)
            | Call::Statfs(path)
            | Call::Remove(path)
            | Call::RemoveAll(path)
            | Call::ReadLink(path)
            | Call::RealPath(path) => write!(f, "{name}({})", q(path)),
            Call::ReadDir(path, with_stat) => write!(f, "{name}({}, {with_stat})", q(path)),
            Call::Create(path, mode)
            | Call::Mkdir(path, mode)
            | Call::MkdirAll(path, mode)
            | Call::Chmod(path, mode) => write!(f, "{name}({}, {mode:#o})", q(path)),
            Call::Rename(from, to, noreplace, exchange) => {
                write!(f, "{name}({}, {}, {noreplace}, {exchange})", q(from), q(to))
            }
            Call::Link(from, to) | Call::Symlink(from, to) => {
                write!(f, "{name}({}, {})", q(from), q(to))
            }
            Call::Chown(path, uid, gid) | Call::Lchown(path, uid, gid) => {
                write!(f, "{name}({}, {}, {})", q(path), *uid as i32, *gid as i32)
            }
            Call::SetTimes(path, access, modification, follow) => {
                write!(
                    f,
                    "{name}({}, {access:?}, {modification:?}, {follow})",
                    q(path)
                )
            }
            Call::Truncate(path, length) => write!(f, "{name}({}, {length})", q(path)),
        }
    }
}
