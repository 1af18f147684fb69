//! Everything at random from eight threads for a while; then every count adds up exactly, and
//! memory, descriptors and threads are what they were after the first part of it.

mod parts;
mod tally;
mod world;

use std::time::{Duration, Instant};

use nsgate::{Gate, GateOptions};

use crate::host::{Random, Volume, descriptors, host, soon, thread_ids};
use world::World;

const THREADS: usize = 8;

/// What must not grow.
#[derive(Debug)]
struct Level {
    descriptors: usize,
    threads: usize,
    /// Bytes that the allocator has given out.
    memory: usize,
}

impl Level {
    fn now() -> Level {
        // SAFETY: no memory is involved; the allocator locks what it reads.
        let info = unsafe { libc::mallinfo2() };
        Level {
            descriptors: descriptors().len(),
            threads: thread_ids().len(),
            memory: info.uordblks + info.hblkhd,
        }
    }
}

/// Lets the threads act until `end`, then takes everything down and looks at what is left.
fn act(
    gate: &Gate,
    volume: &Volume,
    tally: &tally::Tally,
    random: &mut Random,
    end: Instant,
) -> Level {
    let world = World::new(gate, volume.path(), tally);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let mut random = random.fork();
            let world = &world;
            scope.spawn(move || {
                while Instant::now() < end {
                    world.act(&mut random);
                }
            });
        }
    });
    world.take_down();
    tally.check(gate);
    Level::now()
}

#[test]
fn random_work_adds_up_and_nothing_grows() {
    let _host = host();
    let long = std::env::var_os("NSGATE_LONG").is_some();
    let lasts = Duration::from_secs(if long { 600 } else { 20 });
    let mut options = GateOptions::default();
    // Small enough to be full at times.
    options.capacity = 256;
    options.namespace_threads = 4;
    options.namespace_thread_idle = Duration::from_secs(3600);
    options.retry.first_pause = Duration::from_micros(100);
    options.retry.longest_pause = Duration::from_micros(500);
    options.retry.attempts = 3;
    let gate = Gate::open(options).unwrap();
    let volume = Volume::new();
    volume.file("marker", "inside");
    let tally = tally::Tally::new(&gate);
    let mut random = Random::new();
    let begin = Instant::now();
    let first = act(&gate, &volume, &tally, &mut random, begin + lasts / 4);
    let last = act(&gate, &volume, &tally, &mut random, begin + lasts);
    // Threads that idle come and go; the limits of the gate bound them.
    assert!(last.threads <= first.threads + 8, "{first:?}, {last:?}");
    // A namespace or listing more may be held by who is idle.
    assert!(
        last.descriptors <= first.descriptors + 8,
        "{first:?}, {last:?}"
    );
    // What is remembered of ended releases has a bound, which the first part may not have reached.
    assert!(
        last.memory <= first.memory + (4 << 20),
        "{first:?}, {last:?}"
    );
    let report = gate.close(soon()).unwrap();
    assert_eq!((report.remaining, report.stuck), (0, 0), "{report:?}");
    tally.check(&gate);
}
