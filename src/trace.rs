//! What the library tells a `tracing` subscriber: spans of opens, runs, releases and callbacks.
//!
//! With the feature `tracing` the names here are those of `trace/spans.rs`, without it those of
//! `trace/silent.rs`: the same functions, of which nothing is left once they are compiled. Callers are
//! the same for both.
//!
//! A subscriber is foreign code that may open files, load time zones, log to paths. It is never
//! called on a thread that stands in another root, nor on a namespace thread (rule 6 of the design),
//! nor under a lock of ours, nor by a submit (rule 12). What it panics with ends here.

#[cfg(not(feature = "tracing"))]
mod silent;
#[cfg(feature = "tracing")]
mod spans;

#[cfg(not(feature = "tracing"))]
pub(crate) use silent::*;
#[cfg(feature = "tracing")]
pub(crate) use spans::*;
