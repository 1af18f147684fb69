//! The behaviour tests: one program, run with one test thread in a mount namespace of its own, so
//! that each test can say what every thread, descriptor and mount of the process must be after it.
#![allow(clippy::disallowed_methods, missing_docs)]

mod child;
mod chroot;
mod chroot_release;
mod crash;
mod differential;
mod doctor;
mod enter;
mod escape;
mod fault;
mod files;
mod files_listing;
mod files_open;
mod files_remove_all;
mod files_stat;
mod files_tree;
mod files_unsupported;
mod forbid;
mod fuse_volume;
mod hang;
mod host;
mod map;
mod map_attach;
mod map_events;
mod map_inside;
mod map_support;
mod map_taken_back;
mod map_unsubscribe;
mod namespace;
mod overload;
mod queue_model;
mod release;
mod release_inside;
mod soak;
mod without_mount_setattr;
