//! What a subscriber of a sandbox map is.

use std::sync::Arc;

use super::life::Sandbox;
use crate::error::Result;
use crate::release::Event;

/// Callbacks for what happens to the sandboxes of a map; each does nothing unless implemented.
///
/// `on_insert` and `on_network_release` are called on the thread that changed the map, in the order
/// of subscription, and for one life never two at a time: a change made from inside such a callback
/// to the same life is told by the same thread once the present event is told to all, before the
/// outer call returns; a change made by another thread waits there until its turn has come.
///
/// A callback may call anything in the library. It should not block: a call over the gate's
/// `callback_budget` is counted as slow. It must not wait, by means of its own, for a thread that
/// changes the same life: that thread waits for the callback. (Through nsgate alone two callbacks
/// can't block each other: the second one is told WOULD_DEADLOCK.)
///
/// An error or a panic is recorded in the subscriber's statistics; the others are called all the
/// same, and the change stands.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let map = nsgate::SandboxMap::new(&gate);
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use nsgate::{Result, Sandbox, Subscriber};
///
/// /// How many sandboxes run.
/// struct Limiter(AtomicU32);
///
/// impl Subscriber<()> for Limiter {
///     fn on_insert(&self, _: &Sandbox<()>) -> Result<()> {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         Ok(())
///     }
///     fn on_network_release(&self, _: &Sandbox<()>) -> Result<()> {
///         self.0.fetch_sub(1, Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// let limiter = Arc::new(Limiter(AtomicU32::new(0)));
/// map.subscribe("limiter", limiter.clone())?;
/// map.register("sandbox-1", "life-1", ()).map_err(|e| e.0)?.mark_running()?;
/// assert_eq!(limiter.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Subscriber<T: Send + Sync + 'static>: Send + Sync + 'static {
    /// The life began to run.
    fn on_insert(&self, sandbox: &Sandbox<T>) -> Result<()> {
        let _ = sandbox;
        Ok(())
    }

    /// The life's network was released. What was attached has been handed to the release queue; the
    /// address, still in `sandbox.address()`, is free for another life.
    fn on_network_release(&self, sandbox: &Sandbox<T>) -> Result<()> {
        let _ = sandbox;
        Ok(())
    }

    /// Something that was attached to the life has come to its end. On the release queue's notify
    /// thread, in no order with the other two.
    fn on_release(&self, sandbox: &Sandbox<T>, event: &Event) -> Result<()> {
        let _ = (sandbox, event);
        Ok(())
    }
}

/// So that the host can look at a subscriber while the map has it.
impl<T: Send + Sync + 'static, S: Subscriber<T>> Subscriber<T> for Arc<S> {
    fn on_insert(&self, sandbox: &Sandbox<T>) -> Result<()> {
        (**self).on_insert(sandbox)
    }

    fn on_network_release(&self, sandbox: &Sandbox<T>) -> Result<()> {
        (**self).on_network_release(sandbox)
    }

    fn on_release(&self, sandbox: &Sandbox<T>, event: &Event) -> Result<()> {
        (**self).on_release(sandbox, event)
    }
}

/// A subscriber as the crate calls it: with the context that the host gave to the changing call.
pub(crate) trait Observer<T: Send + Sync + 'static>: Send + Sync {
    fn on_insert(&self, sandbox: &Sandbox<T>, context: usize) -> Result<()>;
    fn on_network_release(&self, sandbox: &Sandbox<T>, context: usize) -> Result<()>;
    fn on_release(&self, sandbox: &Sandbox<T>, event: &Event) -> Result<()>;
}

/// A subscriber that no context concerns.
pub(super) struct Plain<S>(pub(super) S);

impl<T: Send + Sync + 'static, S: Subscriber<T>> Observer<T> for Plain<S> {
    fn on_insert(&self, sandbox: &Sandbox<T>, _context: usize) -> Result<()> {
        self.0.on_insert(sandbox)
    }

    fn on_network_release(&self, sandbox: &Sandbox<T>, _context: usize) -> Result<()> {
        self.0.on_network_release(sandbox)
    }

    fn on_release(&self, sandbox: &Sandbox<T>, event: &Event) -> Result<()> {
        self.0.on_release(sandbox, event)
    }
}
