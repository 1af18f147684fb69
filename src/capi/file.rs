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
use crate::{
    Error, FileStat, FileSystemStat, FileTime, OpenOptions, RenameOptions, Result, Status,
};

/// A time of a file.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_time {
    /// Seconds since 1970; negative before.
    pub seconds: i64,
    /// Nanoseconds after that, below 10^9. To set a time: UTIME_NOW, too.
    pub nanoseconds: u32,
    /// Must be 0.
    pub reserved: u32,
}

impl From<FileTime> for nsgate_time {
    fn from(time: FileTime) -> nsgate_time {
        nsgate_time {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds,
            reserved: 0,
        }
    }
}

/// What stat(2) says of a file.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_stat {
    /// The device that the file is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// How many names it has.
    pub link_count: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// 0.
    pub reserved: u32,
    /// Of a device file: the device that it stands for.
    pub special_device: u64,
    /// In bytes.
    pub size: i64,
    /// The size of a block for efficient transfer, in bytes.
    pub block_size: i64,
    /// How many blocks of 512 bytes it takes.
    pub blocks: i64,
    /// Last access.
    pub access: nsgate_time,
    /// Last change of the content.
    pub modification: nsgate_time,
    /// Last change of the attributes.
    pub change: nsgate_time,
}

impl From<&FileStat> for nsgate_stat {
    fn from(stat: &FileStat) -> nsgate_stat {
        nsgate_stat {
            device: stat.device(),
            inode: stat.inode(),
            link_count: stat.link_count(),
            mode: stat.mode(),
            uid: stat.uid(),
            gid: stat.gid(),
            reserved: 0,
            special_device: stat.special_device(),
            size: stat.size(),
            block_size: stat.block_size(),
            blocks: stat.blocks(),
            access: stat.access().into(),
            modification: stat.modification().into(),
            change: stat.change().into(),
        }
    }
}

/// What statfs(2) says of a file system.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_statfs {
    /// EXT4_SUPER_MAGIC and its like, see statfs(2).
    pub r#type: i64,
    /// The size of a block for efficient transfer, in bytes.
    pub block_size: i64,
    /// All blocks, of fragment_size bytes.
    pub blocks: u64,
    /// Free ones.
    pub blocks_free: u64,
    /// Free ones for users without privileges.
    pub blocks_available: u64,
    /// All inodes.
    pub files: u64,
    /// Free ones.
    pub files_free: u64,
    /// The longest name, in bytes.
    pub name_length: i64,
    /// The unit of the counts of blocks, in bytes.
    pub fragment_size: i64,
    /// ST_RDONLY and its like.
    pub flags: u64,
}

impl From<&FileSystemStat> for nsgate_statfs {
    fn from(stat: &FileSystemStat) -> nsgate_statfs {
        nsgate_statfs {
            r#type: stat.kind,
            block_size: stat.block_size,
            blocks: stat.blocks,
            blocks_free: stat.blocks_free,
            blocks_available: stat.blocks_available,
            files: stat.files,
            files_free: stat.files_free,
            name_length: stat.name_length,
            fragment_size: stat.fragment_size,
            flags: stat.flags,
        }
    }
}

/// Fail with EEXIST when something has the new name.
pub const NSGATE_RENAME_NOREPLACE: u32 = 1;
/// Let both change places.
pub const NSGATE_RENAME_EXCHANGE: u32 = 2;

/// Set the times of a symbolic link itself.
pub const NSGATE_TIMES_NOFOLLOW: u32 = 1;

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

/// Tells what a file is, as stat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_stat(
    chroot: nsgate_chroot,
    path: nsgate_string,
    out: *mut nsgate_stat,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let path = self::path(path)?;
        out.write((&chroot.get()?.stat(path)?).into());
        Ok(())
    })
}

/// Tells what a file is, of a symbolic link what itself is, as lstat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_lstat(
    chroot: nsgate_chroot,
    path: nsgate_string,
    out: *mut nsgate_stat,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let path = self::path(path)?;
        out.write((&chroot.get()?.lstat(path)?).into());
        Ok(())
    })
}

/// Tells of the file system that holds a file, as statfs(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_statfs(
    chroot: nsgate_chroot,
    path: nsgate_string,
    out: *mut nsgate_statfs,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let path = self::path(path)?;
        out.write((&chroot.get()?.statfs(path)?).into());
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

/// Removes a file or an empty directory, as remove(3).
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
/// symbolic link.
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

/// Gives a file another name, as renameat2(2).
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

/// Sets the permissions of a file, as chmod(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_chmod(
    chroot: nsgate_chroot,
    path: nsgate_string,
    mode: u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.chmod(path, mode)
    })
}

/// Sets owner and group of a file, as chown(2). UINT32_MAX leaves one as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_chown(
    chroot: nsgate_chroot,
    path: nsgate_string,
    uid: u32,
    gid: u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.chown(path, uid, gid)
    })
}

/// Sets owner and group of a file, of a symbolic link its own, as lchown(2). UINT32_MAX leaves one as
/// it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_lchown(
    chroot: nsgate_chroot,
    path: nsgate_string,
    uid: u32,
    gid: u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.lchown(path, uid, gid)
    })
}

/// A time that the caller wants set, if it does.
///
/// # Safety
/// `time` is NULL or can be read.
unsafe fn time(time: *const nsgate_time) -> Result<Option<FileTime>> {
    if time.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let time = unsafe { time.read_unaligned() };
    let now = libc::UTIME_NOW as u32;
    if time.reserved != 0 || (time.nanoseconds >= 1_000_000_000 && time.nanoseconds != now) {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("{} nanoseconds are no time", time.nanoseconds),
        ));
    }
    Ok(Some(FileTime {
        seconds: time.seconds,
        nanoseconds: time.nanoseconds,
    }))
}

/// Sets the times of a file, as utimensat(2).
///
/// access, modification: NULL leaves one as it is. flags: NSGATE_TIMES_NOFOLLOW or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_set_times(
    chroot: nsgate_chroot,
    path: nsgate_string,
    access: *const nsgate_time,
    modification: *const nsgate_time,
    flags: u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        flags::known(flags, NSGATE_TIMES_NOFOLLOW)?;
        let follow = flags & NSGATE_TIMES_NOFOLLOW == 0;
        let (access, modification) = (time(access)?, time(modification)?);
        chroot.get()?.set_times(path, access, modification, follow)
    })
}

/// Cuts a file to a length or extends it with zeros, as truncate(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_truncate(
    chroot: nsgate_chroot,
    path: nsgate_string,
    length: i64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let path = self::path(path)?;
        chroot.get()?.truncate(path, length)
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
