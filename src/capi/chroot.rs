//! Chroots
//!
//! A chroot is a private view of a directory: its mounts, with attributes of their own, and nothing
//! above them. Opening one takes microseconds, makes no thread and writes nothing to the volume. File
//! operations run on the caller's thread; functions run inside, with the volume as "/", on threads of
//! the library. Any number of them run at the same time.
//!
//! A chroot is released by nsgate_chroot_release, by the sandbox it is attached to, or by the free of
//! its handle, whatever comes first. From then on it refuses new work with NSGATE_CLOSED; what runs
//! finishes.

use std::ffi::c_void;

use super::callback::{UserData, nsgate_destroy_function, required};
use super::entry::{Out, entry};
use super::flags;
use super::handle::{Handle, nsgate_chroot, nsgate_gate};
use super::job::{nsgate_job_function, work};
use super::namespace::{done, job, nsgate_done_function, nsgate_namespace_id, nsgate_run_function};
use super::status::{nsgate_error, nsgate_status};
use super::string::{nsgate_string, path};
use super::structs::{self, Extensible};
use crate::{Chroot, ChrootOptions, Propagation, Result, Ticket};

/// Refuse all changes (EROFS).
pub const NSGATE_CHROOT_READ_ONLY: u32 = 1;
/// Honour setuid, setgid and file capabilities, which are ignored otherwise.
pub const NSGATE_CHROOT_ALLOW_SUID: u32 = 2;
/// Let device files be opened, which is refused otherwise.
pub const NSGATE_CHROOT_ALLOW_DEVICES: u32 = 4;
/// Refuse to execute programs.
pub const NSGATE_CHROOT_NOEXEC: u32 = 8;
/// Follow no symbolic link. EINVAL on Linux 5.12 and 5.13.
pub const NSGATE_CHROOT_NOSYMFOLLOW: u32 = 16;
/// Let mounts that the host makes below the volume later on appear inside, once the chroot has its
/// namespace (nsgate_chroot_identify makes it); none go back. The volume's mount must be shared. A
/// later mount keeps the attributes that the host gives it: what the other flags refuse, devices and
/// setuid as well, holds for the mounts that were there at the open only.
pub const NSGATE_CHROOT_SLAVE: u32 = 32;
/// Leave out what is mounted below the volume.
pub const NSGATE_CHROOT_NOT_RECURSIVE: u32 = 64;
/// Refuse a path that leads through a symbolic link, at its end or before (ELOOP); links are followed
/// otherwise.
pub const NSGATE_CHROOT_NOFOLLOW: u32 = 128;

/// What a chroot is opened with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_chroot_options {
    /// sizeof(nsgate_chroot_options).
    pub size: u32,
    /// NSGATE_CHROOT_... or 0.
    pub flags: u32,
}

// SAFETY: integers only, the size first.
unsafe impl Extensible for nsgate_chroot_options {
    const FIRST: usize = 8;
}

fn options(from: &nsgate_chroot_options) -> Result<ChrootOptions> {
    flags::known(from.flags, 255)?;
    let has = |flag: u32| from.flags & flag != 0;
    Ok(ChrootOptions {
        read_only: has(NSGATE_CHROOT_READ_ONLY),
        nosuid: !has(NSGATE_CHROOT_ALLOW_SUID),
        nodev: !has(NSGATE_CHROOT_ALLOW_DEVICES),
        noexec: has(NSGATE_CHROOT_NOEXEC),
        nosymfollow: has(NSGATE_CHROOT_NOSYMFOLLOW),
        propagation: match has(NSGATE_CHROOT_SLAVE) {
            true => Propagation::Slave,
            false => Propagation::Private,
        },
        recursive: !has(NSGATE_CHROOT_NOT_RECURSIVE),
        nofollow: has(NSGATE_CHROOT_NOFOLLOW),
    })
}

/// # Safety
/// `from` is NULL or can be read as its first field says.
unsafe fn read_options(from: *const nsgate_chroot_options) -> Result<ChrootOptions> {
    if from.is_null() {
        return Ok(ChrootOptions::default());
    }
    // SAFETY: the caller's promise.
    options(&unsafe { structs::read(from) }?)
}

/// Opens a chroot of a directory.
///
/// Ownership: options is borrowed and may be NULL for the defaults. The handle is ended by
/// nsgate_chroot_free.
/// Errors: NSGATE_OS, with ENOTDIR when the volume is no directory; NSGATE_FULL when no place for its
/// release is left; NSGATE_CLOSED when the gate is closed. Before Linux 5.12 also NSGATE_UNSUPPORTED,
/// where a mount that is to be taken along lies beneath another, and NSGATE_WOULD_DEADLOCK in a job
/// when no other namespace thread is left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_open(
    gate: nsgate_gate,
    volume: nsgate_string,
    options: *const nsgate_chroot_options,
    out: *mut nsgate_chroot,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let volume = path(volume)?;
        let options = read_options(options)?;
        let chroot = Chroot::open(&*gate.get()?, volume, &options)?;
        out.write(nsgate_chroot::make(chroot)?);
        Ok(())
    })
}

/// Opens a chroot of a directory in a chroot, with a place in the release queue of its own.
///
/// It stays when the outer one is released. What the outer one's mounts refuse it refuses too,
/// whatever its flags say. The path is looked up as by a file operation; the outer chroot's namespace is
/// made if it has none yet.
///
/// Ownership: options is borrowed and may be NULL for the defaults. The handle is ended by
/// nsgate_chroot_free.
/// Threads: any, also from inside a run function, of another chroot too.
/// Errors: NSGATE_OS, with ENOTDIR when the path leads to no directory; NSGATE_FULL; NSGATE_CLOSED;
/// NSGATE_WOULD_DEADLOCK from inside a run function when no thread is left; NSGATE_TAINTED; as
/// nsgate_chroot_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_open_chroot(
    chroot: nsgate_chroot,
    path: nsgate_string,
    options: *const nsgate_chroot_options,
    out: *mut nsgate_chroot,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let path = self::path(path)?;
        let options = read_options(options)?;
        let inner = chroot.get()?.open_chroot(path, &options)?;
        out.write(nsgate_chroot::make(inner)?);
        Ok(())
    })
}

/// Runs a function inside the chroot, on a thread of the library, and waits for it.
///
/// The first one makes the chroot's namespace. Several run at once, as far as
/// nsgate_gate_options.namespace_threads goes; others wait their turn.
///
/// Ownership: user_data is borrowed.
/// Threads: any, also from inside a run function.
/// Errors: NSGATE_CLOSED; NSGATE_TAINTED when the function ran but its thread could not come home or
/// is not as it was (it has ended, and nothing is lost but that); NSGATE_WOULD_DEADLOCK from inside a run function when no
/// thread is left; NSGATE_OS, with nothing run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_run(
    chroot: nsgate_chroot,
    function: nsgate_run_function,
    user_data: *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let job = job(required(function)?, user_data);
        chroot.get()?.run(job)
    })
}

/// Runs a function inside the chroot as nsgate_chroot_run does, and returns at once.
///
/// done is called exactly once, after the function, if the answer is NSGATE_OK, and never otherwise.
/// Its status is what nsgate_chroot_run would have answered.
///
/// run, which may be NULL, gets a number for nsgate_gate_take_back: perhaps after done was called, so
/// that it must not lie in what that frees.
///
/// Ownership: user_data, for both functions, is the caller's to keep until done is called, or the run
/// is taken back.
/// Errors: NSGATE_CLOSED; NSGATE_OS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_start(
    chroot: nsgate_chroot,
    function: nsgate_run_function,
    done: nsgate_done_function,
    user_data: *mut c_void,
    run: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(run);
        let job = job(required(function)?, user_data);
        let done = self::done(required(done)?, user_data);
        out.write(chroot.get()?.start(Box::new(job), done)?.as_raw());
        Ok(())
    })
}

/// Tells in which mount namespace functions run; makes it if there is none yet.
///
/// Errors: NSGATE_CLOSED; NSGATE_OS; where it has to be made also NSGATE_TAINTED and, from inside a run
/// function when no thread is left, NSGATE_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_identify(
    chroot: nsgate_chroot,
    out: *mut nsgate_namespace_id,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        out.write(chroot.get()?.namespace_id()?.into());
        Ok(())
    })
}

/// Has a step of the host's run before the chroot is taken down, on a worker that may block.
///
/// Its failure is told with the event; the release goes on all the same.
///
/// Ownership: user_data is taken; destroy is called with it once the step can run no more.
/// Errors: NSGATE_CLOSED; NSGATE_INVALID_STATE when there is a step already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_before_release(
    chroot: nsgate_chroot,
    function: nsgate_job_function,
    user_data: *mut c_void,
    destroy: nsgate_destroy_function,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let function = required(function)?;
        let chroot = chroot.get()?;
        let data = UserData::new(user_data, destroy);
        chroot.before_release(work(function, data.clone()))?;
        data.taken();
        Ok(())
    })
}

/// Hands the chroot over for release and returns at once.
///
/// Ownership: the handle stays, and answers NSGATE_CLOSED. ticket may be NULL.
/// Errors: NSGATE_CLOSED when it was released already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_release(
    chroot: nsgate_chroot,
    ticket: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(ticket);
        out.write(chroot.get()?.release()?.as_raw());
        Ok(())
    })
}

/// Gives the ticket of the chroot's release, whoever asked for that: the sandbox it is attached to,
/// perhaps. 0 while it is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_ticket(
    chroot: nsgate_chroot,
    out: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        out.write(chroot.get()?.ticket().map_or(0, Ticket::as_raw));
        Ok(())
    })
}

/// Takes a release back that no worker has begun: the chroot is open again, and attached to no sandbox.
///
/// Errors: NSGATE_INVALID_STATE once it has begun, or when nothing was released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_cancel_release(
    chroot: nsgate_chroot,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { chroot.get()?.cancel_release() })
}

/// Tells whether the chroot was released: 1, otherwise 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_is_closed(
    chroot: nsgate_chroot,
    out: *mut u32,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        out.write(chroot.get()?.is_closed().into());
        Ok(())
    })
}

/// Frees the chroot's handle, and releases the chroot if nobody did. One that is attached to a
/// sandbox stays open until that releases it.
///
/// Ownership: ends the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_chroot_free(
    chroot: nsgate_chroot,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        // At once, and not by the last call that uses the chroot: the gate must know of it.
        chroot.close()?.release_unless_attached();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_what_differs_from_the_default() {
        let with = |flags| options(&nsgate_chroot_options { size: 8, flags });
        assert_eq!(with(0).unwrap(), ChrootOptions::default());
        let all = with(255).unwrap();
        assert!(all.read_only && all.noexec && all.nosymfollow && all.nofollow);
        assert!(!all.nosuid && !all.nodev && !all.recursive);
        assert_eq!(all.propagation, Propagation::Slave);
        assert!(with(256).is_err());
    }
}
