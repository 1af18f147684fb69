//! More than there is room for: FULL at once, nothing lost, and room again as soon as there is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};

use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, Job, MountNamespace, Result, Status};

use crate::host::{Volume, close, host, soon};
use crate::map_support::eventually;

const CAPACITY: usize = 64;

fn small_gate() -> Gate {
    let mut options = GateOptions::default();
    options.capacity = CAPACITY as u32;
    Gate::open(options).unwrap()
}

fn open(gate: &Gate, volume: &Volume) -> Result<Chroot> {
    Chroot::open(gate, volume.path(), &ChrootOptions::default())
}

fn is_full<T>(result: Result<T>) {
    let status = result.map(drop).unwrap_err().status();
    assert_eq!(status, Status::Full);
}

#[test]
fn a_full_gate_refuses_everything_and_has_room_again_with_the_first_release() {
    let _host = host();
    let gate = small_gate();
    let volume = Volume::new();
    let mut chroots: Vec<Chroot> = (0..CAPACITY)
        .map(|_| open(&gate, &volume).unwrap())
        .collect();
    for _ in 0..100 {
        is_full(open(&gate, &volume));
        is_full(MountNamespace::current(&gate));
        is_full(gate.releases().reserve_job("refused", || Ok(())));
    }
    let stats = gate.stats();
    assert_eq!((stats.reserved, stats.adds), (CAPACITY as u64, 0));
    // What was open before works as ever.
    for chroot in &chroots {
        chroot.stat(".").unwrap();
    }
    for _ in 0..100 {
        let ticket = chroots.pop().unwrap().release().unwrap();
        gate.releases().wait(ticket, Some(soon())).unwrap();
        chroots.push(open(&gate, &volume).unwrap());
        is_full(open(&gate, &volume));
    }
    drop(chroots);
    let report = gate.releases().drain(soon()).unwrap();
    assert_eq!(
        (report.released, report.remaining),
        (100 + CAPACITY as u64, 0)
    );
    close(&gate);
}

#[test]
fn threads_that_want_more_than_there_is_lose_nothing() {
    let _host = host();
    let gate = small_gate();
    let volume = Volume::new();
    let (opened, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let together = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..200 {
                    // Eight times this is more than twice the room; once all hold at once.
                    let mut held = Vec::new();
                    for _ in 0..20 {
                        match open(&gate, &volume) {
                            Ok(chroot) => held.push(chroot),
                            Err(error) => {
                                assert_eq!(error.status(), Status::Full);
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                    if round == 0 {
                        together.wait();
                    }
                    opened.fetch_add(held.len() as u64, Ordering::Relaxed);
                    for chroot in held {
                        chroot.release().unwrap();
                    }
                }
            });
        }
    });
    gate.releases().fence(Some(soon())).unwrap();
    let stats = gate.stats();
    assert_eq!(stats.released, opened.into_inner());
    assert_eq!((stats.reserved, stats.depth, stats.in_flight), (0, 0, 0));
    assert!(refused.into_inner() > 0, "there was room for all");
    // All the room is there again.
    let all: Vec<Chroot> = (0..CAPACITY)
        .map(|_| open(&gate, &volume).unwrap())
        .collect();
    is_full(open(&gate, &volume));
    drop(all);
    close(&gate);
}

/// Something to be held up by.
#[derive(Clone, Default)]
struct Gatekeeper(Arc<(Mutex<bool>, Condvar)>);

impl Gatekeeper {
    fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        let _open = self.0.1.wait_while(open, |open| !*open).unwrap();
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

#[test]
fn releases_that_hang_keep_their_places_and_give_them_back() {
    let _host = host();
    let gate = small_gate();
    let volume = Volume::new();
    let keeper = Gatekeeper::default();
    let jobs: Vec<Job> = (0..CAPACITY)
        .map(|_| {
            let keeper = keeper.clone();
            let job = move || {
                keeper.wait();
                Ok(())
            };
            gate.releases().reserve_job("hangs", job).unwrap()
        })
        .collect();
    for job in &jobs {
        job.submit().unwrap();
    }
    is_full(open(&gate, &volume));
    // One that has not started can be taken back, and dropped: that makes room, too.
    eventually("a job can be taken back", || {
        jobs[CAPACITY - 1].cancel().is_ok()
    });
    is_full(open(&gate, &volume));
    drop(jobs);
    let chroot = open(&gate, &volume).unwrap();
    is_full(open(&gate, &volume));
    keeper.open();
    drop(chroot);
    let report = gate.releases().drain(soon()).unwrap();
    assert_eq!((report.released, report.remaining), (CAPACITY as u64, 0));
    close(&gate);
}

#[test]
fn a_callback_that_hangs_holds_up_no_release_and_no_more_than_there_is_room_for() {
    let _host = host();
    let gate = small_gate();
    let volume = Volume::new();
    let keeper = Gatekeeper::default();
    let heard = Arc::new(AtomicU64::new(0));
    let callback = {
        let (keeper, heard) = (keeper.clone(), heard.clone());
        move |_: &_| {
            keeper.wait();
            heard.fetch_add(1, Ordering::SeqCst);
        }
    };
    gate.releases().subscribe(callback).unwrap();
    let mut released = 0;
    // One is with the callback, as many as there are places wait for it.
    let full = loop {
        match open(&gate, &volume) {
            Ok(chroot) => {
                let ticket = chroot.release().unwrap();
                gate.releases().wait(ticket, Some(soon())).unwrap();
                released += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(full.status(), Status::Full);
    assert!((CAPACITY as u64..=CAPACITY as u64 + 1).contains(&released));
    assert_eq!(heard.load(Ordering::SeqCst), 0);
    keeper.open();
    eventually("every end was told", || {
        heard.load(Ordering::SeqCst) == released
    });
    drop(open(&gate, &volume).unwrap());
    close(&gate);
    assert_eq!(heard.load(Ordering::SeqCst), released + 1);
}
