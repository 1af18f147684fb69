//! How each system call fails in practice, the most plausible errno first.

use libc::*;

type Entry = (c_long, &'static str, &'static [i32]);

const CALLS: &[Entry] = &[
    (
        SYS_open_tree,
        "open_tree",
        &[EMFILE, ENOENT, EACCES, ENOMEM, EPERM, ENOSYS],
    ),
    (
        SYS_mount_setattr,
        "mount_setattr",
        &[EPERM, EINVAL, ENOMEM, ENOSYS],
    ),
    (
        SYS_move_mount,
        "move_mount",
        &[EINVAL, EPERM, ENOMEM, ELOOP, ENOSPC],
    ),
    (
        SYS_fsopen,
        "fsopen",
        &[ENOMEM, ENODEV, EPERM, EMFILE, ENOSYS],
    ),
    (SYS_fsconfig, "fsconfig", &[ENOMEM, EINVAL, EPERM, ENOSPC]),
    (SYS_fsmount, "fsmount", &[ENOMEM, EMFILE, EPERM]),
    (SYS_mount, "mount", &[EPERM, ENOMEM, EINVAL]),
    (SYS_umount2, "umount2", &[EBUSY, EPERM, EINVAL, ENOMEM]),
    (SYS_pivot_root, "pivot_root", &[EBUSY, EPERM]),
    (SYS_setns, "setns", &[EPERM, ENOMEM, EINVAL]),
    (SYS_unshare, "unshare", &[ENOSPC, EPERM, ENOMEM]),
    (SYS_chroot, "chroot", &[EPERM, EACCES]),
    (SYS_fchdir, "fchdir", &[EACCES, EIO]),
    (SYS_openat, "openat", &[EMFILE, ENFILE, ENOMEM, EACCES]),
    (SYS_openat2, "openat2", &[EMFILE, ENOMEM, EACCES]),
    (SYS_statx, "statx", &[ENOMEM, EIO]),
    (SYS_fstat, "fstat", &[EIO, ENOMEM]),
    (SYS_newfstatat, "newfstatat", &[EIO, ENOMEM]),
    (SYS_fstatfs, "fstatfs", &[EIO, ENOSYS]),
    (SYS_ioctl, "ioctl", &[ENOTTY, ENOMEM]),
    (SYS_fcntl, "fcntl", &[EMFILE, EINVAL]),
    (SYS_close, "close", &[EIO, EINTR]),
    (SYS_eventfd2, "eventfd2", &[EMFILE, ENFILE, ENOMEM]),
    (
        SYS_fanotify_init,
        "fanotify_init",
        &[EMFILE, EPERM, ENOMEM, ENOSYS],
    ),
    (SYS_fanotify_mark, "fanotify_mark", &[ENOSPC, ENOMEM, EPERM]),
    (SYS_pread64, "pread64", &[EIO, ENOMEM]),
    (SYS_read, "read", &[EIO, EINTR]),
    (SYS_write, "write", &[EAGAIN]),
    (SYS_lseek, "lseek", &[ESPIPE]),
    (SYS_getdents64, "getdents64", &[EIO, ENOENT]),
    // pthread_create(3) makes EAGAIN of whatever it is.
    (SYS_clone3, "clone3", &[EAGAIN]),
    (SYS_clone, "clone", &[EAGAIN]),
];

fn entry(call: i64) -> Option<&'static Entry> {
    CALLS.iter().find(|(number, _, _)| *number == call)
}

/// A call that is not in the table fails as most can.
pub(super) fn of(call: i64) -> &'static [i32] {
    entry(call).map_or(&[ENOMEM, EPERM], |(_, _, errnos)| errnos)
}

pub(super) fn name(call: i64) -> &'static str {
    entry(call).map_or("another call", |(_, name, _)| name)
}
