//! File operations
//!
//! Each answers as the plain system call would answer a process whose root the volume is: absolute
//! symbolic links start at the volume, ".." stops there. They run on the caller's thread, need no
//! namespace, and delay each other no more than plain system calls do. A failed system call is
//! NSGATE_OS with its errno; after the release all of them answer NSGATE_CLOSED. Descriptors that they
//! give stay usable after the release.

use std::ffi::{c_char, c_int};
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::entry::{Out, OutArray, entry};
use super::flags;
use super::handle::{Handle, nsgate_chroot};
use super::status::{nsgate_error, nsgate_status};
use super::string::{nsgate_string, path};
use crate::{Error, OpenOptions, RenameOptions, Status};

/// Fail with EEXIST when something has the new name.
pub const NSGATE_RENAME_NOREPLACE: u32 = 1;
/// Let both change places.
pub const NSGATE_RENAME_EXCHANGE: u32 = 2;

/// Opens or creates a file, as open(2). Any flags of open(2) will do; O_CLOEXEC is always added.
///
/// mode counts where a file is created, less the umask.
///
/// Ownership: fd is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_open_file(
    chroot: nsgate_chroot,
    path: nsgate_string,
    flags: i32,
    mode: u32,
    fd: *mut c_int,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(fd)?;
        let path = self::path(path)?;
        let opened = chroot
            .get()?
            .open_file(path, OpenOptions::new(flags).mode(mode))?;
        out.write(opened.into_raw_fd());
        Ok(())
    })
}

/// Creates a file or empties the one that is there, and opens it to read and write, as open(2) with
/// O_RDWR | O_CREAT | O_TRUNC. mode is less the umask.
///
/// Ownership: fd is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_create(
    chroot: nsgate_chroot,
    path: nsgate_string,
    mode: u32,
    fd: *mut c_int,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(fd)?;
        let path = self::path(path)?;
        let created = chroot.get()?.create(path, mode)?;
        out.write(created.into_raw_fd());
        Ok(())
    })
}

/// Makes a directory, as mkdir(2). mode is less the umask.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_mkdir(
    chroot: nsgate_chroot,
    path: nsgate_string,
    mode: u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.mkdir(path, mode)
    })
}

/// Makes a directory and those above it that are missing. One that is there is no failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_mkdir_all(
    chroot: nsgate_chroot,
    path: nsgate_string,
    mode: u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.mkdir_all(path, mode)
    })
}

/// Removes a file or an empty directory, as remove(3). What a mount lies on, be it the chroot's or the
/// host's, is EBUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_remove(
    chroot: nsgate_chroot,
    path: nsgate_string,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.remove(path)
    })
}

/// Removes a file, or a directory with all that is in it. Nothing there is no failure. It follows no
/// symbolic link and enters no mount.
///
/// Errors: NSGATE_CLOSED also when the chroot is released meanwhile; NSGATE_OS with EBUSY for what has a
/// mount on it (a file below the path only where the calling thread's namespace has the mount, too), with
/// ENAMETOOLONG for what is more than 131,072 levels deep, and the rest goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_remove_all(
    chroot: nsgate_chroot,
    path: nsgate_string,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.remove_all(path)
    })
}

/// Gives a file another name, as renameat2(2). What a mount lies on, be it the chroot's or the host's,
/// is EBUSY, under either name.
///
/// flags: NSGATE_RENAME_NOREPLACE, NSGATE_RENAME_EXCHANGE or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_rename(
    chroot: nsgate_chroot,
    from: nsgate_string,
    to: nsgate_string,
    flags: u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (from, to) = (path(from)?, path(to)?);
        flags::known(flags, NSGATE_RENAME_NOREPLACE | NSGATE_RENAME_EXCHANGE)?;
        let options = RenameOptions {
            noreplace: flags & NSGATE_RENAME_NOREPLACE != 0,
            exchange: flags & NSGATE_RENAME_EXCHANGE != 0,
        };
        chroot.get()?.rename(from, to, options)
    })
}

/// Gives a file a second name, as link(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_link(
    chroot: nsgate_chroot,
    from: nsgate_string,
    to: nsgate_string,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (from, to) = (path(from)?, path(to)?);
        chroot.get()?.link(from, to)
    })
}

/// Makes a symbolic link with any target, as symlink(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_symlink(
    chroot: nsgate_chroot,
    target: nsgate_string,
    link: nsgate_string,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (target, link) = (path(target)?, path(link)?);
        chroot.get()?.symlink(target, link)
    })
}

/// The whole length, and of the bytes what fits.
fn write_path(path: &Path, buffer: OutArray<c_char>, length: Out<usize>) {
    let bytes = path.as_os_str().as_bytes();
    buffer.write_bytes(bytes);
    length.write(bytes.len());
}

/// Reads the target of a symbolic link, as readlink(2).
///
/// Ownership: buffer takes what fits, without a NUL; it may be NULL with a capacity of 0. length is
/// that of the whole target.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_read_link(
    chroot: nsgate_chroot,
    path: nsgate_string,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (buffer, length) = (OutArray::new(buffer, capacity)?, Out::new(length)?);
        let path = self::path(path)?;
        write_path(&chroot.get()?.read_link(path)?, buffer, length);
        Ok(())
    })
}

/// Tells a file's path from the root on, with neither symbolic links nor "." and ".." in it, as
/// realpath(3).
///
/// Ownership: as nsgate_chroot_read_link.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_real_path(
    chroot: nsgate_chroot,
    path: nsgate_string,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (buffer, length) = (OutArray::new(buffer, capacity)?, Out::new(length)?);
        let path = self::path(path)?;
        write_path(&chroot.get()?.real_path(path)?, buffer, length);
        Ok(())
    })
}

/// What the digits of a temporary name take at most.
const DIGITS: usize = 32;

/// Creates a file under a new name in a directory, readable and writable for its owner, and opens it.
///
/// Digits take the place of the last "*" in prefix, or follow it.
///
/// Ownership: fd is the caller's. buffer takes the file's path, without a NUL; capacity is at least
/// that of directory, prefix and 32 more bytes, so that the name is never lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_temp_file(
    chroot: nsgate_chroot,
    directory: nsgate_string,
    prefix: nsgate_string,
    fd: *mut c_int,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let (fd, length) = (Out::new(fd)?, Out::new(length)?);
        let buffer = OutArray::new(buffer, capacity)?;
        let needed = (directory.length)
            .saturating_add(prefix.length)
            .saturating_add(DIGITS);
        if capacity < needed {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("the path may take {needed} bytes, not {capacity}"),
            ));
        }
        let (directory, prefix) = (path(directory)?, path(prefix)?);
        let (file, path) = chroot.get()?.temp_file(directory, prefix)?;
        write_path(&path, buffer, length);
        fd.write(file.into_raw_fd());
        Ok(())
    })
}
