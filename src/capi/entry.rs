//! The one way in: every export that can fail runs its body here, so that a panic comes back as a
//! status, and outputs are written only on success. Rules 25 and 28 of the design.
//!
//! Nor does the unwinding of a cancelled thread come through here.

use crate::kernel::cancellation::PutOff;
use crate::panic::caught;

use super::status::{NSGATE_OK, nsgate_error, nsgate_status};
use crate::{Error, Result, Status};

/// The body of an export. Inside, the functions that trust the caller's pointers may be called.
macro_rules! entry {
    ($error:ident, $body:block) => {
        // SAFETY: whoever calls an export keeps what the header asks: a pointer is NULL or points to
        // what its type says.
        unsafe { $crate::capi::entry::run($error, || -> $crate::Result<()> { $body }) }
    };
}
pub(super) use entry;

/// The same for look-ups of some ten nanoseconds, which reach no cancellation point: to put a
/// cancellation off takes six.
macro_rules! brief_entry {
    ($error:ident, $body:block) => {
        // SAFETY: as above.
        unsafe { $crate::capi::entry::run_briefly($error, || -> $crate::Result<()> { $body }) }
    };
}
pub(super) use brief_entry;

/// Runs `body` with cancellations put off, and writes its failure to `error`.
///
/// # Safety
/// `error` is NULL or can be written.
pub(super) unsafe fn run(
    error: *mut nsgate_error,
    body: impl FnOnce() -> Result<()>,
) -> nsgate_status {
    let _put_off = PutOff::begin();
    // SAFETY: the caller's promise.
    unsafe { run_briefly(error, body) }
}

/// Runs `body`, and writes its failure to `error`.
///
/// # Safety
/// `error` is NULL or can be written.
#[inline]
pub(super) unsafe fn run_briefly(
    error: *mut nsgate_error,
    body: impl FnOnce() -> Result<()>,
) -> nsgate_status {
    let Err(failure) = caught(body).and_then(|answer| answer) else {
        return NSGATE_OK;
    };
    // SAFETY: the caller's promise.
    unsafe { fail(error, failure) }
}

/// # Safety
/// `error` is NULL or can be written.
#[cold]
unsafe fn fail(error: *mut nsgate_error, failure: Error) -> nsgate_status {
    if !error.is_null() {
        // SAFETY: the caller's promise; unaligned, because nothing is said about that.
        unsafe { error.write_unaligned(nsgate_error::from(&failure)) };
    }
    failure.status() as nsgate_status
}

/// A place for a result: checked before anything is done, written when everything is.
#[derive(Debug)]
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `place` is NULL or can be written.
    pub(super) unsafe fn new(place: *mut T) -> Result<Out<T>> {
        if place.is_null() {
            return Err(null("an output"));
        }
        Ok(Out(place))
    }

    /// For outputs that the caller may not want.
    ///
    /// # Safety
    /// `place` is NULL or can be written.
    pub(super) unsafe fn optional(place: *mut T) -> Out<T> {
        Out(place)
    }

    pub(super) fn write(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: promised where the `Out` was made.
            unsafe { self.0.write_unaligned(value) };
        }
    }
}

/// A caller's array that takes as many as fit.
pub(super) struct OutArray<T> {
    first: *mut T,
    capacity: usize,
}

impl<T> OutArray<T> {
    /// NULL goes with a capacity of 0, to ask only for the number.
    ///
    /// # Safety
    /// `first` is NULL or `capacity` elements can be written.
    pub(super) unsafe fn new(first: *mut T, capacity: usize) -> Result<OutArray<T>> {
        if first.is_null() && capacity > 0 {
            return Err(null("a buffer with a capacity"));
        }
        if capacity > isize::MAX as usize / size_of::<T>() {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("a capacity of {capacity} is larger than the address space"),
            ));
        }
        Ok(OutArray { first, capacity })
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Writes what fits of `values`.
    pub(super) fn write(self, values: impl IntoIterator<Item = T>) {
        self.write_from(0, values);
    }

    /// Writes what fits of `values` from `start` on.
    pub(super) fn write_from(&self, start: usize, values: impl IntoIterator<Item = T>) {
        for (index, value) in (start..self.capacity).zip(values) {
            // SAFETY: `index` is below the capacity promised where the array was made.
            unsafe { self.first.add(index).write_unaligned(value) };
        }
    }
}

impl OutArray<std::ffi::c_char> {
    /// Writes the bytes that fit; there is no NUL behind them.
    pub(super) fn write_bytes(self, bytes: &[u8]) {
        self.write(bytes.iter().map(|byte| *byte as std::ffi::c_char));
    }
}

pub(super) fn null(what: &str) -> Error {
    Error::new(Status::InvalidArgument, format!("{what} is NULL"))
}

#[cfg(test)]
mod tests {
    use std::panic::{panic_any, resume_unwind};
    use std::ptr;

    use super::*;
    use crate::capi::status::{NSGATE_FULL, NSGATE_PANIC};

    fn run_with(error: &mut nsgate_error, body: impl FnOnce() -> Result<()>) -> nsgate_status {
        // SAFETY: a reference can be written.
        unsafe { run(error, body) }
    }

    fn blank() -> nsgate_error {
        nsgate_error {
            status: -7,
            os_error: -7,
            message: [7; 248],
        }
    }

    #[test]
    fn the_error_is_written_only_on_failure() {
        let mut error = blank();
        assert_eq!(run_with(&mut error, || Ok(())), NSGATE_OK);
        assert_eq!((error.status, error.message[0]), (-7, 7));
        let full = || Err(Error::new(Status::Full, "no"));
        assert_eq!(run_with(&mut error, full), NSGATE_FULL);
        assert_eq!((error.status, error.os_error), (NSGATE_FULL, 0));
        assert_eq!(error.message[..3], [b'n' as _, b'o' as _, 0]);
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { run(ptr::null_mut(), full) }, NSGATE_FULL);
    }

    #[test]
    fn a_panic_becomes_a_status_whatever_its_payload() {
        struct Vicious;
        impl Drop for Vicious {
            fn drop(&mut self) {
                resume_unwind(Box::new("again"));
            }
        }
        let mut error = blank();
        assert_eq!(
            run_with(&mut error, || resume_unwind(Box::new("ouch"))),
            NSGATE_PANIC
        );
        assert_eq!(error.message[10], b'o' as _);
        assert_eq!(
            run_with(&mut error, || resume_unwind(Box::new(String::from("ach")))),
            NSGATE_PANIC
        );
        assert_eq!(error.message[10], b'a' as _);
        assert_eq!(run_with(&mut error, || panic_any(Vicious)), NSGATE_PANIC);
        assert_eq!(error.message[10], b'w' as _);
    }

    #[test]
    fn arrays_take_what_fits() {
        let mut numbers = [0u32; 4];
        // SAFETY: three of the four can be written.
        let array = unsafe { OutArray::new(numbers.as_mut_ptr(), 3) }.unwrap();
        array.write_from(2, [7, 8]);
        array.write_from(3, [9]);
        array.write_from(usize::MAX, [9]);
        assert_eq!(numbers, [0, 0, 7, 0]);
        // SAFETY: as above.
        let array = unsafe { OutArray::new(numbers.as_mut_ptr(), 3) }.unwrap();
        array.write([1, 2, 3, 4]);
        assert_eq!(numbers, [1, 2, 3, 0]);
        // SAFETY: NULL is allowed.
        unsafe {
            assert!(OutArray::<u32>::new(ptr::null_mut(), 0).is_ok());
            assert!(OutArray::<u32>::new(ptr::null_mut(), 1).is_err());
            assert!(OutArray::new(numbers.as_mut_ptr(), usize::MAX).is_err());
            assert!(Out::<u32>::new(ptr::null_mut()).is_err());
        }
    }
}
