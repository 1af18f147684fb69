//! remove_all of 10,000 files in ten directories, made anew for every round.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use nsgate::{Chroot, ChrootOptions, Gate};
use pathrs::Root;

use crate::Outcome;
use crate::bare;
use crate::fixture::{Fixture, c_path};
use crate::measure::{Contender, Goal, compare};

const ROUNDS: usize = 21;

pub fn measure(gate: &Gate, fixture: &Fixture) -> Outcome {
    let volume = fixture.volume();
    let chroot = Chroot::open(gate, &volume, &ChrootOptions::default())?;
    let tree = bare::open_tree(&c_path(&volume)?)?;
    let dir = Dir::open_ambient_dir(&volume, ambient_authority())?;
    let root = Root::open(&volume)?;
    compare(
        "remove_all of 10,000 files",
        ROUNDS,
        contender("nsgate", &volume, || {
            chroot.remove_all("doomed").expect("remove_all");
        }),
        vec![
            (
                contender("bare getdents64 + unlinkat", &volume, || {
                    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
                    let top = bare::openat2(tree.as_fd(), c"doomed", flags, 0).expect("open");
                    bare::remove_below(top.as_fd()).expect("remove");
                    bare::unlinkat(tree.as_fd(), c"doomed", libc::AT_REMOVEDIR).expect("rmdir");
                }),
                Goal::AtMost(1.15),
            ),
            (
                contender("cap-std", &volume, || {
                    dir.remove_dir_all("doomed").expect("remove_all");
                }),
                Goal::Faster,
            ),
            (
                contender("pathrs", &volume, || {
                    root.remove_all("doomed").expect("remove_all");
                }),
                Goal::Faster,
            ),
        ],
    );
    chroot.release()?;
    Ok(gate.releases().fence(None)?)
}

fn contender<'a>(
    name: &'static str,
    volume: &'a Path,
    mut remove: impl FnMut() + 'a,
) -> Contender<'a> {
    Contender::new(name, move |samples| {
        let doomed = volume.join("doomed");
        for i in 0..10 {
            let directory = doomed.join(format!("directory-{i}"));
            fs::create_dir_all(&directory).expect("mkdir");
            for j in 0..1_000 {
                fs::write(directory.join(format!("file-{j:04}")), "").expect("a file");
            }
        }
        std::thread::sleep(settled());
        let started = Instant::now();
        remove();
        samples.both(started.elapsed());
        assert!(!doomed.exists(), "{name} left something");
    })
}

/// Long enough for the kernel to have freed what the round before removed, and of no fixed length:
/// how much of a removal the kernel leaves for later depends on where in its rhythm it begins.
fn settled() -> Duration {
    Duration::from_micros(20_000 + RandomState::new().hash_one(()) % 16_000)
}
