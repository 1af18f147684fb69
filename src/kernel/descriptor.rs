//! The calls that act on what an open descriptor stands for, an `O_PATH` one as a rule.
//!
//! Where a call has no form for such a descriptor it goes by the descriptor's magic link below the
//! saved descriptor of /proc, never by a path.

use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::error::Result;
use crate::kernel::path::{Clipped, Mode};
use crate::kernel::process::ProcRoot;
use crate::kernel::syscall::uninterrupted;

/// The libc crate lacks the number on arm64; it is the same everywhere.
pub(crate) const SYS_FCHMODAT2: libc::c_long = 452;

pub(crate) fn fstat(fd: BorrowedFd<'_>) -> Result<libc::stat> {
    // SAFETY: stat is plain data, all zero is a value of it.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    let place = &raw mut stat;
    uninterrupted(
        // SAFETY: an open descriptor and a place for the answer.
        || unsafe { libc::fstat(fd.as_raw_fd(), place) }.into(),
        || format!("fstat({}, …)", fd.as_raw_fd()),
    )?;
    Ok(stat)
}

pub(crate) fn fstatfs(fd: BorrowedFd<'_>) -> Result<libc::statfs64> {
    // SAFETY: statfs is plain data, all zero is a value of it.
    let mut statfs: libc::statfs64 = unsafe { std::mem::zeroed() };
    let place = &raw mut statfs;
    uninterrupted(
        // SAFETY: an open descriptor and a place for the answer.
        || unsafe { libc::fstatfs64(fd.as_raw_fd(), place) }.into(),
        || format!("fstatfs({}, …)", fd.as_raw_fd()),
    )?;
    Ok(statfs)
}

/// linkat(2) of what a descriptor stands for. By its magic link: `AT_EMPTY_PATH` needs a capability
/// before Linux 6.10.
pub(crate) fn link_descriptor(
    proc: &ProcRoot,
    fd: BorrowedFd<'_>,
    to: (BorrowedFd<'_>, &CStr),
) -> Result<()> {
    let magic = MagicLink::new(fd);
    let (proc_fd, path) = (proc.as_fd().as_raw_fd(), magic.as_c_str());
    let (to_fd, name, flags) = (to.0.as_raw_fd(), to.1, libc::AT_SYMLINK_FOLLOW);
    uninterrupted(
        // SAFETY: two open descriptors and two NUL-terminated names.
        || unsafe { libc::linkat(proc_fd, path.as_ptr(), to_fd, name.as_ptr(), flags) }.into(),
        || {
            format!(
                "linkat(/proc, {magic}, {to_fd}, {}, AT_SYMLINK_FOLLOW)",
                Clipped(name.to_bytes()),
            )
        },
    )
    .map(drop)
}

/// The text of the symbolic link that an `O_PATH` descriptor stands for. ENOENT when it stands for
/// something else.
pub(crate) fn readlink(fd: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let mut text: Vec<u8> = Vec::with_capacity(256);
    loop {
        let (place, room) = (text.as_mut_ptr().cast(), text.capacity());
        let length = uninterrupted(
            // SAFETY: an open descriptor, an empty NUL-terminated path, and as much room as we say.
            || unsafe { libc::readlinkat(fd.as_raw_fd(), c"".as_ptr(), place, room) }
                as libc::c_long,
            || format!("readlinkat({}, \"\", …)", fd.as_raw_fd()),
        )? as usize;
        if length < text.capacity() {
            // SAFETY: the kernel wrote that many bytes.
            unsafe { text.set_len(length) };
            return Ok(text);
        }
        text.reserve(text.capacity() * 2);
    }
}

/// chmod of what an `O_PATH` descriptor stands for: fchmodat2(2), and before Linux 6.6 through the
/// descriptor's magic link.
pub(crate) fn chmod(proc: &ProcRoot, fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH;
    let changed = uninterrupted(
        // SAFETY: an open descriptor and an empty NUL-terminated path.
        || unsafe { libc::syscall(SYS_FCHMODAT2, fd.as_raw_fd(), c"".as_ptr(), mode, flags) },
        || {
            format!(
                "fchmodat2({}, \"\", {}, AT_EMPTY_PATH)",
                fd.as_raw_fd(),
                Mode(mode)
            )
        },
    );
    match changed {
        Err(error) if error.os_error() == Some(libc::ENOSYS) => chmod_by_link(proc, fd, mode),
        other => other.map(drop),
    }
}

fn chmod_by_link(proc: &ProcRoot, fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    let magic = MagicLink::new(fd);
    let (proc_fd, path) = (proc.as_fd().as_raw_fd(), magic.as_c_str());
    uninterrupted(
        // SAFETY: an open descriptor and a NUL-terminated path.
        || unsafe { libc::fchmodat(proc_fd, path.as_ptr(), mode, 0) }.into(),
        || format!("fchmodat(/proc, {magic}, {}, 0)", Mode(mode)),
    )
    .map(drop)
}

/// chown of what a descriptor stands for, a symbolic link itself included.
pub(crate) fn chown(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH;
    uninterrupted(
        // SAFETY: an open descriptor and an empty NUL-terminated path.
        || unsafe { libc::fchownat(fd.as_raw_fd(), c"".as_ptr(), uid, gid, flags) }.into(),
        || {
            format!(
                "fchownat({}, \"\", {}, {}, AT_EMPTY_PATH)",
                fd.as_raw_fd(),
                uid as i32,
                gid as i32
            )
        },
    )
    .map(drop)
}

/// utimensat(2) of what a descriptor stands for: access time, modification time.
pub(crate) fn set_times(fd: BorrowedFd<'_>, times: &[libc::timespec; 2]) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH;
    uninterrupted(
        // SAFETY: an open descriptor, an empty NUL-terminated path and two times.
        || unsafe { libc::utimensat(fd.as_raw_fd(), c"".as_ptr(), times.as_ptr(), flags) }.into(),
        || {
            let [access, modification] = times;
            format!(
                "utimensat({}, \"\", [{{{}, {}}}, {{{}, {}}}], AT_EMPTY_PATH)",
                fd.as_raw_fd(),
                access.tv_sec,
                access.tv_nsec,
                modification.tv_sec,
                modification.tv_nsec
            )
        },
    )
    .map(drop)
}

pub(crate) fn ftruncate(fd: BorrowedFd<'_>, length: i64) -> Result<()> {
    uninterrupted(
        // SAFETY: no memory is involved.
        || unsafe { libc::ftruncate(fd.as_raw_fd(), length) }.into(),
        || format!("ftruncate({}, {length})", fd.as_raw_fd()),
    )
    .map(drop)
}

/// "thread-self/fd/N", below the saved descriptor of /proc.
pub(crate) struct MagicLink {
    bytes: [u8; 32],
}

impl MagicLink {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> MagicLink {
        use std::io::Write;
        let mut bytes = [0; 32];
        // 15 bytes and at most 10 digits: it fits, with NULs behind it.
        let written = write!(&mut bytes[..31], "thread-self/fd/{}", fd.as_raw_fd());
        debug_assert!(written.is_ok());
        MagicLink { bytes }
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

impl fmt::Display for MagicLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Clipped(self.as_c_str().to_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn chmod_works_where_fchmodat2_is_missing() {
        let proc = ProcRoot::open().unwrap();
        let path = std::env::temp_dir().join(format!("nsgate-chmod-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        for mode in [0o600, 0o4751] {
            chmod_by_link(&proc, file.as_fd(), mode).unwrap();
            let permissions = file.metadata().unwrap().permissions();
            assert_eq!(permissions.mode() & 0o7777, mode);
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_magic_link_names_any_descriptor() {
        // SAFETY: the descriptor is only printed.
        let fd = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
        let magic = MagicLink::new(fd);
        assert_eq!(magic.as_c_str(), c"thread-self/fd/2147483647");
    }
}
