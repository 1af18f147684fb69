use super::*;
use crate::{Gate, MountNamespace};

/// A queue whose native lane is held up until the sender is dropped.
fn held_up() -> (ReleaseQueue, mpsc::Sender<()>) {
    let queue = queue();
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Native, resource);
    begun.recv().unwrap();
    (queue, end)
}

#[test]
fn a_cancelled_release_goes_back_to_its_owner_and_can_be_submitted_again() {
    let (queue, end) = held_up();
    let (resource, record) = scripted(verified);
    let returned = Arc::new(Mutex::new(None));
    let owner = returned.clone();
    let mut reservation = queue.reserve(Kind::Chroot, "taken back").unwrap();
    reservation.set_reclaim(Box::new(move |reservation, resource| {
        *lock(&owner) = Some((reservation, resource));
    }));
    let ticket = reservation.submit(Lane::Native, resource);
    queue.cancel(ticket).unwrap();
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Cancelled);
    assert_eq!((event.attempts, event.worked), (0, Duration::ZERO));
    assert_eq!(
        queue.cancel(ticket).unwrap_err().status(),
        Status::InvalidState
    );
    let (reservation, resource) = lock(&returned).take().unwrap();
    assert_ne!(reservation.ticket(), ticket);
    let again = reservation.submit(Lane::Native, resource);
    drop(end);
    let event = queue.wait(again, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    // The cancelled ticket still is what it was.
    assert_eq!(
        queue.wait(ticket, None).unwrap().outcome,
        Outcome::Cancelled
    );
    assert_eq!((record.attempts(), record.drops()), (1, 1));
    assert_eq!(
        queue.cancel(again).unwrap_err().status(),
        Status::InvalidState
    );
    let unknown = queue.cancel(Ticket::from_raw(5)).unwrap_err();
    assert_eq!(unknown.status(), Status::NotFound);
    close(&queue);
}

#[test]
fn a_release_that_runs_or_was_tried_can_not_be_cancelled() {
    let queue = queue_with(|options| {
        options.retry.first_pause = Duration::from_secs(30);
        options.retry.longest_pause = Duration::from_secs(30);
    });
    let (resource, _, end, begun) = hanging();
    let running = submit(&queue, Lane::Native, resource);
    begun.recv().unwrap();
    assert_eq!(
        queue.cancel(running).unwrap_err().status(),
        Status::InvalidState
    );
    drop(end);
    queue.wait(running, Some(soon())).unwrap();
    let (resource, record) = scripted(|_| Err(errno(libc::EBUSY)));
    let retrying = submit(&queue, Lane::Native, resource);
    until("it waits for its second attempt", || {
        let report = queue.report();
        report
            .items
            .iter()
            .any(|item| item.state == ReleaseState::Retrying)
    });
    assert_eq!(
        queue.cancel(retrying).unwrap_err().status(),
        Status::InvalidState
    );
    // Nobody waits for the second attempt: closing abandons it, and a worker destroys it.
    let report = queue.close(Instant::now()).unwrap();
    assert_eq!((report.abandoned, report.remaining), (1, 1));
    assert_eq!(report.items[0].os_error, libc::EBUSY);
    until("destroyed", || record.drops() == 1);
    assert!(!record.was_on_this_thread());
}

#[test]
fn without_an_owner_a_cancelled_resource_is_destroyed_by_a_worker() {
    let (queue, end) = held_up();
    let (resource, record) = scripted(verified);
    let ticket = submit(&queue, Lane::Native, resource);
    queue.cancel(ticket).unwrap();
    until("dropped", || record.drops() == 1);
    assert_eq!(record.attempts(), 0);
    assert!(!record.was_on_this_thread());
    drop(end);
    close(&queue);
}

#[test]
fn a_job_that_is_taken_back_can_be_submitted_again() {
    let queue = queue_with(|options| options.blocking_workers = 1);
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Blocking, resource);
    begun.recv().unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let count = runs.clone();
    let job = queue.reserve_job("job", move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let job = job.unwrap();
    for _ in 0..3 {
        let ticket = job.submit().unwrap();
        job.cancel().unwrap();
        assert_eq!(job.ticket(), None);
        assert_eq!(
            queue.wait(ticket, None).unwrap().outcome,
            Outcome::Cancelled
        );
    }
    let ticket = job.submit().unwrap();
    drop(end);
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(queue.stats().cancelled, 3);
    close(&queue);
}

#[test]
fn cancelling_races_with_workers_and_every_release_still_ends_once() {
    let queue = queue();
    let (mut cancelled, mut released) = (0, 0);
    for _ in 0..2_000 {
        let (resource, record) = scripted(verified);
        let ticket = submit(&queue, Lane::Native, resource);
        let taken_back = queue.cancel(ticket).is_ok();
        let event = queue.wait(ticket, Some(soon())).unwrap();
        match event.outcome {
            Outcome::Cancelled => cancelled += 1,
            Outcome::Released(_) => released += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(taken_back, event.outcome == Outcome::Cancelled);
        until("dropped", || record.drops() == 1);
        assert_eq!(record.attempts() == 0, taken_back);
    }
    let stats = queue.stats();
    assert_eq!((stats.cancelled, stats.released), (cancelled, released));
    assert_eq!(cancelled + released, 2_000);
    close(&queue);
}

#[test]
fn every_cancelled_ticket_keeps_its_end_while_its_place_goes_on() {
    let queue = queue_with(|options| {
        options.blocking_workers = 1;
        options.blocking_budget = Duration::from_secs(3600);
    });
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Blocking, resource);
    begun.recv().unwrap();
    let job = queue.reserve_job("taken back", || Ok(())).unwrap();
    let cancelled: Vec<Ticket> = (0..10)
        .map(|_| {
            let ticket = job.submit().unwrap();
            job.cancel().unwrap();
            ticket
        })
        .collect();
    let last = job.submit().unwrap();
    for ticket in cancelled {
        let event = queue.wait(ticket, Some(Instant::now())).unwrap();
        assert_eq!(event.outcome, Outcome::Cancelled);
    }
    drop(end);
    let event = queue.wait(last, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
    close(&queue);
}

#[test]
fn a_ticket_on_its_way_back_cancels_nothing_that_came_after_it() {
    let (queue, end) = held_up();
    let (resource, record) = scripted(verified);
    let mut reservation = queue.reserve(Kind::Chroot, "taken back").unwrap();
    let ticket = reservation.ticket();
    let seen = Arc::new(Mutex::new(None));
    let (sees, asks) = (seen.clone(), queue.clone());
    reservation.set_reclaim(Box::new(move |reservation, resource| {
        let again = reservation.submit(Lane::Native, resource);
        // Neither has the first one ended, nor is it the second.
        let waited = asks.wait(ticket, Some(Instant::now())).unwrap_err();
        *lock(&sees) = Some((again, waited.status(), asks.cancel(ticket).err()));
    }));
    assert_eq!(reservation.submit(Lane::Native, resource), ticket);
    queue.cancel(ticket).unwrap();
    let (again, waited, cancelled) = lock(&seen).take().unwrap();
    assert_eq!(waited, Status::TimedOut);
    assert_eq!(cancelled.unwrap().status(), Status::InvalidState);
    assert_eq!(
        queue.wait(ticket, None).unwrap().outcome,
        Outcome::Cancelled
    );
    drop(end);
    let event = queue.wait(again, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    assert_eq!((record.attempts(), record.drops()), (1, 1));
    close(&queue);
}

/// A wait that begins while the release is on its way back is not for the place, which may be free.
#[test]
fn a_wait_for_what_is_on_its_way_back_leaves_its_place_alone() {
    let queue = queue_with(|options| options.capacity = 2);
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Native, resource);
    begun.recv().unwrap();
    let mut reservation = queue.reserve(Kind::Chroot, "taken back").unwrap();
    let ticket = reservation.ticket();
    let asks = queue.clone();
    reservation.set_reclaim(Box::new(move |reservation, resource| {
        reservation.discard(resource);
        let early = asks.wait(ticket, Some(Instant::now() + Duration::from_millis(1)));
        assert_eq!(early.unwrap_err().status(), Status::TimedOut);
    }));
    reservation.submit(Lane::Native, scripted(verified).0);
    queue.cancel(ticket).unwrap();
    drop(end);
    queue.drain(soon()).unwrap();
    // Until every place was used again: no two things ever have the same.
    for _ in 0..2 * 4096 {
        let pair = [(); 2].map(|()| queue.reserve(Kind::Chroot, "either").unwrap());
        assert_ne!(pair[0].ticket().index(), pair[1].ticket().index());
    }
    close(&queue);
}

/// A wake-up for everybody who waits, wherever they are counted.
#[test]
fn who_waits_for_what_is_on_its_way_back_hears_of_its_end() {
    let (queue, end) = held_up();
    let mut reservation = queue.reserve(Kind::Chroot, "taken back").unwrap();
    let ticket = reservation.ticket();
    let (asks, (waits, is_waiting)) = (queue.clone(), mpsc::channel());
    reservation.set_reclaim(Box::new(move |reservation, resource| {
        reservation.discard(resource);
        let waiter = std::thread::spawn(move || {
            let event = asks.wait(ticket, Some(soon()));
            event.map(|event| event.outcome)
        });
        waits.send(waiter).unwrap();
    }));
    reservation.submit(Lane::Native, scripted(verified).0);
    queue.cancel(ticket).unwrap();
    let outcome = is_waiting.recv().unwrap().join().unwrap();
    assert_eq!(outcome, Ok(Outcome::Cancelled));
    drop(end);
    close(&queue);
}

/// Nor does the notify thread end before it has told of that.
#[test]
fn the_threads_of_a_sealed_queue_wait_for_what_is_on_its_way_back() {
    let queue = queue_with(|options| options.blocking_workers = 1);
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Blocking, resource);
    begun.recv().unwrap();
    let (resource, record) = scripted(verified);
    let told = Arc::new(Mutex::new(None));
    let tells = told.clone();
    let mut reservation = queue.reserve(Kind::Job, "taken back").unwrap();
    let hook = move |event: &Event| *lock(&tells) = Some(event.outcome);
    reservation.set_hook(Arc::new(hook)).unwrap();
    let (asks, mut end) = (queue.clone(), Some(end));
    reservation.set_reclaim(Box::new(move |reservation, resource| {
        reservation.discard(resource);
        drop(end.take());
        until("it was the last thing there was", || {
            record.drops() == 1 && asks.0.shared.with(|state| state.slots.live() == 0)
        });
        assert!(!asks.0.shared.with(|state| state.is_over()));
    }));
    let ticket = reservation.submit(Lane::Blocking, resource);
    queue.finish();
    queue.cancel(ticket).unwrap();
    until("it was told", || *lock(&told) == Some(Outcome::Cancelled));
    close(&queue);
}

#[test]
fn a_namespace_whose_release_is_cancelled_is_open_again() {
    let gate = Gate::open(GateOptions::default()).unwrap();
    let queue = gate.releases();
    let (resource, _, end, begun) = hanging();
    submit(queue, Lane::Native, resource);
    begun.recv().unwrap();
    let namespace = MountNamespace::create(&gate).unwrap();
    for _ in 0..3 {
        let ticket = namespace.release().unwrap();
        assert_eq!(namespace.run(|| ()).unwrap_err().status(), Status::Closed);
        queue.cancel(ticket).unwrap();
        let event = queue.wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Cancelled);
        namespace.run(|| ()).unwrap();
    }
    // Released again where nobody has it any more.
    let ticket = namespace.release().unwrap();
    drop(namespace);
    queue.cancel(ticket).unwrap();
    drop(end);
    let report = queue.drain(soon()).unwrap();
    assert_eq!((report.released, report.remaining), (2, 0));
    assert_eq!(queue.stats().cancelled, 4);
    gate.close(soon()).unwrap();
}

#[test]
fn what_is_tried_again_after_it_was_given_up_can_be_taken_back_too() {
    let queue = queue_with(|options| {
        options.blocking_workers = 1;
        options.blocking_budget = Duration::from_secs(3600);
    });
    let runs = Arc::new(AtomicU32::new(0));
    let count = runs.clone();
    let job = queue.reserve_job("job", move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => Err(errno(libc::EIO)),
        _ => Ok(()),
    });
    let job = job.unwrap();
    let ticket = job.submit().unwrap();
    let os_error = libc::EIO;
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Failed { os_error });
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Blocking, resource);
    begun.recv().unwrap();
    let again = queue.retry(ticket).unwrap();
    queue.cancel(again).unwrap();
    let event = queue.wait(again, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Cancelled);
    // It is as before its first submit.
    assert_eq!(job.ticket(), None);
    let last = job.submit().unwrap();
    drop(end);
    let event = queue.wait(last, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    close(&queue);
}

/// The way back lives as long as the release, and ends with it, under no lock.
#[test]
fn the_way_back_goes_with_the_release() {
    let queue = queue_with(|options| options.retry.attempts = 2);
    let answers: [fn(u32) -> Result<Proof>; 3] = [
        verified,
        |attempt| match attempt {
            1 => Err(errno(libc::EBUSY)),
            _ => Ok(Proof::Verified),
        },
        |_| panic!("no attempt"),
    ];
    for (lane, answer) in [Lane::Native, Lane::Blocking]
        .into_iter()
        .flat_map(|lane| answers.map(|answer| (lane, answer)))
    {
        let way_back = Arc::new(());
        let mut reservation = queue.reserve(Kind::Job, "never taken back").unwrap();
        let (kept, asks) = (way_back.clone(), queue.clone());
        reservation.set_reclaim(Box::new(move |reservation, _| {
            drop((reservation, &kept, &asks));
        }));
        let ticket = reservation.submit(lane, scripted(answer).0);
        let event = queue.wait(ticket, Some(soon())).unwrap();
        if matches!(event.outcome, Outcome::Failed { .. }) {
            assert_eq!(Arc::strong_count(&way_back), 2);
            queue.forget(ticket).unwrap();
        }
        until("it is gone", || Arc::strong_count(&way_back) == 1);
    }
    close(&queue);
}
