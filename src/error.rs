//! One error type: a status for the program, and for the reader the call with its arguments, as
//! strace would print it.

use std::borrow::Cow;
use std::fmt;

use nix::errno::Errno;

/// What became of a call. The numbers are those of the C ABI and never change.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::Status;
///
/// chroot.release()?;
/// let refused = chroot.stat("/").unwrap_err();
/// assert_eq!(refused.status(), Status::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(i32)]
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// An argument is out of its range, NULL where it must not be, or has a NUL inside.
    InvalidArgument = 1,
    /// The handle is none of this kind: stale, foreign, random or zero.
    InvalidHandle = 2,
    /// The object is not in a state that allows this.
    InvalidState = 3,
    /// The object was closed or released.
    Closed = 4,
    /// No place is left; nothing was taken.
    Full = 5,
    /// There is nothing by that name.
    NotFound = 6,
    /// There is something by that name already.
    AlreadyExists = 7,
    /// The object is bound to another thread.
    WrongThread = 8,
    /// Something entered later has to be restored first.
    WrongOrder = 9,
    /// The address belongs to another life.
    WrongLifecycle = 10,
    /// The thread could not be brought back and must not be used any more.
    Tainted = 11,
    /// The call would wait for its own caller.
    WouldDeadlock = 12,
    /// The deadline passed.
    TimedOut = 13,
    /// The kernel or the system lacks what this needs.
    Unsupported = 14,
    /// A system call failed; the errno tells why.
    Os = 15,
    /// Code that was called panicked.
    Panic = 16,
    /// A callback answered with a status other than OK.
    CallbackFailed = 17,
}

impl Status {
    /// Every status, in the order of its number.
    pub const ALL: [Status; 18] = [
        Status::Ok,
        Status::InvalidArgument,
        Status::InvalidHandle,
        Status::InvalidState,
        Status::Closed,
        Status::Full,
        Status::NotFound,
        Status::AlreadyExists,
        Status::WrongThread,
        Status::WrongOrder,
        Status::WrongLifecycle,
        Status::Tainted,
        Status::WouldDeadlock,
        Status::TimedOut,
        Status::Unsupported,
        Status::Os,
        Status::Panic,
        Status::CallbackFailed,
    ];
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
///
/// ```
/// use nsgate::{Error, Status};
///
/// let error = Error::os("mkdirat(3, \"a\", 0755)", 17);
/// assert_eq!(error.status(), Status::Os);
/// assert_eq!(error.os_error(), Some(17));
/// assert_eq!(error.to_string(), "mkdirat(3, \"a\", 0755) = -1 EEXIST (File exists)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    status: Status,
    os_error: i32,
    message: Cow<'static, str>,
}

impl Error {
    /// An error that no system call stands behind.
    pub fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(Inner {
            status,
            os_error: 0,
            message: message.into(),
        }))
    }

    /// A failed system call: `call` names it with its arguments, `os_error` is its errno.
    pub fn os(call: impl fmt::Display, os_error: i32) -> Error {
        let errno = Errno::from_raw(os_error);
        let description = match errno {
            Errno::UnknownErrno => format!("{call} = -1 errno {os_error}"),
            known => format!("{call} = -1 {known:?} ({})", known.desc()),
        };
        Error(Box::new(Inner {
            status: Status::Os,
            os_error,
            message: description.into(),
        }))
    }

    /// The same error, with what was being done in front: "chroot /volumes/7: openat2(…) = -1 …".
    pub fn with_context(mut self, context: impl fmt::Display) -> Error {
        self.0.message = format!("{context}: {}", self.0.message).into();
        self
    }

    /// The same error under another status, for a failed call that means something of its own.
    pub fn with_status(mut self, status: Status) -> Error {
        self.0.status = status;
        self
    }

    /// What became of the call; never [`Status::Ok`].
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// The errno, where a system call stands behind the error.
    pub fn os_error(&self) -> Option<i32> {
        (self.0.os_error != 0).then_some(self.0.os_error)
    }

    /// What happened, without the name of the status.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn closed(what: &'static str) -> Error {
        Error::new(Status::Closed, what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.status, self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        use std::io::ErrorKind;
        if let Some(os_error) = error.os_error() {
            return std::io::Error::from_raw_os_error(os_error);
        }
        let kind = match error.status() {
            Status::InvalidArgument | Status::InvalidHandle => ErrorKind::InvalidInput,
            Status::NotFound => ErrorKind::NotFound,
            Status::AlreadyExists => ErrorKind::AlreadyExists,
            Status::TimedOut => ErrorKind::TimedOut,
            Status::WouldDeadlock => ErrorKind::Deadlock,
            Status::Unsupported => ErrorKind::Unsupported,
            Status::Full => ErrorKind::QuotaExceeded,
            _ => ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_statuses_are_their_places() {
        for (number, status) in Status::ALL.iter().enumerate() {
            assert_eq!(*status as usize, number);
        }
    }

    #[test]
    fn an_error_prints_the_call_as_strace_does() {
        let error = Error::os("setns(5, CLONE_NEWNS)", libc::EPERM).with_context("enter");
        assert_eq!(
            error.to_string(),
            "enter: setns(5, CLONE_NEWNS) = -1 EPERM (Operation not permitted)"
        );
        assert_eq!(
            std::io::Error::from(error).raw_os_error(),
            Some(libc::EPERM)
        );
        assert!(Error::os("x()", 9999).to_string().contains("errno 9999"));
    }
}
