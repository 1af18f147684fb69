//! Entering a namespace with the calling thread, and coming back exactly.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::BorrowedFd;

use crate::error::{Error, Result, Status};
use crate::kernel::namespace::{self, Standing};
use crate::kernel::process::{self, ProcRoot};
use crate::stays::{self, StayId, Thread};
use crate::trace;

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
    stay: StayId,
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
        let stay = stays::begin(standing);
        // Nothing can fail between the move and the guard.
        namespace::set(target).inspect_err(|_| stays::take_back(stay))?;
        trace::went_abroad();
        Ok(Entered {
            stay,
            not_send: PhantomData,
        })
    }

    /// Puts namespace, root and working directory back as they were at the enter, also a root that
    /// was not the namespace's own, and a working directory that was deleted since. OK, with nothing
    /// changed, where the thread was brought back past this enter already.
    pub fn restore(self) -> Result<(), RestoreError> {
        if stays::is_outer(self.stay) {
            return Err(RestoreError {
                error: wrong_order(),
                entered: Some(self),
            });
        }
        let stay = self.into_stay();
        stays::bring_back(stay)
            .map(drop)
            .map_err(|error| RestoreError {
                error,
                entered: None,
            })
    }

    /// The stay without its guard.
    pub(crate) fn into_stay(self) -> StayId {
        ManuallyDrop::new(self).stay
    }
}

/// Restores a stay that has no guard, and says whether it is over.
pub(crate) fn restore(owner: Thread, stay: StayId) -> (bool, Result<()>) {
    if owner != Thread::current() {
        if owner.has_ended() {
            stays::sweep();
            return (true, Err(over("the thread that entered has ended")));
        }
        let message = "the thread that entered has to restore";
        return (false, Err(Error::new(Status::WrongThread, message)));
    }
    if stays::is_outer(stay) {
        return (false, Err(wrong_order()));
    }
    let restored = match stays::bring_back(stay) {
        Ok(true) => Ok(()),
        Ok(false) => Err(over("the library has brought its thread back from there")),
        Err(error) => Err(error),
    };
    (true, restored)
}

fn wrong_order() -> Error {
    let message = "what this thread entered last has to be restored first";
    Error::new(Status::WrongOrder, message)
}

fn over(message: &'static str) -> Error {
    Error::new(Status::InvalidState, message)
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Err(error) = stays::bring_back(self.stay)
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
