//! How many descriptors of this process are in a mount, as their fdinfo says (proc_pid_fdinfo(5)): that
//! asks no file system, which statx(2) may do whatever its flags (9p).

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::error::Result;
use crate::kernel::entries::{self, Entries, getdents64};
use crate::kernel::mount_mark::read_at_start;
use crate::kernel::process::ProcRoot;
use crate::kernel::syscall::check_fd;

/// The most descriptors that are looked at, in the order of their numbers: it takes some microseconds
/// for each.
pub(crate) const MOST: usize = 4096;

/// How many of the first descriptors are in one of the mounts.
pub(crate) fn count_holders(proc: &ProcRoot, mounts: &[u64]) -> u32 {
    let directory = libc::O_RDONLY | libc::O_DIRECTORY;
    let Ok(directory) = proc.open_at(c"thread-self/fdinfo", directory) else {
        return 0;
    };
    let (mut looked_at, mut found) = (0, 0);
    let mut buffer = entries::buffer();
    while getdents64(directory.as_fd(), &mut buffer).is_ok() && !buffer.is_empty() {
        for entry in Entries::of(&buffer) {
            if looked_at == MOST {
                return found;
            }
            looked_at += 1;
            let mount = mount_of(directory.as_fd(), entry.name());
            found += u32::from(mount.is_some_and(|mount| mounts.contains(&mount)));
        }
    }
    found
}

/// The mount that a descriptor is in; `None` where it is closed meanwhile.
fn mount_of(fdinfo: BorrowedFd<'_>, number: &CStr) -> Option<u64> {
    let file = open(fdinfo, number).ok()?;
    // "pos", "flags" and "mnt_id" come first.
    let mut text = [0; 128];
    let length = read_at_start(&file, &mut text).ok()?;
    let mut lines = text[..length].split(|byte| *byte == b'\n');
    let id = lines.find_map(|line| line.strip_prefix(b"mnt_id:\t"))?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

fn open(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    check_fd(
        // SAFETY: an open descriptor and a NUL-terminated name.
        unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags) }.into(),
        || {
            let directory = directory.as_raw_fd();
            format!("openat({directory}, {name:?}, O_RDONLY|O_CLOEXEC)")
        },
    )
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use nix::fcntl::AT_FDCWD;

    use super::*;
    use crate::kernel::mount::clone_tree;
    use crate::kernel::mount_mark::mount_id;

    #[test]
    fn every_kind_of_descriptor_of_a_mount_is_counted_once() {
        let proc = ProcRoot::open().unwrap();
        // Of a directory with nothing mounted below it: where the user may not see behind such mounts
        // none can be left out of a copy.
        let directory = tempfile::tempdir().unwrap();
        let path = CString::new(directory.path().to_str().unwrap()).unwrap();
        let tree = clone_tree(AT_FDCWD, &path, false).unwrap();
        let mount = mount_id(tree.as_raw_fd()).unwrap();
        assert_eq!(count_holders(&proc, &[mount]), 1);
        assert_eq!(count_holders(&proc, &[]), 0);
        let copy = tree.try_clone().unwrap();
        let directory = nix::fcntl::OFlag::O_DIRECTORY;
        let none = nix::sys::stat::Mode::empty();
        let opened = nix::fcntl::openat(&tree, ".", directory, none).unwrap();
        assert_eq!(count_holders(&proc, &[u64::MAX, mount]), 3);
        drop((copy, opened));
        assert_eq!(count_holders(&proc, &[mount]), 1);
    }
}
