//! The sandbox map: which sandboxes there are, which of them live, who owns which address, and what
//! is attached to each.
//!
//! Every change of a life answers whether it changed anything, so a host can call from every one of
//! its clean-up paths. The two changes that concern others, a life that runs and a network that is
//! released, are told to the map's subscribers on the thread that made them, under no lock. What is
//! attached to a life is handed to the release queue when its network is released; nothing is waited
//! for. Keeps rules 18 to 23 of the design.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use crate::error::{Error, Result, Status};
use crate::gate::Gate;
use crate::release::ReleaseQueue;
use crate::subscriber::{SubscriberList, SubscriberStats, Subscription, waits};
use crate::sync::{Condvar, Mutex, lock};

mod attachment;
mod delivery;
mod index;
mod life;
mod observer;
mod state;
mod turn;

pub use life::Sandbox;
pub(crate) use life::{Keepsake, WeakSandbox};
pub use observer::Subscriber;
pub use state::{Network, State};

use index::Index;
pub(crate) use index::{By, address_changes};
pub(crate) use observer::Observer;
use observer::Plain;

/// A registry of sandboxes; `T` is the host's own value of each life.
///
/// Cheap to clone: a handle. All methods may be called from any thread and from inside subscribers.
/// When the last handle is dropped the map [closes](SandboxMap::close). A subscriber that owns a
/// handle of its own map keeps it open, so there `close` is the contract.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, Result, Sandbox, SandboxMap, Subscriber};
///
/// struct Log;
/// impl Subscriber<String> for Log {
///     fn on_insert(&self, sandbox: &Sandbox<String>) -> Result<()> {
///         println!("{} runs for {}", sandbox.id(), sandbox.value());
///         Ok(())
///     }
/// }
///
/// let gate = Gate::open(GateOptions::default())?;
/// let map = SandboxMap::new(&gate);
/// map.subscribe("log", Log)?;
/// let sandbox = map.register("sandbox-1", "life-1", "alice".to_string()).map_err(|e| e.0)?;
/// sandbox.assign_network("10.0.0.7".parse()?)?;
/// sandbox.mark_running()?;
/// let volume = Chroot::open(&gate, directory.path(), &ChrootOptions::default())?;
/// sandbox.attach(&volume)?;
/// sandbox.mark_stopped()?;
/// sandbox.network_released()?; // submits the chroot's release, doesn't wait for it
/// map.wait_idle(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SandboxMap<T: Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    _owner: Arc<Owner<T>>,
}

/// What all handles of one map own together.
struct Owner<T: Send + Sync + 'static>(Arc<Shared<T>>);

struct Shared<T: Send + Sync + 'static> {
    releases: ReleaseQueue,
    index: RwLock<Index<T>>,
    subscribers: SubscriberList<dyn Observer<T>>,
    idle: Mutex<()>,
    became_idle: Condvar,
}

impl<T: Send + Sync + 'static> SandboxMap<T> {
    /// An empty map. Its subscribers are measured against the gate's `callback_budget`.
    pub fn new(gate: &Gate) -> SandboxMap<T> {
        let shared = Arc::new(Shared {
            releases: gate.releases().clone(),
            index: RwLock::new(Index::new()),
            subscribers: SubscriberList::new(gate.options().callback_budget),
            idle: Mutex::new(()),
            became_idle: Condvar::new(),
        });
        SandboxMap {
            _owner: Arc::new(Owner(Arc::clone(&shared))),
            shared,
        }
    }

    /// Registers a life of a sandbox: `lifecycle_id` is that of this one life, `sandbox_id` may have
    /// had lives before and may have others still. Both have 1 to 255 bytes. An error gives `value`
    /// back.
    ///
    /// ALREADY_EXISTS: the lifecycle id is in the map. INVALID_ARGUMENT: an id's length.
    /// CLOSED: the map is closed.
    pub fn register(
        &self,
        sandbox_id: &str,
        lifecycle_id: &str,
        value: T,
    ) -> Result<Sandbox<T>, (Error, T)> {
        self.register_with(sandbox_id, lifecycle_id, value, None)
    }

    /// As `register`; an error drops the keepsake.
    pub(crate) fn register_with(
        &self,
        sandbox_id: &str,
        lifecycle_id: &str,
        value: T,
        keepsake: Option<Keepsake>,
    ) -> Result<Sandbox<T>, (Error, T)> {
        for (what, id) in [("sandbox", sandbox_id), ("lifecycle", lifecycle_id)] {
            if id.is_empty() || id.len() > 255 {
                let message = format!("a {what} id has 1 to 255 bytes, not {}", id.len());
                return Err((Error::new(Status::InvalidArgument, message), value));
            }
        }
        let mut index = self.shared.write_index();
        let admitted = index
            .check_open()
            .and_then(|()| index.check_unused(lifecycle_id));
        if let Err(error) = admitted {
            return Err((error, value));
        }
        let sandbox = Sandbox::new(&self.shared, sandbox_id, lifecycle_id, value, keepsake);
        index.insert(&sandbox);
        Ok(sandbox)
    }

    /// The running life of a sandbox: of several the one that began to run last.
    pub fn find(&self, sandbox_id: &str) -> Option<Sandbox<T>> {
        self.look(By::Sandbox(sandbox_id), Sandbox::clone)
    }

    /// The life that owns an address: from `assign_network` until its network is released. IPv4
    /// addresses mapped into IPv6 are the IPv4 addresses.
    pub fn find_by_address(&self, address: IpAddr) -> Option<Sandbox<T>> {
        self.look(By::Address(address.into()), Sandbox::clone)
    }

    /// A life by its own id, in whatever state, as long as it is in the map.
    pub fn find_by_lifecycle(&self, lifecycle_id: &str) -> Option<Sandbox<T>> {
        self.look(By::Lifecycle(lifecycle_id), Sandbox::clone)
    }

    /// How many lives run.
    pub fn count(&self) -> usize {
        self.shared.read_index().running_count()
    }

    /// How many lives there are, in whatever state.
    pub fn lifecycles(&self) -> usize {
        self.shared.read_index().lives().count()
    }

    /// All lives there are now, in no order. Later changes don't show in it.
    pub fn snapshot(&self) -> Vec<Sandbox<T>> {
        self.look_at_all(Sandbox::clone)
    }

    /// All lives that run now, in no order. Later changes don't show in it.
    pub fn running(&self) -> Vec<Sandbox<T>> {
        self.look_at_running(Sandbox::clone)
    }

    /// Finds a life and looks at it in its place, which is cheaper than a handle. `look` runs under the
    /// map's lock: it may copy something.
    #[inline]
    pub(crate) fn look<R>(&self, by: By<'_>, look: impl FnOnce(&Sandbox<T>) -> R) -> Option<R> {
        self.shared.read_index().find(by).map(look)
    }

    /// As `look`, for all lives.
    pub(crate) fn look_at_all<R>(&self, look: impl FnMut(&Sandbox<T>) -> R) -> Vec<R> {
        self.shared.read_index().lives().map(look).collect()
    }

    /// As `look`, for all that run.
    pub(crate) fn look_at_running<R>(&self, look: impl FnMut(&Sandbox<T>) -> R) -> Vec<R> {
        self.shared.read_index().running().map(look).collect()
    }

    /// Releases the network of the life that owns `address`, if that is the life `lifecycle_id`; as
    /// [`Sandbox::network_released`]. Both are named so that an address that has gone to a successor
    /// can't release it.
    ///
    /// `Ok(false)`: that life's network is released already. WRONG_LIFECYCLE: the address is another
    /// life's, or not that life's. NOT_FOUND: no such life is in the map.
    pub fn network_released(&self, address: IpAddr, lifecycle_id: &str) -> Result<bool> {
        self.network_released_with(address, lifecycle_id, 0)
    }

    /// As `network_released`; `context` is handed to the observers called for it.
    pub(crate) fn network_released_with(
        &self,
        address: IpAddr,
        lifecycle_id: &str,
        context: usize,
    ) -> Result<bool> {
        let address = address.to_canonical();
        let life = {
            let index = self.shared.read_index();
            let life = index.life(lifecycle_id);
            match (index.owner(address), life) {
                (Some(owner), life) if !life.is_some_and(|life| life.is_same(owner)) => {
                    let message = format!(
                        "{address} is the address of {}, not of {lifecycle_id}",
                        owner.lifecycle_id()
                    );
                    return Err(Error::new(Status::WrongLifecycle, message));
                }
                (_, Some(life)) => life.clone(),
                (_, None) => {
                    let message = format!("no life {lifecycle_id} is in the map");
                    return Err(Error::new(Status::NotFound, message));
                }
            }
        };
        if life.address() != Some(address) {
            let message = format!("{address} was never the address of {lifecycle_id}");
            return Err(Error::new(Status::WrongLifecycle, message));
        }
        life.network_released_with(context)
    }

    /// Waits until no life is in the map, no event of one is being told any more, and all that was
    /// attached is handed over. The releases may still go on: the gate drains them.
    ///
    /// TIMED_OUT: lives are left. WOULD_DEADLOCK: called from inside a subscriber.
    pub fn wait_idle(&self, deadline: Option<Instant>) -> Result<()> {
        if waits::inside_callback() {
            let message = "a subscriber can't wait for the map that is calling it";
            return Err(Error::new(Status::WouldDeadlock, message));
        }
        self.shared.wait_idle(deadline)
    }

    /// Adds a subscriber after the present ones; events being told just now don't reach it yet. The
    /// name, of 1 to 255 bytes, is for statistics and need not be unique.
    ///
    /// CLOSED: the map is closed. INVALID_ARGUMENT: the name's length.
    pub fn subscribe(&self, name: &str, subscriber: impl Subscriber<T>) -> Result<Subscription> {
        self.subscribe_observer(name, Box::new(Plain(subscriber)))
            .map_err(|(error, _)| error)
    }

    /// As `subscribe`, for one that takes the context of the call; an error gives it back.
    pub(crate) fn subscribe_observer(
        &self,
        name: &str,
        observer: Box<dyn Observer<T>>,
    ) -> Result<Subscription, (Error, Box<dyn Observer<T>>)> {
        self.shared.subscribers.subscribe(name, observer)
    }

    /// Ends a subscriber and returns at once: no new call of it starts. Calls under way go on; the
    /// subscriber is dropped exactly once, after the last, under no lock, on the thread that made that
    /// call, or here. May be called from inside any subscriber, also that one.
    ///
    /// NOT_FOUND: there is none, or it was ended before.
    pub fn unsubscribe(&self, subscription: Subscription) -> Result<()> {
        self.shared.subscribers.unsubscribe(subscription)
    }

    /// Ends a subscriber and returns after its last call ended and it was dropped; also waits for one
    /// that was only unsubscribed before.
    ///
    /// WOULD_DEADLOCK, and nothing is changed: called from inside that subscriber on this thread, or
    /// from inside a call that a call of that subscriber waits for. A subscriber that itself waits for
    /// the caller by other means (a channel, a join) is not seen. NOT_FOUND: there is none, or its last
    /// call is over.
    pub fn unsubscribe_wait(&self, subscription: Subscription) -> Result<()> {
        self.shared.subscribers.unsubscribe_wait(subscription)
    }

    /// What each subscriber did so far, in the order of subscription.
    pub fn subscribers(&self) -> Vec<SubscriberStats> {
        self.shared.subscribers.statistics()
    }

    /// What one subscriber did so far.
    ///
    /// NOT_FOUND: there is none, or its last call is over.
    pub fn subscriber(&self, subscription: Subscription) -> Result<SubscriberStats> {
        self.shared.subscribers.statistics_of(subscription)
    }

    /// Closes the map: no life is registered or changed any more (CLOSED), all leave the map, what is
    /// attached to them is handed to the release queue, and the subscribers are ended, without being
    /// told. Waits for nothing: for a callback that is still running there is
    /// [`wait_idle`](SandboxMap::wait_idle). A second call does nothing.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    fn read_index(&self) -> RwLockReadGuard<'_, Index<T>> {
        self.index
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write_index(&self) -> RwLockWriteGuard<'_, Index<T>> {
        self.index
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait_idle(&self, deadline: Option<Instant>) -> Result<()> {
        let mut idle = lock(&self.idle);
        loop {
            let busy = self.read_index().busy_count();
            if busy == 0 {
                return Ok(());
            }
            let Some(deadline) = deadline else {
                idle = self
                    .became_idle
                    .wait(idle)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!(
                    "{busy} lives are in the map, or not all of theirs is told and handed over"
                );
                return Err(Error::new(Status::TimedOut, message));
            }
            idle = self
                .became_idle
                .wait_timeout(idle, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
    }

    /// What was to be done for a life that is out of the map is done; called under no other lock.
    fn finish(&self) {
        self.write_index().finish();
        self.announce_idle();
    }

    /// Wakes those who wait for an empty map; called under no other lock.
    fn announce_idle(&self) {
        let _idle = lock(&self.idle);
        self.became_idle.notify_all();
    }

    fn close(&self) {
        // Taken out under the lock, dropped after it: the last handle of a life drops the host's value.
        let left = self.write_index().close();
        // Before anything can come to its end: nobody is told of what the closing does.
        self.subscribers.close();
        for sandbox in left.lives() {
            sandbox.hand_over_all();
        }
        self.finish();
    }
}

impl<T: Send + Sync + 'static> Drop for Owner<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T: Send + Sync + 'static> Clone for SandboxMap<T> {
    fn clone(&self) -> SandboxMap<T> {
        SandboxMap {
            shared: Arc::clone(&self.shared),
            _owner: Arc::clone(&self._owner),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for SandboxMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.shared.read_index();
        f.debug_struct("SandboxMap")
            .field("lifecycles", &index.lives().count())
            .field("running", &index.running_count())
            .finish_non_exhaustive()
    }
}
