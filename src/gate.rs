//! The gate: what a process sets up once, and everything else is made from.

mod options;
pub(crate) mod supervisor;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

pub use options::{GateOptions, ThreadStart};

use crate::error::{Error, Result, Status};
use crate::kernel::features::{self, Features};
use crate::kernel::process::ProcRoot;
use crate::kernel::{empty_namespace, namespace};
use crate::namespace_thread::{NamespaceThreads, RunId};
use crate::release::{ReleaseQueue, Report, Stats};
use crate::stays;
use supervisor::Supervisor;

/// Kernel features, clean threads and the release queue: what namespaces, chroots and sandbox maps
/// are made from. A cheap handle; usually there is one gate per process.
///
/// Any thread may call any method. When the last handle, and the last object made from it, is gone,
/// what was handed over for release is still released, and the threads end.
///
/// ```
/// use std::time::{Duration, Instant};
/// use nsgate::{Gate, GateOptions};
///
/// let gate = Gate::open(GateOptions::default())?;
/// // … open chroots, release them …
/// let report = gate.close(Instant::now() + Duration::from_secs(10))?;
/// assert_eq!(report.remaining, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    options: GateOptions,
    features: Features,
    proc: ProcRoot,
    threads: NamespaceThreads,
    supervisor: Supervisor,
    releases: ReleaseQueue,
}

impl Gate {
    /// Probes the kernel and starts the library's threads.
    ///
    /// The caller's thread must stand where the process does: INVALID_STATE otherwise. UNSUPPORTED
    /// where openat2(2) (Linux 5.6) is missing: there is no weaker way. CAP_SYS_ADMIN in the user
    /// namespace that owns the mount namespace is needed.
    pub fn open(options: GateOptions) -> Result<Gate> {
        options.check()?;
        let proc = ProcRoot::open()?;
        features::require_openat2(&proc)?;
        let supervisor = Supervisor::start(&proc)?;
        let home = make_home(&supervisor)?;
        let releases = ReleaseQueue::start(&supervisor, options.clone())?;
        let features = features::probe(
            namespace::identify(home.as_fd())?,
            releases.can_prove_mounts(),
            releases.dissolves(),
        );
        let threads = NamespaceThreads::new(
            supervisor.clone(),
            home,
            options.namespace_threads,
            options.namespace_thread_idle,
            options.thread_start.clone(),
        );
        Ok(Gate(Arc::new(Inner {
            options,
            features,
            proc,
            threads,
            supervisor,
            releases,
        })))
    }

    /// What the kernel offers.
    pub fn features(&self) -> &Features {
        &self.0.features
    }

    /// What the gate was opened with.
    pub fn options(&self) -> &GateOptions {
        &self.0.options
    }

    /// The queue that everything made from this gate is released through.
    pub fn releases(&self) -> &ReleaseQueue {
        &self.0.releases
    }

    /// The queue's figures.
    pub fn stats(&self) -> Stats {
        self.releases().stats()
    }

    /// Refuses new resources from now on, as [`Gate::close`] does first, and waits for nothing.
    /// WOULD_DEADLOCK, with nothing changed, where `close` answers that.
    pub fn begin_close(&self) -> Result<()> {
        self.must_be_outside()?;
        self.0.releases.begin_close()
    }

    /// Refuses new resources, waits for what was handed over until the deadline, abandons what is
    /// left then, and says what became of everything. It never hangs.
    ///
    /// May be called again, and from any thread but a job or callback of this gate, which it would
    /// wait for: WOULD_DEADLOCK.
    pub fn close(&self, deadline: Instant) -> Result<Report> {
        self.must_be_outside()?;
        // What was entered and never restored keeps namespaces from being gone.
        stays::sweep();
        let report = self.0.releases.close(deadline)?;
        self.0.threads.close();
        Ok(report)
    }

    fn must_be_outside(&self) -> Result<()> {
        if self.0.threads.has_caller() {
            return Err(Error::new(
                Status::WouldDeadlock,
                "closing the gate from a job would wait for the job",
            ));
        }
        Ok(())
    }

    /// Takes a job that was started, and whose turn has not come, out of the queue: neither it nor its
    /// `done` is called, both have been dropped when this returns, and no release waits for them any
    /// more. INVALID_STATE once its turn has come, or where the gate has no such job.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use std::sync::mpsc::channel;
    /// # use nsgate::{Gate, GateOptions, MountNamespace};
    /// let mut options = GateOptions::default();
    /// options.namespace_threads = 1;
    /// let gate = Gate::open(options)?;
    /// let namespace = MountNamespace::create(&gate)?;
    /// let (let_go, held) = channel::<()>();
    /// namespace.start(Box::new(move || drop(held.recv())), Box::new(|_| ()))?;
    /// let second = namespace.start(Box::new(|| ()), Box::new(|_| ()))?;
    /// gate.take_back(second)?;
    /// # drop(let_go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_back(&self, run: RunId) -> Result<()> {
        match self.0.threads.take_back(run) {
            true => Ok(()),
            false => Err(Error::new(
                Status::InvalidState,
                format!("no job {} waits for its turn", run.as_raw()),
            )),
        }
    }

    /// Whether [`Gate::close`] or [`Gate::begin_close`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.releases.is_closed()
    }

    pub(crate) fn proc(&self) -> &ProcRoot {
        &self.0.proc
    }

    pub(crate) fn threads(&self) -> &NamespaceThreads {
        &self.0.threads
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.0.supervisor
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.threads.close();
        self.releases.finish();
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("features", &self.0.features)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The empty namespace, made by a thread that ends with it.
fn make_home(supervisor: &Supervisor) -> Result<OwnedFd> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let body = move || {
        let made = ProcRoot::open().and_then(|proc| empty_namespace::make(&proc));
        // The receiver waits below until it has this.
        let _ = sender.send(made);
    };
    supervisor.spawn("nsgate-home", Box::new(body))?;
    receiver
        .recv()
        .unwrap_or_else(|_| {
            Err(Error::closed(
                "the thread that makes the empty namespace is gone",
            ))
        })
        .map_err(|error| error.with_context("the empty namespace"))
}
