//! The behaviour tests: one program, run with one test thread in a mount namespace of its own, so
//! that each test can say what every thread, descriptor and mount of the process must be after it.
#![allow(clippy::disallowed_methods, missing_docs)]

mod chroot;
mod enter;
mod files;
mod files_listing;
mod files_open;
mod files_remove_all;
mod files_stat;
mod files_tree;
mod host;
mod namespace;
mod queue_model;
mod release;
