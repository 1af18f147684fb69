//! The sandbox map: how long a released network holds its caller, and what an event costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nsgate::{Chroot, ChrootOptions, Gate, Result, Sandbox, SandboxMap, Subscriber};

use crate::Outcome;
use crate::bare;
use crate::fixture::{Fixture, c_path};
use crate::measure::{Contender, Goal, Samples, compare, contest, line_within};

/// What network_released may hold its caller for, however much is attached.
const HELD: Duration = Duration::from_micros(20);

pub fn measure(gate: &Gate, fixture: &Fixture) -> Outcome {
    for attached in [1, 10, 100] {
        let samples = released(gate, fixture, attached, None);
        line_within(
            &format!("network_released, {attached} attached"),
            &samples,
            HELD,
        );
    }
    let hanging = Arc::new(AtomicBool::new(true));
    let samples = released(gate, fixture, 100, Some(&hanging));
    line_within("network_released, 100 attached, one hangs", &samples, HELD);
    closing_in_the_callback(gate, fixture)?;
    events(gate);
    gate.releases().fence(None)?;
    Ok(())
}

/// Lives of one sandbox; with `hanging`, one of the chroots of each hangs while it is true, and is
/// let go between the rounds.
fn released(
    gate: &Gate,
    fixture: &Fixture,
    attached: usize,
    hanging: Option<&Arc<AtomicBool>>,
) -> Samples {
    let map = SandboxMap::<()>::new(gate);
    let volume = fixture.volume();
    let mut number = 0;
    let rounds = if attached == 1 { 401 } else { 201 };
    let mut results = contest(
        rounds,
        vec![Contender::new("nsgate", |samples| {
            number += 1;
            let life = running(&map, number);
            for i in 0..attached {
                let chroot = Chroot::open(gate, &volume, &ChrootOptions::default()).expect("open");
                if let (0, Some(hanging)) = (i, hanging) {
                    hanging.store(true, Ordering::Release);
                    let hanging = Arc::clone(hanging);
                    chroot
                        .before_release(move || {
                            while hanging.load(Ordering::Acquire) {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            Ok(())
                        })
                        .expect("before_release");
                }
                life.attach(&chroot).expect("attach");
            }
            let started = Instant::now();
            life.network_released().expect("network_released");
            samples.both(started.elapsed());
            life.mark_stopped().expect("mark_stopped");
            if let Some(hanging) = hanging {
                hanging.store(false, Ordering::Release);
            }
            gate.releases().fence(None).expect("fence");
        })],
    );
    map.close();
    results.swap_remove(0).1
}

fn running<T: Send + Sync + Default + 'static>(map: &SandboxMap<T>, number: u64) -> Sandbox<T> {
    let life = map
        .register("sandbox", &format!("life-{number}"), T::default())
        .map_err(|(error, _)| error)
        .expect("register");
    life.assign_network([10, 0, (number >> 8) as u8, number as u8].into())
        .expect("assign_network");
    life.mark_running().expect("mark_running");
    life
}

/// What a handler does that closes its 100 volumes itself.
fn closing_in_the_callback(gate: &Gate, fixture: &Fixture) -> Outcome {
    let map = SandboxMap::<()>::new(gate);
    let volume = fixture.volume();
    let c_volume = c_path(&volume)?;
    let mut number = 0;
    compare(
        "network_released, 100 attached",
        41,
        Contender::new("nsgate", |samples| {
            number += 1;
            let life = running(&map, number);
            for _ in 0..100 {
                let chroot = Chroot::open(gate, &volume, &ChrootOptions::default()).expect("open");
                life.attach(&chroot).expect("attach");
            }
            let started = Instant::now();
            life.network_released().expect("network_released");
            samples.both(started.elapsed());
            life.mark_stopped().expect("mark_stopped");
            gate.releases().fence(None).expect("fence");
        }),
        vec![(
            Contender::new("100 trees closed in the callback", |samples| {
                let trees: Vec<_> = (0..100)
                    .map(|_| bare::open_tree(&c_volume).expect("open_tree"))
                    .collect();
                let started = Instant::now();
                drop(trees);
                samples.both(started.elapsed());
            }),
            Goal::Faster,
        )],
    );
    map.close();
    Ok(())
}

struct Empty;

impl Subscriber<()> for Empty {
    fn on_insert(&self, _: &Sandbox<()>) -> Result<()> {
        Ok(())
    }
}

/// mark_running with three subscribers that do nothing, and with none: the difference is the events'.
fn events(gate: &Gate) {
    const LIVES: u64 = 100;
    let with = SandboxMap::<()>::new(gate);
    let without = SandboxMap::<()>::new(gate);
    for name in ["limiter", "metrics", "volumes"] {
        with.subscribe(name, Empty).expect("subscribe");
    }
    let round = |map: &SandboxMap<()>, samples: &mut Samples| {
        let lives: Vec<_> = (0..LIVES)
            .map(|i| {
                map.register(&format!("sandbox-{i}"), &format!("life-{i}"), ())
                    .map_err(|(error, ())| error)
                    .expect("register")
            })
            .collect();
        let (batch, singles) = lives.split_at(LIVES as usize * 4 / 5);
        let started = Instant::now();
        for life in batch {
            life.mark_running().expect("mark_running");
        }
        samples.average(started.elapsed(), batch.len());
        for life in singles {
            let started = Instant::now();
            life.mark_running().expect("mark_running");
            samples.single(started.elapsed());
        }
        for life in &lives {
            life.mark_stopped().expect("mark_stopped");
        }
    };
    compare(
        "mark_running, 3 empty subscribers",
        301,
        Contender::new("nsgate", |samples| round(&with, samples)),
        vec![(
            Contender::new("no subscriber", |samples| round(&without, samples)),
            Goal::Show,
        )],
    );
    with.close();
    without.close();
}
