//! Mount namespaces
//!
//! A mount namespace that exists (by path, process or descriptor) or that is made here. Functions run
//! in it on threads of the library; the calling thread can enter it, too, and come back exactly.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::callback::{Pointer, required};
use super::descriptor;
use super::entry::{Out, entry};
use super::handle::{Handle, nsgate_gate, nsgate_namespace};
use super::status::{NSGATE_OK, nsgate_error, nsgate_status};
use super::string::{nsgate_string, path};
use crate::{MountNamespace, NamespaceId, Result};

/// Which mount namespace it is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_namespace_id {
    /// Device of the namespace file system.
    pub device: u64,
    /// The number in "mnt:[4026531841]". Unique as long as somebody holds the namespace.
    pub inode: u64,
    /// The kernel's own id, never used again; 0 before Linux 6.11.
    pub ns_id: u64,
}

impl From<NamespaceId> for nsgate_namespace_id {
    fn from(id: NamespaceId) -> nsgate_namespace_id {
        nsgate_namespace_id {
            device: id.device,
            inode: id.inode,
            ns_id: id.ns_id.unwrap_or(0),
        }
    }
}

/// Runs in a namespace or chroot, on a thread of the library, with the inside's root as "/" and as
/// working directory. It must load nothing from there (no name service, no dlopen, no locale) and
/// start no thread: that would stay inside.
///
/// All signals are blocked there, but for those that a thread's own instructions cause. A process that
/// it starts inherits that, unless told otherwise (POSIX_SPAWN_SETSIGMASK, sigprocmask before exec).
///
/// The thread serves others after it. The umask and blocked signals are put back; a
/// thread that is left with another user or group for files (setfsuid(2)) ends, with NSGATE_TAINTED.
/// Whatever else it changes of its thread (supplementary groups, capabilities, scheduling, network
/// namespace, seccomp filters) it must put back itself.
pub type nsgate_run_function = Option<extern "C" fn(user_data: *mut c_void)>;

/// Is told how a started function ended, on a thread that is outside. error is NULL when status is
/// NSGATE_OK, and valid during the call otherwise. It must not block.
pub type nsgate_done_function = Option<
    extern "C" fn(user_data: *mut c_void, status: nsgate_status, error: *const nsgate_error),
>;

/// A run function as the core calls it.
pub(super) fn job(
    function: extern "C" fn(*mut c_void),
    user_data: *mut c_void,
) -> impl FnOnce() + Send + 'static {
    let user_data = Pointer(user_data);
    move || function(user_data.get())
}

/// A done function as the core calls it.
pub(super) fn done(
    function: extern "C" fn(*mut c_void, nsgate_status, *const nsgate_error),
    user_data: *mut c_void,
) -> Box<dyn FnOnce(Result<()>) + Send> {
    let user_data = Pointer(user_data);
    Box::new(move |result| match result {
        Ok(()) => function(user_data.get(), NSGATE_OK, ptr::null()),
        Err(error) => {
            let error = nsgate_error::from(&error);
            function(user_data.get(), error.status, &error);
        }
    })
}

/// Opens the namespace behind a path such as /proc/PID/ns/mnt, or a bind mount of one.
///
/// Ownership: the namespace is ended by nsgate_namespace_release.
/// Errors: NSGATE_OS; NSGATE_INVALID_ARGUMENT when it is no mount namespace; NSGATE_FULL;
/// NSGATE_CLOSED when the gate is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_open_path(
    gate: nsgate_gate,
    path: nsgate_string,
    out: *mut nsgate_namespace,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let path = self::path(path)?;
        let namespace = MountNamespace::from_path(&*gate.get()?, path)?;
        out.write(nsgate_namespace::make(namespace)?);
        Ok(())
    })
}

/// Opens the namespace of a process. That pid is still the process that is meant is the caller's to
/// know.
///
/// Ownership, errors: as nsgate_namespace_open_path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_open_pid(
    gate: nsgate_gate,
    pid: i32,
    out: *mut nsgate_namespace,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let namespace = MountNamespace::from_pid(&*gate.get()?, pid)?;
        out.write(nsgate_namespace::make(namespace)?);
        Ok(())
    })
}

/// Opens the namespace behind a descriptor.
///
/// Ownership: fd is duplicated and stays the caller's. The namespace is ended by
/// nsgate_namespace_release.
/// Errors: as nsgate_namespace_open_path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_open_fd(
    gate: nsgate_gate,
    fd: c_int,
    out: *mut nsgate_namespace,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let gate = gate.get()?;
        let namespace = MountNamespace::from_fd(&gate, descriptor::duplicate(fd)?)?;
        out.write(nsgate_namespace::make(namespace)?);
        Ok(())
    })
}

/// Opens the namespace that the calling thread is in.
///
/// Ownership, errors: as nsgate_namespace_open_path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_open_current(
    gate: nsgate_gate,
    out: *mut nsgate_namespace,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let namespace = MountNamespace::current(&*gate.get()?)?;
        out.write(nsgate_namespace::make(namespace)?);
        Ok(())
    })
}

/// Makes a namespace: a copy of the process's, in which every mount is private.
///
/// Ownership, errors: as nsgate_namespace_open_path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_create(
    gate: nsgate_gate,
    out: *mut nsgate_namespace,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let namespace = MountNamespace::create(&*gate.get()?)?;
        out.write(nsgate_namespace::make(namespace)?);
        Ok(())
    })
}

/// Tells which namespace it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_identify(
    ns: nsgate_namespace,
    out: *mut nsgate_namespace_id,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        out.write(ns.get()?.id().into());
        Ok(())
    })
}

/// Runs a function in the namespace, on a thread of the library, and waits for it.
///
/// Several run at once, as far as nsgate_gate_options.namespace_threads goes; others wait their turn.
///
/// Ownership: user_data is borrowed.
/// Threads: any, also from inside a run function.
/// Errors: NSGATE_CLOSED; NSGATE_TAINTED when the function ran but its thread could not come home or
/// is not as it was (it has ended, and nothing is lost but that); NSGATE_WOULD_DEADLOCK from inside a run function when no
/// thread is left; NSGATE_OS, with nothing run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_run(
    ns: nsgate_namespace,
    function: nsgate_run_function,
    user_data: *mut c_void,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let job = job(required(function)?, user_data);
        ns.get()?.run(job)
    })
}

/// Runs a function in the namespace as nsgate_namespace_run does, and returns at once.
///
/// done is called exactly once, after the function, if the answer is NSGATE_OK, and never otherwise.
/// Its status is what nsgate_namespace_run would have answered.
///
/// run, which may be NULL, gets a number for nsgate_gate_take_back: perhaps after done was called, so
/// that it must not lie in what that frees.
///
/// Ownership: user_data, for both functions, is the caller's to keep until done is called, or the run
/// is taken back.
/// Errors: NSGATE_CLOSED; NSGATE_OS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_start(
    ns: nsgate_namespace,
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
        out.write(ns.get()?.start(Box::new(job), done)?.as_raw());
        Ok(())
    })
}

/// Hands the namespace over for release. Functions that run in it finish first.
///
/// The namespace itself lives on where others hold it.
///
/// Ownership: ends the handle. ticket may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_namespace_release(
    ns: nsgate_namespace,
    ticket: *mut u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::optional(ticket);
        out.write(ns.close()?.release()?.as_raw());
        Ok(())
    })
}
