//! Structs that may grow: they start with their size, as the kernel's extensible structs do, so that
//! a program and a library of different age understand each other. Rule 26 of the design.

use std::mem::MaybeUninit;
use std::ptr;

use super::entry::null;
use crate::{Error, Result, Status};

/// A struct that starts with `uint32_t size`.
///
/// # Safety
/// `repr(C)`, the size first, and valid for any bits (no `bool`, enum or reference inside; function
/// pointers as `Option`).
pub(super) unsafe trait Extensible: Copy {
    /// The size that it had in the version that it came with. No program was ever built with less.
    const FIRST: usize;
}

/// Larger ones are garbage, not the future.
const LARGEST: usize = 4096;

/// The size that the caller gave its struct.
///
/// # Safety
/// `place` points to at least four bytes.
unsafe fn size_of_caller<T: Extensible>(place: *const T) -> Result<usize> {
    const { assert!(size_of::<u32>() <= T::FIRST && T::FIRST <= size_of::<T>()) };
    // SAFETY: the caller's promise.
    let size = unsafe { place.cast::<u32>().read_unaligned() } as usize;
    if !(T::FIRST..=LARGEST).contains(&size) || !size.is_multiple_of(align_of::<T>()) {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("{size} is no size of {}", name::<T>()),
        ));
    }
    Ok(size)
}

fn name<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.rsplit("::").next().unwrap_or(path)
}

/// Reads the caller's struct: what it is too short for is zero, what it is too long for must be.
///
/// # Safety
/// `place` is NULL or points to as many bytes as its `size` says.
pub(super) unsafe fn read<T: Extensible>(place: *const T) -> Result<T> {
    if place.is_null() {
        return Err(null(name::<T>()));
    }
    // SAFETY: the caller's promise.
    let size = unsafe { size_of_caller(place) }?;
    let from = place.cast::<u8>();
    for offset in size_of::<T>()..size {
        // SAFETY: below the size the caller gave.
        if unsafe { from.add(offset).read() } != 0 {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "{} asks for something at byte {offset} that this version does not know",
                    name::<T>()
                ),
            ));
        }
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: as many bytes as both have; any bits make a `T`.
    unsafe {
        ptr::copy_nonoverlapping(
            from,
            value.as_mut_ptr().cast::<u8>(),
            size.min(size_of::<T>()),
        );
        Ok(value.assume_init())
    }
}

/// A caller's struct that is to be filled.
pub(super) struct OutStruct<T> {
    place: *mut T,
    size: usize,
}

impl<T: Extensible> OutStruct<T> {
    /// # Safety
    /// `place` is NULL or points to as many writable bytes as its `size` says.
    pub(super) unsafe fn new(place: *mut T) -> Result<OutStruct<T>> {
        if place.is_null() {
            return Err(null(name::<T>()));
        }
        // SAFETY: the caller's promise.
        let size = unsafe { size_of_caller(place) }?;
        Ok(OutStruct { place, size })
    }

    /// For one the caller may not want.
    ///
    /// # Safety
    /// As for [`OutStruct::new`].
    pub(super) unsafe fn optional(place: *mut T) -> Result<Option<OutStruct<T>>> {
        if place.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        unsafe { OutStruct::new(place) }.map(Some)
    }

    /// Fills as much as the caller has room for, and zeroes what this version does not know. `size`
    /// stays the caller's.
    pub(super) fn write(self, value: &T) {
        let known = self.size.min(size_of::<T>());
        let skip = size_of::<u32>();
        // SAFETY: within the size the caller gave, which is at least that of the size itself.
        unsafe {
            let to = self.place.cast::<u8>();
            let from = ptr::from_ref(value).cast::<u8>();
            ptr::copy_nonoverlapping(from.add(skip), to.add(skip), known - skip);
            ptr::write_bytes(to.add(known), 0, self.size - known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Sample {
        size: u32,
        first: u32,
        second: u64,
    }

    // SAFETY: integers only, the size first.
    unsafe impl Extensible for Sample {
        const FIRST: usize = 8;
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Longer {
        sample: Sample,
        tail: [u8; 8],
    }

    fn longer(size: u32) -> Longer {
        Longer {
            sample: Sample {
                size,
                first: 1,
                second: 2,
            },
            tail: [0; 8],
        }
    }

    fn read_from(longer: &Longer) -> Result<Sample> {
        // SAFETY: the sizes in these tests are within `Longer`, or refused.
        unsafe { read(ptr::from_ref(longer).cast::<Sample>()) }
    }

    #[test]
    fn short_structs_are_filled_with_zeros() {
        let short = read_from(&longer(8)).unwrap();
        assert_eq!((short.first, short.second), (1, 0));
    }

    #[test]
    fn long_structs_may_only_be_zero_behind() {
        let mut from_the_future = longer(24);
        assert_eq!(read_from(&from_the_future).unwrap().second, 2);
        from_the_future.tail[7] = 1;
        let error = read_from(&from_the_future).unwrap_err();
        assert_eq!(error.status(), Status::InvalidArgument);
        assert_eq!(
            error.message(),
            "Sample asks for something at byte 23 that this version does not know"
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for size in [0, 1, 4, 7, 9, 12, 20, 4097, u32::MAX] {
            let mut place = longer(size);
            let error = read_from(&place).unwrap_err();
            assert_eq!(error.status(), Status::InvalidArgument);
            assert_eq!(error.message(), format!("{size} is no size of Sample"));
            // SAFETY: as in `read_from`.
            let out = unsafe { OutStruct::new((&raw mut place).cast::<Sample>()) };
            assert_eq!(out.err().unwrap().status(), Status::InvalidArgument);
        }
        // SAFETY: NULL is allowed.
        unsafe {
            assert!(read::<Sample>(ptr::null()).is_err());
            assert!(OutStruct::<Sample>::new(ptr::null_mut()).is_err());
        }
    }

    #[test]
    fn outputs_fill_what_there_is_room_for() {
        let value = Sample {
            size: 0,
            first: 5,
            second: 6,
        };
        for (size, first, second, last) in [(8, 5, 2, 9), (16, 5, 6, 9), (24, 5, 6, 0)] {
            let mut place = longer(size);
            place.tail = [9; 8];
            // SAFETY: the size is within `Longer`.
            let out = unsafe { OutStruct::new((&raw mut place).cast::<Sample>()) }.unwrap();
            out.write(&value);
            let Longer { sample, tail } = place;
            assert_eq!((sample.size, sample.first), (size, first));
            assert_eq!((sample.second, tail[7]), (second, last));
        }
    }
}
