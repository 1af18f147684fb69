//! What a worker works on: the thing itself and the closures that go with it.

use std::any::Any;
use std::sync::Arc;

use super::outcome::{Event, Proof};
use super::reservation::Reservation;
use crate::error::Result;
use crate::kernel::dissolve::DetachedTree;

/// Something that can be released.
///
/// Dropping it must release whatever is left. The queue drops it on a worker, under no lock; only a
/// resource that goes back to its owner is dropped elsewhere.
pub(crate) trait Resource: Any + Send {
    /// One attempt. Called again only after an error that may pass.
    fn release(&mut self) -> Result<Proof>;

    /// The detached tree that its release will close, if that is all it is and it may be dissolved
    /// together with others before.
    fn detached_tree(&self) -> Option<Arc<DetachedTree>> {
        None
    }
}

/// The workers that a release goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    /// One worker, for what only closes: more are slower, the kernel serialises them.
    Native = 0,
    /// A few workers, for what may block.
    Blocking = 1,
}

/// Who a release is made for. One that is cancelled is theirs no more: whoever has the thing again may
/// give it to another.
pub(crate) trait OnEnd: Send + Sync {
    /// The release has ended. On the notify thread, before the subscribers.
    fn ended(&self, event: &Event);

    /// The release is cancelled. On the cancelling thread, under no lock, before the thing is back
    /// with its owner.
    fn taken_back(&self);
}

pub(crate) type Hook = Arc<dyn OnEnd>;

#[cfg(test)]
impl<F: Fn(&Event) + Send + Sync> OnEnd for F {
    fn ended(&self, event: &Event) {
        self(event);
    }

    fn taken_back(&self) {}
}

/// The host's clean-up that runs before the release, on the blocking lane.
pub(crate) type BeforeRelease = Box<dyn FnMut() -> Result<()> + Send>;
/// Takes back what was cancelled.
pub(crate) type Reclaim = Box<dyn FnOnce(Reservation, Box<dyn Resource>) + Send>;

/// Everything that belongs to one release besides its resource.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) hook: Option<Hook>,
    pub(crate) before_release: Option<BeforeRelease>,
    pub(crate) reclaim: Option<Reclaim>,
}

impl Callbacks {
    pub(crate) fn is_empty(&self) -> bool {
        self.hook.is_none() && self.before_release.is_none() && self.reclaim.is_none()
    }
}
