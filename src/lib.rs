//! Mount namespaces, chroots and an asynchronous release queue for hosts that run many sandboxes.

mod error;
mod gate;
mod kernel;
mod sync;

pub use error::{Error, Result, Status};
