//! Strings
//!
//! Paths and names are a pointer and a length: bytes without a NUL inside, borrowed for the call.
//! NULL with length 0 is the empty string. NSGATE_STR("text") makes one of a literal.

use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::entry::null;
use crate::{Error, Result, Status};

/// Bytes that the caller owns. Not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_string {
    /// The first byte; may be NULL when length is 0.
    pub data: *const c_char,
    /// The number of bytes.
    pub length: usize,
}

/// The bytes behind `string`.
///
/// # Safety
/// `data` is NULL or points to `length` bytes that stay as they are during the call.
pub(super) unsafe fn bytes<'a>(string: nsgate_string) -> Result<&'a [u8]> {
    if string.length == 0 {
        return Ok(&[]);
    }
    if string.data.is_null() {
        return Err(null("a string with a length"));
    }
    if string.length > isize::MAX as usize {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("a string of {} bytes is too long", string.length),
        ));
    }
    // SAFETY: the caller's promise; not NULL, and not longer than an object can be.
    let bytes = unsafe { std::slice::from_raw_parts(string.data.cast::<u8>(), string.length) };
    if bytes.contains(&0) {
        return Err(Error::new(
            Status::InvalidArgument,
            "a string has a NUL inside",
        ));
    }
    Ok(bytes)
}

/// A path: any bytes.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn path<'a>(string: nsgate_string) -> Result<&'a Path> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(string) }?;
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// A name: UTF-8.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn name<'a>(string: nsgate_string) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(string) }?;
    std::str::from_utf8(bytes)
        .map_err(|_| Error::new(Status::InvalidArgument, "a name is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    fn string(data: &[u8]) -> nsgate_string {
        nsgate_string {
            data: data.as_ptr().cast(),
            length: data.len(),
        }
    }

    fn status<T>(result: Result<T>) -> Status {
        result.map_or_else(|error| error.status(), |_| Status::Ok)
    }

    #[test]
    fn odd_strings_have_a_clear_answer() {
        let nothing = |length| nsgate_string {
            data: ptr::null(),
            length,
        };
        let huge = nsgate_string {
            data: ptr::dangling(),
            length: usize::MAX,
        };
        // SAFETY: the strings are slices, NULL, or refused by their length alone.
        unsafe {
            assert_eq!(bytes(nothing(0)).unwrap(), b"");
            assert_eq!(status(bytes(nothing(1))), Status::InvalidArgument);
            assert_eq!(status(bytes(huge)), Status::InvalidArgument);
            assert_eq!(bytes(string(b"")).unwrap(), b"");
            assert_eq!(status(bytes(string(b"a\0b"))), Status::InvalidArgument);
            assert_eq!(status(bytes(string(b"a\0"))), Status::InvalidArgument);
            assert_eq!(path(string(b"\xff/x")).unwrap().as_os_str().len(), 3);
            assert_eq!(status(name(string(b"\xff/x"))), Status::InvalidArgument);
            assert_eq!(name(string("ä".as_bytes())).unwrap(), "ä");
        }
    }
}
