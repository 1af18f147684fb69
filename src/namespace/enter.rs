//! Entering a namespace with the calling thread, and coming back exactly.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;

use crate::error::{Error, Result, Status};
use crate::kernel::namespace::{self, Standing};
use crate::kernel::process::{self, ProcRoot};
use crate::trace;

thread_local! {
    /// The enters of this thread that wait for their restore, the innermost last.
    static STACK: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// The calling thread is inside a namespace; bound to that thread, restored in LIFO order.
///
/// Dropping it restores too, and aborts the process if that fails: running on in a customer's root
/// is the one thing that must never happen.
///
/// ```
/// # use nsgate::MountNamespace;
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// let namespace = MountNamespace::create(&gate)?;
/// let inside = namespace.enter()?;
/// assert_eq!(MountNamespace::current(&gate)?.id(), namespace.id());
/// inside.restore()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it leaves the namespace at once"]
pub struct Entered {
    standing: Option<Standing>,
    id: u64,
    /// A thread's namespace can be restored by that thread only.
    not_send: PhantomData<*const ()>,
}

/// Why a restore failed.
///
/// ```
/// # use nsgate::{MountNamespace, Status};
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let namespace = MountNamespace::create(&gate)?;
/// let (outer, inner) = (namespace.enter()?, namespace.enter()?);
/// let refused = outer.restore().unwrap_err();
/// assert_eq!(refused.error.status(), Status::WrongOrder);
/// inner.restore()?;
/// refused.entered.expect("it can be tried again").restore()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RestoreError {
    /// WRONG_ORDER: something entered later has to be restored first. TAINTED: this thread could
    /// not be brought back and must end. OS: namespace and root are restored, the working directory
    /// could not be and is the root.
    pub error: Error,
    /// The guard, where the restore can be tried again.
    pub entered: Option<Entered>,
}

impl Entered {
    pub(super) fn enter(proc: &ProcRoot, target: BorrowedFd<'_>) -> Result<Entered> {
        let standing = Standing::current(proc)?;
        process::unshare_fs()?;
        namespace::set(target)?;
        trace::went_abroad();
        let id = NEXT.replace(NEXT.get() + 1);
        STACK.with_borrow_mut(|stack| stack.push(id));
        Ok(Entered {
            standing: Some(standing),
            id,
            not_send: PhantomData,
        })
    }

    /// Puts namespace, root and working directory back as they were at the enter, also a root that
    /// was not the namespace's own, and a working directory that was deleted since.
    pub fn restore(mut self) -> Result<(), RestoreError> {
        if STACK.with_borrow(|stack| stack.last() != Some(&self.id)) {
            return Err(RestoreError {
                error: Error::new(
                    Status::WrongOrder,
                    "what this thread entered last has to be restored first",
                ),
                entered: Some(self),
            });
        }
        self.bring_back().map_err(|error| RestoreError {
            error,
            entered: None,
        })
    }

    fn bring_back(&mut self) -> Result<()> {
        let Some(standing) = self.standing.take() else {
            return Ok(());
        };
        // An outer guard that was dropped first has brought the thread back past this one.
        let ended = STACK.with_borrow_mut(|stack| {
            let place = stack.iter().position(|id| *id == self.id);
            stack.drain(place.unwrap_or(stack.len())..).count()
        });
        if ended == 0 {
            return Ok(());
        }
        standing.restore_root().map_err(|error| {
            error
                .with_status(Status::Tainted)
                .with_context("this thread could not be brought back and must end")
        })?;
        trace::came_home(ended);
        standing
            .restore_working_directory()
            .map_err(|error| error.with_context("the working directory could not be restored"))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Err(error) = self.bring_back()
            && error.status() == Status::Tainted
        {
            eprintln!("nsgate: {error}; aborting");
            std::process::abort();
        }
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for RestoreError {}

impl From<RestoreError> for Error {
    /// The error alone; a guard inside is dropped, which restores or aborts.
    fn from(error: RestoreError) -> Error {
        error.error
    }
}
