use super::shared::Next;
use super::*;

/// Short enough for a test, long enough for what is not meant to hang.
const BUDGET: Duration = Duration::from_millis(100);

fn short_budgets(options: &mut GateOptions) {
    options.native_budget = BUDGET;
    options.blocking_budget = BUDGET;
}

#[test]
fn nothing_waits_behind_a_stuck_worker_and_its_outcome_counts_when_it_returns() {
    for lane in [Lane::Native, Lane::Blocking] {
        let queue = queue_with(|options| {
            short_budgets(options);
            options.blocking_workers = 1;
        });
        let (resource, _, end, begun) = hanging();
        let stuck = submit(&queue, lane, resource);
        begun.recv().unwrap();
        let behind = submit(&queue, lane, scripted(verified).0);
        queue.wait(behind, Some(soon())).unwrap();
        until("it is described", || {
            queue
                .stuck()
                .iter()
                .any(|stuck| stuck.detail.contains("in system call"))
        });
        let found = queue.stuck();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].ticket, Some(stuck));
        assert_eq!(found[0].label, "/volumes/7");
        assert!(found[0].running >= BUDGET);
        let stats = queue.stats();
        assert_eq!((stats.stuck, stats.in_flight), (1, 1));
        until("one replaces it", || queue.stats().replacement_workers == 1);
        assert!(stats.longest_running >= BUDGET);
        let report = queue.drain(Instant::now()).unwrap();
        assert_eq!((report.remaining, report.stuck), (1, 1));
        assert_eq!(report.items[0].state, ReleaseState::Stuck);
        assert!(report.items[0].detail.contains("in system call"));
        drop(end);
        let event = queue.wait(stuck, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
        assert!(event.worked >= BUDGET);
        until("the extra worker retires", || {
            queue.stats().replacement_workers == 0
        });
        assert_eq!(queue.stats().stuck, 0);
        close(&queue);
    }
}

#[test]
fn replacements_are_bounded() {
    let queue = queue_with(|options| {
        short_budgets(options);
        options.replacement_workers = 2;
    });
    let hung: Vec<_> = (0..3)
        .map(|_| {
            let (resource, _, end, begun) = hanging();
            submit(&queue, Lane::Native, resource);
            begun.recv().unwrap();
            end
        })
        .collect();
    until("all are stuck", || queue.stats().stuck == 3);
    let waiting = submit(&queue, Lane::Native, scripted(verified).0);
    let late = queue.wait(waiting, Some(Instant::now() + Duration::from_millis(100)));
    assert_eq!(late.unwrap_err().status(), Status::TimedOut);
    let stats = queue.stats();
    assert_eq!((stats.replacement_workers, stats.depth), (2, 1));
    assert!(stats.oldest_queued >= Duration::from_millis(100));
    drop(hung);
    queue.wait(waiting, Some(soon())).unwrap();
    assert_eq!(close(&queue).released, 4);
}

#[test]
fn a_hanging_drop_is_found_and_replaced_too() {
    struct Hanging(mpsc::Receiver<()>);
    impl Resource for Hanging {
        fn release(&mut self) -> Result<Proof> {
            Err(errno(libc::EIO))
        }
    }
    impl Drop for Hanging {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }
    let queue = queue_with(|options| {
        short_budgets(options);
        options.blocking_workers = 1;
    });
    let (end, wait) = mpsc::channel();
    let reservation = queue
        .reserve(Kind::Descriptor, "hangs when dropped")
        .unwrap();
    let ticket = reservation.submit(Lane::Native, Box::new(Hanging(wait)));
    queue.wait(ticket, Some(soon())).unwrap();
    queue.forget(ticket).unwrap();
    until("it is stuck", || queue.stuck().len() == 1);
    assert_eq!(queue.stuck()[0].label, "hangs when dropped");
    let other = submit(&queue, Lane::Blocking, scripted(verified).0);
    queue.wait(other, Some(soon())).unwrap();
    drop(end);
    close(&queue);
}

#[test]
fn the_blocking_lane_grows_to_its_limit_and_not_beyond() {
    let queue = queue_with(|options| options.blocking_workers = 3);
    let at_once = Arc::new(AtomicU32::new(0));
    let most = Arc::new(AtomicU32::new(0));
    let together = Arc::new(std::sync::Barrier::new(3));
    for number in 0..60 {
        let (at_once, most, together) = (at_once.clone(), most.clone(), together.clone());
        let (resource, _) = scripted(move |_| {
            let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            if number < 3 {
                together.wait();
            }
            at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(Proof::Verified)
        });
        submit(&queue, Lane::Blocking, resource);
    }
    queue.drain(soon()).unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(queue.stats().workers, 4);
    close(&queue);
}

#[test]
fn budgets_and_pauses_beyond_all_time_are_never_over() {
    let queue = queue_with(|options| {
        options.native_budget = Duration::MAX;
        options.blocking_budget = Duration::MAX;
        options.retry.first_pause = Duration::MAX;
        options.retry.longest_pause = Duration::MAX;
        options.retry.age = Duration::MAX;
    });
    for lane in [Lane::Native, Lane::Blocking] {
        let ticket = submit(&queue, lane, scripted(verified).0);
        let event = queue.wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Released(Proof::Verified));
    }
    let (resource, record) = scripted(|_| Err(errno(libc::EBUSY)));
    submit(&queue, Lane::Native, resource);
    until("it waits for ever", || {
        queue
            .report()
            .items
            .iter()
            .any(|item| item.state == ReleaseState::Retrying)
    });
    let last = submit(&queue, Lane::Native, scripted(verified).0);
    queue.wait(last, Some(soon())).unwrap();
    let report = queue.close(Instant::now()).unwrap();
    assert_eq!((report.released, report.abandoned), (3, 1));
    until("destroyed", || record.drops() == 1);
}

/// A fault of ours: no foreign code makes a worker unwind.
#[test]
fn a_worker_that_unwinds_is_replaced_and_what_it_was_at_has_failed() {
    for has_step in [false, true] {
        let queue = queue_with(|options| options.blocking_workers = 1);
        let shared = queue.0.shared.clone();
        // Hired by hand, before the timer does it.
        let worker = shared.with(|state| state.hire(Lane::Blocking)).unwrap();
        let (resource, record) = scripted(verified);
        let reservation = queue.reserve(Kind::Job, "its worker unwinds").unwrap();
        if has_step {
            reservation.set_before_release(Box::new(|| Ok(())));
        }
        let ticket = reservation.submit(Lane::Blocking, resource);
        let employer = shared.clone();
        let thread = std::thread::spawn(move || {
            threads::employ(&employer, worker, || {
                employer.with(|state| state.clock_in(worker, 1));
                let Next::Work(_work) = employer.next_work(Lane::Blocking, worker) else {
                    return;
                };
                panic!("a fault of ours");
            });
        });
        thread.join().unwrap();
        let event = queue.wait(ticket, Some(soon())).unwrap();
        assert_eq!(event.outcome, Outcome::Failed { os_error: 0 });
        // What was still in its place is kept, like whatever failed.
        assert_eq!(
            (record.attempts(), record.drops()),
            (0, u32::from(!has_step))
        );
        assert_eq!(queue.failed().len(), usize::from(has_step));
        let stats = queue.stats();
        assert_eq!((stats.in_flight, stats.depth), (0, 0));
        let next = submit(&queue, Lane::Blocking, scripted(verified).0);
        queue.wait(next, Some(soon())).unwrap();
        let report = close(&queue);
        assert_eq!((report.released, report.failed), (1, 1));
    }
}
