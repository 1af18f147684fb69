//! The library's concurrent state machines, taken from its sources as they are, with loom's
//! primitives below them and small models above: every interleaving (up to a number of preemptions)
//! is tried, and a lost wake-up, a double take or a race is a failed test.
//!
//! Only what talks to the kernel is replaced here. Run it by `tests/loom/run`.
#![cfg(loom)]
#![allow(dead_code, unused_imports)]

#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/gate"]
mod gate {
    mod options;
    pub(crate) use options::GateOptions;
}
mod foreign;
mod kernel;
#[path = "../../../src/panic.rs"]
mod panic;
#[path = "../../../src/releasable.rs"]
mod releasable;
mod release;
#[path = "../../../src/rundown.rs"]
mod rundown;
mod sync;
#[path = "../../../src/trace/silent.rs"]
mod trace;
#[path = "../../../src/capi/word.rs"]
mod word;

/// What is taken with the modules below it.
#[path = "../../../src"]
mod library {
    pub(crate) mod subscriber;
}
use library::subscriber;

#[cfg(test)]
mod models;
