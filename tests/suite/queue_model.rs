//! The whole queue against a simple sequential reference: random operations on scripted jobs, whose
//! every answer and every end has to be one that the reference allows.
//!
//! A failure is shrunk and printed with a seed; NSGATE_SEED=… repeats the round that it was found
//! in. NSGATE_LONG=1 goes on for minutes.

mod checks;
mod driver;
mod failed;
mod job;
mod reference;

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::host::host;

/// What one attempt of a job does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attempt {
    Succeed,
    /// Fails with an errno; EBUSY may pass, EIO does not.
    Fail(i32),
    /// Fails with a status that no errno stands behind.
    Refuse,
    Panic,
    /// Waits until the test opens its door, then goes on with the next.
    Hold,
}

/// One step of the test. Jobs are named by any number: it is taken modulo how many there are.
#[derive(Clone, Debug)]
enum Operation {
    Reserve(Vec<Attempt>),
    Submit(usize),
    Cancel(usize),
    /// Drops the last handle of the job.
    Drop(usize),
    Wait(usize),
    Fence,
    Retry(usize),
    Forget(usize),
    /// Opens the door that the job holds at.
    Open(usize),
    Drain,
    ReadEvents(usize),
}

#[derive(Clone, Debug)]
struct Setting {
    capacity: u32,
    workers: u32,
    attempts: u32,
    /// Holding jobs are found stuck and replaced.
    short_budget: bool,
    /// The gate is closed while what holds still holds.
    abandon: bool,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    prop_oneof![
        4 => Just(Attempt::Succeed),
        4 => Just(Attempt::Fail(libc::EBUSY)),
        1 => Just(Attempt::Fail(libc::EIO)),
        1 => Just(Attempt::Refuse),
        1 => Just(Attempt::Panic),
        2 => Just(Attempt::Hold),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let job = 0..64usize;
    prop_oneof![
        6 => vec(attempt(), 0..5).prop_map(Operation::Reserve),
        6 => job.clone().prop_map(Operation::Submit),
        3 => job.clone().prop_map(Operation::Cancel),
        1 => job.clone().prop_map(Operation::Drop),
        3 => job.clone().prop_map(Operation::Wait),
        1 => Just(Operation::Fence),
        2 => job.clone().prop_map(Operation::Retry),
        1 => job.clone().prop_map(Operation::Forget),
        3 => job.prop_map(Operation::Open),
        1 => Just(Operation::Drain),
        1 => (0..4usize).prop_map(Operation::ReadEvents),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    (1..9u32, 1..4u32, 1..4u32, any::<bool>(), any::<bool>()).prop_map(
        |(capacity, workers, attempts, short_budget, abandon)| Setting {
            capacity,
            workers,
            attempts,
            short_budget,
            abandon,
        },
    )
}

fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

#[test]
fn the_queue_answers_as_the_reference_does() {
    let _host = host();
    let given: Option<u64> = std::env::var("NSGATE_SEED")
        .ok()
        .map(|seed| seed.parse().expect("NSGATE_SEED is a number"));
    let long = std::env::var_os("NSGATE_LONG").is_some();
    let lasts = Duration::from_secs(if long { 240 } else { 6 });
    let end = Instant::now() + lasts;
    let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut seed = given.unwrap_or(since_epoch.as_nanos() as u64);
    let mut rounds = 0;
    while rounds == 0 || (given.is_none() && Instant::now() < end) {
        let config = Config {
            cases: 20,
            failure_persistence: None,
            max_shrink_time: 60_000,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes(seed));
        let mut runner = TestRunner::new_with_rng(config, rng);
        let input = (setting(), vec(operation(), 1..60));
        let result = runner.run(&input, |(setting, operations)| {
            driver::run(&setting, &operations)
        });
        if let Err(error) = result {
            panic!("{error}\nto repeat it: NSGATE_SEED={seed}");
        }
        rounds += 1;
        seed = seed.wrapping_add(1);
    }
}
