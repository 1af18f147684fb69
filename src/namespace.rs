//! Mount namespaces: a descriptor and an identity, and ways to have code run in one.

mod enter;

use std::any::Any;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Weak, mpsc};

pub(crate) use enter::restore;
pub use enter::{Entered, RestoreError};

use crate::error::{Error, Result, Status};
use crate::gate::Gate;
use crate::kernel::mount;
use crate::kernel::namespace as kernel;
use crate::kernel::namespace::NamespaceId;
use crate::kernel::process::ProcRoot;
use crate::label::Label;
use crate::namespace_thread::RunId;
use crate::releasable::{Handle, Open, Releasable};
use crate::release::{Kind, Lane, Proof, Reservation, Resource, Ticket};
use crate::subscriber::waits;
use crate::trace;

/// A mount namespace (mount_namespaces(7)), kept alive by a descriptor.
///
/// A cheap handle; any thread may use it. Dropping the last one releases it through the gate's
/// queue, as [`MountNamespace::release`] does at once.
///
/// ```
/// use nsgate::{Gate, GateOptions, MountNamespace};
///
/// let gate = Gate::open(GateOptions::default())?;
/// let namespace = MountNamespace::from_pid(&gate, std::process::id() as i32)?;
/// let names = namespace.run(|| std::fs::read_dir("/").map(Iterator::count))??;
/// assert!(names > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MountNamespace(Handle<OpenNamespace, Inner>);

struct Inner {
    gate: Gate,
    id: NamespaceId,
    releasable: Releasable<OpenNamespace>,
}

/// What an open namespace has, and its release takes.
struct OpenNamespace {
    resource: Box<Descriptor>,
    reservation: Reservation,
}

impl OpenNamespace {
    /// `namespace` gets the descriptor back when its release is cancelled.
    fn new(
        resource: Box<Descriptor>,
        mut reservation: Reservation,
        namespace: Weak<Inner>,
    ) -> OpenNamespace {
        let reclaim = move |reservation: Reservation, resource: Box<dyn Resource>| {
            let resource: Box<dyn Any> = resource;
            // The queue gives back what it was given.
            let Ok(resource) = resource.downcast::<Descriptor>() else {
                return;
            };
            let open = OpenNamespace::new(resource, reservation, namespace.clone());
            Releasable::give_back(&namespace, open);
        };
        reservation.set_reclaim(Box::new(reclaim));
        OpenNamespace {
            resource,
            reservation,
        }
    }
}

impl Open for OpenNamespace {
    const NAME: &'static str = "the namespace was released";

    fn ticket(&self) -> Ticket {
        self.reservation.ticket()
    }

    fn announce(&self) {
        self.reservation.announce();
    }

    fn submit(self) {
        self.reservation.submit(Lane::Native, self.resource);
    }
}

impl AsFd for OpenNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let descriptor = self.resource.0.as_ref();
        descriptor.expect("an open namespace").as_fd()
    }
}

/// The namespace's descriptor. Boxed when it is opened, so that its release allocates nothing.
struct Descriptor(Option<OwnedFd>);

impl Resource for Descriptor {
    fn release(&mut self) -> Result<Proof> {
        self.0 = None;
        // Others may hold the namespace, and rightly: only our hold on it ends here.
        Ok(Proof::Unverified)
    }
}

impl MountNamespace {
    /// The namespace behind a path such as /proc/PID/ns/mnt or a bind mount of it.
    pub fn from_path(gate: &Gate, path: &Path) -> Result<MountNamespace> {
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Error::new(Status::InvalidArgument, "the path has a NUL inside"))?;
        let descriptor = kernel::open_path(&name)?;
        MountNamespace::open(gate, descriptor, path)
            .map_err(|error| error.with_context(Label(path)))
    }

    /// The namespace that a process is in. A pid may be used again: the caller sees to it that it
    /// is still the process that it means.
    pub fn from_pid(gate: &Gate, pid: i32) -> Result<MountNamespace> {
        if pid <= 0 {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("{pid} is not a process id"),
            ));
        }
        let path = format!("{pid}/ns/mnt");
        let name = CString::new(path.as_str())
            .map_err(|_| Error::new(Status::InvalidArgument, "the path has a NUL inside"))?;
        let fd = gate.proc().open_at(&name, libc::O_RDONLY)?;
        MountNamespace::open(gate, fd, &Path::new("/proc").join(path))
    }

    /// The namespace behind a descriptor, which is taken.
    pub fn from_fd(gate: &Gate, descriptor: OwnedFd) -> Result<MountNamespace> {
        let label = format!("fd {}", descriptor.as_raw_fd());
        MountNamespace::open(gate, descriptor, Path::new(&label))
    }

    /// The calling thread's namespace.
    pub fn current(gate: &Gate) -> Result<MountNamespace> {
        let fd = kernel::open_current(gate.proc())?;
        MountNamespace::open(gate, fd, Path::new("thread-self/ns/mnt"))
    }

    /// A new namespace: a copy of the process's, in which every mount is private, so that nothing
    /// that is mounted in it reaches the host.
    pub fn create(gate: &Gate) -> Result<MountNamespace> {
        let (sender, receiver) = mpsc::sync_channel(1);
        // A thread of its own, which ends with it: none may be given back from there (rule 1).
        let body = move || {
            let made = kernel::unshare()
                .and_then(|()| mount::set_propagation(libc::MS_PRIVATE))
                .and_then(|()| ProcRoot::open())
                .and_then(|proc| kernel::open_current(&proc));
            // The receiver waits below until it has this.
            let _ = sender.send(made);
        };
        gate.supervisor().spawn("nsgate-create", Box::new(body))?;
        let fd = receiver
            .recv()
            .unwrap_or_else(|_| Err(Error::closed("the creating thread is gone")))?;
        MountNamespace::open(gate, fd, Path::new("new mount namespace"))
    }

    fn open(gate: &Gate, descriptor: OwnedFd, label: &Path) -> Result<MountNamespace> {
        let id = kernel::identify(descriptor.as_fd())?;
        let reservation = gate
            .releases()
            .reserve(Kind::MountNamespace, &Label(label).to_string())?;
        let ticket = reservation.ticket();
        let resource = Box::new(Descriptor(Some(descriptor)));
        Ok(MountNamespace(Handle::new(Arc::new_cyclic(|namespace| {
            let open = OpenNamespace::new(resource, reservation, namespace.clone());
            Inner {
                gate: gate.clone(),
                id,
                releasable: Releasable::new(gate.releases(), ticket, open),
            }
        }))))
    }

    /// Which namespace it is. Two handles with equal ids are the same namespace.
    pub fn id(&self) -> NamespaceId {
        self.0.id
    }

    /// A descriptor of the namespace for the caller to keep.
    pub fn try_clone_fd(&self) -> Result<OwnedFd> {
        let open = self.0.releasable.begin()?;
        open.as_fd().try_clone_to_owned().map_err(|error| {
            let call = format!("fcntl({}, F_DUPFD_CLOEXEC)", open.as_fd().as_raw_fd());
            Error::os(call, error.raw_os_error().unwrap_or(libc::EMFILE))
        })
    }

    /// Puts the *calling thread* into the namespace until the guard is restored.
    ///
    /// The thread gets an fs_struct of its own for good (unshare(2), CLONE_FS): chdir, chroot and
    /// umask of other threads no longer reach it. It must not make threads while inside. In a
    /// program whose scheduler moves work between threads (Go, tokio), use [`MountNamespace::run`].
    pub fn enter(&self) -> Result<Entered> {
        let open = self.0.releasable.begin()?;
        Entered::enter(self.0.gate.proc(), open.as_fd())
    }

    /// Runs `job` with the namespace's root as "/" and as working directory, on a namespace thread,
    /// and waits for it.
    ///
    /// A panic of the job comes back as PANIC; TAINTED says that the job ran but its thread could
    /// not come home, or was left with another user or group for files, and ended. Threads made by the
    /// job stay in the namespace, and taint. What else it changes of its thread, but for umask and
    /// signal mask, is the job's to put back.
    /// WOULD_DEADLOCK from inside a job when no other thread is left for it.
    pub fn run<R: Send>(&self, job: impl FnOnce() -> R + Send) -> Result<R> {
        let open = self.0.releasable.begin()?;
        let enter = || kernel::set(open.as_fd());
        let job = self
            .0
            .gate
            .releases()
            .job_inside(open.ticket(), waits::taken_along(job));
        trace::run(&self.0.id, |visit| {
            self.0.gate.threads().run(enter, job, visit)
        })
    }

    /// Like [`MountNamespace::run`], but returns at once. `done` is called exactly once if this
    /// returns OK, on a thread that is outside; it must not block.
    /// Until the job's turn comes it can be taken back ([`Gate::take_back`]).
    pub fn start(
        &self,
        job: Box<dyn FnOnce() + Send>,
        done: Box<dyn FnOnce(Result<()>) + Send>,
    ) -> Result<RunId> {
        let open = Arc::new(Releasable::begin_owned(Arc::clone(&self.0))?);
        let target = open.clone();
        let enter = Box::new(move || kernel::set(target.as_fd()));
        let job = self.0.gate.releases().started_inside(open.ticket(), job);
        let done = move |outcome| {
            drop(open);
            done(outcome);
        };
        let threads = self.0.gate.threads();
        threads.start(&self.0.id, enter, Box::new(job), Box::new(done))
    }

    /// Hands the namespace over for release. New work is refused with CLOSED from here, as is a
    /// second release; what is running ends first.
    pub fn release(&self) -> Result<Ticket> {
        self.0.releasable.release()
    }
}

impl AsRef<Releasable<OpenNamespace>> for Inner {
    fn as_ref(&self) -> &Releasable<OpenNamespace> {
        &self.releasable
    }
}

impl std::fmt::Debug for MountNamespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MountNamespace").field(&self.0.id).finish()
    }
}
