//! Handles
//!
//! Every object is named by a handle: a struct with one number. A handle may be copied, and used from
//! any thread where nothing else is said; any value whatever is safe to pass. A function whose doc
//! says so ends the handle: from then on, as for zero, a random number or a handle of another kind,
//! every call answers NSGATE_INVALID_HANDLE. No number is ever used again. A handle may be ended while
//! other threads use it: calls that have begun finish as if it were open.

use super::directory::Directory;
use super::entered::Stay;
use super::life::Life;
use super::map::Map;
use super::table::{Held, Table, Vacancy};
use crate::{Chroot, Gate, Job, MountNamespace, Result};

/// What a process sets up once: everything else is made from it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_gate {
    /// 0 is no gate.
    pub id: u64,
}

/// Something of the host's whose release has a reserved place in the queue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_job {
    /// 0 is no job.
    pub id: u64,
}

/// A mount namespace.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_namespace {
    /// 0 is no namespace.
    pub id: u64,
}

/// A thread's stay in a namespace.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_entered {
    /// 0 is no stay.
    pub id: u64,
}

/// A private clone of a directory's mount tree.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_chroot {
    /// 0 is no chroot.
    pub id: u64,
}

/// A directory that is being read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_directory {
    /// 0 is no directory.
    pub id: u64,
}

/// A registry of sandboxes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_map {
    /// 0 is no map.
    pub id: u64,
}

/// One life of a sandbox.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_sandbox {
    /// 0 is no sandbox.
    pub id: u64,
}

/// A handle and the table of its kind.
pub(super) trait Handle: Sized {
    type Object: Send + Sync + 'static;

    fn table() -> &'static Table<Self::Object>;
    fn id(&self) -> u64;
    fn from_id(id: u64) -> Self;

    /// The object, which stays while the answer is held.
    fn get(&self) -> Result<Held<Self::Object>> {
        Self::table().get(self.id())
    }

    /// Ends the handle.
    fn close(&self) -> Result<Held<Self::Object>> {
        Self::table().close(self.id())
    }

    /// A place for an object to be made; its handle is [`Handle::from_id`] of what fills it.
    fn vacancy() -> Result<Vacancy<Self::Object>> {
        Self::table().vacancy()
    }

    /// A new handle.
    fn make(object: Self::Object) -> Result<Self> {
        Self::table().insert(object).map(Self::from_id)
    }
}

macro_rules! handles {
    ($($handle:ident: $kind:literal => $object:ty;)*) => {$(
        impl Handle for $handle {
            type Object = $object;

            fn table() -> &'static Table<$object> {
                static TABLE: Table<$object> = Table::new($kind);
                &TABLE
            }

            fn id(&self) -> u64 {
                self.id
            }

            fn from_id(id: u64) -> $handle {
                $handle { id }
            }
        }
    )*};
}

handles! {
    nsgate_gate: 1 => Gate;
    nsgate_job: 2 => Job;
    nsgate_namespace: 3 => MountNamespace;
    nsgate_entered: 4 => Stay;
    nsgate_chroot: 5 => Chroot;
    nsgate_directory: 6 => Directory;
    nsgate_map: 7 => Map;
    nsgate_sandbox: 8 => Life;
}
