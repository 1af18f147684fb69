//! What an open chroot costs: bytes of ours, descriptors, threads, with as many of them open as a large
//! host has.
#![allow(missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use nsgate::{Chroot, ChrootOptions, Gate, GateOptions};

static BYTES: AtomicU64 = AtomicU64::new(0);

/// Knows how many bytes are allocated.
struct Measuring;

// SAFETY: everything is the system allocator's; measuring allocates nothing.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static MEASURING: Measuring = Measuring;

/// What the process has.
#[derive(Clone, Copy, Debug)]
struct Has {
    bytes: u64,
    descriptors: u64,
    threads: u64,
}

impl Has {
    fn now() -> Has {
        let count = |directory| std::fs::read_dir(directory).unwrap().count() as u64;
        Has {
            bytes: BYTES.load(Ordering::SeqCst),
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
        }
    }
}

const WANTED: u64 = 15_000;
const LEAST: u64 = 2_000;
/// The process's own descriptors, the gate's, and a second one of some chroots.
const OTHERS: u64 = 1_500;
const INSIDE: u64 = 1_000;
const NAMESPACE_THREADS: u32 = 2;

/// Lets this process have as many descriptors as it may; how many chroots that is enough for.
fn raise_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a place for the answer, and then a structure that says what is wanted.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(WANTED + OTHERS);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    let enough = limit.rlim_cur.saturating_sub(OTHERS);
    assert!(
        enough >= LEAST,
        "RLIMIT_NOFILE allows {} descriptors, which is too few to tell anything",
        limit.rlim_max
    );
    enough
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn gate(capacity: u32) -> Gate {
    let mut options = GateOptions::default();
    options.capacity = capacity;
    options.namespace_threads = NAMESPACE_THREADS;
    Gate::open(options).unwrap()
}

/// What a place in the queue costs, which is there before it is used.
fn bytes_of_a_place() -> u64 {
    let [small, large] = [1_000, 101_000].map(|capacity| {
        let before = Has::now();
        let gate = gate(capacity);
        let bytes = Has::now().bytes - before.bytes;
        gate.close(soon()).unwrap();
        bytes
    });
    (large - small) / 100_000
}

fn measure() {
    let count = raise_limit();
    let place = bytes_of_a_place();
    let gate = gate(WANTED as u32);
    let volume = std::env::temp_dir();
    let open = || Chroot::open(&gate, Path::new(&volume), &ChrootOptions::default()).unwrap();
    // The first of everything sets things up.
    let ticket = open().release().unwrap();
    gate.releases().wait(ticket, Some(soon())).unwrap();
    let mut chroots = Vec::with_capacity(count as usize);
    let before = Has::now();
    chroots.extend((0..count).map(|_| open()));
    let opened = Has::now();
    let bytes = place + (opened.bytes - before.bytes) / count;
    let descriptors = opened.descriptors - before.descriptors;
    println!("{count} chroots: {bytes} bytes and 1 descriptor each, of these {place} in the queue");
    assert!(bytes <= 1024, "{bytes} bytes for each chroot");
    assert_eq!((descriptors, opened.threads), (count, before.threads));
    for chroot in &chroots[..INSIDE as usize] {
        chroot.run(|| ()).unwrap();
    }
    let inside = Has::now();
    assert_eq!(inside.descriptors - opened.descriptors, INSIDE);
    // The threads that visit are as many as ran at once, whatever there is to visit.
    assert!(
        inside.threads <= opened.threads + 2,
        "{inside:?} after {opened:?}"
    );
    for chroot in chroots.drain(..) {
        chroot.release().unwrap();
    }
    gate.releases().fence(Some(soon())).unwrap();
    let released = Has::now();
    assert_eq!(released.descriptors, before.descriptors);
    assert_eq!(gate.close(soon()).unwrap().remaining, 0);
}

#[test]
fn a_chroot_is_a_kilobyte_and_a_descriptor_and_no_thread() {
    // In a copy of the process, whose limit may be raised.
    // SAFETY: the child is this thread alone. It uses the allocator, whose locks fork(3) hands over
    // free, and no lock that the test program's main thread may hold.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            let ended = waitpid(child, None).unwrap();
            assert_eq!(ended, WaitStatus::Exited(child, 0));
        }
        ForkResult::Child => {
            let ended = std::panic::catch_unwind(measure);
            // SAFETY: ends the process, without what belongs to the parent.
            unsafe { libc::_exit(i32::from(ended.is_err())) };
        }
    }
}
