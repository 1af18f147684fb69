//! One life of a sandbox: its states and their changes.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use super::Shared;
use super::attachment::Attachments;
use super::index::Index;
use super::state::{Network, State};
use super::turn::{Call, Change, Turn};
use crate::error::{Error, Result, Status};
use crate::subscriber::waits::Node;
use crate::sync::{Condvar, Mutex, MutexGuard, lock};

/// One life of a sandbox, as registered in a [`SandboxMap`](super::SandboxMap).
///
/// Cheap to clone: a handle, which stays readable after the life has left the map. A life leaves when
/// it is stopped, its network is released or was never assigned, and its events are told; the host's
/// value is dropped with the last handle. All methods may be called from any thread and from inside
/// subscribers.
///
/// Changes answer `Ok(false)` when there is nothing to change any more. All of them answer CLOSED when
/// the map is closed. Those that tell subscribers answer WOULD_DEADLOCK, with nothing changed, when
/// they are called from inside a callback that another thread's callback for this life waits for.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// # let map = nsgate::SandboxMap::new(&gate);
/// let sandbox = map.register("sandbox-1", "life-1", "a value of the host's").map_err(|e| e.0)?;
/// sandbox.attach(&chroot)?; // from here on it is the sandbox's to release
/// assert!(sandbox.network_released()?);
/// assert!(!sandbox.network_released()?); // nothing left to change
/// assert!(chroot.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sandbox<T: Send + Sync + 'static>(pub(super) Arc<Life<T>>);

pub(super) struct Life<T: Send + Sync + 'static> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) node: Node,
    sandbox_id: Arc<str>,
    lifecycle_id: Arc<str>,
    inner: Mutex<Inner>,
    pub(super) turn_passed: Condvar,
    value: T,
}

/// Something that is kept as long as somebody may be told of a life: while it is in the map or an event
/// of it is being told, and by what is attached, until that has come to its end. Handles don't keep it.
/// Dropped under no lock.
pub(crate) type Keepsake = Arc<dyn Any + Send + Sync>;

/// Locked after the map's index where both are needed.
pub(super) struct Inner {
    state: State,
    address: Option<IpAddr>,
    network_released: bool,
    /// Taken out of the map, by itself or because the map was closed.
    pub(super) left: bool,
    pub(super) turn: Turn,
    pub(super) attachments: Attachments,
    /// None once it has left and its events are told.
    pub(super) keepsake: Option<Keepsake>,
}

/// What is to be done under no lock once a life has left.
struct Left {
    attached: bool,
    keepsake: Option<Keepsake>,
}

/// A handle of a life that does not keep it.
pub(crate) struct WeakSandbox<T: Send + Sync + 'static>(Weak<Life<T>>);

impl<T: Send + Sync + 'static> WeakSandbox<T> {
    /// None when the life is gone.
    pub(crate) fn upgrade(&self) -> Option<Sandbox<T>> {
        self.0.upgrade().map(Sandbox)
    }
}

impl<T: Send + Sync + 'static> Sandbox<T> {
    pub(crate) fn downgrade(&self) -> WeakSandbox<T> {
        WeakSandbox(Arc::downgrade(&self.0))
    }

    pub(super) fn new(
        shared: &Arc<Shared<T>>,
        sandbox_id: &str,
        lifecycle_id: &str,
        value: T,
        keepsake: Option<Keepsake>,
    ) -> Sandbox<T> {
        Sandbox(Arc::new(Life {
            shared: Arc::clone(shared),
            node: Node::new(),
            sandbox_id: sandbox_id.into(),
            lifecycle_id: lifecycle_id.into(),
            inner: Mutex::new(Inner {
                state: State::Registered,
                address: None,
                network_released: false,
                left: false,
                turn: Turn::default(),
                attachments: Attachments::default(),
                keepsake,
            }),
            turn_passed: Condvar::new(),
            value,
        }))
    }

    /// The sandbox id, which several lives may share.
    pub fn id(&self) -> &str {
        &self.0.sandbox_id
    }

    /// The id of this one life.
    pub fn lifecycle_id(&self) -> &str {
        &self.0.lifecycle_id
    }

    /// The host's own value.
    pub fn value(&self) -> &T {
        &self.0.value
    }

    /// How far the life is.
    pub fn state(&self) -> State {
        self.inner().state
    }

    /// What the life has of the network.
    pub fn network(&self) -> Network {
        let inner = self.inner();
        match (inner.network_released, inner.address) {
            (true, _) => Network::Released,
            (false, Some(address)) => Network::Assigned(address),
            (false, None) => Network::None,
        }
    }

    /// The address that was assigned, also after it was released.
    pub fn address(&self) -> Option<IpAddr> {
        self.inner().address
    }

    /// Whether both are handles of the same life.
    pub fn is_same(&self, other: &Sandbox<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Gives the life an address, by which it is found until its network is released. An IPv4 address
    /// mapped into IPv6 is the IPv4 address. `Ok(false)`: it has this one already.
    ///
    /// ALREADY_EXISTS: another life owns the address. INVALID_STATE: this life has another one, or its
    /// network is released, or it has ended. INVALID_ARGUMENT: the unspecified address.
    pub fn assign_network(&self, address: IpAddr) -> Result<bool> {
        let address = address.to_canonical();
        if address.is_unspecified() {
            let message = "the unspecified address belongs to nobody";
            return Err(Error::new(Status::InvalidArgument, message));
        }
        let mut index = self.0.shared.write_index();
        let mut inner = self.inner();
        index.check_open()?;
        if inner.network_released {
            return Err(self.refused("its network is released"));
        }
        match inner.address {
            Some(present) if present == address => Ok(false),
            Some(present) => Err(self.refused(format_args!("it has the address {present}"))),
            // Nobody would release it, and the life would stay in the map for good.
            None if inner.state == State::Stopped => Err(self.refused("it has ended")),
            None => {
                index.set_owner(address, self)?;
                inner.address = Some(address);
                Ok(true)
            }
        }
    }

    /// The life runs: it is the live one of its sandbox from now on, and `on_insert` is called.
    /// `Ok(false)`: it runs already.
    ///
    /// INVALID_STATE: it is stopping or stopped.
    pub fn mark_running(&self) -> Result<bool> {
        self.mark_running_with(0)
    }

    /// As `mark_running`; `context` is handed to the observers called for it.
    pub(crate) fn mark_running_with(&self, context: usize) -> Result<bool> {
        let call = Call {
            change: Change::Insert,
            context,
        };
        let delivery = {
            let mut index = self.0.shared.write_index();
            let mut inner = self.inner();
            index.check_open()?;
            match inner.state {
                State::Registered => {}
                State::Running => return Ok(false),
                State::Stopping | State::Stopped => return Err(self.refused("it has ended")),
            }
            let delivery = inner.turn.take(self.0.node, call)?;
            inner.state = State::Running;
            index.add_running(self);
            delivery
        };
        self.deliver(delivery, call);
        Ok(true)
    }

    /// The life is about to end: it is no longer found by its sandbox id. Only this life is concerned,
    /// not another one of the same sandbox. `Ok(false)`: it is stopping or stopped already.
    pub fn mark_stopping(&self) -> Result<bool> {
        self.end(State::Stopping)
    }

    /// The life has ended, whether it was marked as stopping or not. `Ok(false)`: it had before.
    pub fn mark_stopped(&self) -> Result<bool> {
        self.end(State::Stopped)
    }

    fn end(&self, to: State) -> Result<bool> {
        let left = {
            let mut index = self.0.shared.write_index();
            let mut inner = self.inner();
            index.check_open()?;
            if inner.state >= to {
                return Ok(false);
            }
            if inner.state == State::Running {
                index.remove_running(self);
            }
            inner.state = to;
            inner
                .may_leave()
                .then(|| self.leave(&mut index, &mut inner))
        };
        if let Some(left) = left {
            self.left(left);
        }
        Ok(true)
    }

    /// Gives up the life's address and whatever else it has of the network: from here on `attach`
    /// answers CLOSED, everything attached is handed to the release queue, and `on_network_release`
    /// is called. Waits for no release. A life that never got an address may be released, too, for a
    /// host that cleans up after a failed start. `Ok(false)`: it was released before.
    pub fn network_released(&self) -> Result<bool> {
        self.network_released_with(0)
    }

    /// As `network_released`; `context` is handed to the observers called for it.
    pub(crate) fn network_released_with(&self, context: usize) -> Result<bool> {
        let call = Call {
            change: Change::NetworkRelease,
            context,
        };
        let (delivery, attached) = {
            let mut index = self.0.shared.write_index();
            let mut inner = self.inner();
            index.check_open()?;
            if inner.network_released || inner.left {
                return Ok(false);
            }
            let delivery = inner.turn.take(self.0.node, call)?;
            inner.network_released = true;
            if let Some(address) = inner.address {
                index.remove_owner(address);
            }
            (delivery, inner.attachments.close())
        };
        if attached {
            self.hand_over();
        }
        self.deliver(delivery, call);
        Ok(true)
    }

    /// Leaves the map if nothing keeps it there.
    pub(super) fn leave_at_last(&self) {
        let left = {
            let mut index = self.0.shared.write_index();
            let mut inner = self.inner();
            inner
                .may_leave()
                .then(|| self.leave(&mut index, &mut inner))
        };
        if let Some(left) = left {
            self.left(left);
        }
    }

    /// Takes the life out of the map.
    fn leave(&self, index: &mut Index<T>, inner: &mut Inner) -> Left {
        inner.left = true;
        index.remove(self);
        let left = Left {
            attached: inner.attachments.close(),
            keepsake: inner.keepsake.take(),
        };
        if left.attached {
            index.begin();
        }
        left
    }

    fn left(&self, left: Left) {
        if left.attached {
            self.hand_over();
        }
        drop(left.keepsake);
        if left.attached {
            self.0.shared.finish();
        } else {
            self.0.shared.announce_idle();
        }
    }

    /// The map is being closed, and the life leaves it. `true`: an event of it is still being told.
    pub(super) fn part(&self) -> bool {
        let mut inner = self.inner();
        inner.left = true;
        !inner.turn.is_over()
    }

    /// The keepsake of a life that the closing of its map has taken out, once its events are told.
    pub(super) fn part_with_keepsake(&self) -> Option<Keepsake> {
        let mut inner = self.inner();
        if inner.left && inner.turn.is_over() {
            return inner.keepsake.take();
        }
        None
    }

    /// Hands over what is attached, if nobody did, and takes nothing more. The map has been closed.
    pub(super) fn hand_over_all(&self) {
        let attached = self.inner().attachments.close();
        if attached {
            self.hand_over();
        }
        drop(self.part_with_keepsake());
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0.inner)
    }

    pub(super) fn shared(&self) -> &Shared<T> {
        &self.0.shared
    }

    pub(super) fn sandbox_key(&self) -> &Arc<str> {
        &self.0.sandbox_id
    }

    pub(super) fn lifecycle_key(&self) -> &Arc<str> {
        &self.0.lifecycle_id
    }

    fn refused(&self, reason: impl fmt::Display) -> Error {
        let message = format!("sandbox {}: {reason}", self.lifecycle_id());
        Error::new(Status::InvalidState, message)
    }
}

impl Inner {
    /// Whether nothing can happen to the life any more.
    pub(super) fn may_leave(&self) -> bool {
        let network_over = self.network_released || self.address.is_none();
        self.state == State::Stopped && network_over && self.turn.is_over() && !self.left
    }
}

impl<T: Send + Sync + 'static> Clone for Sandbox<T> {
    fn clone(&self) -> Sandbox<T> {
        Sandbox(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Sandbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("id", &self.id())
            .field("lifecycle_id", &self.lifecycle_id())
            .field("state", &self.state())
            .field("network", &self.network())
            .finish_non_exhaustive()
    }
}
