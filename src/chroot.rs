//! Chroots: a private view of a volume, without a thread and, until code must run inside, without a
//! namespace.
//!
//! A chroot is a detached copy of the volume's mounts, held by one descriptor. File operations
//! resolve beneath it; nothing is ever written to the volume to make or release one.

mod attributes;
mod directory;
mod files;
mod namespace;
mod open;
mod options;
mod read_dir;
mod real_path;
mod release;
mod remove;
mod remove_all;
mod rename;
mod root;
mod source;
mod stat;
mod target;
mod temp_file;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use namespace::go_inside;
pub use open::OpenOptions;
pub use options::{ChrootOptions, Propagation};
pub use read_dir::{DirEntry, ReadDir};
use release::OpenChroot;
pub use rename::RenameOptions;
pub use stat::{FileKind, FileStat, FileSystemStat, FileTime};

use crate::error::{Error, Result, Status};
use crate::gate::Gate;
use crate::kernel::namespace::NamespaceId;
use crate::kernel::namespace::identify;
use crate::label::Label;
use crate::namespace_thread::RunId;
use crate::releasable::{Handle, Open, Releasable, Running};
use crate::release::{BeforeRelease, Hook, Ticket};
use crate::rundown::Rundown;
use crate::subscriber::waits;
use crate::trace;

/// A private view of a volume.
///
/// A cheap handle; any thread may use it, and several at once. The view is released through the
/// gate's queue by [`Chroot::release`], by the sandbox that it is attached to, or when the last
/// handle is dropped, whatever comes first: once.
///
/// ```
/// # let volume = tempfile::tempdir()?;
/// use nsgate::{Chroot, ChrootOptions, Gate, GateOptions};
///
/// let gate = Gate::open(GateOptions::default())?;
/// let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default())?;
/// chroot.mkdir("logs", 0o755)?;
/// let names = chroot.run(|| std::fs::read_dir("/").map(Iterator::count))??;
/// assert_eq!(names, 1);
/// let ticket = chroot.release()?;
/// gate.releases().wait(ticket, None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Chroot(Handle<OpenChroot, Inner>);

struct Inner {
    gate: Gate,
    volume: PathBuf,
    releasable: Releasable<OpenChroot>,
    /// Held while the namespace is made, so that it is made once.
    making: Mutex<()>,
}

/// A running use of the tree: a file operation, for example.
pub(crate) type TreeUse<'a> = Running<OpenChroot, &'a Rundown<OpenChroot>>;

impl AsFd for OpenChroot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tree.descriptor.as_ref().expect("an open tree").as_fd()
    }
}

impl Chroot {
    /// The path that the chroot was opened with: of the host, or in the chroot that it is a part of.
    pub fn volume(&self) -> &Path {
        &self.0.volume
    }

    /// The gate that it was made from.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Begins a use of the tree; CLOSED after the release.
    pub(crate) fn tree(&self) -> Result<TreeUse<'_>> {
        self.0.releasable.begin()
    }

    /// Runs `job` with the volume as "/" and as working directory, on a namespace thread, and waits
    /// for it. The first run makes the chroot's namespace.
    ///
    /// A panic of the job comes back as PANIC; TAINTED says that the job ran but its thread could
    /// not come home, or was left with another user or group for files, and ended. The job should load
    /// nothing from the volume (no name service, no dlopen, no locale), make no threads (they would stay
    /// inside, and taint), and put back what it changes of its thread but for umask and signal mask.
    /// WOULD_DEADLOCK from inside a job when no other thread is left for it.
    pub fn run<R: Send>(&self, job: impl FnOnce() -> R + Send) -> Result<R> {
        let open = self.0.releasable.begin()?;
        let enter = || go_inside(&self.0.gate, &open, &self.0.making);
        let job = self
            .0
            .gate
            .releases()
            .job_inside(open.ticket(), waits::taken_along(job));
        trace::run(&Label(&self.0.volume), |visit| {
            self.0.gate.threads().run(enter, job, visit)
        })
    }

    /// Like [`Chroot::run`], but returns at once, whatever the namespace threads are doing. `done` is
    /// called exactly once if this returns OK, on a thread that is outside; it must not block. Until the
    /// job's turn comes it can be taken back ([`Gate::take_back`]): a release waits for it otherwise.
    pub fn start(
        &self,
        job: Box<dyn FnOnce() + Send>,
        done: Box<dyn FnOnce(Result<()>) + Send>,
    ) -> Result<RunId> {
        let open = Arc::new(Releasable::begin_owned(Arc::clone(&self.0))?);
        let (inner, opened) = (Arc::clone(&self.0), open.clone());
        let enter = Box::new(move || go_inside(&inner.gate, &opened, &inner.making));
        let job = self.0.gate.releases().started_inside(open.ticket(), job);
        let done = move |outcome| {
            drop(open);
            done(outcome);
        };
        let threads = self.0.gate.threads();
        threads.start(&Label(&self.0.volume), enter, Box::new(job), Box::new(done))
    }

    /// Which mount namespace jobs of this chroot run in; makes it if there is none yet, as a run
    /// does, and with its errors.
    pub fn namespace_id(&self) -> Result<NamespaceId> {
        let open = self.0.releasable.begin()?;
        if let Some(namespace) = open.tree.namespace.get() {
            return identify(namespace.as_fd());
        }
        let enter = || go_inside(&self.0.gate, &open, &self.0.making);
        let unrecorded = trace::Visit::default();
        self.0.gate.threads().run(enter, || (), unrecorded)?;
        let made = open.tree.namespace.get();
        identify(made.expect("a job ran in it").as_fd())
    }

    /// Hands the chroot over for release and returns at once. New operations are refused with
    /// CLOSED from here, as is a second release; the running ones end first.
    pub fn release(&self) -> Result<Ticket> {
        self.0.releasable.release()
    }

    /// Releases it if nobody did, and if no sandbox has it that will.
    pub(crate) fn release_unless_attached(&self) {
        if self.is_closed() {
            return;
        }
        let open = self.0.releasable.begin();
        if !open.is_ok_and(|open| open.reservation.has_hook()) {
            self.0.releasable.close();
        }
    }

    /// The ticket of its release, whoever asked for that: a sandbox, perhaps. None while it is open; one
    /// that is said can be waited for.
    pub fn ticket(&self) -> Option<Ticket> {
        self.0.releasable.asked_for()
    }

    /// Whether it was released.
    pub fn is_closed(&self) -> bool {
        self.0.releasable.is_closed()
    }

    /// Takes a release back that no worker has begun: the chroot is open again, and attached to no
    /// sandbox. INVALID_STATE once it has begun, or where nothing was released.
    pub fn cancel_release(&self) -> Result<()> {
        let Some(ticket) = self.ticket() else {
            return Err(Error::new(
                Status::InvalidState,
                "the chroot was not released",
            ));
        };
        self.0.gate.releases().cancel(ticket)
    }

    /// Has `step` run before the chroot is taken down, on a worker that may block. Its failure is
    /// reported with the release, which goes on all the same. One step; INVALID_STATE for another.
    pub fn before_release(&self, step: impl FnMut() -> Result<()> + Send + 'static) -> Result<()> {
        let open = self.0.releasable.begin()?;
        open.set_before_release(Box::new(step) as BeforeRelease)
    }

    /// Has `hook` called with the release's event, on the notify thread. None takes it away;
    /// ALREADY_EXISTS where there is another.
    pub(crate) fn set_hook(&self, hook: Option<Hook>) -> Result<()> {
        self.0.releasable.begin()?.set_hook(hook)
    }

    /// Whether both are handles of the same chroot.
    pub(crate) fn is_same(&self, other: &Chroot) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl AsRef<Releasable<OpenChroot>> for Inner {
    fn as_ref(&self) -> &Releasable<OpenChroot> {
        &self.releasable
    }
}

impl std::fmt::Debug for Chroot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chroot")
            .field("volume", &self.0.volume)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
