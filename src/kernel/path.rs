//! Confined look-up of paths: openat2(2), and how a path gets there.
//!
//! Keeps rule 8: one `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS` look-up per path, retried a bounded
//! number of times when a rename raced with it.

use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;

use crate::error::{Error, Result, Status};
use crate::kernel::syscall::{Directory, Quoted, check_fd};

/// The kernel takes no path of this length or more: its NUL would be byte 4,097.
pub(crate) const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Paths up to here are terminated on the stack, longer ones on the heap.
const ON_STACK: usize = 256;

/// A look-up is lost to a racing rename with maybe even odds in a storm of them, so that this many
/// losses in a row do not happen; the bound is for a kernel that answers so for another reason.
const ATTEMPTS: u32 = 128;

const IN_ROOT: u64 = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
const BENEATH: u64 =
    libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;

/// What open(2) lets through. It ignores other bits, and openat2(2) refuses them.
const OPEN_FLAGS: i32 = libc::O_ACCMODE
    | libc::O_CREAT
    | libc::O_EXCL
    | libc::O_NOCTTY
    | libc::O_TRUNC
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_SYNC
    | libc::O_DSYNC
    | libc::O_ASYNC
    | libc::O_DIRECT
    | libc::O_DIRECTORY
    | libc::O_NOFOLLOW
    | libc::O_NOATIME
    | libc::O_PATH
    | libc::O_TMPFILE;

/// `O_TMPFILE` without the `O_DIRECTORY` in it.
const TMPFILE: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// Calls `body` with `path` as a C string. A path that is too long for the kernel is cut to a length
/// that still is, so that the kernel says so and nobody copies a gigabyte.
#[inline]
pub(crate) fn with_c_path<R>(path: &[u8], body: impl FnOnce(&CStr) -> Result<R>) -> Result<R> {
    if path.len() < ON_STACK {
        let mut buffer = [0; ON_STACK];
        buffer[..path.len()].copy_from_slice(path);
        match CStr::from_bytes_with_nul(&buffer[..=path.len()]) {
            Ok(c_path) => body(c_path),
            Err(_) => Err(nul_inside(path)),
        }
    } else {
        long_c_path(path, body)
    }
}

#[cold]
fn long_c_path<R>(path: &[u8], body: impl FnOnce(&CStr) -> Result<R>) -> Result<R> {
    refuse_nul(path)?;
    let kept = &path[..path.len().min(PATH_MAX)];
    let mut buffer = Vec::with_capacity(kept.len() + 1);
    buffer.extend_from_slice(kept);
    buffer.push(0);
    match CStr::from_bytes_with_nul(&buffer) {
        Ok(c_path) => body(c_path),
        Err(_) => Err(nul_inside(path)),
    }
}

/// INVALID_ARGUMENT for a path that C could not carry whole.
pub(crate) fn refuse_nul(path: &[u8]) -> Result<()> {
    if path.contains(&0) {
        return Err(nul_inside(path));
    }
    Ok(())
}

#[cold]
fn nul_inside(path: &[u8]) -> Error {
    Error::new(
        Status::InvalidArgument,
        format!("a NUL inside the path {}", Clipped(path)),
    )
}

/// A path in a message: quoted, and cut where it would bury the rest.
pub(crate) struct Clipped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Clipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 1024;
        match self.0.get(..SHOWN) {
            Some(start) => write!(f, "{}...", Quoted(start)),
            None => Quoted(self.0).fmt(f),
        }
    }
}

/// Opens `path` with `root` as "/", as open(2) would in a process that is chrooted there, except that
/// magic links are ELOOP. Always `O_CLOEXEC`; flags that open(2) ignores are ignored.
#[inline]
pub(crate) fn open_in_root(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: i32,
    mode: u32,
) -> Result<OwnedFd> {
    let mut flags = flags & OPEN_FLAGS;
    if flags & libc::O_PATH != 0 {
        flags &= libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    }
    let mode = if flags & (libc::O_CREAT | TMPFILE) != 0 {
        mode & 0o7777
    } else {
        0
    };
    with_c_path(path, |c_path| openat2(root, c_path, flags, mode, IN_ROOT))
}

/// A directory in the chroot as a place only; `nofollow`: through no symbolic link.
pub(crate) fn directory_in_root(
    root: BorrowedFd<'_>,
    path: &[u8],
    nofollow: bool,
) -> Result<OwnedFd> {
    let resolve = match nofollow {
        true => IN_ROOT | libc::RESOLVE_NO_SYMLINKS,
        false => IN_ROOT,
    };
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    with_c_path(path, |c_path| openat2(root, c_path, flags, 0, resolve))
}

/// A directory at the end of any path of the host as a place only, through no symbolic link. It is
/// mounted, where something mounts it on demand.
pub(crate) fn directory_without_links(path: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    openat2(AT_FDCWD, path, flags, 0, libc::RESOLVE_NO_SYMLINKS)
}

/// Opens what lies at `path` below `directory`, through no symbolic link and no "..".
pub(crate) fn open_beneath(directory: BorrowedFd<'_>, path: &CStr, flags: i32) -> Result<OwnedFd> {
    openat2(directory, path, flags, 0, BENEATH)
}

/// The directory at `path` below `directory`, to read it, through no symbolic link and no "..". EXDEV
/// where something is mounted on the way, in whatever namespace.
pub(crate) fn directory_beneath(directory: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    openat2(directory, path, flags, 0, BENEATH | libc::RESOLVE_NO_XDEV)
}

#[inline]
fn openat2(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: i32,
    mode: u32,
    resolve: u64,
) -> Result<OwnedFd> {
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: open_how is plain data, all zero is a value of it.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = flags as u32 as u64;
    how.mode = mode.into();
    how.resolve = resolve;
    let mut attempt = 1;
    loop {
        // SAFETY: an open descriptor, a NUL-terminated path and a structure of the size we say.
        let value = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                directory.as_raw_fd(),
                path.as_ptr(),
                &how,
                size_of::<libc::open_how>(),
            )
        };
        if value == -1 && Errno::last_raw() == libc::EINTR {
            continue;
        }
        if value == -1 && attempt < ATTEMPTS && raced() {
            attempt += 1;
            if attempt % 16 == 0 {
                std::thread::yield_now();
            }
            continue;
        }
        return check_fd(value, || {
            format!(
                "openat2({}, {}, {{flags={}, mode={}, resolve={}}})",
                Directory(directory.as_raw_fd()),
                Clipped(path.to_bytes()),
                OpenFlags(flags),
                Mode(mode),
                Resolve(resolve),
            )
        });
    }
}

/// EAGAIN: something was renamed or mounted while ".." was looked up. EXDEV: the directory that was
/// reached had been moved out of the root meanwhile; the next look-up no longer finds it there.
fn raced() -> bool {
    matches!(Errno::last_raw(), libc::EAGAIN | libc::EXDEV)
}

/// Permissions in octal, as strace prints them.
pub(crate) struct Mode(pub(crate) u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            mode => write!(f, "0{mode:03o}"),
        }
    }
}

struct Resolve(u64);

impl fmt::Display for Resolve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u64, &str); 5] = [
            (libc::RESOLVE_NO_XDEV, "RESOLVE_NO_XDEV"),
            (libc::RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"),
            (libc::RESOLVE_BENEATH, "RESOLVE_BENEATH"),
            (libc::RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"),
            (libc::RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"),
        ];
        let mut separator = "";
        for (_, name) in NAMES.iter().filter(|(flag, _)| self.0 & flag != 0) {
            write!(f, "{separator}{name}")?;
            separator = "|";
        }
        Ok(())
    }
}

struct OpenFlags(i32);

impl fmt::Display for OpenFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The wider flag of each pair that shares bits comes first.
        const NAMES: [(i32, &str); 17] = [
            (libc::O_TMPFILE, "O_TMPFILE"),
            (libc::O_DIRECTORY, "O_DIRECTORY"),
            (libc::O_SYNC, "O_SYNC"),
            (libc::O_DSYNC, "O_DSYNC"),
            (libc::O_PATH, "O_PATH"),
            (libc::O_CREAT, "O_CREAT"),
            (libc::O_EXCL, "O_EXCL"),
            (libc::O_NOCTTY, "O_NOCTTY"),
            (libc::O_TRUNC, "O_TRUNC"),
            (libc::O_APPEND, "O_APPEND"),
            (libc::O_NONBLOCK, "O_NONBLOCK"),
            (libc::O_ASYNC, "O_ASYNC"),
            (libc::O_DIRECT, "O_DIRECT"),
            (libc::O_NOFOLLOW, "O_NOFOLLOW"),
            (libc::O_NOATIME, "O_NOATIME"),
            (libc::O_CLOEXEC, "O_CLOEXEC"),
            (TMPFILE, "__O_TMPFILE"),
        ];
        f.write_str(match self.0 & libc::O_ACCMODE {
            libc::O_RDONLY => "O_RDONLY",
            libc::O_WRONLY => "O_WRONLY",
            libc::O_RDWR => "O_RDWR",
            _ => "O_ACCMODE",
        })?;
        let mut left = self.0 & !libc::O_ACCMODE;
        for (flag, name) in NAMES {
            if left & flag == flag {
                write!(f, "|{name}")?;
                left &= !flag;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_path_reaches_the_kernel_whole_or_not_at_all() {
        let lengths = [0, 1, ON_STACK - 1, ON_STACK, PATH_MAX - 1];
        for length in lengths {
            let path = vec![b'a'; length];
            with_c_path(&path, |c_path| {
                assert_eq!(c_path.to_bytes(), path);
                Ok(())
            })
            .unwrap();
        }
        for length in [3, ON_STACK, PATH_MAX * 2] {
            let mut path = vec![b'a'; length];
            path[length - 1] = 0;
            let error = with_c_path(&path, |_| Ok(())).unwrap_err();
            assert_eq!(error.status(), Status::InvalidArgument);
        }
    }

    #[test]
    fn a_path_of_any_length_beyond_the_limit_is_too_long() {
        let root = std::fs::File::open("/").unwrap();
        for length in [PATH_MAX, PATH_MAX + 1, 1 << 20] {
            let path = b"./".repeat(length / 2 + 1);
            let error = open_in_root(root.as_fd(), &path, libc::O_PATH, 0).unwrap_err();
            assert_eq!(error.os_error(), Some(libc::ENAMETOOLONG));
            assert!(error.to_string().len() < 2048, "{error}");
        }
    }

    #[test]
    fn an_error_shows_the_whole_call() {
        let root = std::fs::File::open("/").unwrap();
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_SYNC;
        let error = open_in_root(root.as_fd(), b"no/\xff", flags, 0o644).unwrap_err();
        let fd = root.as_raw_fd();
        assert_eq!(
            error.to_string(),
            format!(
                "openat2({fd}, \"no/\\xff\", {{flags=O_RDWR|O_SYNC|O_CREAT|O_EXCL|O_CLOEXEC, \
                 mode=0644, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}}) = -1 ENOENT (No such \
                 file or directory)"
            )
        );
    }

    #[test]
    fn flags_that_open_ignores_are_ignored() {
        let root = std::fs::File::open("/").unwrap();
        // openat2(2) alone would answer EINVAL to a mode without O_CREAT and to an unknown flag.
        open_in_root(root.as_fd(), b"/", libc::O_RDONLY | (1 << 30), 0o644).unwrap();
        open_in_root(root.as_fd(), b"/", libc::O_PATH | libc::O_WRONLY, 0).unwrap();
    }
}
