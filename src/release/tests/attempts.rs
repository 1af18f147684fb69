use super::*;

fn quick(options: &mut GateOptions) {
    options.retry = RetryOptions {
        first_pause: Duration::from_micros(10),
        longest_pause: Duration::from_micros(100),
        attempts: 5,
        age: Duration::from_secs(600),
    };
}

#[test]
fn what_may_pass_is_tried_again() {
    let queue = queue_with(quick);
    for passing in [libc::EBUSY, libc::EINTR, libc::EAGAIN, libc::ENOMEM] {
        let (resource, record) = scripted(move |attempt| match attempt {
            1..=3 => Err(errno(passing)),
            _ => Ok(Proof::Unverified),
        });
        let ticket = submit(&queue, Lane::Native, resource);
        let event = queue.wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
        assert_eq!(
            (event.attempts, record.attempts(), record.drops()),
            (4, 4, 1)
        );
    }
    assert_eq!(queue.stats().retries, 12);
    close(&queue);
}

#[test]
fn what_never_passes_fails_after_the_last_attempt_and_everything_else_at_once() {
    let queue = queue_with(quick);
    for (os_error, attempts) in [(libc::EBUSY, 5), (libc::EIO, 1)] {
        let (resource, record) = scripted(move |_| Err(errno(os_error)));
        let ticket = submit(&queue, Lane::Blocking, resource);
        let event = queue.wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Failed { os_error });
        assert_eq!(event.attempts, attempts);
        // It is kept, and can be tried again or forgotten.
        assert_eq!((record.attempts(), record.drops()), (attempts, 0));
        let failed = queue.failed();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].ticket, ticket);
        assert_eq!(
            (failed[0].os_error, failed[0].attempts),
            (os_error, attempts)
        );
        assert_eq!(failed[0].label, "/volumes/7");
        assert!(failed[0].detail.contains("release() = -1"), "{failed:?}");
        let again = queue.retry(ticket).unwrap();
        assert_ne!(again, ticket);
        assert_eq!(queue.retry(ticket).unwrap_err().status(), Status::NotFound);
        let event = queue.wait(again, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Failed { os_error });
        assert_eq!(record.attempts(), 2 * attempts);
        queue.forget(again).unwrap();
        assert_eq!(queue.forget(again).unwrap_err().status(), Status::NotFound);
        until("dropped", || record.drops() == 1);
        assert!(!record.was_on_this_thread());
        assert!(queue.failed().is_empty());
    }
    assert_eq!(queue.stats().failed, 4);
    close(&queue);
}

#[test]
fn age_bounds_the_attempts() {
    let queue = queue_with(|options| {
        quick(options);
        options.retry.attempts = u32::MAX;
        options.retry.age = Duration::from_millis(300);
    });
    let (resource, record) = scripted(|_| Err(errno(libc::EBUSY)));
    let ticket = submit(&queue, Lane::Native, resource);
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(
        event.outcome,
        Outcome::Failed {
            os_error: libc::EBUSY
        }
    );
    assert!(event.queued + event.worked >= Duration::from_millis(300));
    assert!(record.attempts() > 1);
    close(&queue);
    assert_eq!(record.drops(), 1);
}

#[test]
fn a_panic_is_a_failure_and_hurts_nobody_else() {
    let queue = queue_with(quick);
    let (resource, _) = scripted(|_| panic!("by design"));
    let ticket = submit(&queue, Lane::Native, resource);
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Failed { os_error: 0 });
    assert!(queue.failed()[0].detail.contains("panicked: by design"));
    struct Explosive;
    impl Resource for Explosive {
        fn release(&mut self) -> Result<Proof> {
            Ok(Proof::Verified)
        }
    }
    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("in its drop, by design");
        }
    }
    let reservation = queue.reserve(Kind::Chroot, "explosive").unwrap();
    let ticket = reservation.submit(Lane::Native, Box::new(Explosive));
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Failed { os_error: 0 });
    let job = queue
        .reserve_job("job", || panic!("{} by design", 1))
        .unwrap();
    let event = queue.wait(job.submit().unwrap(), Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Failed { os_error: 0 });
    let ticket = submit(&queue, Lane::Native, scripted(verified).0);
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    close(&queue);
}

#[test]
fn the_failed_list_is_bounded_and_what_falls_out_is_destroyed() {
    let queue = queue_with(|options| {
        quick(options);
        options.capacity = 4_096;
    });
    let records: Vec<_> = (0..1_030)
        .map(|_| {
            let (resource, record) = scripted(|_| Err(errno(libc::EIO)));
            submit(&queue, Lane::Native, resource);
            record
        })
        .collect();
    let report = queue.drain(soon()).unwrap();
    assert_eq!((report.failed, report.items.len()), (1_030, 1_024));
    assert!(
        report
            .items
            .iter()
            .all(|item| item.state == ReleaseState::Failed)
    );
    assert_eq!(queue.stats().failed_list, 1_024);
    until("the oldest are destroyed", || {
        records.iter().map(|record| record.drops()).sum::<u32>() == 6
    });
    assert!(records[..6].iter().all(|record| record.drops() == 1));
    close(&queue);
    until("all are destroyed", || {
        records.iter().all(|record| record.drops() == 1)
    });
}

#[test]
fn the_step_before_a_release_runs_first_and_its_failure_only_is_reported() {
    let queue = queue_with(quick);
    for (answers, attempts, failure) in [
        (vec![None], 1, None),
        (vec![Some(libc::EBUSY), None], 2, None),
        (vec![Some(libc::EIO)], 1, Some(libc::EIO)),
        (vec![Some(libc::EBUSY); 5], 5, Some(libc::EBUSY)),
    ] {
        let steps = Arc::new(AtomicU32::new(0));
        let (seen, mut answers) = (steps.clone(), answers.into_iter());
        let reservation = queue.reserve(Kind::Chroot, "stepped").unwrap();
        reservation.set_before_release(Box::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
            answers
                .next()
                .unwrap()
                .map_or(Ok(()), |os_error| Err(errno(os_error)))
        }));
        let seen = steps.clone();
        let (resource, record) = scripted(move |_| {
            assert_eq!(seen.load(Ordering::SeqCst), attempts);
            Ok(Proof::Verified)
        });
        let ticket = reservation.submit(Lane::Native, resource);
        let event = queue.wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
        assert_eq!(event.before_release_failed, failure);
        assert_eq!((event.attempts, record.attempts()), (1, 1));
    }
    let reservation = queue.reserve(Kind::Chroot, "panics").unwrap();
    reservation.set_before_release(Box::new(|| panic!("by design")));
    let ticket = reservation.submit(Lane::Native, scripted(verified).0);
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    assert_eq!(event.before_release_failed, Some(0));
    assert_eq!(queue.stats().before_release_failed, 3);
    close(&queue);
}
