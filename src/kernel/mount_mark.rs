//! Whether a mount is gone (rule 17 of the design): a fanotify mark lives exactly as long as the
//! mount that it was set on, and the kernel lists a group's marks in its fdinfo.
//!
//! The marks only ignore events, so they never queue one. Such marks are for root of the initial
//! user namespace (fanotify_init(2)); others can't tell.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::error::Result;
use crate::kernel::process::ProcRoot;
use crate::kernel::syscall::{check, check_fd};
use crate::sync::lock;

/// A group of marks.
pub(crate) struct MountMarks {
    group: OwnedFd,
    proc: Arc<ProcRoot>,
    /// The group's fdinfo, opened once: opening costs four times what reading does.
    listing: Mutex<Option<Arc<OwnedFd>>>,
}

/// A mark on a mount.
pub(crate) struct Mark {
    mount: u64,
}

/// What became of a marked mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MountEnd {
    /// It does not exist any more.
    Gone,
    /// It exists; this many descriptors of this process hold it.
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
    /// The most descriptors that are looked at to find who holds a mount.
    const MOST_DESCRIPTORS: usize = 4096;

    /// `None` where this process may not set marks.
    pub(crate) fn open(proc: &Arc<ProcRoot>) -> Option<MountMarks> {
        let flags = libc::FAN_CLASS_NOTIF
            | libc::FAN_UNLIMITED_MARKS
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK;
        // SAFETY: no memory is involved.
        let group = check_fd(
            unsafe { libc::fanotify_init(flags, (libc::O_RDONLY | libc::O_CLOEXEC) as u32) }.into(),
            || "fanotify_init(FAN_CLASS_NOTIF|FAN_UNLIMITED_MARKS|FAN_CLOEXEC|FAN_NONBLOCK, …)",
        )
        .ok()?;
        let marks = MountMarks {
            group,
            proc: proc.clone(),
            listing: Mutex::new(None),
        };
        // What can't be read later would make every proof a guess.
        marks.is_listed(0).ok()?;
        Some(marks)
    }

    /// Marks the mount that the descriptor is in. `None` where the kernel refuses.
    pub(crate) fn mark(&self, fd: BorrowedFd<'_>) -> Option<Mark> {
        let mount = mount_id(fd.as_raw_fd())?;
        let flags = libc::FAN_MARK_ADD
            | libc::FAN_MARK_MOUNT
            | libc::FAN_MARK_IGNORED_MASK
            | libc::FAN_MARK_IGNORED_SURV_MODIFY;
        // SAFETY: open descriptors and a NUL-terminated literal.
        let value = unsafe {
            libc::fanotify_mark(
                self.group.as_raw_fd(),
                flags,
                libc::FAN_CLOSE_NOWRITE,
                fd.as_raw_fd(),
                c".".as_ptr(),
            )
        };
        (value == 0).then_some(Mark { mount })
    }

    /// Whether the marked mount is gone, now that it was let go.
    pub(crate) fn end(&self, mark: &Mark) -> MountEnd {
        let mut pauses = MountMarks::LOOK_AGAIN.into_iter();
        loop {
            match self.is_listed(mark.mount) {
                Ok(false) => return MountEnd::Gone,
                Ok(true) => {}
                Err(_) => return MountEnd::Unknown,
            }
            let descriptors = self.count_descriptors(mark.mount);
            if descriptors > 0 {
                return MountEnd::Held(descriptors);
            }
            match pauses.next() {
                Some(pause) => thread::sleep(pause),
                None => return MountEnd::Held(0),
            }
        }
    }

    fn is_listed(&self, mount: u64) -> Result<bool> {
        let needle = format!("\nfanotify mnt_id:{mount:x} ");
        let mut stack = [0; 4096];
        let length = self.read_listing(&mut stack)?;
        if length < stack.len() {
            return Ok(contains(&stack[..length], needle.as_bytes()));
        }
        let mut heap = vec![0; 16 * stack.len()];
        loop {
            let length = self.read_listing(&mut heap)?;
            if length < heap.len() {
                return Ok(contains(&heap[..length], needle.as_bytes()));
            }
            heap.resize(4 * length, 0);
        }
    }

    /// Reads the listing from its beginning, which makes the kernel write it anew.
    fn read_listing(&self, buffer: &mut [u8]) -> Result<usize> {
        let known = lock(&self.listing).clone();
        if let Some(listing) = known
            && let Ok(length) = read_at_start(&listing, buffer)
        {
            return Ok(length);
        }
        // Never read, or the thread whose fdinfo it was has ended.
        let path = format!("thread-self/fdinfo/{}\0", self.group.as_raw_fd());
        let path = std::ffi::CStr::from_bytes_until_nul(path.as_bytes())
            .expect("the text ends with the NUL above");
        let listing = Arc::new(self.proc.open_at(path, libc::O_RDONLY)?);
        let length = read_at_start(&listing, buffer)?;
        *lock(&self.listing) = Some(listing);
        Ok(length)
    }

    /// How many descriptors of this process are in the mount.
    fn count_descriptors(&self, mount: u64) -> u32 {
        let directory = libc::O_RDONLY | libc::O_DIRECTORY;
        let Ok(directory) = self.proc.open_at(c"thread-self/fd", directory) else {
            return 0;
        };
        descriptor_numbers(directory, MountMarks::MOST_DESCRIPTORS)
            .into_iter()
            .filter(|fd| mount_id(*fd) == Some(mount))
            .count() as u32
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

fn read_at_start(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
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

/// The mount that a descriptor is in, asked without a word to the file system behind it. `None`
/// where the number is no descriptor.
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

/// The numbers listed in a /proc/…/fd directory, without the listing's own.
fn descriptor_numbers(directory: OwnedFd, most: usize) -> Vec<i32> {
    use std::os::fd::IntoRawFd;
    let own = directory.into_raw_fd();
    // SAFETY: an open descriptor, which the stream owns from here on.
    let stream = unsafe { libc::fdopendir(own) };
    if stream.is_null() {
        // SAFETY: the failed call left the descriptor to us.
        unsafe { libc::close(own) };
        return Vec::new();
    }
    let mut numbers = Vec::new();
    while numbers.len() < most {
        // SAFETY: the stream is open and used by this thread only.
        let entry = unsafe { libc::readdir(stream) };
        if entry.is_null() {
            break;
        }
        // SAFETY: an entry's name is NUL-terminated and valid until the next readdir.
        let name = unsafe { std::ffi::CStr::from_ptr((*entry).d_name.as_ptr()) };
        let number: Option<i32> = name.to_str().ok().and_then(|name| name.parse().ok());
        numbers.extend(number.filter(|number| *number != own));
    }
    // SAFETY: the stream is open; nothing of it is used after this.
    unsafe { libc::closedir(stream) };
    numbers
}
