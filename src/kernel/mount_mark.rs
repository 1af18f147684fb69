//! Whether a mount is gone (rule 17 of the design): a fanotify mark lives exactly as long as the
//! mount that it was set on, and the kernel lists a group's marks in its fdinfo.
//!
//! The marks only ignore events, so they never queue one. Such marks are for root of the initial
//! user namespace (fanotify_init(2)); others can't tell.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::error::Result;
use crate::kernel::mount_holders::count_holders;
use crate::kernel::process::ProcRoot;
use crate::kernel::syscall::{check, check_fd};
use crate::sync::lock;

/// Marks mounts, and tells what became of them.
pub(crate) struct MountMarks {
    proc: Arc<ProcRoot>,
    /// Where new marks go. The marks of held mounts stay in a group and can't be taken out without the
    /// mount: a group that has gathered some is left to those who still look into it.
    group: Mutex<Arc<Group>>,
}

/// A group of marks.
struct Group {
    descriptor: OwnedFd,
    /// The group's fdinfo, opened once: opening costs four times what reading does.
    listing: Mutex<Option<Arc<OwnedFd>>>,
    /// How many of its mounts were found held.
    held: AtomicUsize,
}

/// A mark on a mount, and perhaps on others that go with it.
pub(crate) struct Mark {
    group: Arc<Group>,
    mounts: Vec<u64>,
}

/// What became of marked mounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MountEnd {
    /// None of them exists any more.
    Gone,
    /// One exists; this many descriptors of this process are known to hold them.
    Held(u32),
    /// The listing could not be read.
    Unknown,
}

impl MountMarks {
    /// How long to wait before each further look: the kernel may put off the end of a mount to a
    /// grace period.
    const LOOK_AGAIN: [Duration; 4] = [
        Duration::from_micros(20),
        Duration::from_micros(100),
        Duration::from_micros(500),
        Duration::from_millis(2),
    ];
    /// A group with so many held mounts takes no new marks: each look reads them all.
    const MOST_HELD: usize = 32;

    /// `None` where this process may not set marks.
    pub(crate) fn open(proc: &Arc<ProcRoot>) -> Option<MountMarks> {
        let group = Group::open().ok()?;
        // What can't be read later would make every proof a guess.
        group.still_listed(proc, &[]).ok()?;
        Some(MountMarks {
            proc: proc.clone(),
            group: Mutex::new(Arc::new(group)),
        })
    }

    /// Marks the mount that the descriptor is in. `None` where the kernel refuses.
    pub(crate) fn mark(&self, fd: BorrowedFd<'_>) -> Option<Mark> {
        let group = lock(&self.group).clone();
        let mounts = Vec::with_capacity(1);
        let mut mark = Mark { group, mounts };
        mark.extend(fd).then_some(mark)
    }

    /// Whether the marked mounts are gone, now that they were let go.
    pub(crate) fn end(&self, mark: &Mark) -> MountEnd {
        let mut pauses = MountMarks::LOOK_AGAIN.into_iter();
        let left = loop {
            match mark.group.still_listed(&self.proc, &mark.mounts) {
                Ok(left) if left.is_empty() => return MountEnd::Gone,
                Ok(left) => match pauses.next() {
                    Some(pause) => thread::sleep(pause),
                    None => break left,
                },
                Err(_) => return MountEnd::Unknown,
            }
        };
        self.leave_held(mark, left.len());
        // Once, and of what is held only: it takes longer the more descriptors there are.
        MountEnd::Held(count_holders(&self.proc, &left))
    }

    /// The marks stay in their group for as long as their mounts are held.
    fn leave_held(&self, mark: &Mark, count: usize) {
        let before = mark.group.held.fetch_add(count, Ordering::Relaxed);
        if before + count < MountMarks::MOST_HELD {
            return;
        }
        let Ok(fresh) = Group::open() else { return };
        let full = {
            let mut group = lock(&self.group);
            let is_current = Arc::ptr_eq(&group, &mark.group);
            is_current.then(|| std::mem::replace(&mut *group, Arc::new(fresh)))
        };
        // Where that was the last of it, its marks end here, and not under the lock.
        drop(full);
    }
}

impl Mark {
    /// Marks the mount that this descriptor is in, too. `false` where the kernel refuses.
    pub(crate) fn extend(&mut self, fd: BorrowedFd<'_>) -> bool {
        let Some(mount) = mount_id(fd.as_raw_fd()) else {
            return false;
        };
        let is_marked = self.group.mark(fd);
        if is_marked {
            self.mounts.push(mount);
        }
        is_marked
    }
}

impl Group {
    fn open() -> Result<Group> {
        let flags = libc::FAN_CLASS_NOTIF
            | libc::FAN_UNLIMITED_MARKS
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK;
        // SAFETY: no memory is involved.
        let descriptor = check_fd(
            unsafe { libc::fanotify_init(flags, (libc::O_RDONLY | libc::O_CLOEXEC) as u32) }.into(),
            || "fanotify_init(FAN_CLASS_NOTIF|FAN_UNLIMITED_MARKS|FAN_CLOEXEC|FAN_NONBLOCK, …)",
        )?;
        Ok(Group {
            descriptor,
            listing: Mutex::new(None),
            held: AtomicUsize::new(0),
        })
    }

    fn mark(&self, fd: BorrowedFd<'_>) -> bool {
        let flags = libc::FAN_MARK_ADD
            | libc::FAN_MARK_MOUNT
            | libc::FAN_MARK_IGNORED_MASK
            | libc::FAN_MARK_IGNORED_SURV_MODIFY;
        // SAFETY: open descriptors and a NUL-terminated literal.
        let value = unsafe {
            libc::fanotify_mark(
                self.descriptor.as_raw_fd(),
                flags,
                libc::FAN_CLOSE_NOWRITE,
                fd.as_raw_fd(),
                c".".as_ptr(),
            )
        };
        value == 0
    }

    /// Those of the mounts that still have their mark. The small ids of the others may be in use again.
    fn still_listed(&self, proc: &ProcRoot, mounts: &[u64]) -> Result<Vec<u64>> {
        let mut stack = [0; 4096];
        let length = self.read_listing(proc, &mut stack)?;
        if length < stack.len() {
            return Ok(named(&stack[..length], mounts));
        }
        let mut heap = vec![0; 16 * stack.len()];
        loop {
            let length = self.read_listing(proc, &mut heap)?;
            if length < heap.len() {
                return Ok(named(&heap[..length], mounts));
            }
            heap.resize(4 * length, 0);
        }
    }

    /// Reads the listing from its beginning, which makes the kernel write it anew.
    fn read_listing(&self, proc: &ProcRoot, buffer: &mut [u8]) -> Result<usize> {
        let known = lock(&self.listing).clone();
        if let Some(listing) = known
            && let Ok(length) = read_at_start(&listing, buffer)
        {
            return Ok(length);
        }
        // Never read, or the thread whose fdinfo it was has ended.
        let path = format!("thread-self/fdinfo/{}\0", self.descriptor.as_raw_fd());
        let path = std::ffi::CStr::from_bytes_until_nul(path.as_bytes())
            .expect("the text ends with the NUL above");
        let listing = Arc::new(proc.open_at(path, libc::O_RDONLY)?);
        let length = read_at_start(&listing, buffer)?;
        *lock(&self.listing) = Some(listing);
        Ok(length)
    }
}

/// Those of the mounts that have a line in the listing.
fn named(listing: &[u8], mounts: &[u64]) -> Vec<u64> {
    let lines = listing.split(|byte| *byte == b'\n');
    let ids = lines.filter_map(|line| {
        let fields = line.strip_prefix(b"fanotify mnt_id:")?;
        let id = fields.split(|byte| *byte == b' ').next()?;
        u64::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()
    });
    ids.filter(|id| mounts.contains(id)).collect()
}

/// Reads what a file of /proc has now.
pub(super) fn read_at_start(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: an open descriptor and a buffer of the size we say.
    let value = unsafe {
        libc::pread(
            file.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
        )
    };
    check(value as libc::c_long, || {
        format!("pread({}, …, {}, 0)", file.as_raw_fd(), buffer.len())
    })
    .map(|length| length as usize)
}

/// The mount that a descriptor is in. `None` where the number is no descriptor. Some file systems ask
/// their server all the same (9p).
pub(crate) fn mount_id(fd: i32) -> Option<u64> {
    // SAFETY: statx is plain data, all zero is a value of it.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: an empty NUL-terminated path and a place for the answer; any number is safe.
    let value = unsafe {
        libc::statx(
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
            libc::STATX_MNT_ID,
            &mut statx,
        )
    };
    (value == 0 && statx.stx_mask & libc::STATX_MNT_ID != 0).then_some(statx.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::fcntl::AT_FDCWD;

    use super::*;
    use crate::kernel::mount::clone_tree;

    /// `None` for others than root of the initial user namespace.
    fn marks() -> Option<MountMarks> {
        let marks = MountMarks::open(&Arc::new(ProcRoot::open().unwrap()));
        if marks.is_none() {
            eprintln!("this process may not mark mounts");
        }
        marks
    }

    fn tree() -> OwnedFd {
        clone_tree(AT_FDCWD, c"/tmp", false).unwrap()
    }

    #[test]
    fn a_listing_names_the_mounts_that_have_a_mark() {
        let listing = b"pos:\t0\nmnt_id:\t7\nfanotify flags:0 event-flags:0\n\
            fanotify mnt_id:1f mflags:1 mask:0 ignored_mask:10\n\
            fanotify mnt_id:200 mflags:1 mask:0 ignored_mask:10\n";
        assert_eq!(named(listing, &[0x200, 3, 0x1f]), [0x1f, 0x200]);
        assert_eq!(named(listing, &[7, 0x1, 0x20, 0x2000]), [0; 0]);
    }

    #[test]
    fn a_group_that_has_gathered_held_mounts_is_left() {
        let Some(marks) = marks() else { return };
        let mut held = Vec::new();
        for _ in 0..3 * MountMarks::MOST_HELD {
            let tree = tree();
            let mark = marks.mark(tree.as_fd()).unwrap();
            assert_eq!(marks.end(&mark), MountEnd::Held(1));
            held.push(tree);
            let group = lock(&marks.group);
            assert!(group.held.load(Ordering::Relaxed) < MountMarks::MOST_HELD);
        }
        let tree = tree();
        let mark = marks.mark(tree.as_fd()).unwrap();
        drop(tree);
        assert_eq!(marks.end(&mark), MountEnd::Gone);
    }

    #[test]
    fn one_that_is_left_of_several_is_held() {
        let Some(marks) = marks() else { return };
        let (first, second) = (tree(), tree());
        let mut mark = marks.mark(first.as_fd()).unwrap();
        assert!(mark.extend(second.as_fd()));
        drop(first);
        assert_eq!(marks.end(&mark), MountEnd::Held(1));
        drop(second);
        assert_eq!(marks.end(&mark), MountEnd::Gone);
    }
}
