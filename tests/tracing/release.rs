//! Spans of releases, and the events on their way.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use nsgate::{
    Chroot, ChrootOptions, Error, Gate, GateOptions, MountNamespace, Outcome, Proof, Ticket,
};
use tracing::Level;

use crate::assert_told_from_home;
use crate::host::{Volume, close, gate, host, soon};
use crate::recorder::{Recorder, Span, recorder};

fn release(recorder: &Recorder, ticket: Ticket) -> Span {
    recorder.wait_for(|seen| seen.release(ticket))
}

#[test]
fn a_release_is_told_from_its_first_attempt_to_its_end_and_its_submit_is_not() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    chroot
        .before_release(|| {
            tracing::info!("the host cleans up");
            Ok(())
        })
        .unwrap();
    let calls = |recorder: &Recorder| {
        let own = std::thread::current().id();
        let seen = recorder.seen();
        seen.threads.iter().filter(|id| **id == own).count()
    };
    let caller = tracing::info_span!("caller").entered();
    let before = calls(&recorder);
    let ticket = chroot.release().unwrap();
    assert_eq!(calls(&recorder), before, "the submit called the subscriber");
    drop(caller);
    let event = gate.releases().wait(ticket, Some(soon())).unwrap();
    let span = release(&recorder, ticket);
    assert_eq!(span.parent, None);
    assert_eq!(span.fields.get("kind"), "chroot");
    assert_eq!(span.fields.get("label"), volume.path().to_str().unwrap());
    assert_eq!(span.fields.get("outcome"), "released");
    let proof = match event.outcome {
        Outcome::Released(Proof::Verified) => "verified",
        Outcome::Released(Proof::Unverified) => "unverified",
        other => panic!("{other:?}"),
    };
    assert_eq!(span.fields.get("proof"), proof);
    assert_eq!(span.fields.number("attempts"), 1);
    assert_eq!(
        span.fields.number("queued_us"),
        event.queued.as_micros() as u64
    );
    assert_eq!(
        span.fields.number("worked_us"),
        event.worked.as_micros() as u64
    );
    let seen = recorder.seen();
    assert_eq!(seen.messages(), ["the host cleans up"]);
    assert_eq!(seen.events[0].parent, Some("release"));
    drop(seen);
    close(&gate);
    assert_told_from_home(&recorder);
}

#[test]
fn attempts_and_the_failure_are_events_of_the_release() {
    let _host = host();
    let recorder = recorder();
    let mut options = GateOptions::default();
    options.retry.first_pause = Duration::from_micros(100);
    let gate = Gate::open(options).unwrap();
    let mut errnos = [libc::EBUSY, libc::EAGAIN, libc::EIO].into_iter();
    let job = move || Err(Error::os("umount2(\"/busy\", 0)", errnos.next().unwrap()));
    let job = gate.releases().reserve_job("clean up", job).unwrap();
    let ticket = job.submit().unwrap();
    let span = release(&recorder, ticket);
    assert_eq!(span.fields.get("kind"), "job");
    assert_eq!(span.fields.get("outcome"), "failed");
    assert_eq!(span.fields.number("attempts"), 3);
    assert_eq!(span.fields.number("errno"), libc::EIO as u64);
    assert!(span.fields.get("error").contains("EIO"), "{span:?}");
    let seen = recorder.seen();
    assert_eq!(
        seen.messages(),
        [
            "release tried again",
            "release tried again",
            "release failed"
        ]
    );
    let expected = [
        (Level::DEBUG, "2", "", libc::EBUSY),
        (Level::DEBUG, "3", "", libc::EAGAIN),
        (Level::ERROR, "", "3", libc::EIO),
    ];
    for (event, (level, attempt, attempts, errno)) in seen.events.iter().zip(expected) {
        assert_eq!((event.level, event.parent), (level, Some("release")));
        assert_eq!(event.fields.number("ticket"), ticket.as_raw());
        assert_eq!(event.fields.get("label"), "clean up");
        assert_eq!(event.fields.get("attempt"), attempt);
        assert_eq!(event.fields.get("attempts"), attempts);
        assert_eq!(event.fields.number("errno"), errno as u64);
    }
    drop(seen);
    close(&gate);
}

#[test]
fn a_step_before_the_release_that_fails_is_an_event_and_the_release_goes_on() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    chroot
        .before_release(|| Err(Error::os("unlink(\"lock\")", libc::EACCES)))
        .unwrap();
    let ticket = chroot.release().unwrap();
    let span = release(&recorder, ticket);
    assert_eq!(span.fields.get("outcome"), "released");
    assert_eq!(span.fields.get("error"), "");
    let seen = recorder.seen();
    assert_eq!(seen.messages(), ["step before the release failed"]);
    assert_eq!(seen.events[0].level, Level::WARN);
    assert_eq!(seen.events[0].fields.number("errno"), libc::EACCES as u64);
    drop(seen);
    close(&gate);
}

#[test]
fn a_stuck_release_is_told_while_it_hangs() {
    let _host = host();
    let recorder = recorder();
    let mut options = GateOptions::default();
    options.blocking_budget = Duration::from_millis(10);
    let gate = Gate::open(options).unwrap();
    let (go_on, waits) = mpsc::channel();
    let job = move || {
        waits.recv().unwrap();
        Ok(())
    };
    let job = gate.releases().reserve_job("hangs", job).unwrap();
    let ticket = job.submit().unwrap();
    let stuck = recorder.wait_for(|seen| seen.events.first().cloned());
    assert_eq!(stuck.fields.get("message"), "release stuck");
    assert_eq!(stuck.level, Level::WARN);
    assert_eq!(stuck.fields.number("ticket"), ticket.as_raw());
    assert_eq!(stuck.fields.get("label"), "hangs");
    assert!(stuck.fields.number("running_us") >= 10_000);
    assert_ne!(stuck.fields.get("detail"), "");
    go_on.send(()).unwrap();
    assert_eq!(release(&recorder, ticket).fields.get("outcome"), "released");
    close(&gate);
}

#[test]
fn ends_that_no_worker_brings_are_told_too() {
    let _host = host();
    let recorder = recorder();
    let mut options = GateOptions::default();
    options.blocking_workers = 1;
    let gate = Gate::open(options).unwrap();
    let (begun, begins) = mpsc::channel();
    let (go_on, waits) = mpsc::channel();
    let running = move || {
        begun.send(()).unwrap();
        waits.recv().unwrap();
        Ok(())
    };
    let running = gate.releases().reserve_job("runs", running).unwrap();
    let running = running.submit().unwrap();
    begins.recv().unwrap();
    let [cancelled, queued] =
        ["cancelled", "queued"].map(|name| gate.releases().reserve_job(name, || Ok(())).unwrap());
    let taken_back = cancelled.submit().unwrap();
    cancelled.cancel().unwrap();
    let left = queued.submit().unwrap();
    let report = gate.close(Instant::now() + Duration::from_millis(10));
    assert_eq!(report.unwrap().abandoned, 2);
    for (ticket, label, outcome) in [
        (taken_back, "cancelled", "cancelled"),
        (left, "queued", "abandoned"),
    ] {
        let span = recorder.seen().release(ticket).expect("it was told");
        assert_eq!(span.fields.get("label"), label);
        assert_eq!(span.fields.get("outcome"), outcome);
        assert_eq!(span.fields.number("attempts"), 0);
    }
    assert!(recorder.seen().release(running).is_none());
    go_on.send(()).unwrap();
    let span = release(&recorder, running);
    assert_eq!(span.fields.get("outcome"), "abandoned");
    assert_eq!(span.fields.number("attempts"), 1);
}

#[test]
fn a_subscriber_that_panics_costs_no_release() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let namespace = MountNamespace::create(&gate).unwrap();
    recorder.panics(true);
    let chroot = Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    assert_eq!(chroot.run(|| 7).unwrap(), 7);
    let job = || Err(Error::os("close(3)", libc::EIO));
    let job = gate.releases().reserve_job("fails", job).unwrap();
    for (ticket, failed) in [
        (chroot.release().unwrap(), false),
        (namespace.release().unwrap(), false),
        (job.submit().unwrap(), true),
    ] {
        let event = gate.releases().wait(ticket, Some(soon())).unwrap();
        let is_failure = matches!(
            event.outcome,
            Outcome::Failed {
                os_error: libc::EIO
            }
        );
        assert_eq!(is_failure, failed, "{event:?}");
    }
    close(&gate);
    recorder.panics(false);
    assert_told_from_home(&recorder);
}
