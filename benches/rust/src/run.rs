//! Code inside a chroot, beside a hop to another thread by futex and the two setns there and back.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nsgate::{Chroot, ChrootOptions, Gate};

use crate::Outcome;
use crate::bare::check;
use crate::fixture::Fixture;
use crate::measure::{Contender, Goal, compare};

pub fn measure(gate: &Gate, fixture: &Fixture) -> Outcome {
    let volume = fixture.volume();
    let chroot = Chroot::open(gate, &volume, &ChrootOptions::default())?;
    chroot.run(|| ())?;
    let hop = Hop::start()?;
    compare(
        "later runs",
        301,
        Contender::repeat("nsgate", 5, || chroot.run(|| ()).expect("run")),
        vec![(
            Contender::repeat("futex hop + 2 setns", 5, || hop.visit()),
            Goal::AtMost(1.3),
        )],
    );
    compare(
        "first run, namespace made",
        61,
        Contender::new("nsgate", |samples| {
            let fresh: Vec<_> = (0..20)
                .map(|_| Chroot::open(gate, &volume, &ChrootOptions::default()).expect("open"))
                .collect();
            for chroot in &fresh {
                let started = Instant::now();
                chroot.run(|| ()).expect("run");
                samples.both(started.elapsed());
            }
            drop(fresh);
            gate.releases().fence(None).expect("fence");
        }),
        vec![(
            Contender::repeat("futex hop + 2 setns", 20, || hop.visit()),
            Goal::Show,
        )],
    );
    chroot.release()?;
    gate.releases().fence(None)?;
    hop.stop()
}

/// A thread that visits another namespace each time it is asked to.
struct Hop {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    /// Counts what is asked; odd numbers end the thread.
    asked: AtomicU32,
    answered: AtomicU32,
}

impl Hop {
    fn start() -> std::io::Result<Hop> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&shared)
        });
        wait_while(&shared.answered, 0); // it is at home
        Ok(Hop {
            shared,
            thread: Some(thread),
        })
    }

    fn visit(&self) {
        let before = self.shared.answered.load(Ordering::Acquire);
        self.shared.asked.fetch_add(2, Ordering::Release);
        wake(&self.shared.asked);
        wait_while(&self.shared.answered, before);
    }

    fn stop(mut self) -> Outcome {
        self.shared.asked.fetch_add(1, Ordering::Release);
        wake(&self.shared.asked);
        match self.thread.take().expect("a thread").join() {
            Ok(result) => Ok(result?),
            Err(_) => Err("the hop's thread panicked".into()),
        }
    }
}

fn serve(shared: &Shared) -> std::io::Result<()> {
    let away = fresh_namespace().expect("a namespace");
    let home = fresh_namespace().expect("a namespace");
    let mut seen = 0;
    loop {
        shared.answered.fetch_add(1, Ordering::Release);
        wake(&shared.answered);
        wait_while(&shared.asked, seen);
        seen = shared.asked.load(Ordering::Acquire);
        if seen % 2 == 1 {
            return Ok(());
        }
        for namespace in [&away, &home] {
            // SAFETY: an open descriptor of a mount namespace; the thread has its own fs_struct.
            check(i64::from(unsafe {
                libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS)
            }))?;
        }
    }
}

fn fresh_namespace() -> std::io::Result<File> {
    // SAFETY: changes only the calling thread, which ends without giving itself back.
    check(i64::from(unsafe { libc::unshare(libc::CLONE_NEWNS) }))?;
    File::open("/proc/thread-self/ns/mnt")
}

fn wait_while(word: &AtomicU32, value: u32) {
    while word.load(Ordering::Acquire) == value {
        // SAFETY: an aligned word that outlives the call, no timeout.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                value,
                std::ptr::null::<libc::timespec>(),
            )
        };
    }
}

fn wake(word: &AtomicU32) {
    // SAFETY: an aligned word.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            1,
        )
    };
}
