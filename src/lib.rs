//! Mount namespaces, chroots and an asynchronous release queue for hosts that run many sandboxes.

#[cfg(not(loom))]
mod capi;
mod error;
mod gate;
mod kernel;
mod sync;
#[cfg(all(test, loom))]
#[path = "capi/word.rs"]
mod word;

pub use error::{Error, Result, Status};
