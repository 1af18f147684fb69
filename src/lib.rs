//! Mount namespaces, chroots and an asynchronous release queue for hosts that run many sandboxes.
//!
//! The feature `tracing`, off by default, tells a subscriber of opens, runs, releases and callbacks.

#[cfg(not(loom))]
mod capi;
mod chroot;
mod error;
mod foreign;
mod gate;
mod kernel;
mod label;
mod namespace;
mod namespace_thread;
mod panic;
mod releasable;
mod release;
mod rundown;
mod sandbox;
mod spin;
mod stays;
mod subscriber;
mod sync;
mod trace;
#[cfg(all(test, loom))]
#[path = "capi/word.rs"]
mod word;

pub use chroot::{
    Chroot, ChrootOptions, DirEntry, FileKind, FileStat, FileSystemStat, FileTime, OpenOptions,
    Propagation, ReadDir, RenameOptions,
};
pub use error::{Error, Result, Status};
pub use gate::{Gate, GateOptions, ThreadStart};
pub use kernel::features::Features;
pub use kernel::namespace::NamespaceId;
pub use namespace::{Entered, MountNamespace, RestoreError};
pub use namespace_thread::RunId;
pub use release::{
    Event, FailedRelease, Histogram, Job, Kind, Outcome, Proof, ReleaseQueue, ReleaseState, Report,
    ReportItem, RetryOptions, Stats, StuckRelease, Ticket, UnmountOptions,
};
pub use sandbox::{Network, Sandbox, SandboxMap, State, Subscriber};
pub use subscriber::{SubscriberStats, Subscription};
