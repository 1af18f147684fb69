//! Jobs that are started: by whom, who is told of their end, and on which thread.

use std::sync::mpsc;

use nsgate::{Gate, GateOptions, MountNamespace};

use crate::host::{LONG, close, host};

type Done = Box<dyn FnOnce(nsgate::Result<()>) + Send>;

fn gate_of_one_thread() -> Gate {
    let mut options = GateOptions::default();
    options.namespace_threads = 1;
    Gate::open(options).unwrap()
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
