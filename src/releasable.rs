//! What namespaces and chroots share: uses that run, and one release after the last of them.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use crate::error::{Error, Result};
use crate::release::{ReleaseQueue, Ticket};
use crate::rundown::{Closing, Rundown, Use};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The open form of something releasable: it owns the resources and the place in the queue.
pub(crate) trait Open: Sized {
    /// For the message of CLOSED.
    const NAME: &'static str;

    /// The ticket that its release will have.
    fn ticket(&self) -> Ticket;

    /// Says that its release was asked for; the submit follows with the end of the last use.
    fn announce(&self);

    /// Hands itself to the queue: no failure, no wait, no allocation.
    fn submit(self);
}

/// A resource with its uses and its release.
pub(crate) struct Releasable<T: Open> {
    queue: ReleaseQueue,
    ticket: AtomicU64,
    rundown: Rundown<T>,
    /// The owner's handles, which a running use is none of.
    handles: AtomicUsize,
}

impl<T: Open> Releasable<T> {
    pub(crate) fn new(queue: &ReleaseQueue, ticket: Ticket, open: T) -> Releasable<T> {
        Releasable {
            queue: queue.clone(),
            ticket: AtomicU64::new(ticket.as_raw()),
            rundown: Rundown::new(open),
            handles: AtomicUsize::new(0),
        }
    }

    /// Begins a use; the open form can't go away before it ends.
    pub(crate) fn begin(&self) -> Result<Running<T, &Rundown<T>>> {
        Running::enter(&self.rundown)
    }

    /// The same for a use that ends elsewhere: `owner` keeps all of it.
    pub(crate) fn begin_owned<O: AsRef<Releasable<T>>>(
        owner: Arc<O>,
    ) -> Result<Running<T, Owned<T, O>>> {
        Running::enter(Owned(owner, PhantomData))
    }

    /// No new use from here; the last running one submits, or else this call.
    pub(crate) fn release(&self) -> Result<Ticket> {
        self.close().ok_or_else(closed::<T>)
    }

    /// The same, and nothing where it was released before.
    pub(crate) fn close(&self) -> Option<Ticket> {
        // The ticket is that of what was closed: as soon as it is submitted somebody may cancel it, and
        // open this again under another.
        match self.rundown.close() {
            Closing::AlreadyClosed => None,
            Closing::Busy(usage) => {
                let ticket = usage.ticket();
                usage.announce();
                if let Some(open) = usage.end() {
                    open.submit();
                }
                Some(ticket)
            }
            Closing::Idle(open) => {
                let ticket = open.ticket();
                open.submit();
                Some(ticket)
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.rundown.is_closed()
    }

    /// The ticket of the release to come, or that was made.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket::from_raw(self.ticket.load(Ordering::Acquire))
    }

    /// The ticket of its release, once that can be waited for.
    pub(crate) fn asked_for(&self) -> Option<Ticket> {
        // Read first: cancelling changes the ticket before it opens the chroot again.
        let ticket = self.ticket();
        let is_asked_for = self.is_closed() && !self.queue.is_reserved(ticket);
        is_asked_for.then_some(ticket)
    }

    /// Takes the open form back after a cancelled release.
    pub(crate) fn open_again(&self, open: T) {
        self.ticket.store(open.ticket().as_raw(), Ordering::Release);
        self.rundown.open_again(open);
    }

    /// The same for an owner who may be gone: it is released again then.
    pub(crate) fn give_back<O: AsRef<Releasable<T>>>(owner: &Weak<O>, open: T) {
        match owner.upgrade() {
            Some(owner) => (*owner).as_ref().open_again(open),
            None => open.submit(),
        }
    }
}

impl<T: Open> Drop for Releasable<T> {
    fn drop(&mut self) {
        // Nothing runs any more: every use keeps its owner.
        if let Closing::Idle(open) = self.rundown.close() {
            open.submit();
        }
    }
}

/// An owner's handle. With the last one the release is asked for, although uses that keep the rest may
/// run on.
pub(crate) struct Handle<T: Open, O: AsRef<Releasable<T>>>(Arc<O>, PhantomData<fn() -> T>);

impl<T: Open, O: AsRef<Releasable<T>>> Handle<T, O> {
    pub(crate) fn new(owned: Arc<O>) -> Handle<T, O> {
        (*owned).as_ref().handles.fetch_add(1, Ordering::Relaxed);
        Handle(owned, PhantomData)
    }
}

impl<T: Open, O: AsRef<Releasable<T>>> Clone for Handle<T, O> {
    fn clone(&self) -> Handle<T, O> {
        Handle::new(self.0.clone())
    }
}

impl<T: Open, O: AsRef<Releasable<T>>> Drop for Handle<T, O> {
    fn drop(&mut self) {
        let releasable = (*self.0).as_ref();
        if releasable.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            releasable.close();
        }
    }
}

impl<T: Open, O: AsRef<Releasable<T>>> Deref for Handle<T, O> {
    type Target = Arc<O>;

    fn deref(&self) -> &Arc<O> {
        &self.0
    }
}

fn closed<T: Open>() -> Error {
    Error::closed(T::NAME)
}

/// Leads from an owner to the rundown inside.
pub(crate) struct Owned<T, O>(Arc<O>, PhantomData<fn() -> T>);

impl<T: Open, O: AsRef<Releasable<T>>> Deref for Owned<T, O> {
    type Target = Rundown<T>;

    fn deref(&self) -> &Rundown<T> {
        &self.0.as_ref().as_ref().rundown
    }
}

/// A running use. Its end submits the release if it was the last of a closed resource.
pub(crate) struct Running<T: Open, H: Deref<Target = Rundown<T>>>(Option<Use<T, H>>);

impl<T: Open, H: Deref<Target = Rundown<T>>> Running<T, H> {
    fn enter(holder: H) -> Result<Running<T, H>> {
        match Rundown::enter(holder) {
            Some(usage) => Ok(Running(Some(usage))),
            None => Err(closed::<T>()),
        }
    }
}

impl<T: Open, H: Deref<Target = Rundown<T>>> Deref for Running<T, H> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("there is a use until it is dropped")
    }
}

impl<T: Open, H: Deref<Target = Rundown<T>>> Drop for Running<T, H> {
    fn drop(&mut self) {
        if let Some(open) = self.0.take().and_then(Use::end) {
            open.submit();
        }
    }
}
