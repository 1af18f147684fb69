//! File operations: attributes

use super::entry::{Out, entry};
use super::flags;
use super::handle::{Handle, nsgate_chroot};
use super::status::{nsgate_error, nsgate_status};
use super::string::{nsgate_string, path};
use crate::{Error, FileStat, FileSystemStat, FileTime, Result, Status};

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

/// Set the times of a symbolic link itself.
pub const NSGATE_TIMES_NOFOLLOW: u32 = 1;

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
    if time.reserved != 0 {
        let message = "nsgate_time.reserved is not 0";
        return Err(Error::new(Status::InvalidArgument, message));
    }
    let now = libc::UTIME_NOW as u32;
    if time.nanoseconds >= 1_000_000_000 && time.nanoseconds != now {
        let message = format!("{} nanoseconds are a second or more", time.nanoseconds);
        return Err(Error::new(Status::InvalidArgument, message));
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
