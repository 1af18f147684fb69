//! Attaching races with the release of the network, a million times: nothing is lost, and nothing is
//! released that was refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use nsgate::{
    Chroot, ChrootOptions, Event, Gate, Job, Outcome, Result, Sandbox, SandboxMap, Status,
    Subscriber, Ticket,
};

use crate::host::{Volume, close, descriptors, gate, host, soon};
use crate::map_support::{eventually, status};

/// Threads that attach, each one thing to each life.
const ATTACHERS: usize = 2;
/// Lives that there are at a time.
const LIVES: usize = 1_000;

type Life = Sandbox<AtomicUsize>;

/// What is attached.
trait Raced: Send + Sync {
    /// What a second release answers.
    const RELEASED: Status;
    fn attach_to(&self, life: &Life) -> Result<()>;
    fn release(&self) -> Result<Ticket>;
}

impl Raced for Job {
    const RELEASED: Status = Status::InvalidState;

    fn attach_to(&self, life: &Life) -> Result<()> {
        life.attach_job(self)
    }

    fn release(&self) -> Result<Ticket> {
        self.submit()
    }
}

impl Raced for Chroot {
    const RELEASED: Status = Status::Closed;

    fn attach_to(&self, life: &Life) -> Result<()> {
        life.attach(self)
    }

    fn release(&self) -> Result<Ticket> {
        Chroot::release(self)
    }
}

/// Counts the ends that it is told of, by life.
struct CountEnds(Arc<AtomicU64>);

impl Subscriber<AtomicUsize> for CountEnds {
    fn on_release(&self, sandbox: &Life, event: &Event) -> Result<()> {
        assert!(matches!(event.outcome, Outcome::Released(_)));
        sandbox.value().fetch_add(1, SeqCst);
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

/// 940,000 of the million.
#[test]
fn jobs_are_attached_while_the_network_is_released() {
    let _host = host();
    let gate = gate();
    let runs = Arc::new(AtomicU64::new(0));
    let lives = 470_000 * longer();
    race(&gate, lives, || run_counter(&gate, &runs));
    assert_eq!(runs.load(SeqCst), (lives * ATTACHERS) as u64);
    close(&gate);
}

/// 60,000 of the million.
#[test]
fn chroots_are_attached_while_the_network_is_released() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let before = descriptors();
    let open = || Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    race(&gate, 30_000 * longer(), open);
    assert_eq!(descriptors(), before);
    close(&gate);
}

fn longer() -> usize {
    match std::env::var_os("NSGATE_LONG") {
        Some(_) => 4,
        None => 1,
    }
}

/// Several threads attach to lives whose network another one is releasing. Each thing either belongs
/// to its life, and is released with it, or was refused and is still the caller's: all of them are
/// released exactly once, and every end of an attached one is told once.
fn race<R: Raced>(gate: &Gate, lives: usize, make: impl Fn() -> R) {
    let map = SandboxMap::new(gate);
    let told = Arc::new(AtomicU64::new(0));
    map.subscribe("counter", CountEnds(Arc::clone(&told)))
        .unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for batch in 0..lives / LIVES {
        let lives: Vec<_> = (0..LIVES)
            .map(|number| {
                let id = format!("{batch}-{number}");
                map.register("sandbox", &id, AtomicUsize::new(0))
                    .map_err(|(error, _)| error)
                    .unwrap()
            })
            .collect();
        let things: Vec<Vec<R>> = (0..ATTACHERS)
            .map(|_| lives.iter().map(|_| make()).collect())
            .collect();
        let attached = attach_and_release(&lives, &things);
        for (place, life) in lives.iter().enumerate() {
            let expected = attached.iter().filter(|accepted| accepted[place]).count();
            eventually("all ends were told", || {
                life.value().load(SeqCst) == expected
            });
            assert_eq!(life.attached(), 0);
            life.mark_stopped().unwrap();
            accepted += expected as u64;
        }
        assert_eq!(gate.stats().released, accepted + refused);
        // What was refused is still ours.
        for (attached, thing) in attached.iter().flatten().zip(things.iter().flatten()) {
            match attached {
                true => assert_eq!(status(thing.release()), R::RELEASED),
                false => {
                    thing.release().unwrap();
                    refused += 1;
                }
            }
        }
        gate.releases().fence(Some(soon())).unwrap();
        let stats = gate.stats();
        assert_eq!((stats.released, stats.reserved), (accepted + refused, 0));
    }
    assert_eq!(accepted + refused, (lives * ATTACHERS) as u64);
    assert_eq!((told.load(SeqCst), map.lifecycles()), (accepted, 0));
}

/// Attaches a thing of each list to each life while their networks are released; what was accepted.
fn attach_and_release<R: Raced>(lives: &[Life], things: &[Vec<R>]) -> Vec<Vec<bool>> {
    let progress: Vec<AtomicUsize> = (0..=ATTACHERS).map(|_| AtomicUsize::new(0)).collect();
    let progress = progress.as_slice();
    std::thread::scope(|scope| {
        let attachers: Vec<_> = (things.iter().enumerate())
            .map(|(own, things)| {
                let attach = move |place: usize| {
                    keep_together(progress, own, place);
                    match things[place].attach_to(&lives[place]) {
                        Ok(()) => true,
                        Err(error) => {
                            assert_eq!(error.status(), Status::Closed);
                            false
                        }
                    }
                };
                scope.spawn(move || (0..LIVES).map(attach).collect())
            })
            .collect();
        for (place, life) in lives.iter().enumerate() {
            keep_together(progress, ATTACHERS, place);
            assert!(life.network_released().unwrap());
        }
        progress[ATTACHERS].store(usize::MAX, SeqCst);
        attachers
            .into_iter()
            .map(|attacher| attacher.join().unwrap())
            .collect()
    })
}

fn run_counter(gate: &Gate, runs: &Arc<AtomicU64>) -> Job {
    let runs = Arc::clone(runs);
    let job = move || {
        runs.fetch_add(1, SeqCst);
        Ok(())
    };
    gate.releases().reserve_job("race", job).unwrap()
}

/// Lets no thread get more than a few lives ahead of another, so that they meet.
fn keep_together(progress: &[AtomicUsize], own: usize, place: usize) {
    progress[own].store(place, SeqCst);
    let is_behind = |other: &AtomicUsize| other.load(SeqCst).saturating_add(8) < place;
    while progress.iter().any(is_behind) {
        std::thread::yield_now();
    }
}
