//! By which names the lives of a map are found.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use super::life::Sandbox;
use crate::error::{Error, Result, Status};

/// With a hash that is faster than std's. Names come from outside, so its seed is the system's, a new
/// one for each table.
type Table<K, V> = HashMap<K, V, SeedableRandomState>;

fn table<K, V>() -> Table<K, V> {
    let seed = RandomState::new().hash_one(0);
    Table::with_hasher(SeedableRandomState::with_seed(
        seed,
        SharedSeed::global_random(),
    ))
}

/// An address as a number, which is the same for an IPv4 address and for that mapped into IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Address(u128);

impl From<IpAddr> for Address {
    #[inline]
    fn from(address: IpAddr) -> Address {
        Address(match address {
            IpAddr::V4(address) => 0xffff << 32 | u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv6Addr::from_bits(self.0).to_canonical().fmt(f)
    }
}

/// How often an address got an owner or lost it, in all maps together: what a look-up answered holds as
/// long as this is what it was before. Counted before the change can be seen, under the map's lock.
static ADDRESS_CHANGES: Alone = Alone(AtomicU64::new(1));

/// In cache lines of its own: what is read all the time must not lie beside what is written.
#[repr(align(128))]
struct Alone(AtomicU64);

pub(crate) fn address_changes() -> &'static AtomicU64 {
    &ADDRESS_CHANGES.0
}

fn count_address_change() {
    address_changes().fetch_add(1, Ordering::Release);
}

/// What a life is found by.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    /// Its sandbox's id: of those that run the one that began last.
    Sandbox(&'a str),
    /// The address that it owns.
    Address(Address),
    /// Its own id.
    Lifecycle(&'a str),
}

/// All lives by lifecycle id; the running ones by sandbox id; the owners of addresses.
pub(super) struct Index<T: Send + Sync + 'static> {
    lives: Table<Arc<str>, Sandbox<T>>,
    /// In the order in which they began to run: the last one is the live one.
    running: Table<Arc<str>, Vec<Sandbox<T>>>,
    running_count: usize,
    owners: Table<Address, Sandbox<T>>,
    closed: bool,
    /// What is still to be done for lives that are out of it: an event to be told, attachments to be
    /// handed over.
    unfinished: usize,
}

impl<T: Send + Sync + 'static> Index<T> {
    pub(super) fn new() -> Index<T> {
        Index {
            lives: table(),
            running: table(),
            running_count: 0,
            owners: table(),
            closed: false,
            unfinished: 0,
        }
    }

    /// Takes everything out, and nothing in any more. The caller [finishes](Index::finish) when what
    /// was attached is handed over.
    pub(super) fn close(&mut self) -> Index<T> {
        if !self.owners.is_empty() {
            count_address_change();
        }
        let telling = self.lives().filter(|life| life.part()).count();
        let closed = Index {
            closed: true,
            unfinished: self.unfinished + telling + 1,
            ..Index::new()
        };
        std::mem::replace(self, closed)
    }

    /// Something is to be done for a life that is taken out.
    pub(super) fn begin(&mut self) {
        self.unfinished += 1;
    }

    /// It is done.
    pub(super) fn finish(&mut self) {
        self.unfinished -= 1;
    }

    pub(super) fn check_open(&self) -> Result<()> {
        match self.closed {
            true => Err(Error::closed("the sandbox map is closed")),
            false => Ok(()),
        }
    }

    /// Whether a new life may have this id.
    pub(super) fn check_unused(&self, lifecycle_id: &str) -> Result<()> {
        match self.lives.contains_key(lifecycle_id) {
            true => Err(Error::new(
                Status::AlreadyExists,
                format!("a life {lifecycle_id} is in the map"),
            )),
            false => Ok(()),
        }
    }

    pub(super) fn insert(&mut self, sandbox: &Sandbox<T>) {
        self.lives
            .insert(Arc::clone(sandbox.lifecycle_key()), sandbox.clone());
    }

    /// Takes a life out, unless another one has its id by now.
    pub(super) fn remove(&mut self, sandbox: &Sandbox<T>) {
        if let Entry::Occupied(entry) = self.lives.entry(Arc::clone(sandbox.lifecycle_key()))
            && entry.get().is_same(sandbox)
        {
            entry.remove();
        }
    }

    /// Makes a life the live one of its sandbox.
    pub(super) fn add_running(&mut self, sandbox: &Sandbox<T>) {
        self.running
            .entry(Arc::clone(sandbox.sandbox_key()))
            .or_default()
            .push(sandbox.clone());
        self.running_count += 1;
    }

    /// A life runs no more; if an older one of its sandbox does, that one is the live one again.
    pub(super) fn remove_running(&mut self, sandbox: &Sandbox<T>) {
        if let Entry::Occupied(mut entry) = self.running.entry(Arc::clone(sandbox.sandbox_key())) {
            let lives = entry.get_mut();
            let before = lives.len();
            lives.retain(|other| !other.is_same(sandbox));
            self.running_count -= before - lives.len();
            if lives.is_empty() {
                entry.remove();
            }
        }
    }

    /// Gives an address to a life, unless another one owns it.
    pub(super) fn set_owner(&mut self, address: IpAddr, sandbox: &Sandbox<T>) -> Result<()> {
        match self.owners.entry(address.into()) {
            Entry::Occupied(entry) => Err(Error::new(
                Status::AlreadyExists,
                format!("{address} belongs to {}", entry.get().lifecycle_id()),
            )),
            Entry::Vacant(entry) => {
                entry.insert(sandbox.clone());
                count_address_change();
                Ok(())
            }
        }
    }

    pub(super) fn remove_owner(&mut self, address: IpAddr) {
        self.owners.remove(&address.into());
        count_address_change();
    }

    pub(super) fn life(&self, lifecycle_id: &str) -> Option<&Sandbox<T>> {
        self.lives.get(lifecycle_id)
    }

    #[inline(always)]
    pub(super) fn find(&self, by: By<'_>) -> Option<&Sandbox<T>> {
        match by {
            By::Sandbox(id) => self.running.get(id)?.last(),
            By::Address(address) => self.owners.get(&address),
            By::Lifecycle(id) => self.life(id),
        }
    }

    pub(super) fn owner(&self, address: IpAddr) -> Option<&Sandbox<T>> {
        self.owners.get(&address.into())
    }

    pub(super) fn lives(&self) -> impl ExactSizeIterator<Item = &Sandbox<T>> {
        self.lives.values()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Sandbox<T>> {
        self.running.values().flatten()
    }

    pub(super) fn running_count(&self) -> usize {
        self.running_count
    }

    /// Lives that are in it, and what is unfinished of those that are out.
    pub(super) fn busy_count(&self) -> usize {
        self.lives.len() + self.unfinished
    }
}
