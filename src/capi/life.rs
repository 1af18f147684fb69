//! How a sandbox is known to C: one handle per life, the same for everybody, that is valid as long as
//! the life is in its map or somebody holds a reference.
//!
//! The table holds a life weakly; references that were given out hold it strongly, all together by one
//! clone. The life's own value ends the handle when the life is gone.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, OnceLock};

use super::callback::{Pointer, UserData};
use super::handle::{Handle, nsgate_sandbox};
use crate::sandbox::{Keepsake, WeakSandbox};
use crate::sync::lock;
use crate::{Error, Result, Sandbox, Status};

/// The value of a life: the host's user data, and the handle.
pub(super) struct Value {
    data: Pointer,
    /// None if the references to the life don't keep the user data.
    _kept: Option<Arc<UserData>>,
    handle: nsgate_sandbox,
}

/// Until when there is a life's user data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The life has left the map, and its last reference is freed.
    Freed,
    /// Nobody is told of the life any more.
    Told,
}

impl Value {
    /// The value, and what it doesn't keep of the user data itself.
    pub(super) fn new(data: Arc<UserData>, until: Until) -> Result<(Value, Option<Keepsake>)> {
        let handle = nsgate_sandbox::make(Life::default())?;
        let pointer = Pointer(data.get());
        let (kept, keepsake) = match until {
            Until::Freed => (Some(data), None),
            Until::Told => (None, Some(data as Keepsake)),
        };
        let value = Value {
            data: pointer,
            _kept: kept,
            handle,
        };
        Ok((value, keepsake))
    }

    pub(super) fn user_data(&self) -> *mut c_void {
        self.data.get()
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // Nobody else closes it.
        let _ = self.handle.close();
    }
}

/// What the handle stands for.
#[derive(Default)]
pub(super) struct Life {
    sandbox: OnceLock<WeakSandbox<Value>>,
    references: Mutex<References>,
}

#[derive(Default)]
struct References {
    count: u64,
    /// There while the count is not 0.
    sandbox: Option<Sandbox<Value>>,
}

/// The handle, for a callback: no reference is given.
pub(super) fn borrow(sandbox: &Sandbox<Value>) -> nsgate_sandbox {
    let handle = sandbox.value().handle;
    if let Ok(life) = handle.get() {
        life.sandbox.get_or_init(|| sandbox.downgrade());
    }
    handle
}

/// The handle, with one reference more.
pub(super) fn give(sandbox: Sandbox<Value>) -> Result<nsgate_sandbox> {
    let handle = borrow(&sandbox);
    let life = handle.get()?;
    let mut references = lock(&life.references);
    references.count += 1;
    let spare = match references.sandbox {
        Some(_) => Some(sandbox),
        None => references.sandbox.replace(sandbox),
    };
    drop(references);
    drop(spare);
    Ok(handle)
}

/// The sandbox behind a handle.
pub(super) fn get(handle: nsgate_sandbox) -> Result<Sandbox<Value>> {
    let life = handle.get()?;
    let sandbox = life.sandbox.get().and_then(WeakSandbox::upgrade);
    // None: between its last reference and the end of its handle.
    sandbox.ok_or_else(|| Error::new(Status::InvalidHandle, "the sandbox is gone"))
}

/// Takes a reference back.
pub(super) fn take(handle: nsgate_sandbox) -> Result<()> {
    let life = handle.get()?;
    let mut references = lock(&life.references);
    if references.count == 0 {
        return Err(Error::new(
            Status::InvalidState,
            "every reference to the sandbox was freed",
        ));
    }
    references.count -= 1;
    let last = match references.count {
        0 => references.sandbox.take(),
        _ => None,
    };
    // The lock first: the last reference destroys the host's user data.
    drop(references);
    drop(last);
    Ok(())
}
