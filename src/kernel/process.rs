//! This process and its threads, seen through a descriptor of /proc that nobody can mount over.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::error::{Error, Result, Status};
use crate::kernel::descriptor::fstatfs;
use crate::kernel::syscall::{check, check_fd, uninterrupted_fd};

/// An `O_PATH` descriptor of the real /proc, opened once.
///
/// A path look-up of /proc later could end in a file system that somebody mounted there
/// (CVE-2019-16884, CVE-2025-52881), or in a customer's root.
#[derive(Debug)]
pub(crate) struct ProcRoot(OwnedFd);

impl ProcRoot {
    pub(crate) fn open() -> Result<ProcRoot> {
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let fd = check_fd(
            // SAFETY: a NUL-terminated literal.
            unsafe { libc::openat(libc::AT_FDCWD, c"/proc".as_ptr(), flags) }.into(),
            || "openat(AT_FDCWD, \"/proc\", O_PATH|O_DIRECTORY|O_CLOEXEC)",
        )?;
        let statfs = fstatfs(fd.as_fd())?;
        if statfs.f_type != libc::PROC_SUPER_MAGIC {
            return Err(Error::new(
                Status::Unsupported,
                format!(
                    "/proc is not a proc file system (type {:#x})",
                    statfs.f_type
                ),
            ));
        }
        Ok(ProcRoot(fd))
    }

    /// Opens what lies at `path` below /proc, "thread-self/ns/mnt" for example. Follows the magic
    /// link at its end unless `O_NOFOLLOW` is among the flags.
    pub(crate) fn open_at(&self, path: &CStr, flags: i32) -> Result<OwnedFd> {
        let open = || {
            // SAFETY: an open descriptor and a NUL-terminated path.
            unsafe { libc::openat(self.0.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC) }
                .into()
        };
        uninterrupted_fd(open, || {
            format!("openat(/proc, {path:?}, {flags:#o}|O_CLOEXEC)")
        })
    }
}

/// How many processors the calling thread may run on. It opens no file, as std's
/// available_parallelism does to look at control groups: the caller may be in a customer's root.
pub(crate) fn processors() -> usize {
    let Ok(set) = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)) else {
        return 1;
    };
    let may_run_on = |processor: &usize| set.is_set(*processor) == Ok(true);
    (0..nix::sched::CpuSet::count()).filter(may_run_on).count()
}

/// Keeps the calling thread from taking the processor from whoever wakes it (SCHED_BATCH, sched(7)).
/// `false`: it was given a policy of its own, or a filter forbids it, and nothing is changed.
pub(crate) fn give_way() -> bool {
    // SAFETY: 0 is the calling thread, and nothing is written.
    let is_plain = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_OTHER;
    is_plain && set_policy(libc::SCHED_BATCH)
}

/// Ends what [`give_way`] began.
pub(crate) fn stand_firm() {
    set_policy(libc::SCHED_OTHER);
}

fn set_policy(policy: i32) -> bool {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the parameter is only read.
    unsafe { libc::sched_setscheduler(0, policy, &parameter) == 0 }
}

impl AsFd for ProcRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The calling thread's id, as in /proc/self/task.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: gettid has no arguments and can't fail.
    unsafe { libc::gettid() }
}

/// Whether the process has a thread with this id; one that was just joined it may still have.
pub(crate) fn has_thread(id: i32) -> bool {
    // SAFETY: no memory is involved, and no signal is sent.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, 0) };
    answer == 0 || Errno::last_raw() != libc::ESRCH
}

/// As whom the calling thread opens files. Its effective ids are these, unless it has asked for others
/// (setfsuid(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileIds {
    uid: i32,
    gid: i32,
}

pub(crate) fn file_ids() -> FileIds {
    // SAFETY: no memory is involved. No user or group has this number: nothing is changed.
    unsafe {
        FileIds {
            uid: libc::setfsuid(u32::MAX),
            gid: libc::setfsgid(u32::MAX),
        }
    }
}

impl std::fmt::Display for FileIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fsuid {} and fsgid {}", self.uid as u32, self.gid as u32)
    }
}

/// Gives the calling thread a root, working directory and umask of its own (unshare(2)).
pub(crate) fn unshare_fs() -> Result<()> {
    check(
        // SAFETY: no memory is involved.
        unsafe { libc::unshare(libc::CLONE_FS) }.into(),
        || "unshare(CLONE_FS)",
    )
    .map(drop)
}

/// Sets the umask of the calling thread's fs_struct and returns the one before (umask(2)).
pub(crate) fn set_umask(mask: libc::mode_t) -> libc::mode_t {
    // SAFETY: no memory is involved, and it can't fail.
    unsafe { libc::umask(mask) }
}

/// Where a thread stands: device and inode of a directory, for comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    device: u64,
    inode: u64,
    mount: u64,
}

/// The place that an open descriptor stands for, with its mount.
pub(crate) fn place(fd: BorrowedFd<'_>) -> Result<Place> {
    // SAFETY: statx is plain data, all zero is a value of it.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    check(
        // SAFETY: an open descriptor, an empty NUL-terminated path and a place for the answer.
        unsafe {
            libc::statx(
                fd.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH,
                libc::STATX_INO | libc::STATX_MNT_ID,
                &mut statx,
            )
        }
        .into(),
        || format!("statx({}, \"\", AT_EMPTY_PATH, …)", fd.as_raw_fd()),
    )?;
    Ok(Place {
        device: libc::makedev(statx.stx_dev_major, statx.stx_dev_minor),
        inode: statx.stx_ino,
        mount: statx.stx_mnt_id,
    })
}
