//! The same on threads that get no memory: the allocator answers NULL, as malloc(3) does at the end.

use std::fs::File;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use nsgate::{Chroot, MountNamespace, Sandbox, SandboxMap, Subscriber};

use crate::{ALLOCATIONS, HAS_MEMORY, allocations, close, gate, open, soon};

/// Runs `code` on a thread of its own, which gets no memory while it does.
pub(crate) fn without_memory<R: Send>(code: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            HAS_MEMORY.set(false);
            let (result, asked) = allocations(code);
            HAS_MEMORY.set(true);
            assert_eq!(asked, 0, "it can do without what it asked for");
            result
        });
        thread.join().unwrap()
    })
}

/// Releases a chroot that a job is in, and has the job end on a thread without memory.
fn last_use_ends_without_memory(chroot: &Chroot, between: impl FnOnce()) {
    let (begin, begun) = mpsc::channel();
    let (go, going) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let before = Arc::new(AtomicU64::new(0));
    let at_end = Arc::clone(&before);
    let job = move || {
        begin.send(()).unwrap();
        let () = going.recv().unwrap();
        before.store(ALLOCATIONS.get(), Ordering::SeqCst);
        HAS_MEMORY.set(false);
    };
    let done = move |outcome: nsgate::Result<()>| {
        HAS_MEMORY.set(true);
        let asked = ALLOCATIONS.get() - at_end.load(Ordering::SeqCst);
        end.send((outcome, asked)).unwrap();
    };
    chroot.start(Box::new(job), Box::new(done)).unwrap();
    // A job that only waits for its thread is refused when the gate closes.
    let () = begun.recv().unwrap();
    chroot.release().unwrap();
    between();
    go.send(()).unwrap();
    assert_eq!(ended.recv().unwrap(), (Ok(()), 0));
}

#[test]
fn there_is_none() {
    let layout = std::alloc::Layout::new::<u64>();
    HAS_MEMORY.set(false);
    // SAFETY: the layout is not empty, and NULL is what is expected.
    let got = unsafe { std::alloc::alloc(layout) };
    HAS_MEMORY.set(true);
    assert!(got.is_null());
}

#[test]
fn everything_is_released_without_memory() {
    let gate = gate();
    let chroots = [open(&gate), open(&gate), open(&gate)];
    chroots[1].run(|| ()).unwrap();
    for chroot in &chroots[..2] {
        without_memory(|| chroot.release()).unwrap();
    }
    last_use_ends_without_memory(&chroots[2], || ());
    let chroot = open(&gate);
    without_memory(move || drop(chroot));
    let namespace = MountNamespace::current(&gate).unwrap();
    without_memory(|| namespace.release()).unwrap();
    let job = gate.releases().reserve_job("job", || Ok(())).unwrap();
    without_memory(|| job.submit()).unwrap();
    let file = File::open("/dev/null").unwrap();
    let job = gate.releases().reserve_descriptor(file.into(), "file");
    let job = job.unwrap();
    without_memory(|| job.submit()).unwrap();
    gate.releases().fence(Some(soon())).unwrap();
    assert_eq!((gate.stats().released, gate.stats().reserved), (8, 0));
    close(&gate);
}

/// Also once the gate is closed: what comes late is taken down, too.
#[test]
fn what_is_submitted_after_the_close_is_released_without_memory() {
    let gate = gate();
    let (used, late) = (open(&gate), open(&gate));
    // The release that was asked for is abandoned before its submit.
    last_use_ends_without_memory(&used, || {
        assert_eq!(gate.close(Instant::now()).unwrap().remaining, 1);
    });
    without_memory(|| late.release()).unwrap();
    gate.releases().fence(Some(soon())).unwrap();
    let stats = gate.stats();
    assert_eq!((stats.released, stats.abandoned, stats.reserved), (2, 1, 0));
}

struct Counts(Arc<AtomicU32>);

impl Subscriber<()> for Counts {
    fn on_network_release(&self, _: &Sandbox<()>) -> nsgate::Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_network_is_released_without_memory() {
    let gate = gate();
    let map = SandboxMap::new(&gate);
    let calls = Arc::new(AtomicU32::new(0));
    for name in ["one", "two", "three"] {
        map.subscribe(name, Counts(Arc::clone(&calls))).unwrap();
    }
    for life in ["first", "second"] {
        let sandbox = map.register("sandbox", life, ());
        let sandbox = sandbox.map_err(|(error, _)| error).unwrap();
        let address = "10.0.0.1".parse().unwrap();
        sandbox.assign_network(address).unwrap();
        sandbox.mark_running().unwrap();
        for _ in 0..100 {
            sandbox.attach(&open(&gate)).unwrap();
        }
        let job = gate.releases().reserve_job("job", || Ok(())).unwrap();
        sandbox.attach_job(&job).unwrap();
        let released = without_memory(|| match life {
            "first" => sandbox.network_released(),
            _ => map.network_released(address, life),
        });
        assert_eq!(released, Ok(true));
        without_memory(|| sandbox.mark_stopped()).unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 6);
    gate.releases().fence(Some(soon())).unwrap();
    assert_eq!(gate.stats().released, 203);
    map.wait_idle(Some(soon())).unwrap();
    close(&gate);
}

#[test]
fn a_queue_that_others_use_is_no_reason_to_allocate() {
    let gate = gate();
    let jobs: Vec<_> = (0..1_000)
        .map(|_| gate.releases().reserve_job("job", || Ok(())).unwrap())
        .collect();
    let jobs = Mutex::new(jobs);
    let submit = || {
        while let Some(job) = {
            let mut jobs = jobs.lock().unwrap();
            jobs.pop()
        } {
            job.submit().unwrap();
            // The handle is dropped here: the queue has what is left of the job.
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| without_memory(submit));
        }
    });
    gate.releases().fence(Some(soon())).unwrap();
    assert_eq!(gate.stats().released, 1_001);
    close(&gate);
}
