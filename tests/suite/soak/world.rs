//! Lives, chroots and jobs that any thread takes up and works on at random.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use nsgate::{Chroot, ChrootOptions, Error, Gate, Job, SandboxMap, Status, Subscription};

use super::parts::{Body, Counter, KEPT, Kept, Life};
use super::tally::{Done, Tally, count};
use crate::host::{Random, soon};

const LIVES: usize = 32;
pub(super) struct World<'a> {
    gate: &'a Gate,
    map: SandboxMap<()>,
    volume: PathBuf,
    done: Arc<Done>,
    lives: Kept<Life>,
    chroots: Kept<Chroot>,
    jobs: Kept<(Job, Arc<AtomicBool>)>,
    subscriptions: Kept<Subscription>,
    release_subscriptions: Kept<Subscription>,
    next: AtomicU64,
}

fn address(random: &mut Random) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, random.below(64) as u8).into()
}

/// These answers belong to states that another thread may have brought about.
fn allow(error: &Error, statuses: &[Status]) {
    assert!(statuses.contains(&error.status()), "{error:?}");
}

impl<'a> World<'a> {
    pub(super) fn new(gate: &'a Gate, volume: &Path, tally: &Tally) -> World<'a> {
        let world = World {
            gate,
            map: SandboxMap::new(gate),
            volume: volume.to_owned(),
            done: tally.done.clone(),
            lives: Kept::new(),
            chroots: Kept::new(),
            jobs: Kept::new(),
            subscriptions: Kept::new(),
            release_subscriptions: Kept::new(),
            next: AtomicU64::new(0),
        };
        world.subscribe(true);
        world
    }

    pub(super) fn act(&self, random: &mut Random) {
        match random.below(20) {
            0 => self.register(random),
            1..=3 => self.change_life(random),
            4 => self.end_life(random),
            5..=8 => self.open(random),
            9..=11 => self.operate(random),
            12 => self.release(random),
            13 => self.cancel_release(random),
            14 => self.reserve_job(random),
            15..=16 => self.use_job(random),
            17 => self.change_subscribers(random),
            18 => self.change_release_subscribers(random),
            _ => self.look(random),
        }
    }

    fn register(&self, random: &mut Random) {
        let number = self.next.fetch_add(1, SeqCst);
        let sandbox = format!("sandbox {}", number % LIVES as u64);
        let life = self.map.register(&sandbox, &format!("life {number}"), ());
        let life = life.map_err(|(error, ())| error).unwrap();
        if let Some(old) = self.lives.put(random, life) {
            self.end(&old);
        }
    }

    fn end_life(&self, random: &mut Random) {
        if let Some(life) = self.lives.take(random) {
            self.end(&life);
        }
    }

    fn end(&self, life: &Life) {
        life.mark_stopped().unwrap();
        self.release_network(life);
    }

    fn release_network(&self, life: &Life) {
        if life.network_released().unwrap() {
            count(&self.done.network_releases);
        }
    }

    fn change_life(&self, random: &mut Random) {
        let Some(life) = self.lives.get(random) else {
            return;
        };
        let past = [Status::InvalidState, Status::Closed];
        match random.below(4) {
            0 => {
                let address = address(random);
                if let Err(error) = life.assign_network(address) {
                    allow(&error, &[past[0], past[1], Status::AlreadyExists]);
                }
            }
            1 => match life.mark_running() {
                Ok(true) => count(&self.done.inserts),
                Ok(false) => {}
                Err(error) => allow(&error, &past),
            },
            2 => {
                if let Err(error) = life.mark_stopping() {
                    allow(&error, &past);
                }
            }
            _ => self.release_network(&life),
        }
    }

    fn open(&self, random: &mut Random) {
        let options = ChrootOptions::default();
        let chroot = match Chroot::open(self.gate, &self.volume, &options) {
            Ok(chroot) => chroot,
            Err(error) => return allow(&error, &[Status::Full]),
        };
        count(&self.done.chroots);
        if let Some(life) = self.lives.get(random)
            && let Err(error) = life.attach(&chroot)
        {
            allow(&error, &[Status::Closed]);
        }
        // What is pushed out goes with its last handle, or with the life that it is attached to.
        self.chroots.put(random, chroot);
    }

    fn operate(&self, random: &mut Random) {
        let Some(chroot) = self.chroots.get(random) else {
            return;
        };
        let result = match random.below(6) {
            0 => chroot.run(|| assert_eq!(fs::read("/marker").unwrap(), b"inside")),
            1 => chroot.stat("marker").map(drop),
            2 => chroot
                .read_dir(".")
                .map(|entries| assert!(entries.count() >= 1)),
            _ => {
                let name = format!("directory {}", self.next.fetch_add(1, SeqCst));
                let made = chroot.mkdir(&name, 0o700);
                // It may be closed meanwhile: then the host removes it.
                if made.is_ok() && chroot.remove(&name).is_err() {
                    fs::remove_dir(self.volume.join(&name)).unwrap();
                }
                made
            }
        };
        if let Err(error) = result {
            allow(&error, &[Status::Closed]);
        }
    }

    fn release(&self, random: &mut Random) {
        let Some(chroot) = self.chroots.get(random) else {
            return;
        };
        match chroot.release() {
            Ok(ticket) => {
                if random.below(4) == 0 {
                    self.gate.releases().wait(ticket, Some(soon())).unwrap();
                }
            }
            Err(error) => allow(&error, &[Status::Closed]),
        }
    }

    fn cancel_release(&self, random: &mut Random) {
        let Some(chroot) = self.chroots.get(random) else {
            return;
        };
        let _ = chroot.release();
        match chroot.cancel_release() {
            Ok(()) => count(&self.done.cancelled),
            Err(error) => allow(
                &error,
                &[Status::InvalidState, Status::NotFound, Status::Full],
            ),
        }
    }

    fn reserve_job(&self, random: &mut Random) {
        let body = Body(self.done.clone(), |done| &done.job_bodies_dropped);
        let mut failures = random.below(3);
        let breaks = random.below(8) == 0;
        let job = move || {
            let _keep = &body;
            if breaks {
                return Err(Error::os("job()", libc::EIO));
            }
            if failures > 0 {
                failures -= 1;
                return Err(Error::os("job()", libc::EBUSY));
            }
            Ok(())
        };
        count(&self.done.jobs);
        match self.gate.releases().reserve_job("soak", job) {
            Ok(job) => {
                let submitted = Arc::new(AtomicBool::new(false));
                if let Some(old) = self.jobs.put(random, (job, submitted)) {
                    self.drop_job(old);
                }
            }
            Err(error) => {
                count(&self.done.jobs_unsubmitted);
                allow(&error, &[Status::Full]);
            }
        }
    }

    /// Submits it if it was not, so that it is known what becomes of it.
    fn drop_job(&self, (job, _): (Job, Arc<AtomicBool>)) {
        if let Err(error) = job.submit() {
            allow(&error, &[Status::InvalidState]);
        }
    }

    fn use_job(&self, random: &mut Random) {
        let Some((job, attached)) = self.jobs.get(random) else {
            return;
        };
        match random.below(3) {
            0 => {
                if let Err(error) = job.submit() {
                    allow(&error, &[Status::InvalidState]);
                }
            }
            1 => match job.cancel() {
                Ok(()) => {
                    count(&self.done.cancelled);
                    // Who put it away may count on its submit.
                    self.drop_job((job, attached));
                }
                Err(error) => allow(
                    &error,
                    &[Status::InvalidState, Status::NotFound, Status::Full],
                ),
            },
            _ => {
                if let Some(life) = self.lives.get(random)
                    && !attached.swap(true, SeqCst)
                    && let Err(error) = life.attach_job(&job)
                {
                    allow(&error, &[Status::Closed, Status::InvalidState]);
                }
            }
        }
    }

    fn subscribe(&self, is_first: bool) -> Subscription {
        count(&self.done.subscribed);
        let done = self.done.clone();
        self.map
            .subscribe("soak", Counter { done, is_first })
            .unwrap()
    }

    fn change_subscribers(&self, random: &mut Random) {
        match self.subscriptions.take(random) {
            Some(subscription) if random.below(2) == 0 => {
                self.map.unsubscribe(subscription).unwrap();
            }
            Some(subscription) => self.map.unsubscribe_wait(subscription).unwrap(),
            None => {
                let subscription = self.subscribe(false);
                if let Some(old) = self.subscriptions.put(random, subscription) {
                    self.map.unsubscribe(old).unwrap();
                }
            }
        }
    }

    fn change_release_subscribers(&self, random: &mut Random) {
        let releases = self.gate.releases();
        match self.release_subscriptions.take(random) {
            Some(id) if random.below(2) == 0 => releases.unsubscribe(id).unwrap(),
            Some(id) => releases.unsubscribe_wait(id).unwrap(),
            None => {
                count(&self.done.subscribed);
                let body = Body(self.done.clone(), |done| &done.subscribers_dropped);
                let callback = move |_: &_| {
                    let _keep = &body;
                };
                let id = releases.subscribe(callback).unwrap();
                if let Some(old) = self.release_subscriptions.put(random, id) {
                    releases.unsubscribe(old).unwrap();
                }
            }
        }
    }

    fn look(&self, random: &mut Random) {
        let releases = self.gate.releases();
        match random.below(6) {
            0 => releases.fence(Some(soon())).unwrap(),
            1 => {
                for entry in releases.failed() {
                    // Another thread may be quicker.
                    let _ = releases.forget(entry.ticket);
                }
            }
            2 => {
                let _ = self.map.find("sandbox 0").map(|life| life.state());
            }
            3 => {
                let address = address(random);
                let _ = self.map.find_by_address(address);
            }
            4 => assert!(self.map.snapshot().len() <= KEPT + 8),
            _ => assert!(self.gate.stats().reserved <= self.gate.stats().capacity),
        }
    }

    /// Ends everything that is left.
    pub(super) fn take_down(self) {
        for life in self.lives.empty() {
            self.end(&life);
        }
        drop(self.chroots.empty());
        for job in self.jobs.empty() {
            self.drop_job(job);
        }
        self.map.wait_idle(Some(soon())).unwrap();
        assert_eq!((self.map.count(), self.map.lifecycles()), (0, 0));
        for subscription in self.subscriptions.empty() {
            self.map.unsubscribe_wait(subscription).unwrap();
        }
        for id in self.release_subscriptions.empty() {
            self.gate.releases().unsubscribe_wait(id).unwrap();
        }
        self.map.close();
    }
}
