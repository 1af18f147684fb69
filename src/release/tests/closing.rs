use super::*;

#[test]
fn closing_releases_what_was_submitted_and_ends_the_threads() {
    let queue = queue();
    let records: Vec<_> = (0..500)
        .map(|number| {
            let (resource, record) = scripted(verified);
            submit(&queue, [Lane::Native, Lane::Blocking][number % 2], resource);
            record
        })
        .collect();
    let report = close(&queue);
    assert_eq!((report.released, report.abandoned), (500, 0));
    assert!(report.items.is_empty());
    assert!(records.iter().all(|record| record.drops() == 1));
    assert_eq!(
        queue.reserve(Kind::Chroot, "late").err().unwrap().status(),
        Status::Closed
    );
    assert_eq!(
        queue.subscribe(|_| ()).unwrap_err().status(),
        Status::Closed
    );
    assert_eq!(queue.close(soon()).unwrap().released, 500);
}

#[test]
fn closing_abandons_what_hangs_at_the_deadline_and_reports_it() {
    let queue = queue_with(|options| options.native_budget = Duration::from_secs(600));
    let (resource, running, end, begun) = hanging();
    let hung = submit(&queue, Lane::Native, resource);
    begun.recv().unwrap();
    let (resource, queued) = scripted(verified);
    let waiting = submit(&queue, Lane::Native, resource);
    let announced = queue.reserve(Kind::Chroot, "in use").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = told.clone();
    let hook = move |event: &Event| lock(&tells).push(event.outcome);
    assert_eq!(announced.set_hook(Arc::new(hook)), Ok(true));
    announced.announce();
    // It is on its way already.
    let late = announced.set_hook(Arc::new(|_: &Event| ())).unwrap_err();
    assert_eq!(late.status(), Status::Closed);
    assert!(announced.take_hook().is_err());
    let report = queue
        .close(Instant::now() + Duration::from_millis(30))
        .unwrap();
    assert_eq!(
        (report.released, report.abandoned, report.remaining),
        (0, 3, 3)
    );
    let states: Vec<_> = report.items.iter().map(|item| item.state).collect();
    use ReleaseState::{Queued, Running};
    assert_eq!(states, [Running, Queued, Queued]);
    for ticket in [hung, waiting, announced.ticket()] {
        let event = queue.wait(ticket, None).unwrap();
        assert_eq!(event.outcome, Outcome::Abandoned);
    }
    until("told", || *lock(&told) == [Outcome::Abandoned]);
    // The queued one is destroyed without an attempt, by a worker.
    until("destroyed", || queued.drops() == 1);
    assert_eq!(queued.attempts(), 0);
    assert!(!queued.was_on_this_thread());
    // A release that comes after its own end is no second one.
    let (resource, late) = scripted(verified);
    let ticket = announced.ticket();
    assert_eq!(announced.submit(Lane::Native, resource), ticket);
    until("destroyed", || late.drops() == 1);
    assert_eq!(*lock(&told), [Outcome::Abandoned]);
    assert_eq!(late.attempts(), 0);
    assert_eq!(queue.stats().adds, 3);
    // The hanging one returns too late to count.
    drop(end);
    until("the worker came back", || running.drops() == 1);
    let report = close(&queue);
    assert_eq!((report.released, report.abandoned), (0, 3));
    assert_eq!(queue.wait(hung, None).unwrap().outcome, Outcome::Abandoned);
    let stats = queue.stats();
    assert_eq!((stats.in_flight, stats.depth, stats.reserved), (0, 0, 0));
}

#[test]
fn what_still_holds_a_place_is_released_after_the_close() {
    let queue = queue();
    let reservation = queue.reserve(Kind::Chroot, "open").unwrap();
    let report = queue.close(soon()).unwrap();
    assert_eq!(report.remaining, 0);
    let (resource, record) = scripted(verified);
    let ticket = reservation.submit(Lane::Native, resource);
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    assert_eq!(record.drops(), 1);
    close(&queue);
}

#[test]
fn failed_releases_are_destroyed_with_the_queue() {
    let queue = queue();
    let (resource, record) = scripted(|_| Err(errno(libc::EIO)));
    let ticket = submit(&queue, Lane::Native, resource);
    queue.wait(ticket, Some(soon())).unwrap();
    let report = close(&queue);
    assert_eq!(report.failed, 1);
    assert_eq!(report.items[0].state, ReleaseState::Failed);
    assert_eq!(record.drops(), 1);
    assert!(!record.was_on_this_thread());
}

#[test]
fn a_queue_that_is_dropped_still_releases_and_its_threads_end() {
    let queue = queue();
    let shared = queue.0.shared.clone();
    let (resource, record, end, begun) = hanging();
    submit(&queue, Lane::Native, resource);
    begun.recv().unwrap();
    let (second, behind) = scripted(verified);
    submit(&queue, Lane::Native, second);
    drop(queue);
    drop(end);
    until("the threads end", || {
        shared.with(|state| state.workforce.threads) == 0
    });
    assert_eq!((record.drops(), behind.drops()), (1, 1));
    assert_eq!(shared.with(|state| state.totals.released), 2);
}

#[test]
fn a_callback_that_hangs_does_not_hold_up_a_close() {
    let queue = queue();
    let (end, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    queue
        .subscribe(move |_| {
            let _ = lock(&wait).recv();
        })
        .unwrap();
    submit(&queue, Lane::Native, scripted(verified).0);
    let report = queue
        .close(Instant::now() + Duration::from_millis(50))
        .unwrap();
    assert_eq!(report.released, 1);
    drop(end);
    close(&queue);
}

#[test]
fn fence_waits_for_what_came_before_and_for_nothing_else() {
    let queue = queue();
    let (first, _, end_first, begun) = hanging();
    submit(&queue, Lane::Blocking, first);
    begun.recv().unwrap();
    let late = queue.fence(Some(Instant::now() + Duration::from_millis(5)));
    assert_eq!(late.unwrap_err().status(), Status::TimedOut);
    let (ready, go) = mpsc::channel();
    let fence = std::thread::spawn({
        let queue = queue.clone();
        move || {
            ready.send(()).unwrap();
            queue.fence(Some(soon()))
        }
    });
    go.recv().unwrap();
    until("the fence stands", || {
        queue.0.shared.with(|state| !state.watchers.is_empty())
    });
    let (second, _, end_second, begun) = hanging();
    submit(&queue, Lane::Blocking, second);
    begun.recv().unwrap();
    drop(end_first);
    fence.join().unwrap().unwrap();
    assert_eq!(queue.stats().in_flight, 1);
    drop(end_second);
    assert_eq!(close(&queue).released, 2);
}

#[test]
fn a_job_of_the_queue_can_not_wait_for_it() {
    let queue = queue();
    let (answer, answered) = mpsc::channel();
    let inside = queue.clone();
    let reservation = queue.reserve(Kind::Job, "other").unwrap();
    reservation.set_hook(Arc::new(|_: &Event| ())).unwrap();
    let other = reservation.ticket();
    queue.announce(other, None);
    let job = queue.reserve_job("waits", move || {
        let statuses = [
            inside.wait(other, Some(soon())).unwrap_err(),
            inside.fence(None).unwrap_err(),
            inside.drain(soon()).unwrap_err(),
            inside.close(soon()).unwrap_err(),
        ];
        answer.send(statuses.map(|error| error.status())).unwrap();
        Ok(())
    });
    let job = job.unwrap();
    let ticket = job.submit().unwrap();
    let event = queue.wait(ticket, Some(soon())).unwrap();
    assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
    assert_eq!(answered.recv().unwrap(), [Status::WouldDeadlock; 4]);
    reservation.submit(Lane::Native, scripted(verified).0);
    drop(job);
    close(&queue);
}

#[test]
fn nothing_is_lost_between_many_threads() {
    let queue = queue_with(|options| options.capacity = 64);
    let full = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (queue, full) = (&queue, &full);
            scope.spawn(move || {
                let mut submitted = 0;
                while submitted < 2_000 {
                    let Ok(reservation) = queue.reserve(Kind::Chroot, "many") else {
                        full.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        continue;
                    };
                    let lane = [Lane::Native, Lane::Blocking][(submitted + thread) % 2];
                    let ticket = reservation.submit(lane, scripted(verified).0);
                    submitted += 1;
                    if submitted % 16 == 0 {
                        queue.wait(ticket, Some(soon())).unwrap();
                    }
                }
            });
        }
    });
    let report = close(&queue);
    assert_eq!(report.released, 8_000);
    let stats = queue.stats();
    assert_eq!((stats.adds, stats.reserved, stats.depth), (8_000, 0, 0));
    assert_eq!(stats.queue_duration.count, 8_000);
    assert_eq!(stats.work_duration.count, 8_000);
}

/// Nor can what a release waits for, once it is asked for: also while the wait is under way.
#[test]
fn a_drain_ends_when_it_begins_to_wait_for_its_own_caller() {
    let queue = queue();
    let reservation = queue.reserve(Kind::Chroot, "in use").unwrap();
    let (resource, _, end, begun) = hanging();
    submit(&queue, Lane::Native, resource);
    begun.recv().unwrap();
    let ticket = reservation.ticket();
    let asks = queue.clone();
    let user = queue.started_inside(ticket, move || {
        let drained = asks.drain(soon()).unwrap_err().status();
        // A fence behind what was submitted before is no wait for it.
        let fence = asks.0.shared.wait_past(Some(1), Some(soon()), &[ticket]);
        (drained, fence)
    });
    let user = std::thread::spawn(user);
    until("it waits", || {
        queue.0.shared.with(|state| !state.watchers.is_empty())
    });
    queue.announce(ticket, None);
    until("it waits for the first only", || {
        queue.0.shared.with(|state| state.watchers == [1])
    });
    drop(end);
    assert_eq!(user.join().unwrap(), (Status::WouldDeadlock, Ok(())));
    reservation.submit(Lane::Native, scripted(verified).0);
    close(&queue);
}
