//! The system calls of the library, of std and of the C library below it, and how each fails in
//! practice. A call that is in neither table fails the test: it has to be thought about first.

#![allow(non_upper_case_globals, reason = "the C library's names, in patterns")]

use libc::*;

/// A kind of call: a number, told apart where one number stands for things that fail differently.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Call {
    number: u32,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    /// All calls, or those that are no other part.
    Plain,
    /// The mmap(2) of a thread's stack, which pthread_create(3) makes inaccessible at first.
    Stack,
    /// The mprotect(2) that makes a guard page.
    Guard,
    /// A futex(2) that waits.
    Wait,
}

impl Call {
    /// Of the numbers of all calls; far above the last one.
    const NUMBERS: usize = 1024;
    pub(super) const INDEXES: usize = Call::NUMBERS * 4;

    const fn plain(number: c_long) -> Call {
        Call::part(number, Part::Plain)
    }

    const fn part(number: c_long, part: Part) -> Call {
        Call {
            number: number as u32,
            part,
        }
    }

    /// What a thread is about to call.
    pub(super) fn of(call: &seccomp_data) -> Call {
        let number = c_long::from(call.nr);
        let argument = |place: usize| call.args[place] as c_int;
        let part = match number {
            SYS_mmap if argument(3) & MAP_STACK != 0 && argument(2) == PROT_NONE => Part::Stack,
            SYS_mprotect if argument(2) == PROT_NONE => Part::Guard,
            SYS_futex if matches!(argument(1) & FUTEX_CMD_MASK, FUTEX_WAIT | FUTEX_WAIT_BITSET) => {
                Part::Wait
            }
            _ => Part::Plain,
        };
        Call::part(number, part)
    }

    pub(super) fn index(self) -> usize {
        self.number as usize * 4 + self.part as usize
    }

    pub(super) fn from_index(index: usize) -> Call {
        let parts = [Part::Plain, Part::Stack, Part::Guard, Part::Wait];
        Call::part((index / 4) as c_long, parts[index % 4])
    }

    pub(crate) fn is(self, number: c_long) -> bool {
        self == Call::plain(number)
    }

    /// `None`: it is in no table.
    pub(super) fn errnos(self) -> Option<&'static [i32]> {
        self.entry().map(|(_, _, errnos)| *errnos)
    }

    pub(super) fn name(self) -> &'static str {
        self.entry()
            .map_or("a call in no table", |(_, name, _)| name)
    }

    fn entry(self) -> Option<&'static Entry> {
        FAILS.iter().find(|(call, _, _)| *call == self)
    }

    /// Whether it belongs to the making of threads, where pthread_create(3) makes EAGAIN of ENOMEM.
    pub(super) fn makes_threads(self) -> bool {
        self.is_memory() || self.is(SYS_clone3) || self.is(SYS_clone)
    }

    /// Whether it is the allocator's, or of the memory of threads.
    pub(crate) fn is_memory(self) -> bool {
        let number = c_long::from(self.number as i32);
        matches!(
            number,
            SYS_mmap | SYS_mprotect | SYS_munmap | SYS_mremap | SYS_madvise | SYS_brk
        )
    }

    /// Whether it is a wait for another thread, whose number depends on who is faster.
    pub(crate) fn is_wait(self) -> bool {
        self.part == Part::Wait
    }

    /// Whether std ends the process when it fails: where a thread that runs already gets no
    /// alternative signal stack (in Rust programs only: it is for the signal handlers that std's
    /// start-up of a Rust `main` installs), and where the allocator has no memory at all.
    pub(super) fn may_abort(self) -> bool {
        self.is(SYS_mmap) || self.part == Part::Guard
    }
}

/// The libc crate lacks it on arm64; the number is the same everywhere.
const FCHMODAT2: c_long = 452;
/// It lacks this one everywhere.
const LISTMOUNT: c_long = 458;

type Entry = (Call, &'static str, &'static [i32]);

/// The most plausible errno first.
const FAILS: &[Entry] = &[
    (
        Call::plain(SYS_open_tree),
        "open_tree",
        &[EMFILE, ENOENT, EACCES, ENOMEM, EPERM, ENOSYS],
    ),
    (
        Call::plain(SYS_mount_setattr),
        "mount_setattr",
        &[EPERM, EINVAL, ENOMEM, ENOSYS],
    ),
    (
        Call::plain(SYS_move_mount),
        "move_mount",
        &[EINVAL, EPERM, ENOMEM, ELOOP, ENOSPC],
    ),
    (
        Call::plain(SYS_fsopen),
        "fsopen",
        &[ENOMEM, ENODEV, EPERM, EMFILE, ENOSYS],
    ),
    (
        Call::plain(SYS_fsconfig),
        "fsconfig",
        &[ENOMEM, EINVAL, EPERM, ENOSPC],
    ),
    (
        Call::plain(SYS_fsmount),
        "fsmount",
        &[ENOMEM, EMFILE, EPERM],
    ),
    (Call::plain(SYS_mount), "mount", &[EPERM, ENOMEM, EINVAL]),
    (
        Call::plain(SYS_umount2),
        "umount2",
        &[EBUSY, EPERM, EINVAL, ENOMEM],
    ),
    (Call::plain(SYS_pivot_root), "pivot_root", &[EBUSY, EPERM]),
    (Call::plain(SYS_setns), "setns", &[EPERM, ENOMEM, EINVAL]),
    (
        Call::plain(SYS_unshare),
        "unshare",
        &[ENOSPC, EPERM, ENOMEM],
    ),
    (Call::plain(SYS_chroot), "chroot", &[EPERM, EACCES]),
    (Call::plain(SYS_fchdir), "fchdir", &[EACCES, EIO]),
    (
        Call::plain(SYS_openat),
        "openat",
        &[EMFILE, ENFILE, ENOMEM, EACCES],
    ),
    (
        Call::plain(SYS_openat2),
        "openat2",
        &[EMFILE, ENOMEM, EACCES],
    ),
    (Call::plain(SYS_statx), "statx", &[ENOMEM, EIO]),
    (Call::plain(SYS_fstat), "fstat", &[EIO, ENOMEM]),
    (Call::plain(SYS_newfstatat), "newfstatat", &[EIO, ENOMEM]),
    (Call::plain(SYS_fstatfs), "fstatfs", &[EIO, ENOSYS]),
    (Call::plain(SYS_ioctl), "ioctl", &[ENOTTY, ENOMEM]),
    (Call::plain(SYS_fcntl), "fcntl", &[EMFILE, EINVAL]),
    (Call::plain(SYS_close), "close", &[EIO, EINTR]),
    (
        Call::plain(SYS_eventfd2),
        "eventfd2",
        &[EMFILE, ENFILE, ENOMEM],
    ),
    (
        Call::plain(SYS_fanotify_init),
        "fanotify_init",
        &[EMFILE, EPERM, ENOMEM, ENOSYS],
    ),
    (
        Call::plain(SYS_fanotify_mark),
        "fanotify_mark",
        &[ENOSPC, ENOMEM, EPERM],
    ),
    (Call::plain(FCHMODAT2), "fchmodat2", &[ENOSYS, EPERM]),
    (
        Call::plain(LISTMOUNT),
        "listmount",
        &[EPERM, ENOSYS, ENOMEM],
    ),
    (Call::plain(SYS_pread64), "pread64", &[EIO, ENOMEM]),
    (Call::plain(SYS_read), "read", &[EIO, EINTR]),
    (Call::plain(SYS_write), "write", &[EAGAIN]),
    (Call::plain(SYS_lseek), "lseek", &[ESPIPE]),
    (Call::plain(SYS_mkdirat), "mkdirat", &[ENOSPC, ENOMEM]),
    (Call::plain(SYS_getdents64), "getdents64", &[EIO, ENOENT]),
    (Call::plain(SYS_getrandom), "getrandom", &[ENOSYS, EINTR]),
    // The making of threads.
    (Call::plain(SYS_clone3), "clone3", &[EAGAIN, ENOMEM, ENOSYS]),
    (Call::plain(SYS_clone), "clone", &[EAGAIN, ENOMEM]),
    (
        Call::part(SYS_mmap, Part::Stack),
        "mmap of a stack",
        &[ENOMEM],
    ),
    (
        Call::part(SYS_mprotect, Part::Guard),
        "mprotect of a guard",
        &[ENOMEM],
    ),
    // The thread's name, and the names of memory.
    (Call::plain(SYS_prctl), "prctl", &[EINVAL, EPERM]),
    // std asks where its stack ends, the allocator how many arenas are worth it.
    (
        Call::plain(SYS_sched_getaffinity),
        "sched_getaffinity",
        &[EINVAL, EPERM],
    ),
    // A filter may forbid them.
    (
        Call::plain(SYS_sched_getscheduler),
        "sched_getscheduler",
        &[EPERM, ENOSYS],
    ),
    (
        Call::plain(SYS_sched_setscheduler),
        "sched_setscheduler",
        &[EPERM, ENOSYS],
    ),
    // The allocator.
    (Call::plain(SYS_mmap), "mmap of memory", &[ENOMEM]),
    (Call::plain(SYS_mprotect), "mprotect", &[ENOMEM]),
    (Call::plain(SYS_munmap), "munmap", &[ENOMEM]),
    (Call::plain(SYS_mremap), "mremap", &[ENOMEM]),
    (Call::plain(SYS_madvise), "madvise", &[ENOMEM, EINVAL]),
    (Call::plain(SYS_brk), "brk", &[ENOMEM]),
    // Answers, not failures: a wait may end at any time (futex(2)).
    (
        Call::part(SYS_futex, Part::Wait),
        "futex wait",
        &[EINTR, EAGAIN],
    ),
    // What is woken lies in our own memory: there is nothing that could go wrong.
    (Call::plain(SYS_futex), "futex wake", &[]),
];

/// The filter lets these pass unseen.
pub(super) const NEVER_FAILS: &[(c_long, &str)] = &[
    (SYS_umask, NO_WAY),
    (SYS_setfsuid, NO_WAY),
    (SYS_setfsgid, NO_WAY),
    (SYS_gettid, NO_WAY),
    (SYS_getpid, NO_WAY),
    (SYS_sched_yield, NO_WAY),
    (SYS_exit, NO_WAY),
    (SYS_exit_group, NO_WAY),
    (SYS_rt_sigprocmask, BAD_ARGUMENTS),
    (SYS_rt_sigaction, BAD_ARGUMENTS),
    (SYS_sigaltstack, BAD_ARGUMENTS),
    (SYS_set_robust_list, BAD_ARGUMENTS),
    (SYS_rseq, BAD_ARGUMENTS),
    (SYS_clock_gettime, BAD_ARGUMENTS),
    (SYS_rt_sigreturn, OF_THE_TEST),
    (SYS_restart_syscall, OF_THE_TEST),
    (SYS_clock_nanosleep, OF_THE_TEST),
    (SYS_nanosleep, OF_THE_TEST),
    (SYS_seccomp, OF_THE_TEST),
];

const NO_WAY: &str = "it has no way to fail";
const BAD_ARGUMENTS: &str = "it fails for wrong arguments only, and these are constant";
const OF_THE_TEST: &str = "only the test itself makes it";
