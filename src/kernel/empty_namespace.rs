//! The empty namespace: one read-only, empty tmpfs, the home of idle namespace threads.

use std::os::fd::{AsFd, OwnedFd};

use crate::error::Result;
use crate::kernel::process::ProcRoot;
use crate::kernel::{mount, namespace};

/// Turns the calling thread's namespace into an empty one and returns it. The thread is spent by
/// that: it must end.
pub(crate) fn make(proc: &ProcRoot) -> Result<OwnedFd> {
    namespace::unshare()?;
    // Without this a detach below would reach the host through shared propagation.
    mount::set_propagation(libc::MS_PRIVATE)?;
    let attributes = libc::MOUNT_ATTR_RDONLY
        | libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | libc::MOUNT_ATTR_NOEXEC;
    let tmpfs = mount::detached_tmpfs(attributes, c"1")?;
    mount::move_onto_root(tmpfs.as_fd())?;
    namespace::change_directory(tmpfs.as_fd())?;
    match mount::pivot_to_working_directory() {
        Ok(()) => mount::detach_working_directory()?,
        // An initramfs root can't be pivoted away. It stays below the tmpfs, where no path leads.
        Err(error) if error.os_error() == Some(libc::EINVAL) => {
            namespace::root_to_working_directory()?;
        }
        Err(error) => return Err(error),
    }
    namespace::open_current(proc)
}
