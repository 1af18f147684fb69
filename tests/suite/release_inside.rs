//! A release waits for the jobs inside of what it is of: none of these can wait for it.

use std::sync::mpsc;
use std::time::Instant;

use nsgate::{Chroot, ChrootOptions, Gate, MountNamespace, Outcome, Status, Ticket};

use crate::host::{Volume, close, gate, host, soon};
use crate::map_support::status;

fn open(gate: &Gate, volume: &Volume) -> Chroot {
    Chroot::open(gate, volume.path(), &ChrootOptions::default()).unwrap()
}

/// What every wait answers that would be for the ticket, and for all.
fn waits(gate: &Gate, ticket: Ticket) -> [Status; 5] {
    let releases = gate.releases();
    [
        status(releases.wait(ticket, None)),
        status(releases.wait(ticket, Some(soon()))),
        status(releases.fence(None)),
        status(releases.fence(Some(soon()))),
        status(releases.drain(soon())),
    ]
}

fn ends(gate: &Gate, ticket: Ticket) {
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    assert!(matches!(event.outcome, Outcome::Released(_)), "{event:?}");
}

#[test]
fn a_job_does_not_wait_for_the_release_that_waits_for_it() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let chroot = open(&gate, &volume);
    let (ticket, answers) = chroot
        .run(|| {
            let ticket = chroot.release().unwrap();
            (ticket, waits(&gate, ticket))
        })
        .unwrap();
    assert_eq!(answers, [Status::WouldDeadlock; 5]);
    ends(&gate, ticket);
    let namespace = MountNamespace::create(&gate).unwrap();
    let (ticket, answers) = namespace
        .run(|| {
            let ticket = namespace.release().unwrap();
            (ticket, waits(&gate, ticket))
        })
        .unwrap();
    assert_eq!(answers, [Status::WouldDeadlock; 5]);
    ends(&gate, ticket);
    close(&gate);
}

#[test]
fn nor_does_a_job_that_such_a_job_waits_for() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let (outer, inner) = (open(&gate, &volume), open(&gate, &volume));
    let namespace = MountNamespace::create(&gate).unwrap();
    let (ticket, answers) = outer
        .run(|| {
            let nested = || {
                inner.run(|| {
                    let ticket = outer.release().unwrap();
                    (ticket, waits(&gate, ticket))
                })
            };
            namespace.run(nested).unwrap().unwrap()
        })
        .unwrap();
    assert_eq!(answers, [Status::WouldDeadlock; 5]);
    ends(&gate, ticket);
    drop((inner, namespace));
    close(&gate);
}

#[test]
fn nor_does_a_job_that_nobody_waits_for() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let chroot = open(&gate, &volume);
    let namespace = MountNamespace::create(&gate).unwrap();
    let (answer, answered) = mpsc::channel();
    let (asks, tells) = (gate.clone(), answer.clone());
    let (released, inside) = (chroot.clone(), namespace.clone());
    let job = move || {
        let ticket = released.release().unwrap();
        tells.send((ticket, waits(&asks, ticket))).unwrap();
    };
    chroot.start(Box::new(job), Box::new(|_| ())).unwrap();
    let asks = gate.clone();
    let job = move || {
        let ticket = inside.release().unwrap();
        answer.send((ticket, waits(&asks, ticket))).unwrap();
    };
    namespace.start(Box::new(job), Box::new(|_| ())).unwrap();
    for _ in 0..2 {
        let (ticket, answers) = answered.recv_timeout(soon() - Instant::now()).unwrap();
        assert_eq!(answers, [Status::WouldDeadlock; 5]);
        ends(&gate, ticket);
    }
    drop((chroot, namespace));
    close(&gate);
}

#[test]
fn a_job_waits_for_every_other_release() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let (chroot, other) = (open(&gate, &volume), open(&gate, &volume));
    let releases = gate.releases();
    chroot
        .run(|| {
            let ticket = other.release().unwrap();
            ends(&gate, ticket);
            // Its own is not asked for.
            releases.fence(Some(soon())).unwrap();
            assert_eq!(releases.drain(soon()).unwrap().remaining, 0);
        })
        .unwrap();
    // On the thread that was inside.
    let last = open(&gate, &volume);
    let ticket = chroot.release().unwrap();
    last.run(|| ends(&gate, ticket)).unwrap();
    drop(last);
    close(&gate);
}

#[test]
fn a_job_of_another_gate_does_not_close_the_gate_that_waits_for_it() {
    let _host = host();
    let (gate, other) = (gate(), crate::host::gate());
    let volume = Volume::new();
    let (chroot, elsewhere) = (
        open(&gate, &volume),
        MountNamespace::create(&other).unwrap(),
    );
    let (ticket, answers) = chroot
        .run(|| {
            let ticket = chroot.release().unwrap();
            let closes = || [status(gate.begin_close()), status(gate.close(soon()))];
            (ticket, elsewhere.run(closes).unwrap())
        })
        .unwrap();
    assert_eq!(answers, [Status::WouldDeadlock; 2]);
    assert!(!gate.is_closed());
    ends(&gate, ticket);
    drop(elsewhere);
    close(&other);
    close(&gate);
}
