//! Statuses and errors
//!
//! Every function that can fail returns an `nsgate_status` and takes an `nsgate_error` last, which
//! may be NULL. The error is written when the status is not NSGATE_OK and left alone otherwise;
//! nothing in it has to be freed, and nothing is kept per thread.

use std::ffi::c_char;

use crate::{Error, Status};

/// What became of a call: NSGATE_OK or the reason why not.
pub type nsgate_status = i32;

/// Done.
pub const NSGATE_OK: nsgate_status = 0;
/// An argument is out of its range, NULL where it must not be, or has a NUL inside.
pub const NSGATE_INVALID_ARGUMENT: nsgate_status = 1;
/// The handle is none of this kind: stale, foreign, random or zero.
pub const NSGATE_INVALID_HANDLE: nsgate_status = 2;
/// The object is not in a state that allows this.
pub const NSGATE_INVALID_STATE: nsgate_status = 3;
/// The object was closed or released.
pub const NSGATE_CLOSED: nsgate_status = 4;
/// No place is left; nothing was taken.
pub const NSGATE_FULL: nsgate_status = 5;
/// There is nothing by that name.
pub const NSGATE_NOT_FOUND: nsgate_status = 6;
/// There is something by that name already.
pub const NSGATE_ALREADY_EXISTS: nsgate_status = 7;
/// The object is bound to another thread.
pub const NSGATE_WRONG_THREAD: nsgate_status = 8;
/// Something entered later has to be restored first.
pub const NSGATE_WRONG_ORDER: nsgate_status = 9;
/// The address belongs to another life.
pub const NSGATE_WRONG_LIFECYCLE: nsgate_status = 10;
/// The thread could not be brought back and must not be used any more.
pub const NSGATE_TAINTED: nsgate_status = 11;
/// The call would wait for its own caller.
pub const NSGATE_WOULD_DEADLOCK: nsgate_status = 12;
/// The deadline passed.
pub const NSGATE_TIMED_OUT: nsgate_status = 13;
/// The kernel or the system lacks what this needs.
pub const NSGATE_UNSUPPORTED: nsgate_status = 14;
/// A system call failed; the error's os_error is its errno, the message names the call.
pub const NSGATE_OS: nsgate_status = 15;
/// Code of the library panicked. The object that was used may be closed, but nothing else.
pub const NSGATE_PANIC: nsgate_status = 16;
/// A callback answered with something other than NSGATE_OK.
pub const NSGATE_CALLBACK_FAILED: nsgate_status = 17;

// The numbers are those of the core.
const _: () = {
    assert!(NSGATE_OK == Status::Ok as nsgate_status);
    assert!(NSGATE_INVALID_ARGUMENT == Status::InvalidArgument as nsgate_status);
    assert!(NSGATE_INVALID_HANDLE == Status::InvalidHandle as nsgate_status);
    assert!(NSGATE_INVALID_STATE == Status::InvalidState as nsgate_status);
    assert!(NSGATE_CLOSED == Status::Closed as nsgate_status);
    assert!(NSGATE_FULL == Status::Full as nsgate_status);
    assert!(NSGATE_NOT_FOUND == Status::NotFound as nsgate_status);
    assert!(NSGATE_ALREADY_EXISTS == Status::AlreadyExists as nsgate_status);
    assert!(NSGATE_WRONG_THREAD == Status::WrongThread as nsgate_status);
    assert!(NSGATE_WRONG_ORDER == Status::WrongOrder as nsgate_status);
    assert!(NSGATE_WRONG_LIFECYCLE == Status::WrongLifecycle as nsgate_status);
    assert!(NSGATE_TAINTED == Status::Tainted as nsgate_status);
    assert!(NSGATE_WOULD_DEADLOCK == Status::WouldDeadlock as nsgate_status);
    assert!(NSGATE_TIMED_OUT == Status::TimedOut as nsgate_status);
    assert!(NSGATE_UNSUPPORTED == Status::Unsupported as nsgate_status);
    assert!(NSGATE_OS == Status::Os as nsgate_status);
    assert!(NSGATE_PANIC == Status::Panic as nsgate_status);
    assert!(NSGATE_CALLBACK_FAILED == Status::CallbackFailed as nsgate_status);
};

/// Why a call failed. The message ends in a NUL, is UTF-8 as far as the paths in it are, and is cut
/// between two characters where it does not fit.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_error {
    /// The status that was returned.
    pub status: nsgate_status,
    /// The errno of the system call that failed, or 0.
    pub os_error: i32,
    /// What happened: "chroot /volumes/7: openat2(5, "a/b", ...) = -1 ENOENT (No such file ...)".
    pub message: [c_char; 248],
}

impl From<&Error> for nsgate_error {
    fn from(error: &Error) -> nsgate_error {
        nsgate_error {
            status: error.status() as nsgate_status,
            os_error: error.os_error().unwrap_or(0),
            message: fixed(error.message()),
        }
    }
}

/// `text` in a fixed array: cut between two characters where it does not fit, always with a NUL.
pub(super) fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for (to, from) in array.iter_mut().zip(&text.as_bytes()[..end]) {
        *to = *from as c_char;
    }
    array
}

const NAMES: [&std::ffi::CStr; Status::ALL.len()] = [
    c"NSGATE_OK",
    c"NSGATE_INVALID_ARGUMENT",
    c"NSGATE_INVALID_HANDLE",
    c"NSGATE_INVALID_STATE",
    c"NSGATE_CLOSED",
    c"NSGATE_FULL",
    c"NSGATE_NOT_FOUND",
    c"NSGATE_ALREADY_EXISTS",
    c"NSGATE_WRONG_THREAD",
    c"NSGATE_WRONG_ORDER",
    c"NSGATE_WRONG_LIFECYCLE",
    c"NSGATE_TAINTED",
    c"NSGATE_WOULD_DEADLOCK",
    c"NSGATE_TIMED_OUT",
    c"NSGATE_UNSUPPORTED",
    c"NSGATE_OS",
    c"NSGATE_PANIC",
    c"NSGATE_CALLBACK_FAILED",
];

/// Names a status: "NSGATE_OK"; "NSGATE_UNKNOWN" for a number that is none.
///
/// Ownership: the answer is static. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn nsgate_status_name(status: nsgate_status) -> *const c_char {
    usize::try_from(status)
        .ok()
        .and_then(|number| NAMES.get(number))
        .map_or(c"NSGATE_UNKNOWN".as_ptr(), |name| name.as_ptr())
}

/// Tells the version of the library that was loaded: "0.1.0". The header's own is NSGATE_VERSION.
///
/// Ownership: the answer is static. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn nsgate_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    /// The message of `error` as C reads it.
    fn message(error: &nsgate_error) -> &str {
        let bytes: &[u8; 248] =
            // SAFETY: c_char and u8 have the same layout.
            unsafe { &*(&raw const error.message).cast() };
        CStr::from_bytes_until_nul(bytes).unwrap().to_str().unwrap()
    }

    #[test]
    fn names_are_those_of_the_statuses() {
        for status in Status::ALL {
            // SAFETY: the answer is a static string.
            let name = unsafe { CStr::from_ptr(nsgate_status_name(status as i32)) };
            let plain = name
                .to_str()
                .unwrap()
                .replace("NSGATE", "")
                .replace('_', "");
            assert_eq!(plain, format!("{status:?}").to_uppercase());
        }
        for none in [-1, 18, i32::MIN, i32::MAX] {
            // SAFETY: the answer is a static string.
            let name = unsafe { CStr::from_ptr(nsgate_status_name(none)) };
            assert_eq!(name, c"NSGATE_UNKNOWN");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        for length in [0, 1, 246, 247, 248, 300] {
            let error = Error::new(Status::Full, "x".repeat(length));
            assert_eq!(message(&(&error).into()).len(), length.min(247));
        }
        let error = Error::new(Status::Full, "ä".repeat(200));
        assert_eq!(message(&(&error).into()), "ä".repeat(123));
        let error = nsgate_error::from(&Error::os("open(\"x\")", libc::ENOENT));
        assert_eq!((error.status, error.os_error), (NSGATE_OS, libc::ENOENT));
        assert!(message(&error).starts_with("open(\"x\") = -1 ENOENT"));
    }
}
