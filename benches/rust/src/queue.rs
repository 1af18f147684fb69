//! The release queue: what a submit costs the caller, and how fast the worker is.

use std::time::{Duration, Instant};

use nsgate::{Chroot, ChrootOptions, Gate};

use crate::Outcome;
use crate::bare;
use crate::fixture::{Fixture, c_path};
use crate::measure::{Contender, Goal, compare};

const SUBMITS: usize = 250;
const CHROOTS: usize = 2_000;
const FALL_ASLEEP: Duration = Duration::from_micros(500);

pub fn measure(gate: &Gate, fixture: &Fixture) -> Outcome {
    submit(gate)?;
    throughput(gate, fixture)
}

/// Each side has a consumer that takes what it is given at once, and sleeps when a batch begins: where
/// one is still on its way to sleep, nobody has to be woken, and a try_send takes a tenth.
fn submit(gate: &Gate) -> Outcome {
    let (sender, receiver) = crossbeam_channel::bounded::<Box<dyn FnOnce() + Send>>(SUBMITS * 4);
    let consumer = std::thread::spawn(move || {
        for job in receiver {
            job();
        }
    });
    compare(
        "submit",
        301,
        Contender::new("nsgate", |samples| {
            let jobs: Vec<_> = (0..SUBMITS)
                .map(|_| {
                    gate.releases()
                        .reserve_job("bench", || Ok(()))
                        .expect("reserve")
                })
                .collect();
            std::thread::sleep(FALL_ASLEEP);
            let (batch, singles) = jobs.split_at(SUBMITS * 4 / 5);
            let started = Instant::now();
            for job in batch {
                job.submit().expect("submit");
            }
            samples.average(started.elapsed(), batch.len());
            for job in singles {
                let started = Instant::now();
                job.submit().expect("submit");
                samples.single(started.elapsed());
            }
            gate.releases().fence(None).expect("fence");
        }),
        vec![(
            Contender::new("crossbeam try_send", |samples| {
                let mut jobs: Vec<Box<dyn FnOnce() + Send>> = Vec::with_capacity(SUBMITS);
                jobs.extend((0..SUBMITS).map(|_| Box::new(|| ()) as Box<dyn FnOnce() + Send>));
                let singles = jobs.split_off(SUBMITS * 4 / 5);
                let count = jobs.len();
                std::thread::sleep(FALL_ASLEEP);
                let started = Instant::now();
                for job in jobs {
                    sender.try_send(job).expect("room");
                }
                samples.average(started.elapsed(), count);
                for job in singles {
                    let started = Instant::now();
                    sender.try_send(job).expect("room");
                    samples.single(started.elapsed());
                }
                while !sender.is_empty() {
                    std::thread::yield_now();
                }
            }),
            Goal::AtMost(2.0),
        )],
    );
    drop(sender);
    consumer.join().map_err(|_| "the consumer panicked")?;
    Ok(())
}

/// From the first submit until everything is gone, per chroot.
fn throughput(gate: &Gate, fixture: &Fixture) -> Outcome {
    let volume = fixture.volume();
    let c_volume = c_path(&volume)?;
    compare(
        "release of 2,000 chroots, each, all gone",
        9,
        Contender::new("nsgate", |samples| {
            let chroots: Vec<_> = (0..CHROOTS)
                .map(|_| Chroot::open(gate, &volume, &ChrootOptions::default()).expect("open"))
                .collect();
            let started = Instant::now();
            for chroot in &chroots {
                chroot.release().expect("release");
            }
            gate.releases().fence(None).expect("fence");
            let took = started.elapsed();
            samples.average(took, CHROOTS);
            samples.single(took / CHROOTS as u32);
        }),
        vec![(
            Contender::new("bare close loop", |samples| {
                let trees: Vec<_> = (0..CHROOTS)
                    .map(|_| bare::open_tree(&c_volume).expect("open_tree"))
                    .collect();
                let started = Instant::now();
                drop(trees);
                let took = started.elapsed();
                samples.average(took, CHROOTS);
                samples.single(took / CHROOTS as u32);
            }),
            // A throughput of at least 0.9 of the bare loop's.
            Goal::AtMost(1.0 / 0.9),
        )],
    );
    Ok(())
}
