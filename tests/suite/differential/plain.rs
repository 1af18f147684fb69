//! The plain calls, made by a process whose root the tree is.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::observe;
use super::operation::{Call, Time};

/// Makes the call with the process's own root and tells what came of it.
pub(crate) fn call(call: &Call, number: u32) -> String {
    make(call, number).unwrap_or_else(|error| match error.raw_os_error() {
        Some(error) => observe::errno(error),
        None => format!("{error}"),
    })
}

fn make(call: &Call, number: u32) -> std::io::Result<String> {
    let done = String::from("done");
    match call {
        Call::Open(path, flags, mode) => open(path, *flags, *mode, number),
        Call::Create(path, mode) => open(
            path,
            libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC,
            *mode,
            number,
        ),
        Call::Stat(path) => fs::metadata(as_path(path)).map(|stat| metadata(&stat)),
        Call::Lstat(path) => fs::symlink_metadata(as_path(path)).map(|stat| metadata(&stat)),
        Call::Statfs(path) => {
            // SAFETY: statfs is plain data.
            let mut statfs: libc::statfs = unsafe { std::mem::zeroed() };
            // SAFETY: a NUL-terminated path and a place for the answer.
            check(unsafe { libc::statfs(c(path).as_ptr(), &mut statfs) })?;
            Ok(format!(
                "{:#x} {} {}",
                statfs.f_type, statfs.f_bsize, statfs.f_namelen
            ))
        }
        Call::ReadDir(path, with_stat) => read_dir(path, *with_stat),
        // SAFETY: NUL-terminated paths, here and in all calls below.
        Call::Mkdir(path, mode) => check(unsafe { libc::mkdir(c(path).as_ptr(), *mode) }),
        Call::MkdirAll(path, mode) => {
            // What it says differs; whether it succeeds does not.
            match mkdir_all(path, *mode) {
                Err(error) if error.raw_os_error() != Some(libc::ELOOP) => Ok("failed".into()),
                made => made.map(|()| done),
            }
        }
        Call::Remove(path) => {
            // SAFETY: as above.
            let removed = check(unsafe { libc::unlink(c(path).as_ptr()) });
            match removed {
                Err(error) if error.raw_os_error() == Some(libc::EISDIR) => {
                    // SAFETY: as above.
                    check(unsafe { libc::rmdir(c(path).as_ptr()) })
                }
                answer => answer,
            }
        }
        Call::RemoveAll(path) => remove_all(path),
        Call::Rename(from, to, noreplace, exchange) => {
            let noreplace = if *noreplace {
                libc::RENAME_NOREPLACE
            } else {
                0
            };
            let exchange = if *exchange { libc::RENAME_EXCHANGE } else { 0 };
            let (from, to, here) = (c(from), c(to), libc::AT_FDCWD);
            let flags = noreplace | exchange;
            // SAFETY: as above.
            check(unsafe { libc::renameat2(here, from.as_ptr(), here, to.as_ptr(), flags) })
        }
        // SAFETY: as above.
        Call::Link(from, to) => check(unsafe { libc::link(c(from).as_ptr(), c(to).as_ptr()) }),
        Call::Symlink(text, link) => {
            // SAFETY: as above.
            check(unsafe { libc::symlink(c(text).as_ptr(), c(link).as_ptr()) })
        }
        Call::ReadLink(path) => fs::read_link(as_path(path)).map(|text| shown(&text)),
        // SAFETY: as above.
        Call::Chmod(path, mode) => check(unsafe { libc::chmod(c(path).as_ptr(), *mode) }),
        // SAFETY: as above.
        Call::Chown(path, uid, gid) => check(unsafe { libc::chown(c(path).as_ptr(), *uid, *gid) }),
        Call::Lchown(path, uid, gid) => {
            // SAFETY: as above.
            check(unsafe { libc::lchown(c(path).as_ptr(), *uid, *gid) })
        }
        Call::SetTimes(path, access, modification, follow) => {
            let times = [timespec(*access), timespec(*modification)];
            let flags = if *follow {
                0
            } else {
                libc::AT_SYMLINK_NOFOLLOW
            };
            let path = c(path);
            // SAFETY: as above, and two times.
            check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), flags) })
        }
        // SAFETY: as above.
        Call::Truncate(path, length) => check(unsafe { libc::truncate(c(path).as_ptr(), *length) }),
        // The C library's own walk has no limit, and takes ".." off without looking.
        Call::RealPath(path) => {
            fs::metadata(as_path(path))?;
            fs::canonicalize(as_path(path)).map(|real| shown(&real))
        }
    }
}

fn check(value: i32) -> std::io::Result<String> {
    match value {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok("done".into()),
    }
}

fn c(path: &[u8]) -> CString {
    CString::new(path).unwrap()
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

fn shown(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

fn open(path: &[u8], flags: i32, mode: u32, number: u32) -> std::io::Result<String> {
    // SAFETY: a NUL-terminated path.
    let fd = unsafe { libc::open(c(path).as_ptr(), flags | libc::O_CLOEXEC, mode) };
    check(fd)?;
    // SAFETY: the kernel just made it.
    Ok(observe::opened(unsafe { OwnedFd::from_raw_fd(fd) }, number))
}

pub(crate) fn metadata(stat: &fs::Metadata) -> String {
    format!(
        "mode {:#o} links {} owner {}:{} size {} blocks {} modified {}",
        stat.mode(),
        stat.nlink(),
        stat.uid(),
        stat.gid(),
        stat.size(),
        stat.blocks(),
        observe::time(stat.mtime(), stat.mtime_nsec()),
    )
}

fn read_dir(path: &[u8], with_stat: bool) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(as_path(path))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let kind = match () {
            () if kind.is_dir() => libc::DT_DIR,
            () if kind.is_file() => libc::DT_REG,
            () if kind.is_symlink() => libc::DT_LNK,
            () if kind.is_fifo() => libc::DT_FIFO,
            () => libc::DT_UNKNOWN,
        };
        let mut line = format!("{} {kind}", entry.file_name().as_bytes().escape_ascii());
        if with_stat {
            line += &match entry.metadata() {
                Ok(stat) => format!(" {}", metadata(&stat)),
                Err(error) => return Err(error),
            };
        }
        names.push(line);
    }
    names.sort();
    Ok(names.join(", "))
}

/// From the top down: every directory that is missing.
fn mkdir_all(path: &[u8], mode: u32) -> std::io::Result<()> {
    if fs::metadata(as_path(path)).is_ok_and(|stat| stat.is_dir()) {
        return Ok(());
    }
    let inside = |index: usize| path.get(index).is_some_and(|&byte| byte != b'/');
    for end in (1..=path.len()).filter(|&end| inside(end - 1) && !inside(end)) {
        if path.len() >= libc::PATH_MAX as usize {
            break;
        }
        // SAFETY: a NUL-terminated path.
        match check(unsafe { libc::mkdir(c(&path[..end]).as_ptr(), mode) }) {
            Err(error) if error.raw_os_error() != Some(libc::EEXIST) => return Err(error),
            _ => {}
        }
    }
    match fs::metadata(as_path(path))?.is_dir() {
        true => Ok(()),
        false => Err(std::io::Error::from_raw_os_error(libc::ENOTDIR)),
    }
}

/// As documented: links are removed themselves, slashes at the end don't count.
fn remove_all(path: &[u8]) -> std::io::Result<String> {
    let end = path
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |end| end + 1);
    let stripped = match end {
        0 => path,
        _ => &path[..end],
    };
    let too_long = path.len() >= libc::PATH_MAX as usize;
    if too_long || path.is_empty() || end == 0 || is_dots(stripped) {
        let path = if too_long { path } else { stripped };
        // SAFETY: a NUL-terminated path.
        return match check(unsafe { libc::rmdir(c(path).as_ptr()) }) {
            // What is missing on the way is missing.
            Err(error) if !path.is_empty() && error.raw_os_error() == Some(libc::ENOENT) => {
                Ok("done".into())
            }
            answer => answer,
        };
    }
    // The way there may lead through what is removed, so that the last step is made from there.
    let start = stripped
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    let (parent, name) = (
        [&stripped[..start], b"."].concat(),
        as_path(&stripped[start..]),
    );
    let removed = std::env::set_current_dir(as_path(&parent)).and_then(|()| {
        match fs::symlink_metadata(name)?.is_dir() {
            true => fs::remove_dir_all(name),
            false => fs::remove_file(name),
        }
    });
    std::env::set_current_dir("/")?;
    match removed {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok("done".into()),
    }
}

fn is_dots(path: &[u8]) -> bool {
    matches!(path.rsplit(|&byte| byte == b'/').next(), Some(b"." | b".."))
}

fn timespec(time: Option<Time>) -> libc::timespec {
    let (tv_sec, tv_nsec) = time.map_or((0, libc::UTIME_OMIT), |time| (time.0, time.1.into()));
    libc::timespec { tv_sec, tv_nsec }
}
