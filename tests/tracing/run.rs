//! Spans of runs: told from outside only.

use std::sync::mpsc;
use std::time::Duration;

use nsgate::{Chroot, ChrootOptions, MountNamespace, Status};

use crate::assert_told_from_home;
use crate::host::{LONG, Volume, close, gate, host};
use crate::recorder::{Seen, Span, recorder};

fn one_run(seen: &Seen) -> Option<Span> {
    let runs = seen.ended("run");
    assert!(runs.len() <= 1, "{runs:?}");
    runs.into_iter().next()
}

#[test]
fn a_run_says_where_and_how_long_it_was_inside() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let pause = Duration::from_millis(2);
    let caller = tracing::info_span!("caller");
    caller.in_scope(|| chroot.run(|| std::thread::sleep(pause)).unwrap());
    let run = one_run(&recorder.seen()).unwrap();
    assert_eq!(run.parent, Some("caller"));
    assert_eq!(run.fields.get("label"), volume.path().to_str().unwrap());
    assert!(run.fields.number("inside_us") >= pause.as_micros() as u64);
    run.fields.number("queued_us");
    assert_eq!(run.fields.get("error"), "");
    close(&gate);
    assert_told_from_home(&recorder);
}

#[test]
fn a_run_in_a_namespace_names_it_and_a_panic_is_its_error() {
    let _host = host();
    let (gate, recorder) = (gate(), recorder());
    let namespace = MountNamespace::create(&gate).unwrap();
    let error = namespace.run(|| panic!("inside")).unwrap_err();
    assert_eq!(error.status(), Status::Panic);
    let run = one_run(&recorder.seen()).unwrap();
    let name = format!("mnt:[{}]", namespace.id().inode);
    assert_eq!(run.fields.get("label"), name);
    assert!(run.fields.get("error").contains("inside"), "{run:?}");
    drop(namespace);
    close(&gate);
    assert_told_from_home(&recorder);
}

#[test]
fn what_a_job_does_inside_is_not_told() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    volume.file("directory/file", "x");
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let other = chroot.clone();
    let nested = || {
        let path = "/directory".as_ref();
        let within = Chroot::open(other.gate(), path, &ChrootOptions::default()).unwrap();
        within.release().unwrap();
        other.run(|| ()).unwrap();
    };
    chroot.run(nested).unwrap();
    one_run(&recorder.seen()).unwrap();
    assert_eq!(recorder.seen().ended("open").len(), 1);
    close(&gate);
    assert_told_from_home(&recorder);
}

#[test]
fn a_run_that_nobody_waits_for_is_told_by_a_thread_at_home() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let done = move |outcome: nsgate::Result<()>| sender.send(outcome).unwrap();
    let caller = tracing::info_span!("caller");
    caller.in_scope(|| chroot.start(Box::new(|| ()), Box::new(done)).unwrap());
    receiver.recv_timeout(LONG).unwrap().unwrap();
    let run = recorder.wait_for(one_run);
    assert_eq!(run.parent, Some("caller"));
    run.fields.number("inside_us");
    close(&gate);
    assert_told_from_home(&recorder);
}

#[test]
fn a_run_that_is_refused_says_why() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    close(&gate);
    let refused = chroot.start(Box::new(|| ()), Box::new(|_| ())).unwrap_err();
    assert_eq!(refused.status(), Status::Closed);
    let run = one_run(&recorder.seen()).unwrap();
    assert_eq!(run.fields.get("error"), refused.to_string());
    assert_eq!(run.fields.get("inside_us"), "");
}
