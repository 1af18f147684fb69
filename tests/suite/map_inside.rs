//! Jobs inside of a chroot that a callback waits for are part of that callback, as those that a worker
//! waits for are part of its work.

use std::sync::{Arc, Mutex};

use nsgate::{Chroot, ChrootOptions, Outcome, Result, Status, Subscriber, Subscription};

use crate::host::{Volume, close, gate, host, soon};
use crate::map_support::{Life, Map, register, status};

/// Does everything that would wait for its own callback, from a job of the chroot.
struct Inside {
    map: Map,
    chroot: Chroot,
    own: Arc<Mutex<Option<Subscription>>>,
    answers: Arc<Mutex<Vec<Status>>>,
    told: Arc<Mutex<Vec<&'static str>>>,
}

impl Subscriber<&'static str> for Inside {
    fn on_insert(&self, sandbox: &Life) -> Result<()> {
        let own = self.own.lock().unwrap().expect("subscribed");
        self.chroot.run(|| {
            let idle = self.map.wait_idle(None);
            let unsubscribed = self.map.unsubscribe_wait(own);
            let mut answers = self.answers.lock().unwrap();
            answers.extend([status(idle), status(unsubscribed)]);
            drop(answers);
            // Told by the thread that tells this one, once it is told to all.
            assert_eq!(sandbox.network_released(), Ok(true));
        })?;
        self.told.lock().unwrap().push("insert");
        Ok(())
    }

    fn on_network_release(&self, _: &Life) -> Result<()> {
        self.told.lock().unwrap().push("network release");
        Ok(())
    }
}

#[test]
fn a_job_does_not_wait_for_the_callback_that_waits_for_it() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let map = Map::new(&gate);
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let (own, answers, told) = (Arc::default(), Arc::default(), Arc::default());
    let inside = Inside {
        map: map.clone(),
        chroot: chroot.clone(),
        own: Arc::clone(&own),
        answers: Arc::clone(&answers),
        told: Arc::clone(&told),
    };
    let subscription = map.subscribe("inside", inside).unwrap();
    *own.lock().unwrap() = Some(subscription);
    let life = register(&map, "sandbox", "life");
    assert_eq!(life.mark_running(), Ok(true));
    assert_eq!(map.subscriber(subscription).unwrap().last_error, None);
    assert_eq!(*answers.lock().unwrap(), [Status::WouldDeadlock; 2]);
    assert_eq!(*told.lock().unwrap(), ["insert", "network release"]);
    life.mark_stopped().unwrap();
    map.wait_idle(Some(soon())).unwrap();
    map.close();
    chroot.release().unwrap();
    close(&gate);
}

#[test]
fn a_job_does_not_wait_for_the_worker_that_waits_for_it() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let job = {
        let (gate, chroot, answers) = (gate.clone(), chroot.clone(), Arc::clone(&answers));
        gate.clone().releases().reserve_job("inside", move || {
            chroot.run(|| {
                let fence = gate.releases().fence(None);
                let drain = gate.releases().drain(soon()).map(drop);
                let answers = &mut *answers.lock().unwrap();
                answers.extend([status(fence), status(drain)]);
            })
        })
    };
    let ticket = job.unwrap().submit().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert!(matches!(event.outcome, Outcome::Released(_)), "{event:?}");
    assert_eq!(*answers.lock().unwrap(), [Status::WouldDeadlock; 2]);
    chroot.release().unwrap();
    close(&gate);
}
