//! Opening a chroot and handing it to release, with few and with many mounts on the host.

use std::time::Instant;

use nsgate::{Chroot, ChrootOptions, Gate};

use crate::Outcome;
use crate::bare;
use crate::fixture::{Fixture, Place, c_path};
use crate::measure::{Contender, Goal, Samples, compare};

const BATCH: usize = 20;

pub fn measure(gate: &Gate, fixture: &Fixture) -> Outcome {
    let volume = fixture.volume();
    let c_volume = c_path(&volume)?;
    for (wanted, place, remark) in [
        (20, Place::Elsewhere, ""),
        (2_000, Place::Elsewhere, ""),
        (4_000, Place::BesideTheVolume, ", 2000 on the volume's"),
    ] {
        let mounts = fixture.fill_mount_table(wanted, place)?;
        let open = || {
            let chroot = Chroot::open(gate, &volume, &ChrootOptions::default()).expect("open");
            chroot.release().expect("release");
        };
        compare(
            &format!("open + release, {mounts} mounts{remark}"),
            301,
            Contender::new("nsgate", |samples| {
                round(samples, open);
                gate.releases().fence(None).expect("fence");
            }),
            vec![(
                Contender::new("open_tree + setattr + close", |samples| {
                    round(samples, || {
                        drop(bare::open_tree(&c_volume).expect("open_tree"));
                    });
                }),
                Goal::AtMost(1.3),
            )],
        );
    }
    Ok(())
}

fn round(samples: &mut Samples, mut operation: impl FnMut()) {
    let started = Instant::now();
    for _ in 0..BATCH {
        operation();
    }
    samples.average(started.elapsed(), BATCH);
    for _ in 0..BATCH / 4 {
        let started = Instant::now();
        operation();
        samples.single(started.elapsed());
    }
}
