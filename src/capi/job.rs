//! Jobs: the host's own work, descriptors, unmounts
//!
//! A job has its place in the release queue from its reservation on, so that submitting it cannot
//! fail. Jobs run on workers that may block; errors that pass by themselves (EBUSY, EINTR, EAGAIN,
//! ENOMEM) are tried again, as the gate's options say.

use std::ffi::{c_int, c_void};

use super::callback::{UserData, nsgate_destroy_function, required};
use super::descriptor;
use super::entry::{Out, entry};
use super::handle::{Handle, nsgate_gate, nsgate_job};
use super::status::{nsgate_error, nsgate_status};
use super::string::{name, nsgate_string, path};
use crate::{Error, Result, Status, UnmountOptions};

/// Does the host's work, on a worker thread. Answers 0, or the errno it failed with: EBUSY, EINTR,
/// EAGAIN and ENOMEM are tried again, others fail the job. It may block; it should not for ever.
///
/// Signals are blocked there as in a nsgate_run_function, and processes that it starts inherit that.
pub type nsgate_job_function = Option<extern "C" fn(user_data: *mut c_void) -> i32>;

/// Let the kernel take the mounts off the tree at once and the file systems later (MNT_DETACH), when
/// a plain unmount stays busy.
pub const NSGATE_UNMOUNT_DETACH: u32 = 1;

/// A job function as the core calls it.
pub(super) fn work(
    function: extern "C" fn(*mut c_void) -> i32,
    data: std::sync::Arc<UserData>,
) -> impl FnMut() -> Result<()> + Send + 'static {
    move || match function(data.get()) {
        0 => Ok(()),
        errno if errno > 0 => Err(Error::os("the job's function", errno)),
        answer => Err(Error::new(
            Status::CallbackFailed,
            format!("the job's function answered {answer}, neither 0 nor an errno"),
        )),
    }
}

/// Reserves a place for the host's own work.
///
/// label names it in reports.
///
/// Ownership: user_data is taken; destroy is called with it once the job can run no more. The job is
/// ended by nsgate_job_free.
/// Errors: NSGATE_FULL; NSGATE_CLOSED when the gate is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_job_reserve(
    gate: nsgate_gate,
    label: nsgate_string,
    function: nsgate_job_function,
    user_data: *mut c_void,
    destroy: nsgate_destroy_function,
    out: *mut nsgate_job,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let label = name(label)?;
        let function = required(function)?;
        let gate = gate.get()?;
        let data = UserData::new(user_data, destroy);
        let work = work(function, data.clone());
        let job = nsgate_job::make(gate.releases().reserve_job(label, work)?)?;
        data.taken();
        out.write(job);
        Ok(())
    })
}

/// Reserves a place for closing a descriptor, for those whose close may block.
///
/// label names it in reports.
///
/// Ownership: fd is taken, on success only. The job is ended by nsgate_job_free.
/// Errors: NSGATE_OS with EBADF; NSGATE_FULL; NSGATE_CLOSED when the gate is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_job_reserve_descriptor(
    gate: nsgate_gate,
    fd: c_int,
    label: nsgate_string,
    out: *mut nsgate_job,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let label = name(label)?;
        let gate = gate.get()?;
        let fd = descriptor::borrow(fd)?;
        // First, so that nothing can fail once the descriptor is taken.
        let handle = nsgate_job::vacancy()?;
        let take = || descriptor::take(fd);
        let job = gate.releases().reserve_descriptor_with(label, take)?;
        out.write(nsgate_job::from_id(handle.fill(job)));
        Ok(())
    })
}

/// Reserves a place for unmounting a path, with everything that is mounted below it.
///
/// The path is looked up here, without following a final symbolic link, and not again: another mount that
/// lies there later is left alone, except before Linux 6.8 one that got the same small id, device and
/// root inode.
///
/// flags: NSGATE_UNMOUNT_DETACH or 0.
///
/// Ownership: the job is ended by nsgate_job_free.
/// Errors: NSGATE_OS; NSGATE_FULL; NSGATE_CLOSED when the gate is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_job_reserve_unmount(
    gate: nsgate_gate,
    path: nsgate_string,
    flags: u32,
    out: *mut nsgate_job,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let path = self::path(path)?;
        super::flags::known(flags, NSGATE_UNMOUNT_DETACH)?;
        let options = UnmountOptions {
            detach: flags & NSGATE_UNMOUNT_DETACH != 0,
        };
        let gate = gate.get()?;
        let job = gate.releases().reserve_unmount(path, options)?;
        out.write(nsgate_job::make(job)?);
        Ok(())
    })
}

/// Hands a job to the release queue. It does not wait and cannot fail for want of anything.
///
/// Ownership: the handle stays; after nsgate_gate_cancel the job can be submitted again. ticket may
/// be NULL.
/// Errors: NSGATE_INVALID_STATE when it was submitted already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_job_submit(
    job: nsgate_job,
    ticket: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(ticket);
        out.write(job.get()?.submit()?.as_raw());
        Ok(())
    })
}

/// Frees a job's handle. A job that was never submitted, and that nothing is attached to, is given
/// up: it does not run, its descriptor is closed by a worker.
///
/// Ownership: ends the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_job_free(
    job: nsgate_job,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { job.close().map(drop) })
}
