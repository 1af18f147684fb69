//! What is attached to a life: chroots and jobs that are released with its network.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::life::{Keepsake, Sandbox};
use crate::chroot::Chroot;
use crate::error::{Error, Result, Status};
use crate::foreign;
use crate::release::{Event, Hook, Job, OnEnd};
use crate::trace;

/// The things attached to one life. Part of what the life's lock protects.
#[derive(Default)]
pub(super) struct Attachments {
    /// Once closed also what has come to its end, until all of it has: to drop the handles is work, and
    /// not the one's who closes.
    list: Vec<Attachment>,
    /// How many have not come to their end.
    pending: usize,
    closed: bool,
}

struct Attachment {
    resource: Resource,
    mark: Mark,
}

enum Resource {
    Chroot(Chroot),
    Job(Job),
}

/// Tells one attachment from another, and whether it has come to its end. Changed and read only under
/// the life's lock.
#[derive(Clone, Default)]
struct Mark(Arc<AtomicBool>);

impl<T: Send + Sync + 'static> Sandbox<T> {
    /// Makes a chroot part of this life: it is released when the network is, and its end is told as
    /// `on_release`. The life keeps a handle, so the caller may drop its own. It may still be released
    /// by itself; when such a release, or the network's, is cancelled it is its owner's again.
    ///
    /// CLOSED: the network is released or the life has ended, and the chroot stays the caller's; or
    /// the chroot is closed. ALREADY_EXISTS: the chroot is attached, to this life or another.
    pub fn attach(&self, chroot: &Chroot) -> Result<()> {
        self.attach_resource(Resource::Chroot(chroot.clone()))
    }

    /// As [`attach`](Sandbox::attach), for a job: the host's own work, a descriptor or an unmount.
    /// INVALID_STATE: the job was submitted.
    pub fn attach_job(&self, job: &Job) -> Result<()> {
        self.attach_resource(Resource::Job(job.clone()))
    }

    /// Makes a chroot the caller's again. `Ok(false)`: it is not attached to this life, or its release
    /// has been asked for already.
    pub fn detach(&self, chroot: &Chroot) -> Result<bool> {
        let mut inner = self.inner();
        let attachments = &mut inner.attachments;
        let Some(place) = attachments.place(|one| one.is_chroot(chroot)) else {
            return Ok(false);
        };
        if attachments.closed || chroot.set_hook(None).is_err() {
            return Ok(false);
        }
        let detached = attachments.list.swap_remove(place);
        attachments.pending -= 1;
        drop(inner);
        drop(detached);
        Ok(true)
    }

    /// How many attached things have not come to their end yet, the ones handed over included.
    pub fn attached(&self) -> usize {
        self.inner().attachments.pending
    }

    fn attach_resource(&self, resource: Resource) -> Result<()> {
        let mark = Mark::default();
        let mut inner = self.inner();
        if inner.attachments.closed {
            let message = format!(
                "sandbox {} takes no attachments any more",
                self.lifecycle_id()
            );
            return Err(Error::new(Status::Closed, message));
        }
        resource.set_hook(Arc::new(End {
            sandbox: self.clone(),
            mark: mark.clone(),
            _keepsake: inner.keepsake.clone(),
        }))?;
        inner.attachments.list.push(Attachment { resource, mark });
        inner.attachments.pending += 1;
        Ok(())
    }

    /// Hands over what there was when [`Attachments::close`] said so.
    ///
    /// Under the life's lock: what is taken back meanwhile leaves the life before its owner has it, and
    /// is not touched.
    pub(super) fn hand_over(&self) {
        self.shared().releases.submit_together(|| {
            let inner = self.inner();
            let attachments = &inner.attachments;
            // The marks are elsewhere in memory, and mostly nothing has ended yet.
            let is_whole = attachments.pending == attachments.list.len();
            let is_pending = |one: &&Attachment| is_whole || !one.has_ended();
            let pending = || attachments.list.iter().filter(is_pending);
            // All of it has been cold for long, and a submit waits for each part of it: looked at
            // first, the waits for the memory overlap.
            black_box(pending().filter(|one| one.is_cold()).count());
            for attachment in pending() {
                // CLOSED: somebody else released it, and its end comes all the same.
                let _ = attachment.resource.submit();
            }
        });
    }
}

/// Brings the end of an attachment to its life.
struct End<T: Send + Sync + 'static> {
    sandbox: Sandbox<T>,
    mark: Mark,
    _keepsake: Option<Keepsake>,
}

impl<T: Send + Sync + 'static> OnEnd for End<T> {
    /// Comes again when a release that had failed is retried.
    fn ended(&self, event: &Event) {
        let ended = self.sandbox.inner().attachments.end(&self.mark);
        // May be the last handle of the resource, and of what belongs to the host in it.
        drop(ended);
        let sandbox = &self.sandbox;
        let what = trace::Callback::of_life("on_release", sandbox.lifecycle_id());
        let subscribers = &sandbox.shared().subscribers;
        subscribers.dispatch(what.of_release(event.ticket), |observer| {
            foreign::run(|| observer.on_release(sandbox, event)).and_then(|answer| answer)
        });
    }

    fn taken_back(&self) {
        let mut inner = self.sandbox.inner();
        let taken = inner.attachments.take_back(&self.mark);
        drop(inner);
        // As above. What nobody has a handle of is released all the same.
        drop(taken);
    }
}

impl Attachments {
    /// Takes nothing more. `true`: what there was is the caller's to hand over.
    #[must_use]
    pub(super) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true) && self.pending > 0
    }

    /// Counts an attachment as ended, once; gives back what is not needed any more.
    fn end(&mut self, mark: &Mark) -> Vec<Attachment> {
        if !self.closed {
            return self.take_back(mark).into_iter().collect();
        }
        if mark.0.swap(true, Relaxed) {
            return Vec::new();
        }
        self.pending -= 1;
        match self.pending {
            0 => std::mem::take(&mut self.list),
            _ => Vec::new(),
        }
    }

    /// Takes an attachment out, once, before or after its end was asked for: its owner has it again.
    fn take_back(&mut self, mark: &Mark) -> Option<Attachment> {
        if mark.0.swap(true, Relaxed) {
            return None;
        }
        self.pending -= 1;
        let place = self.place(|one| Arc::ptr_eq(&one.mark.0, &mark.0))?;
        Some(self.list.swap_remove(place))
    }

    fn place(&self, is_it: impl FnMut(&Attachment) -> bool) -> Option<usize> {
        self.list.iter().position(is_it)
    }
}

impl Attachment {
    fn has_ended(&self) -> bool {
        self.mark.0.load(Relaxed)
    }

    fn is_cold(&self) -> bool {
        matches!(&self.resource, Resource::Chroot(chroot) if !chroot.is_closed())
    }

    fn is_chroot(&self, chroot: &Chroot) -> bool {
        matches!(&self.resource, Resource::Chroot(own) if own.is_same(chroot))
    }
}

impl Resource {
    fn submit(&self) -> Result<()> {
        match self {
            Resource::Chroot(chroot) => chroot.release().map(drop),
            Resource::Job(job) => job.submit().map(drop),
        }
    }

    fn set_hook(&self, hook: Hook) -> Result<()> {
        match self {
            Resource::Chroot(chroot) => chroot.set_hook(Some(hook)),
            Resource::Job(job) => job.set_hook(hook),
        }
    }
}
