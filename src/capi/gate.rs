//! Gate
//!
//! A process opens one gate, usually at its start, and closes it at its end. The gate owns the
//! library's threads and its release queue. Objects made from a gate keep it alive, closed or not.

use std::time::Duration;

use super::entry::{Out, entry};
use super::handle::{Handle, nsgate_gate};
use super::status::{nsgate_error, nsgate_status};
use super::structs::{self, Extensible, OutStruct};
use super::time::date;
use crate::{Error, Gate, GateOptions, Report, Result, RunId, Status, ThreadStart};

/// What a gate is opened with. 0 anywhere means the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_gate_options {
    /// sizeof(nsgate_gate_options).
    pub size: u32,
    /// How many releasable things (chroots, namespaces, jobs) may exist at once. Default 65536.
    pub capacity: u32,
    /// How many events the ring behind the event descriptor keeps. Default 4096.
    pub event_capacity: u32,
    /// How many threads may visit namespaces at once; they are made on demand. Default 64.
    pub namespace_threads: u32,
    /// How many workers may be at jobs that can block; they are made on demand. Default 4.
    pub blocking_workers: u32,
    /// How many workers may replace stuck ones. Default 16.
    pub replacement_workers: u32,
    /// After how long an idle namespace thread ends. Default 10 s.
    pub namespace_thread_idle_ns: u64,
    /// After how long a worker that closes mounts counts as stuck. Default 1 s.
    pub native_budget_ns: u64,
    /// After how long a worker at a job counts as stuck. Default 5 s.
    pub blocking_budget_ns: u64,
    /// After how long a callback counts as slow. Default 1 ms.
    pub callback_budget_ns: u64,
    /// The pause before a release is tried again; it doubles each time. Default 1 ms.
    pub retry_first_pause_ns: u64,
    /// The longest such pause. Default 1 s.
    pub retry_longest_pause_ns: u64,
    /// The age at which a release is given up. Default 30 s.
    pub retry_age_ns: u64,
    /// How often a release is tried before it is given up. Default 10.
    pub retry_attempts: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Called on each namespace thread before it leaves the process's mount namespace, and before any
    /// job runs on it; may be NULL. For runtimes that may make threads of their own when one that they
    /// don't know comes for the first time: a thread that is made from inside stays there.
    pub thread_start: nsgate_thread_start_function,
}

/// Lets a runtime know a thread of the library's. It must return: the thread's first job waits for it.
pub type nsgate_thread_start_function = Option<extern "C" fn()>;

// SAFETY: integers and a function pointer as an Option, the size first.
unsafe impl Extensible for nsgate_gate_options {
    const FIRST: usize = 96;
}

/// What the running kernel offers, found by trying. 1 is yes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_features {
    /// sizeof(nsgate_features), set by the caller.
    pub size: u32,
    /// mount_setattr(2): a chroot gets its attributes without a namespace. Linux 5.12; before it the
    /// chroot's namespace is made when it is opened.
    pub mount_setattr: u32,
    /// open_tree(2) with OPEN_TREE_NAMESPACE: a namespace straight from a tree. Linux 7.0; not used, as
    /// it has a copy of the tree.
    pub open_tree_namespace: u32,
    /// fchmodat2(2): chmod through a descriptor. Linux 6.6.
    pub fchmodat2: u32,
    /// Namespaces have ids that are never used again. Linux 6.11.
    pub ns_id: u32,
    /// The end of a mount can be proved, not only expected.
    pub mount_proof: u32,
    /// Detached trees released at the same time share one grace period of the kernel's. Linux 6.15.
    pub dissolve_together: u32,
}

// SAFETY: integers only, the size first.
unsafe impl Extensible for nsgate_features {
    const FIRST: usize = 28;
}

/// What the gate has released since it was opened, and what is left.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_report {
    /// sizeof(nsgate_report), set by the caller.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Ended as released.
    pub released: u64,
    /// Ended as failed.
    pub failed: u64,
    /// Ended as abandoned.
    pub abandoned: u64,
    /// Submitted and not ended.
    pub remaining: u64,
    /// Workers over their budget.
    pub stuck: u64,
}

// SAFETY: integers only, the size first.
unsafe impl Extensible for nsgate_report {
    const FIRST: usize = 48;
}

impl From<&Report> for nsgate_report {
    fn from(report: &Report) -> nsgate_report {
        nsgate_report {
            size: 0,
            reserved: 0,
            released: report.released,
            failed: report.failed,
            abandoned: report.abandoned,
            remaining: report.remaining,
            stuck: report.stuck,
        }
    }
}

fn options(from: &nsgate_gate_options) -> Result<GateOptions> {
    if from.reserved != 0 {
        return Err(Error::new(
            Status::InvalidArgument,
            "nsgate_gate_options.reserved is not 0",
        ));
    }
    let number = |value: u32, to: &mut u32| {
        if value != 0 {
            *to = value;
        }
    };
    let time = |value: u64, to: &mut Duration| {
        if value != 0 {
            *to = Duration::from_nanos(value);
        }
    };
    let mut to = GateOptions::default();
    number(from.capacity, &mut to.capacity);
    number(from.event_capacity, &mut to.event_capacity);
    number(from.namespace_threads, &mut to.namespace_threads);
    number(from.blocking_workers, &mut to.blocking_workers);
    number(from.replacement_workers, &mut to.replacement_workers);
    time(from.namespace_thread_idle_ns, &mut to.namespace_thread_idle);
    time(from.native_budget_ns, &mut to.native_budget);
    time(from.blocking_budget_ns, &mut to.blocking_budget);
    time(from.callback_budget_ns, &mut to.callback_budget);
    time(from.retry_first_pause_ns, &mut to.retry.first_pause);
    time(from.retry_longest_pause_ns, &mut to.retry.longest_pause);
    time(from.retry_age_ns, &mut to.retry.age);
    number(from.retry_attempts, &mut to.retry.attempts);
    if let Some(start) = from.thread_start {
        to.thread_start = Some(ThreadStart::new(move || start()));
    }
    Ok(to)
}

/// Opens a gate: probes the kernel and starts the library's threads.
///
/// The calling thread must stand where the process does: in its mount namespace and root.
/// CAP_SYS_ADMIN is needed in the user namespace that owns the mount namespace.
///
/// Ownership: options is borrowed and may be NULL for the defaults. The handle is ended by
/// nsgate_gate_free, best after nsgate_gate_close.
/// Errors: NSGATE_INVALID_STATE when the thread stands elsewhere; NSGATE_UNSUPPORTED when the kernel
/// lacks what there is no safe way without (openat2, Linux 5.6); NSGATE_OS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_open(
    options: *const nsgate_gate_options,
    out: *mut nsgate_gate,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = Out::new(out)?;
        let options = if options.is_null() {
            GateOptions::default()
        } else {
            self::options(&structs::read(options)?)?
        };
        out.write(nsgate_gate::make(Gate::open(options)?)?);
        Ok(())
    })
}

/// Takes a function that was started, and whose turn has not come, out of the queue. Neither it nor its
/// done is called, and no release waits for it any more.
///
/// run: the number from nsgate_chroot_start or nsgate_namespace_start.
///
/// Ownership: what the start was given as user_data is the caller's alone again.
/// Errors: NSGATE_INVALID_STATE once its turn has come (done is called, or was), or where the gate has no
/// such run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_take_back(
    gate: nsgate_gate,
    run: u64,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { gate.get()?.take_back(RunId::from_raw(run)) })
}

/// Refuses new resources from now on, as nsgate_gate_close does first, and waits for nothing.
///
/// For hosts that have other things to do until what was handed over is gone, which
/// nsgate_gate_fence_at tells, and close the gate then.
///
/// Threads: any but a job or callback of this gate.
/// Errors: NSGATE_WOULD_DEADLOCK, with nothing changed, where nsgate_gate_close answers that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_begin_close(
    gate: nsgate_gate,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, { gate.get()?.begin_close() })
}

/// Closes a gate: refuses new resources, waits for what was handed over for release, abandons what
/// is left when the time is over, and reports. It may be called again.
///
/// It never hangs, whatever the volumes do. Chroots, namespaces and maps of the gate stay valid
/// handles; what they still own is let go when they are freed. So does the gate's: the last events,
/// also of what was abandoned, can be read and tickets be waited for until nsgate_gate_free.
///
/// Ownership: report may be NULL; its size is the caller's.
/// Threads: any but a job or callback of this gate.
/// Errors: NSGATE_WOULD_DEADLOCK from inside a job or callback of this gate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_close(
    gate: nsgate_gate,
    timeout_ns: i64,
    report: *mut nsgate_report,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = OutStruct::optional(report)?;
        let closed = gate.get()?.close(date(timeout_ns)?)?;
        if let Some(out) = out {
            out.write(&nsgate_report::from(&closed));
        }
        Ok(())
    })
}

/// Ends the handle of a gate, closed or not, and waits for nothing.
///
/// What was handed over for release is still released, and what was made from the gate keeps it alive.
///
/// Ownership: ends the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_free(
    gate: nsgate_gate,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        gate.close()?;
        Ok(())
    })
}

/// Tells what the running kernel offers.
///
/// Ownership: out.size is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsgate_gate_features(
    gate: nsgate_gate,
    out: *mut nsgate_features,
    error: *mut nsgate_error,
) -> nsgate_status {
    entry!(error, {
        let out = OutStruct::new(out)?;
        let gate = gate.get()?;
        let features = gate.features();
        out.write(&nsgate_features {
            size: 0,
            mount_setattr: features.mount_setattr.into(),
            open_tree_namespace: features.open_tree_namespace.into(),
            fchmodat2: features.fchmodat2.into(),
            ns_id: features.ns_id.into(),
            mount_proof: features.mount_proof.into(),
            dissolve_together: features.dissolve_together.into(),
        });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_the_default_and_the_rest_is_taken() {
        let mut from = nsgate_gate_options {
            size: 0,
            capacity: 0,
            event_capacity: 0,
            namespace_threads: 0,
            blocking_workers: 0,
            replacement_workers: 0,
            namespace_thread_idle_ns: 0,
            native_budget_ns: 0,
            blocking_budget_ns: 0,
            callback_budget_ns: 0,
            retry_first_pause_ns: 0,
            retry_longest_pause_ns: 0,
            retry_age_ns: 0,
            retry_attempts: 0,
            reserved: 0,
            thread_start: None,
        };
        let default = format!("{:?}", GateOptions::default());
        assert_eq!(format!("{:?}", options(&from).unwrap()), default);
        from.capacity = 7;
        from.retry_age_ns = 5;
        from.retry_attempts = 3;
        let to = options(&from).unwrap();
        assert_eq!((to.capacity, to.retry.attempts), (7, 3));
        assert_eq!(to.retry.age, Duration::from_nanos(5));
        assert!(to.thread_start.is_none());
        extern "C" fn start() {}
        from.thread_start = Some(start);
        assert!(options(&from).unwrap().thread_start.is_some());
        from.reserved = 1;
        assert!(options(&from).is_err());
    }
}
