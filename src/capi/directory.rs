//! Directories
//!
//! A directory is read a buffer at a time, however many entries it has. Entries that come or go
//! meanwhile may or may not be seen; those that stay are seen once.

use std::ffi::c_void;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;

use super::attributes::nsgate_stat;
use super::entry::{Out, entry, null};
use super::flags;
use super::handle::{Handle, nsgate_chroot, nsgate_directory};
use super::status::{nsgate_error, nsgate_status};
use super::string::{nsgate_string, path};
use crate::sync::lock;
use crate::{DirEntry, Error, ReadDir, Result, Status};

/// Fill in the stat of each entry.
pub const NSGATE_DIRECTORY_WITH_STAT: u32 = 1;

/// One entry. Its name follows the struct: NSGATE_ENTRY_NAME(entry), with a NUL behind it. The next
/// entry begins record_length bytes after this one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_directory_entry {
    /// From the start of this entry to that of the next; a multiple of 8.
    pub record_length: u32,
    /// The length of the name, without its NUL.
    pub name_length: u32,
    /// DT_REG and its like, see readdir(3); DT_UNKNOWN where the file system does not tell.
    pub kind: u32,
    /// 1 when stat is filled in.
    pub has_stat: u32,
    /// The number of the file. Of a mount point: that of the directory beneath the mount.
    pub inode: u64,
    /// As lstat(2) gives it, or zeros: where it wasn't asked for or can't be told, in a directory
    /// that may be read but not searched, for example.
    pub stat: nsgate_stat,
}

const ALIGNMENT: usize = align_of::<nsgate_directory_entry>();

/// A directory that is being read, and what did not fit last time.
pub(super) struct Directory(Mutex<Reader>);

pub(super) struct Reader {
    entries: ReadDir,
    next: Option<Result<DirEntry>>,
}

impl Directory {
    fn new(entries: ReadDir) -> Directory {
        Directory(Mutex::new(Reader {
            entries,
            next: None,
        }))
    }
}

impl Reader {
    /// Writes what fits into `buffer`, and says how many bytes that took; 0 is the end.
    fn read(&mut self, buffer: &mut Records, with_stat: bool) -> Result<usize> {
        loop {
            let entry = match self.next.take().or_else(|| self.entries.next()) {
                None => return Ok(buffer.used),
                Some(Ok(entry)) => entry,
                Some(Err(error)) if buffer.used > 0 => {
                    // What was read so far first; the error is for the next call.
                    self.next = Some(Err(error));
                    return Ok(buffer.used);
                }
                Some(Err(error)) => return Err(error),
            };
            let length = record_length(&entry);
            if length > buffer.capacity - buffer.used {
                self.next = Some(Ok(entry));
                return match buffer.used {
                    0 => Err(Error::new(
                        Status::InvalidArgument,
                        format!("the next entry takes {length} bytes"),
                    )),
                    used => Ok(used),
                };
            }
            let stat = match with_stat {
                false => None,
                true => match self.entries.lstat(&entry.name) {
                    Ok(stat) => Some(stat),
                    // It went away meanwhile.
                    Err(error) if error.os_error() == Some(libc::ENOENT) => continue,
                    // It is there all the same.
                    Err(_) => None,
                },
            };
            buffer.push(&entry, length, stat.as_ref().map(nsgate_stat::from));
        }
    }
}

fn record_length(entry: &DirEntry) -> usize {
    let bytes = size_of::<nsgate_directory_entry>() + entry.name.len() + 1;
    bytes.next_multiple_of(ALIGNMENT)
}

/// The caller's buffer.
struct Records {
    first: *mut u8,
    capacity: usize,
    used: usize,
}

impl Records {
    /// # Safety
    /// `buffer` is NULL or `capacity` bytes can be written.
    unsafe fn new(buffer: *mut c_void, capacity: usize) -> Result<Records> {
        if buffer.is_null() {
            return Err(null("the buffer"));
        }
        if !(buffer as usize).is_multiple_of(ALIGNMENT) || capacity > isize::MAX as usize {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("the buffer is not aligned to {ALIGNMENT} bytes, or too large"),
            ));
        }
        Ok(Records {
            first: buffer.cast(),
            capacity,
            used: 0,
        })
    }

    /// The caller has checked that `length` bytes are left.
    fn push(&mut self, entry: &DirEntry, length: usize, stat: Option<nsgate_stat>) {
        let name = entry.name.as_bytes();
        // SAFETY: zero is a value of all the integers in it.
        let zero = unsafe { std::mem::zeroed() };
        let head = nsgate_directory_entry {
            record_length: length as u32,
            name_length: name.len() as u32,
            kind: match &stat {
                // The file may have been replaced since its name was read.
                Some(stat) => (stat.mode & libc::S_IFMT) >> 12,
                None => entry.kind.as_raw().into(),
            },
            has_stat: stat.is_some().into(),
            inode: entry.inode,
            stat: stat.unwrap_or(zero),
        };
        let size = size_of::<nsgate_directory_entry>();
        // SAFETY: `length` bytes are left, which is enough for head, name and NUL; the buffer is
        // aligned and lengths are multiples of the alignment.
        unsafe {
            let record = self.first.add(self.used);
            record.cast::<nsgate_directory_entry>().write(head);
            record
                .add(size)
                .copy_from_nonoverlapping(name.as_ptr(), name.len());
            let tail = size + name.len();
            record.add(tail).write_bytes(0, length - tail);
        }
        self.used += length;
    }
}

/// Opens a directory of the chroot, to read it.
///
/// Ownership: the handle is ended by nsgate_directory_close. It stays usable after the release of the
/// chroot.
/// Errors: as the file operations.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_open_directory(
    chroot: nsgate_chroot,
    path: nsgate_string,
    out: *mut nsgate_directory,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let path = self::path(path)?;
        let entries = chroot.get()?.read_dir(path)?;
        out.write(nsgate_directory::make(Directory::new(entries))?);
        Ok(())
    })
}

/// Reads the next entries, "." and ".." left out.
///
/// flags: NSGATE_DIRECTORY_WITH_STAT or 0. An entry that is gone before its stat is left out; one that
/// can't be looked at has none.
///
/// Ownership: buffer is aligned to 8 bytes and takes whole nsgate_directory_entry records; used is how
/// many bytes they take, 0 at the end.
/// Threads: any; two that read at once take turns.
/// Errors: NSGATE_OS; NSGATE_INVALID_ARGUMENT, too, when not even one entry fits (600 bytes do on most
/// file systems), with nothing lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_directory_read(
    directory: nsgate_directory,
    buffer: *mut c_void,
    capacity: usize,
    flags: u32,
    used: *mut usize,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let mut records = Records::new(buffer, capacity)?;
        let out = Out::new(used)?;
        flags::known(flags, NSGATE_DIRECTORY_WITH_STAT)?;
        let directory = directory.get()?;
        let with_stat = flags & NSGATE_DIRECTORY_WITH_STAT != 0;
        let used = lock(&directory.0).read(&mut records, with_stat)?;
        out.write(used);
        Ok(())
    })
}

/// Closes a directory.
///
/// Ownership: ends the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_directory_close(
    directory: nsgate_directory,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { directory.close().map(drop) })
}
