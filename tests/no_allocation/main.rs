//! What promises not to allocate: the releases of what is open, by their owner and by the network's
//! release. An allocation that fails can't keep anything from being released: what is done here is
//! done again on a thread that gets no memory at all, and that has never called the library before.
#![allow(missing_docs)]

mod c_abi;
mod without_memory;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, MountNamespace, SandboxMap};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HAS_MEMORY: Cell<bool> = const { Cell::new(true) };
}

/// Counts what the calling thread allocates, and gives it nothing where it is to have nothing.
struct Counting;

// SAFETY: everything is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        if !HAS_MEMORY.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        if !HAS_MEMORY.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

fn allocations<R>(code: impl FnOnce() -> R) -> (R, u64) {
    let before = ALLOCATIONS.get();
    let result = code();
    (result, ALLOCATIONS.get() - before)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn open(gate: &Gate) -> Chroot {
    let volume = std::env::temp_dir();
    Chroot::open(gate, Path::new(&volume), &ChrootOptions::default()).unwrap()
}

fn gate() -> Gate {
    let gate = Gate::open(GateOptions::default()).unwrap();
    // The first of everything may set things up.
    gate.releases()
        .wait(open(&gate).release().unwrap(), Some(soon()))
        .unwrap();
    gate
}

fn close(gate: &Gate) {
    assert_eq!(gate.close(soon()).unwrap().remaining, 0);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))).1, 1);
    assert_eq!(allocations(|| ()).1, 0);
}

#[test]
fn releasing_a_chroot_allocates_nothing() {
    let gate = gate();
    for runs in [false, true] {
        let chroots: Vec<Chroot> = (0..100).map(|_| open(&gate)).collect();
        if runs {
            for chroot in &chroots {
                chroot.run(|| ()).unwrap();
            }
        }
        for chroot in &chroots {
            assert_eq!(allocations(|| chroot.release().unwrap()).1, 0);
        }
        gate.releases().fence(Some(soon())).unwrap();
    }
    close(&gate);
}

#[test]
fn releasing_a_chroot_by_its_last_handle_allocates_nothing() {
    let gate = gate();
    let chroot = open(&gate);
    let ((), count) = allocations(|| drop(chroot));
    assert_eq!(count, 0);
    gate.releases().fence(Some(soon())).unwrap();
    assert_eq!(gate.stats().released, 2);
    close(&gate);
}

#[test]
fn releasing_namespaces_and_submitting_jobs_allocates_nothing() {
    let gate = gate();
    let namespace = MountNamespace::current(&gate).unwrap();
    assert_eq!(allocations(|| namespace.release().unwrap()).1, 0);
    let jobs: Vec<_> = (0..100)
        .map(|_| gate.releases().reserve_job("job", || Ok(())).unwrap())
        .collect();
    for job in &jobs {
        assert_eq!(allocations(|| job.submit().unwrap()).1, 0);
    }
    let file = File::open("/dev/null").unwrap();
    let job = gate.releases().reserve_descriptor(file.into(), "file");
    let job = job.unwrap();
    assert_eq!(allocations(|| job.submit().unwrap()).1, 0);
    gate.releases().fence(Some(soon())).unwrap();
    close(&gate);
}

#[test]
fn releasing_the_network_allocates_nothing() {
    let gate = gate();
    let map = SandboxMap::new(&gate);
    for life in ["first", "second"] {
        let sandbox = map
            .register("sandbox", life, ())
            .map_err(|(error, _)| error);
        let sandbox = sandbox.unwrap();
        let address = "10.0.0.1".parse().unwrap();
        sandbox.assign_network(address).unwrap();
        sandbox.mark_running().unwrap();
        let chroots: Vec<Chroot> = (0..100).map(|_| open(&gate)).collect();
        for chroot in &chroots {
            sandbox.attach(chroot).unwrap();
        }
        let (released, count) = allocations(|| match life {
            "first" => sandbox.network_released(),
            _ => map.network_released(address, life),
        });
        assert_eq!(released, Ok(true));
        assert_eq!(count, 0, "{life}");
        sandbox.mark_stopped().unwrap();
    }
    gate.releases().fence(Some(soon())).unwrap();
    assert_eq!(gate.stats().released, 201);
    close(&gate);
}
