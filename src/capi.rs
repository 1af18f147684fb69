//! nsgate: mount namespaces, chroots and an asynchronous release queue for hosts that run many
//! sandboxes. Linux 5.10 or later, x86-64 and arm64.
//!
//! A process opens one gate. From it come chroots (private clones of a directory's mount tree), mount
//! namespaces, jobs and sandbox maps. A chroot serves file operations on the caller's thread, as if
//! its volume were "/", and runs functions whose root it is. When a sandbox's network goes, its map
//! hands everything attached to the sandbox to the gate's release queue and tells the subscribers;
//! that takes microseconds whatever the volumes do. The queue closes, checks that the mounts are gone,
//! and reports each release by its ticket exactly once.
//!
//! Conventions:
//!
//! Errors. Every function that can fail returns nsgate_status and takes an nsgate_error last, which
//! may be NULL. Outputs are written only on success, the error only on failure. Every such function
//! may answer NSGATE_INVALID_ARGUMENT (a NULL, a size, a flag or a string that cannot be),
//! NSGATE_INVALID_HANDLE and NSGATE_PANIC; the docs name what else.
//!
//! Handles and threads. Any value is safe where a handle is asked for. All functions may be called
//! from any thread and at the same time, except where a doc says otherwise. None may be called from a
//! signal handler, nor between fork and exec. A call is no cancellation point: a thread that is cancelled
//! in one (pthread_cancel, deferred) finishes it, and the callbacks that are called on it, first.
//!
//! Ownership. What a function takes for good and what it only borrows for the call is in its doc;
//! strings, options and buffers are always borrowed.
//!
//! Structs that may grow start with their size: set size to sizeof the struct (not of a pointer to it)
//! and the rest to zero. A shorter struct of an older program is filled up with zeros; a longer one of a
//! newer program is refused only if it asks for something this version does not know. Outputs of that
//! kind are filled as far as their size goes. A size that no version ever had, because it is smaller than
//! in the first one or ends within a field, is NSGATE_INVALID_ARGUMENT.
//!
//! Flags and reserved fields: unknown flags and reserved fields that are not zero are refused.
//!
//! Time. Time-outs are nanoseconds from now: 0 looks once and does not wait, NSGATE_NO_DEADLINE waits
//! for ever, and negative ones are refused.

// The names are C's.
#![allow(non_camel_case_types)]
// Exported by name, not by path.
#![allow(unreachable_pub)]

mod address;
mod attributes;
mod callback;
mod chroot;
mod descriptor;
mod directory;
mod entered;
mod entry;
mod event;
mod file;
mod flags;
mod gate;
mod handle;
mod job;
mod life;
mod map;
mod namespace;
mod queue;
mod sandbox;
mod status;
mod string;
mod structs;
mod subscriber;
mod table;
mod time;
mod word;

#[cfg(test)]
mod tests {
    #[test]
    fn the_header_in_include_is_the_generated_one() {
        let generated = include_str!(concat!(env!("OUT_DIR"), "/nsgate.h"));
        assert!(
            include_str!("../include/nsgate.h") == generated,
            "include/nsgate.h is out of date: build the crate, and commit what it writes"
        );
    }
}
