//! The system calls with nothing around them: what everything here costs at least.

use std::ffi::{CStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

pub fn check(value: i64) -> io::Result<i64> {
    if value < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}

fn descriptor(value: i64) -> io::Result<OwnedFd> {
    // SAFETY: the kernel has just given us this descriptor.
    check(value).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A detached copy of a directory's mounts with the attributes of a chroot: nosuid, nodev, private.
pub fn open_tree(path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::AT_RECURSIVE as u32 | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: a NUL-terminated path.
    let tree = descriptor(unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)
    })?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: an open descriptor and a structure of the size we say.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &attributes,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(tree)
}

/// One confined openat2(2), as the library makes it.
pub fn openat2(root: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: open_how is plain data, all zero is a value of it.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.mode = u64::from(mode);
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: an open descriptor, a NUL-terminated path and a structure of the size we say.
    descriptor(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &how,
            size_of::<libc::open_how>(),
        )
    })
}

/// A confined stat: openat2 with O_PATH and fstat.
pub fn stat(root: BorrowedFd<'_>, path: &CStr) -> io::Result<libc::stat> {
    let file = openat2(root, path, libc::O_PATH, 0)?;
    // SAFETY: stat is plain data, all zero is a value of it.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor and a structure of ours.
    check(i64::from(unsafe {
        libc::fstat(file.as_raw_fd(), &mut stat)
    }))?;
    Ok(stat)
}

pub fn unlinkat(directory: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<()> {
    // SAFETY: an open descriptor and a NUL-terminated name.
    check(i64::from(unsafe {
        libc::unlinkat(directory.as_raw_fd(), name.as_ptr(), flags)
    }))?;
    Ok(())
}

/// Hands the name and the type of each entry to `visit`, without "." and "..".
pub fn getdents(directory: BorrowedFd<'_>, mut visit: impl FnMut(&CStr, u8)) -> io::Result<()> {
    #[repr(align(8))]
    struct Buffer([u8; 32 * 1024]);
    const NAME: usize = 19; // d_ino, d_off, d_reclen, d_type
    let mut buffer = Buffer([0; 32 * 1024]);
    loop {
        // SAFETY: an open descriptor and a buffer of the size we say.
        let filled = check(unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                directory.as_raw_fd(),
                buffer.0.as_mut_ptr(),
                buffer.0.len(),
            )
        })? as usize;
        if filled == 0 {
            return Ok(());
        }
        let mut rest = &buffer.0[..filled];
        while rest.len() > NAME {
            let length = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
            let name = CStr::from_bytes_until_nul(&rest[NAME..length]).expect("the kernel's NUL");
            if name != c"." && name != c".." {
                visit(name, rest[18]);
            }
            rest = &rest[length..];
        }
    }
}

/// The entries of a directory, names copied, as a caller needs them.
pub fn read_dir(root: BorrowedFd<'_>, path: &CStr) -> io::Result<Vec<(OsString, u8)>> {
    use std::os::fd::AsFd;
    let directory = openat2(root, path, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let mut entries = Vec::new();
    getdents(directory.as_fd(), |name, kind| {
        entries.push((OsString::from_vec(name.to_bytes().to_vec()), kind));
    })?;
    Ok(entries)
}

/// Removes what is below `directory`, which nobody else changes.
pub fn remove_below(directory: BorrowedFd<'_>) -> io::Result<()> {
    use std::os::fd::AsFd;
    let mut entries = Vec::new();
    getdents(directory, |name, kind| {
        entries.push((name.to_owned(), kind))
    })?;
    for (name, kind) in entries {
        if kind == libc::DT_DIR {
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            let inner = openat2(directory, &name, flags, 0)?;
            remove_below(inner.as_fd())?;
            unlinkat(directory, &name, libc::AT_REMOVEDIR)?;
        } else {
            unlinkat(directory, &name, 0)?;
        }
    }
    Ok(())
}
