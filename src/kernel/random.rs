//! Numbers that nobody can guess.

use crate::error::Result;
use crate::kernel::syscall::check;

/// One of all 64-bit numbers (getrandom(2)).
pub(crate) fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    check(
        // SAFETY: as much room as we say. A request of up to 256 bytes is filled whole.
        unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) } as libc::c_long,
        || "getrandom(…, 8, 0)",
    )?;
    Ok(u64::from_ne_bytes(bytes))
}
