//! What foreign code entered and did not restore, on each kind of the library's threads: the next code
//! there stands where it should.

use std::mem::forget;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

use nsgate::{
    Chroot, ChrootOptions, Event, Gate, GateOptions, MountNamespace, Outcome, Proof, Status,
};

use crate::differential::user::user;
use crate::host::{LONG, Volume, close, host, soon, standing};
use crate::left_behind::{change_signals, drop_admin};

/// One thread of each kind.
fn gate() -> Gate {
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    options.blocking_workers = 1;
    Gate::open(options).unwrap()
}

fn leave_entered(namespace: &MountNamespace) {
    forget(namespace.enter().unwrap());
}

/// Says which thread it was on, and where that stood.
fn look(sender: &Sender<(i32, [PathBuf; 3])>) {
    let place = (nix::unistd::gettid().as_raw(), standing());
    sender.send(place).unwrap();
}

fn job(gate: &Gate, mut job: impl FnMut() + Send + 'static) -> Outcome {
    let work = move || {
        job();
        Ok(())
    };
    let ticket = gate.releases().reserve_job("job", work).unwrap().submit();
    let event = gate.releases().wait(ticket.unwrap(), Some(soon()));
    event.unwrap().outcome
}

#[test]
fn a_worker_comes_home_from_where_a_job_left_it() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, seen) = channel();
    let place = || seen.recv_timeout(LONG).unwrap();
    let look_there = |gate: &Gate| {
        let sender = sender.clone();
        job(gate, move || look(&sender))
    };
    look_there(&gate);
    let before = place();
    assert_eq!(before.1, standing());
    let inside = namespace.clone();
    let left = job(&gate, move || leave_entered(&inside));
    assert_eq!(left, Outcome::Released(Proof::Unverified));
    look_there(&gate);
    assert_eq!(place(), before);
    // Nor by a panic, nor in a drop.
    let inside = namespace.clone();
    let left = job(&gate, move || {
        leave_entered(&inside);
        panic!("on purpose");
    });
    assert_eq!(left, Outcome::Failed { os_error: 0 });
    look_there(&gate);
    assert_eq!(place(), before);
    struct Leaves(MountNamespace);
    impl Drop for Leaves {
        fn drop(&mut self) {
            leave_entered(&self.0);
        }
    }
    let leaves = Leaves(namespace.clone());
    job(&gate, move || {
        let _held = &leaves;
    });
    look_there(&gate);
    assert_eq!(place(), before);
    let forgotten = gate.releases().failed().remove(0).ticket;
    gate.releases().forget(forgotten).unwrap();
    drop(namespace);
    close(&gate);
}

#[test]
fn a_worker_that_cannot_come_home_ends_and_is_replaced() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, seen) = channel();
    let place = || seen.recv_timeout(LONG).unwrap();
    let leave = {
        let (namespace, sender) = (namespace.clone(), sender.clone());
        move || {
            look(&sender);
            leave_entered(&namespace);
            drop_admin();
        }
    };
    assert_eq!(
        job(&gate, leave.clone()),
        Outcome::Failed {
            os_error: libc::EPERM
        }
    );
    let lost = place();
    let failed = gate.releases().failed().remove(0);
    assert!(failed.detail.contains("setns("), "{}", failed.detail);
    // What belongs to it is destroyed elsewhere.
    gate.releases().forget(failed.ticket).unwrap();
    let (look_there, home) = (sender.clone(), standing());
    job(&gate, move || look(&look_there));
    let next = place();
    assert_eq!(next.1, home);
    assert_ne!(next.0, lost.0);
    // A job that has seen that it can't come back itself.
    let inside = namespace.clone();
    let outcome = job(&gate, move || {
        let entered = inside.enter().unwrap();
        drop_admin();
        let error = entered.restore().unwrap_err().error;
        assert_eq!(error.status(), Status::Tainted);
    });
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    job(&gate, move || look(&sender));
    assert_eq!(place().1, standing());
    let failed = gate.releases().failed().remove(0);
    gate.releases().forget(failed.ticket).unwrap();
    drop((leave, namespace));
    close(&gate);
}

#[test]
fn a_step_before_a_release_that_loses_its_worker_has_failed_and_the_release_goes_on() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let volume = Volume::new();
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let (destroyed, is_destroyed) = channel::<()>();
    let inside = namespace.clone();
    let step = move || {
        let _destroyed = &destroyed;
        leave_entered(&inside);
        drop_admin();
        Ok(())
    };
    chroot.before_release(step).unwrap();
    let ticket = chroot.release().unwrap();
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.before_release_failed, Some(libc::EPERM));
    assert!(matches!(event.outcome, Outcome::Released(_)), "{event:?}");
    // By another worker: what it was given is dropped there.
    let gone = is_destroyed.recv_timeout(LONG).unwrap_err();
    assert_eq!(gone, RecvTimeoutError::Disconnected);
    drop((chroot, namespace));
    close(&gate);
}

#[test]
fn signals_that_a_job_lets_in_are_blocked_again_for_the_next() {
    let _host = host();
    let gate = gate();
    let (sender, seen) = channel();
    for _ in 0..2 {
        let sender = sender.clone();
        job(&gate, move || {
            let [is_blocked, _] = change_signals(libc::SIG_UNBLOCK, libc::SIGUSR1);
            sender.send(is_blocked).unwrap();
        });
        assert!(seen.recv_timeout(LONG).unwrap());
    }
    close(&gate);
}

#[test]
fn the_notify_thread_comes_home_before_the_next_callback() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, seen) = channel();
    let inside = namespace.clone();
    let leaves = gate
        .releases()
        .subscribe(move |_| leave_entered(&inside))
        .unwrap();
    let looks = gate.releases().subscribe(move |_| look(&sender)).unwrap();
    let mut threads = Vec::new();
    for _ in 0..2 {
        job(&gate, || ());
        let (thread, place) = seen.recv_timeout(LONG).unwrap();
        assert_eq!(place, standing());
        threads.push(thread);
    }
    assert_eq!(threads[0], threads[1]);
    gate.releases().unsubscribe_wait(leaves).unwrap();
    gate.releases().unsubscribe_wait(looks).unwrap();
    drop(namespace);
    close(&gate);
}

#[test]
fn a_notify_thread_that_cannot_come_home_ends_and_is_replaced() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, seen) = channel();
    let (inside, first, lost) = (namespace.clone(), AtomicBool::new(true), sender.clone());
    let leaves = move |_: &Event| {
        if first.swap(false, Ordering::Relaxed) {
            look(&lost);
            leave_entered(&inside);
            drop_admin();
        }
    };
    let leaves = gate.releases().subscribe(leaves).unwrap();
    let looks = gate.releases().subscribe(move |_| look(&sender)).unwrap();
    job(&gate, || ());
    let lost = seen.recv_timeout(LONG).unwrap().0;
    job(&gate, || ());
    // The first event was not told there any more.
    let (thread, place) = seen.recv_timeout(LONG).unwrap();
    assert_ne!(thread, lost);
    assert_eq!(place, standing());
    assert!(seen.try_recv().is_err());
    gate.releases().unsubscribe_wait(leaves).unwrap();
    gate.releases().unsubscribe_wait(looks).unwrap();
    drop(namespace);
    close(&gate);
}

/// Has `done` told by the teller, and returns once it is being told.
fn tell(namespace: &MountNamespace, done: impl FnOnce() + Send + 'static) {
    let (sender, told) = channel();
    let done = Box::new(move |outcome: nsgate::Result<()>| {
        sender.send(outcome.unwrap_err().status()).unwrap();
        done();
    });
    namespace.start(Box::new(drop_admin), done).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), Status::Tainted);
}

#[test]
fn the_teller_comes_home_or_is_replaced() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, seen) = channel();
    let look_there = || {
        let sender = sender.clone();
        tell(&namespace, move || look(&sender));
        seen.recv_timeout(LONG).unwrap()
    };
    let before = look_there();
    assert_eq!(before.1, standing());
    let inside = namespace.clone();
    tell(&namespace, move || leave_entered(&inside));
    assert_eq!(look_there(), before);
    let inside = namespace.clone();
    tell(&namespace, move || {
        leave_entered(&inside);
        drop_admin();
    });
    let after = look_there();
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1);
    drop(namespace);
    close(&gate);
}

#[test]
fn what_done_leaves_does_not_reach_the_next_job() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    let own = MountNamespace::current(&gate).unwrap();
    let other = namespace.clone();
    // SAFETY: no memory is involved; no user has the number, nothing is changed.
    let file_user = || unsafe { libc::setfsuid(u32::MAX) };
    let before = own.run(file_user).unwrap();
    // In a user namespace with one user there is nobody else to become.
    let user = user();
    let leave: [Box<dyn FnOnce() + Send>; 2] = [
        Box::new(move || {
            // SAFETY: changes this thread's user alone.
            unsafe { libc::setfsuid(user) };
        }),
        Box::new(move || leave_entered(&other)),
    ];
    for leave in leave {
        let job = || ();
        namespace
            .start(Box::new(job), Box::new(|_| leave()))
            .unwrap();
        assert_eq!(own.run(file_user).unwrap(), before);
        // Where the thread is at home there is nothing.
        let (sender, seen) = channel();
        let entries = move |_| {
            sender
                .send(std::fs::read_dir("/").unwrap().count())
                .unwrap()
        };
        namespace.start(Box::new(job), Box::new(entries)).unwrap();
        assert_eq!(seen.recv_timeout(LONG).unwrap(), 0);
    }
    drop((namespace, own));
    close(&gate);
}
