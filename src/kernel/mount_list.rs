//! How many mounts a namespace has, asked from outside: listmount(2) of Linux 6.11.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::kernel::namespace::ns_id;

/// The libc crate lacks the number; it is the same everywhere.
const SYS_LISTMOUNT: libc::c_long = 458;
/// The root of the namespace.
const LSMT_ROOT: u64 = u64::MAX;

/// A `struct mnt_id_req`.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    mount: u64,
    after: u64,
    namespace: u64,
}

/// Whether the namespace has no more mounts than this. `None` where the kernel doesn't tell.
pub(crate) fn has_at_most(most: usize, namespace: BorrowedFd<'_>) -> Option<bool> {
    let request = Request {
        size: size_of::<Request>() as u32,
        spare: 0,
        mount: LSMT_ROOT,
        after: 0,
        namespace: ns_id(namespace.as_raw_fd())?,
    };
    // One more than allowed, and not all: there may be thousands.
    let mut ids = vec![0u64; most + 1];
    // SAFETY: a structure of the size it says, and as much room as we say.
    let count =
        unsafe { libc::syscall(SYS_LISTMOUNT, &request, ids.as_mut_ptr(), ids.len(), 0u32) };
    (count > 0).then_some(count as usize <= most)
}
