//! The same calls through a chroot.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nsgate::{Chroot, FileStat, FileTime, OpenOptions, ReadDir, RenameOptions, Result};

use super::observe;
use super::operation::{Call, Time};

/// Makes the call through `chroot` and tells what came of it.
pub(crate) fn call(chroot: &Chroot, call: &Call, number: u32) -> String {
    make(chroot, call, number).unwrap_or_else(|error| match error.os_error() {
        Some(number) => observe::errno(number),
        None => error.to_string(),
    })
}

fn make(chroot: &Chroot, call: &Call, number: u32) -> Result<String> {
    match call {
        Call::Open(path, flags, mode) => {
            let options = OpenOptions::new(*flags).mode(*mode);
            let file = chroot.open_file(as_path(path), options)?;
            return Ok(observe::opened(file, number));
        }
        Call::Create(path, mode) => {
            let file = chroot.create(as_path(path), *mode)?;
            return Ok(observe::opened(file, number));
        }
        Call::Stat(path) => return chroot.stat(as_path(path)).map(|stat| metadata(&stat)),
        Call::Lstat(path) => return chroot.lstat(as_path(path)).map(|stat| metadata(&stat)),
        Call::Statfs(path) => {
            let statfs = chroot.statfs(as_path(path))?;
            let (kind, size, length) = (statfs.kind, statfs.block_size, statfs.name_length);
            return Ok(format!("{kind:#x} {size} {length}"));
        }
        Call::ReadDir(path, true) => return list(chroot.read_dir_with_stat(as_path(path))?),
        Call::ReadDir(path, false) => return list(chroot.read_dir(as_path(path))?),
        Call::Mkdir(path, mode) => chroot.mkdir(as_path(path), *mode)?,
        Call::MkdirAll(path, mode) => {
            // A failure's errno is ours to choose; those that may pass are told.
            match chroot.mkdir_all(as_path(path), *mode) {
                Err(error) if !matches!(error.os_error(), Some(libc::ELOOP | libc::EAGAIN)) => {
                    return Ok("failed".into());
                }
                made => made?,
            }
        }
        Call::Remove(path) => chroot.remove(as_path(path))?,
        Call::RemoveAll(path) => chroot.remove_all(as_path(path))?,
        Call::Rename(from, to, noreplace, exchange) => {
            let options = RenameOptions {
                noreplace: *noreplace,
                exchange: *exchange,
            };
            chroot.rename(as_path(from), as_path(to), options)?;
        }
        Call::Link(from, to) => chroot.link(as_path(from), as_path(to))?,
        Call::Symlink(text, link) => chroot.symlink(as_path(text), as_path(link))?,
        Call::ReadLink(path) => return chroot.read_link(as_path(path)).map(|text| shown(&text)),
        Call::Chmod(path, mode) => chroot.chmod(as_path(path), *mode)?,
        Call::Chown(path, uid, gid) => chroot.chown(as_path(path), *uid, *gid)?,
        Call::Lchown(path, uid, gid) => chroot.lchown(as_path(path), *uid, *gid)?,
        Call::SetTimes(path, access, modification, follow) => {
            let (access, modification) = (access.map(time), modification.map(time));
            chroot.set_times(as_path(path), access, modification, *follow)?;
        }
        Call::Truncate(path, length) => chroot.truncate(as_path(path), *length)?,
        Call::RealPath(path) => return chroot.real_path(as_path(path)).map(|real| shown(&real)),
    }
    Ok("done".into())
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

fn shown(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

fn time((seconds, nanoseconds): Time) -> FileTime {
    FileTime {
        seconds,
        nanoseconds,
    }
}

fn metadata(stat: &FileStat) -> String {
    let modified = stat.modification();
    format!(
        "mode {:#o} links {} owner {}:{} size {} blocks {} modified {}",
        stat.mode(),
        stat.link_count(),
        stat.uid(),
        stat.gid(),
        stat.size(),
        stat.blocks(),
        observe::time(modified.seconds, modified.nanoseconds.into()),
    )
}

fn list(entries: ReadDir) -> Result<String> {
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.name.as_bytes().escape_ascii();
        let mut line = format!("{name} {}", entry.kind.as_raw());
        if let Some(stat) = entry.stat {
            line += &format!(" {}", metadata(&stat));
        }
        names.push(line);
    }
    names.sort();
    Ok(names.join(", "))
}
