//! The records of getdents64(2), a buffer at a time.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::SeekFrom;

use super::syscall::{told, uninterrupted};
use crate::error::Result;

/// A record in the buffer, as far as its length.
pub(crate) struct Entry<'a>(&'a [u8]);

impl<'a> Entry<'a> {
    #[inline(always)]
    pub(crate) fn name(&self) -> &'a CStr {
        // SAFETY: `record` has seen a NUL in what is behind the name's start.
        unsafe { CStr::from_ptr(self.0[NAME..].as_ptr().cast()) }
    }

    /// A `DT_` number.
    #[inline(always)]
    pub(crate) fn kind(&self) -> u8 {
        self.0[KIND]
    }

    pub(crate) fn inode(&self) -> u64 {
        word(self.0, 0)
    }

    /// Where the listing goes on behind it, for [`seek`].
    pub(crate) fn next(&self) -> u64 {
        word(self.0, OFFSET)
    }
}

/// The records in a buffer, without "." and "..". The end of a name is not looked for byte by byte: that
/// shows when every entry is removed.
pub(crate) struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    /// The rest of a buffer that [`getdents64`] filled.
    pub(crate) fn of(buffer: &'a [u8]) -> Entries<'a> {
        Entries(buffer)
    }

    /// Bytes that are still to be read.
    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(length) = record(self.0) else {
                // The end. No kernel writes a record that is none; nothing behind it can be trusted.
                self.0 = &[];
                return None;
            };
            let (record, rest) = self.0.split_at(length);
            self.0 = rest;
            if !is_dot(record) {
                return Some(Entry(record));
            }
        }
    }
}

// A `linux_dirent64`: inode (8 bytes), offset (8), length (2), type (1), name, NUL, and padding to a
// multiple of eight.
const OFFSET: usize = 8;
const LENGTH: usize = 16;
const KIND: usize = 18;
const NAME: usize = 19;
const SHORTEST: usize = 24;

/// The length of the record that `bytes` starts with, in which its name ends.
#[inline(always)]
fn record(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(LENGTH..KIND)?;
    let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
    if length < SHORTEST || length % 8 != 0 || length > bytes.len() {
        return None;
    }
    // The padding is shorter than the last eight bytes, so the NUL is among them. In the shortest
    // record they begin before the name.
    let header = if length == SHORTEST { 0x01_01_01 } else { 0 };
    has_zero(word(bytes, length - 8) | header).then_some(length)
}

/// Eight bytes, the first of them the lowest.
#[inline(always)]
fn word(bytes: &[u8], from: usize) -> u64 {
    let word = bytes.get(from..).and_then(|bytes| bytes.first_chunk());
    u64::from_le_bytes(*word.unwrap_or(&[0; 8]))
}

/// Whether one of the eight bytes is zero.
#[inline(always)]
fn has_zero(word: u64) -> bool {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080 != 0
}

/// Whether the record's name is "." or "..".
#[inline(always)]
fn is_dot(record: &[u8]) -> bool {
    let name = &record[NAME..];
    name.starts_with(b".\0") || name.starts_with(b"..\0")
}

/// A buffer with room for some hundred entries, as the C library takes.
pub(crate) fn buffer() -> Vec<u8> {
    Vec::with_capacity(32 * 1024)
}

/// Has the directory's listing go on at a place that an entry told, through whatever descriptor.
pub(crate) fn seek(directory: BorrowedFd<'_>, position: u64) -> Result<()> {
    told(
        rustix::fs::seek(directory, SeekFrom::Start(position)),
        || format!("lseek({}, {position}, SEEK_SET)", directory.as_raw_fd()),
    )
    .map(drop)
}

/// Fills `buffer` with the next entries of a directory; leaves it empty at the end. A directory that
/// was removed has no entries.
pub(crate) fn getdents64(directory: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let (place, room) = (buffer.as_mut_ptr(), buffer.capacity());
    let fd = directory.as_raw_fd();
    let fill = || {
        // SAFETY: an open descriptor, and as much room as we say.
        unsafe { libc::syscall(libc::SYS_getdents64, fd, place, room) }
    };
    let call = || format!("getdents64({fd}, …, {room})");
    let filled = match uninterrupted(fill, call) {
        Err(error) if error.os_error() == Some(libc::ENOENT) => 0,
        answer => answer?,
    };
    // SAFETY: the kernel wrote that many bytes.
    unsafe { buffer.set_len(filled as usize) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_does_not_fit_is_no_record() {
        let mut bytes = vec![0; 24];
        bytes[LENGTH..KIND].copy_from_slice(&24u16.to_ne_bytes());
        bytes[NAME] = b'a';
        assert_eq!(record(&bytes), Some(24));
        bytes.resize(64, 0);
        for length in [0u16, 16, 18, 19, 23, 25, 31, 72, u16::MAX] {
            bytes[LENGTH..KIND].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(record(&bytes), None, "{length}");
        }
        assert_eq!(record(&bytes[..10]), None);
    }

    #[test]
    fn a_record_without_a_nul_is_no_record() {
        for length in [24u16, 32, 280] {
            let mut bytes = vec![b'a'; length.into()];
            bytes[..NAME].fill(0);
            bytes[LENGTH..KIND].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(record(&bytes), None, "{length}");
            *bytes.last_mut().expect("a byte") = 0;
            assert_eq!(record(&bytes), Some(length.into()));
        }
    }
}
