//! Where each thread has to come back to from what it entered.
//!
//! The descriptors of a stay belong to no thread: one that ends without a restore leaves nothing that
//! could not be let go. What a thread keeps of it needs no destructor, so that it can enter and restore
//! until its very end, where C++ guards and destructors of pthread keys do.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::{Error, Result, Status};
use crate::kernel::namespace::Standing;
use crate::kernel::process;
use crate::sync::lock;
use crate::trace;

/// A thread, told apart from all others there ever were: the kernel's ids are used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Thread {
    number: u64,
    id: i32,
}

/// The id of an enter, unique in the process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StayId(u64);

struct Stay {
    id: StayId,
    before: Standing,
}

/// The stays of every thread that has any, the innermost last.
static STAYS: Mutex<BTreeMap<Thread, Vec<Stay>>> = Mutex::new(BTreeMap::new());

thread_local! {
    static THREAD: Cell<Option<Thread>> = const { Cell::new(None) };
    /// How many stays this thread has.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// It could not be brought back to where it stood before its first enter.
    static IS_LOST: Cell<bool> = const { Cell::new(false) };
}

impl Thread {
    /// The calling one.
    pub(crate) fn current() -> Thread {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        THREAD.get().unwrap_or_else(|| {
            let thread = Thread {
                number: NEXT.fetch_add(1, Relaxed),
                id: process::thread_id(),
            };
            THREAD.set(Some(thread));
            thread
        })
    }

    /// For another one than the calling thread. One whose id is used again counts as alive.
    pub(crate) fn has_ended(self) -> bool {
        !process::has_thread(self.id)
    }
}

/// The calling thread stands at `before`, and will be elsewhere.
pub(crate) fn begin(before: Standing) -> StayId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = StayId(NEXT.fetch_add(1, Relaxed));
    let stay = Stay { id, before };
    lock(&STAYS)
        .entry(Thread::current())
        .or_default()
        .push(stay);
    DEPTH.set(DEPTH.get() + 1);
    id
}

/// The calling thread did not go.
pub(crate) fn take_back(id: StayId) {
    drop(end(id));
}

/// Whether the calling thread has entered something else since, that has to be restored first.
pub(crate) fn is_outer(id: StayId) -> bool {
    let stays = lock(&STAYS);
    let own = stays.get(&Thread::current()).map_or(&[][..], Vec::as_slice);
    own.iter().rev().skip(1).any(|stay| stay.id == id)
}

/// Ends a stay of the calling thread and all that are inside it. What comes back starts with it, and is
/// empty where it was over already.
fn end(id: StayId) -> Vec<Stay> {
    end_from(|own| own.iter().position(|stay| stay.id == id))
}

fn end_from(first: impl FnOnce(&[Stay]) -> Option<usize>) -> Vec<Stay> {
    let thread = Thread::current();
    let mut stays = lock(&STAYS);
    let Some(own) = stays.get_mut(&thread) else {
        return Vec::new();
    };
    let first = first(own).unwrap_or(own.len());
    let ended = own.split_off(first);
    if first == 0 {
        stays.remove(&thread);
    }
    DEPTH.set(first);
    ended
}

/// Brings the calling thread back to where it stood before the stay; `false`: that was over already,
/// and nothing is changed.
pub(crate) fn bring_back(id: StayId) -> Result<bool> {
    come_back(end(id))
}

fn come_back(ended: Vec<Stay>) -> Result<bool> {
    let Some(outermost) = ended.first() else {
        return Ok(false);
    };
    outermost.before.restore_root().map_err(|error| {
        IS_LOST.set(IS_LOST.get() || DEPTH.get() == 0);
        error
            .with_status(Status::Tainted)
            .with_context("this thread could not be brought back and must end")
    })?;
    trace::came_home(ended.len());
    outermost
        .before
        .restore_working_directory()
        .map_err(|error| error.with_context("the working directory could not be restored"))?;
    Ok(true)
}

/// Brings the calling thread back from all that it entered, exactly. TAINTED where that can't be done,
/// or could not be before.
pub(crate) fn bring_back_from_all() -> Result<()> {
    if IS_LOST.get() {
        let message = "this thread could not be brought back and must end";
        return Err(Error::new(Status::Tainted, message));
    }
    if DEPTH.get() == 0 {
        return Ok(());
    }
    come_back(end_from(|_| Some(0))).map(drop).map_err(|error| {
        IS_LOST.set(true);
        error.with_status(Status::Tainted)
    })
}

/// Ends all stays of the calling thread, which is brought home by other means, if it can be.
pub(crate) fn give_up() {
    if DEPTH.get() > 0 {
        trace::came_home(end_from(|_| Some(0)).len());
    }
    IS_LOST.set(false);
}

/// Lets go of what threads that have ended left.
pub(crate) fn sweep() {
    let thread = Thread::current();
    let mut stays = lock(&STAYS);
    let mut left = Vec::new();
    stays.retain(|owner, own| {
        let stays = *owner == thread || !owner.has_ended();
        if !stays {
            left.append(own);
        }
        stays
    });
    // Descriptors are closed without the lock.
    drop(stays);
    drop(left);
}
