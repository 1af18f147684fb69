use super::*;

#[test]
fn a_full_queue_refuses_at_once_and_has_room_at_once() {
    let queue = queue_with(|options| options.capacity = 2);
    let first = queue.reserve(Kind::Chroot, "1").unwrap();
    let second = queue.reserve(Kind::Chroot, "2").unwrap();
    let full = queue.reserve(Kind::Chroot, "3").err().unwrap();
    assert_eq!(full.status(), Status::Full);
    assert!(full.message().contains("all 2 places"), "{full}");
    drop(second);
    let second = queue.reserve(Kind::Chroot, "3").unwrap();
    assert_eq!(queue.stats().reserved, 2);
    let ticket = first.submit(Lane::Native, scripted(verified).0);
    queue.wait(ticket, Some(soon())).unwrap();
    // The end of a release and the freedom of its place are one.
    drop(queue.reserve(Kind::Chroot, "4").unwrap());
    drop(second);
    close(&queue);
}

#[test]
fn what_is_released_is_dropped_by_a_worker_before_its_end_is_told() {
    let queue = queue();
    for lane in [Lane::Native, Lane::Blocking] {
        let (resource, record) = scripted(verified);
        let ticket = submit(&queue, lane, resource);
        let event = queue.wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
        assert_eq!(event.kind, Kind::Chroot);
        assert_eq!(event.attempts, 1);
        assert_eq!((record.attempts(), record.drops()), (1, 1));
        assert!(!record.was_on_this_thread());
    }
    close(&queue);
}

#[test]
fn a_ticket_is_known_before_its_submit_and_remembered_after_its_end() {
    let queue = queue_with(|options| options.capacity = 4);
    let reservation = queue.reserve(Kind::Chroot, "first").unwrap();
    let first = reservation.ticket();
    let unknown = queue.wait(first, Some(soon())).unwrap_err();
    assert_eq!(unknown.status(), Status::NotFound);
    assert_eq!(
        reservation.submit(Lane::Native, scripted(verified).0),
        first
    );
    queue.wait(first, Some(soon())).unwrap();
    let mut last = first;
    for _ in 0..4_000 {
        let next = submit(&queue, Lane::Native, scripted(verified).0);
        queue.wait(next, Some(soon())).unwrap();
        assert_ne!(next, last);
        last = next;
    }
    assert_eq!(queue.wait(first, None).unwrap().ticket, first);
    for raw in [0, 1, u64::MAX, first.as_raw() ^ (1 << 60)] {
        let error = queue.wait(Ticket::from_raw(raw), None).unwrap_err();
        assert_eq!(error.status(), Status::NotFound, "{raw:#x}");
    }
    close(&queue);
}

#[test]
fn an_announced_release_counts_until_its_submit_has_ended() {
    let queue = queue();
    let reservation = queue.reserve(Kind::Chroot, "in use").unwrap();
    let ticket = reservation.ticket();
    queue.announce(ticket, None);
    queue.announce(ticket, None);
    until("it ages", || queue.stats().oldest_queued > Duration::ZERO);
    let report = queue.drain(Instant::now()).unwrap();
    assert_eq!(report.remaining, 1);
    assert!(report.items[0].detail.starts_with("in use"), "{report:?}");
    assert_eq!(report.items[0].state, ReleaseState::Queued);
    assert_eq!(report.items[0].label, "in use");
    let late = queue.fence(Some(Instant::now() + Duration::from_millis(1)));
    assert_eq!(late.unwrap_err().status(), Status::TimedOut);
    assert_eq!(
        queue.cancel(ticket).unwrap_err().status(),
        Status::InvalidState
    );
    reservation.submit(Lane::Native, scripted(verified).0);
    queue.announce(ticket, None);
    queue.fence(Some(soon())).unwrap();
    assert_eq!(queue.wait(ticket, None).unwrap().ticket, ticket);
    // Announced, and then given up without a submit.
    let reservation = queue.reserve(Kind::Chroot, "lost").unwrap();
    let ticket = reservation.ticket();
    queue.announce(ticket, None);
    drop(reservation);
    assert_eq!(
        queue.wait(ticket, None).unwrap().outcome,
        Outcome::Abandoned
    );
    close(&queue);
}

#[test]
fn a_discarded_resource_is_dropped_by_a_worker_and_is_no_release() {
    let queue = queue();
    let (resource, record) = scripted(verified);
    queue
        .reserve(Kind::Job, "unwanted")
        .unwrap()
        .discard(resource);
    until("dropped", || record.drops() == 1);
    assert_eq!(record.attempts(), 0);
    assert!(!record.was_on_this_thread());
    let stats = queue.stats();
    assert_eq!((stats.adds, stats.reserved), (0, 0));
    close(&queue);
}

#[test]
fn many_submits_together_are_all_released() {
    let queue = queue();
    let records: Vec<_> = queue.submit_together(|| {
        let submits = (0..200).map(|number| {
            let (resource, record) = scripted(verified);
            let lane = [Lane::Native, Lane::Blocking][number % 2];
            submit(&queue, lane, resource);
            record
        });
        submits.collect()
    });
    assert_eq!(queue.drain(soon()).unwrap().released, 200);
    assert!(records.iter().all(|record| record.drops() == 1));
    close(&queue);
}

#[test]
fn jobs_run_once_submitted_and_never_when_given_up() {
    let queue = queue();
    let runs = Arc::new(AtomicU32::new(0));
    let count = {
        let runs = runs.clone();
        move || {
            runs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    };
    let job = queue.reserve_job("count", count.clone()).unwrap();
    assert_eq!(job.ticket(), None);
    assert_eq!(job.cancel().unwrap_err().status(), Status::InvalidState);
    let ticket = job.submit().unwrap();
    assert_eq!(job.ticket(), Some(ticket));
    assert_eq!(job.submit().unwrap_err().status(), Status::InvalidState);
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
    assert_eq!(event.kind, Kind::Job);
    drop(queue.reserve_job("never", count).unwrap());
    close(&queue);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn a_descriptor_is_closed_by_its_release_or_when_it_is_given_up() {
    let queue = queue();
    for submits in [true, false] {
        let (reader, writer) = std::io::pipe().unwrap();
        let job = queue.reserve_descriptor(writer.into(), "pipe").unwrap();
        if submits {
            let ticket = job.submit().unwrap();
            assert_eq!(
                queue.wait(ticket, Some(soon())).unwrap().kind,
                Kind::Descriptor
            );
        }
        drop(job);
        // End of file comes once no writer is left.
        let text = std::io::read_to_string(reader).unwrap();
        assert_eq!(text, "");
    }
    close(&queue);
}

#[test]
fn everything_that_remains_is_counted_and_as_much_is_listed_as_is_asked_for() {
    let queue = queue();
    let failed = submit(&queue, Lane::Native, scripted(|_| Err(errno(libc::EIO))).0);
    queue.wait(failed, Some(soon())).unwrap();
    let (resource, _, end, begun) = hanging();
    let mut remaining = vec![submit(&queue, Lane::Native, resource)];
    begun.recv().unwrap();
    let many = Report::MAX_ITEMS + 500;
    remaining.extend((1..many).map(|_| submit(&queue, Lane::Native, scripted(verified).0)));
    // What failed comes last.
    let listed = |most| {
        let (count, items) = queue.items(most);
        let tickets: Vec<Ticket> = items.iter().map(|item| item.ticket).collect();
        assert_eq!(tickets[..tickets.len() - 1], remaining[..most.min(many)]);
        assert_eq!(tickets.last(), Some(&failed));
        count
    };
    for most in [0, 1, Report::MAX_ITEMS, usize::MAX] {
        assert_eq!(listed(most), many + 1);
    }
    let report = queue.drain(Instant::now()).unwrap();
    assert_eq!((report.remaining, report.failed), (many as u64, 1));
    assert_eq!(report.items.len(), Report::MAX_ITEMS + 1);
    let counted = queue.drain_and_count(Instant::now()).unwrap();
    let items = Vec::new();
    assert_eq!(counted, Report { items, ..report });
    drop(end);
    assert_eq!(close(&queue).released, many as u64);
}

/// However many that were tried already are before it in the queue.
#[test]
fn the_oldest_queued_is_the_oldest_that_never_was_at_a_worker() {
    let queue = queue_with(|options| {
        options.retry.first_pause = Duration::from_micros(1);
        options.native_budget = Duration::from_secs(3600);
    });
    let (resume, resumes) = mpsc::channel::<()>();
    let (retried, _) = scripted(move |attempt| match attempt {
        1 => {
            let _ = resumes.recv();
            Err(errno(libc::EBUSY))
        }
        _ => Ok(Proof::Verified),
    });
    submit(&queue, Lane::Native, retried);
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Native, resource);
    drop(resume);
    begun.recv().unwrap();
    let queued = || {
        let lane = |state: &mut State| state.lanes[Lane::Native as usize].queue.len();
        queue.0.shared.with(lane)
    };
    until("one waits for its second attempt", || queued() == 1);
    let stepped = queue.reserve(Kind::Chroot, "has a step").unwrap();
    stepped.set_before_release(Box::new(|| Ok(())));
    stepped.submit(Lane::Native, scripted(verified).0);
    until("one has its step behind it", || queued() == 2);
    // Nothing that waits is fresh.
    assert_eq!(queue.stats().oldest_queued, Duration::ZERO);
    submit(&queue, Lane::Native, scripted(verified).0);
    until("its age is told", || {
        queue.stats().oldest_queued > Duration::ZERO
    });
    drop(end);
    queue.drain(soon()).unwrap();
    assert_eq!(queue.stats().oldest_queued, Duration::ZERO);
    close(&queue);
}
