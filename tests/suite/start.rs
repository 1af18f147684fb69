//! Jobs that are started: by whom, who is told of their end, and on which thread.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use nsgate::{Chroot, ChrootOptions, Gate, GateOptions, MountNamespace, NamespaceId, Status};

use crate::host::{LONG, Volume, close, gate, host, soon};
use crate::left_behind::drop_admin;

type Done = Box<dyn FnOnce(nsgate::Result<()>) + Send>;

fn gate_of_one_thread() -> Gate {
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    Gate::open(options).unwrap()
}

/// Starts a job that keeps its thread until the answer is dropped.
fn hold(namespace: &MountNamespace) -> mpsc::Sender<()> {
    let (let_go, held) = mpsc::channel();
    let job = move || {
        let _ = held.recv_timeout(LONG);
    };
    namespace.start(Box::new(job), Box::new(|_| ())).unwrap();
    let_go
}

#[test]
fn a_job_starts_others_whatever_the_threads_are_doing() {
    let _host = host();
    let gate = gate_of_one_thread();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (sender, receiver) = mpsc::channel();
    let started = namespace.run(|| {
        let done: Done = Box::new(move |outcome| sender.send(outcome).unwrap());
        namespace.start(Box::new(|| ()), done)
    });
    started.unwrap().unwrap();
    receiver.recv_timeout(LONG).unwrap().unwrap();
    drop(namespace);
    close(&gate);
}

#[test]
fn with_the_last_handle_the_release_is_asked_for_whatever_is_running() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let namespace = MountNamespace::create(&gate).unwrap();
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let (let_go, held) = mpsc::channel::<()>();
    let job = move || {
        let _ = held.recv_timeout(LONG);
    };
    chroot.start(Box::new(job), Box::new(|_| ())).unwrap();
    let other = hold(&namespace);
    drop(chroot.clone());
    assert_eq!(
        gate.releases().report().remaining,
        0,
        "there is another handle"
    );
    drop((chroot, namespace));
    let report = gate.releases().report();
    assert_eq!(report.remaining, 2);
    for item in &report.items {
        assert!(item.detail.starts_with("in use: "), "{item:?}");
    }
    drop((let_go, other));
    close(&gate);
    assert_eq!(gate.releases().report().released, 2);
}

/// A `done` that says where it is told and then dawdles until the sender is dropped.
fn dawdling(gate: &Gate) -> (Done, Receiver<(Status, NamespaceId)>, mpsc::Sender<()>) {
    let (told, telling) = mpsc::channel();
    let (let_go, held) = mpsc::channel::<()>();
    let gate = gate.clone();
    let done = move |outcome: nsgate::Result<()>| {
        let here = MountNamespace::current(&gate).unwrap().id();
        drop(gate);
        told.send((outcome.unwrap_err().status(), here)).unwrap();
        let _ = held.recv_timeout(LONG);
    };
    (Box::new(done), telling, let_go)
}

/// Threads can be made: one for a namespace, and one for a job in it.
fn assert_threads_are_made(gate: &Gate) {
    let (made, making) = mpsc::channel();
    let gate = gate.clone();
    thread::spawn(move || {
        let namespace = MountNamespace::create(&gate).unwrap();
        made.send(namespace.run(|| ())).unwrap();
    });
    making.recv_timeout(LONG / 2).unwrap().unwrap();
}

#[test]
fn who_is_told_of_a_tainted_thread_and_dawdles_keeps_no_thread_from_being_made() {
    let _host = host();
    let gate = gate_of_one_thread();
    let namespace = MountNamespace::create(&gate).unwrap();
    let (done, telling, let_go) = dawdling(&gate);
    namespace.start(Box::new(drop_admin), done).unwrap();
    let (status, here) = telling.recv_timeout(LONG).unwrap();
    assert_eq!(status, Status::Tainted);
    let own = MountNamespace::current(&gate).unwrap();
    assert_eq!(here, own.id());
    assert_threads_are_made(&gate);
    drop(let_go);
    drop((namespace, own));
    close(&gate);
}

#[test]
fn who_is_told_of_a_refusal_is_told_outside_wherever_the_gate_is_closed() {
    let _host = host();
    let others = gate();
    let own = MountNamespace::current(&others).unwrap();
    let elsewhere = MountNamespace::create(&others).unwrap();
    let closers: [fn(&MountNamespace, &Gate); 2] = [
        |elsewhere, gate| drop(elsewhere.run(|| gate.close(soon()).unwrap()).unwrap()),
        |elsewhere, gate| {
            let inside = elsewhere.enter().unwrap();
            gate.close(soon()).unwrap();
            inside.restore().unwrap();
        },
    ];
    for close_gate in closers {
        let gate = gate_of_one_thread();
        let busy = MountNamespace::current(&gate).unwrap();
        let held = hold(&busy);
        let (done, telling, let_go) = dawdling(&others);
        busy.start(Box::new(|| ()), done).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| close_gate(&elsewhere, &gate));
            let told = telling.recv_timeout(LONG).unwrap();
            assert_eq!(told, (Status::Closed, own.id()));
            drop((held, let_go));
        });
    }
    drop((own, elsewhere));
    close(&others);
}
