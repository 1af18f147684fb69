use super::*;

fn poll(queue: &ReleaseQueue, milliseconds: u16) -> bool {
    use nix::poll::{PollFd, PollFlags, poll};
    let mut set = [PollFd::new(queue.event_fd(), PollFlags::POLLIN)];
    poll(&mut set, milliseconds).unwrap() == 1
}

#[test]
fn events_come_in_order_to_whoever_reads_them() {
    let queue = queue_with(|options| options.event_capacity = 8);
    assert!(!poll(&queue, 0));
    let tickets: Vec<_> = (0..8)
        .map(|_| submit(&queue, Lane::Native, scripted(verified).0))
        .collect();
    queue.fence(Some(soon())).unwrap();
    assert!(poll(&queue, 60_000));
    let mut buffer = [Event::default(); 5];
    let mut seen = Vec::new();
    for expected in [5, 3, 0] {
        let count = queue.read_events(&mut buffer);
        assert_eq!(count, expected);
        seen.extend_from_slice(&buffer[..count]);
    }
    assert!(!poll(&queue, 0));
    assert_eq!(
        seen.iter().map(|event| event.ticket).collect::<Vec<_>>(),
        tickets
    );
    assert!(
        seen.windows(2)
            .all(|two| two[1].sequence == two[0].sequence + 1)
    );
    for _ in 0..20 {
        submit(&queue, Lane::Native, scripted(verified).0);
    }
    queue.fence(Some(soon())).unwrap();
    assert_eq!(queue.dropped_events(), 12);
    assert_eq!(queue.read_events(&mut buffer), 5);
    assert_eq!(buffer[0].sequence, 8 + 12 + 1);
    close(&queue);
}

#[test]
fn hooks_come_before_subscribers_and_subscribers_in_their_order() {
    let queue = queue();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let note = |who: &'static str| {
        let calls = calls.clone();
        move |event: &Event| lock(&calls).push((who, event.sequence))
    };
    queue.subscribe(note("first")).unwrap();
    queue.subscribe(note("second")).unwrap();
    let reservation = queue.reserve(Kind::Chroot, "hooked").unwrap();
    reservation.set_hook(Arc::new(note("hook"))).unwrap();
    reservation.submit(Lane::Native, scripted(verified).0);
    submit(&queue, Lane::Native, scripted(verified).0);
    close(&queue);
    let expected = [
        ("hook", 1),
        ("first", 1),
        ("second", 1),
        ("first", 2),
        ("second", 2),
    ];
    assert_eq!(*lock(&calls), expected);
}

#[test]
fn a_failed_release_keeps_its_hook_for_the_next_try() {
    let queue = queue();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let seen = outcomes.clone();
    let reservation = queue.reserve(Kind::Chroot, "hooked").unwrap();
    reservation
        .set_hook(Arc::new(move |event: &Event| {
            lock(&seen).push(event.outcome)
        }))
        .unwrap();
    let (resource, _) = scripted(|attempt| match attempt {
        1 => Err(errno(libc::EIO)),
        _ => Ok(Proof::Verified),
    });
    let ticket = reservation.submit(Lane::Native, resource);
    queue.wait(ticket, Some(soon())).unwrap();
    queue.retry(ticket).unwrap();
    close(&queue);
    let expected = [
        Outcome::Failed {
            os_error: libc::EIO,
        },
        Outcome::Released(Proof::Verified),
    ];
    assert_eq!(*lock(&outcomes), expected);
}

#[test]
fn a_callback_that_panics_or_is_slow_is_counted_and_the_others_are_called() {
    let queue = queue();
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    queue.subscribe(|_| panic!("by design")).unwrap();
    queue
        .subscribe(|_| std::thread::sleep(Duration::from_millis(5)))
        .unwrap();
    queue
        .subscribe(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
    for _ in 0..3 {
        submit(&queue, Lane::Native, scripted(verified).0);
    }
    close(&queue);
    let stats = queue.stats();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(stats.subscriber_panics, 3);
    assert!(stats.slow_callbacks >= 3);
}

/// Says when it is dropped.
struct Canary(mpsc::Sender<()>);

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_subscription_ends_at_once_and_its_callback_is_dropped_after_the_last_call() {
    let queue = queue();
    let (dropped, is_dropped) = mpsc::channel();
    let canary = Canary(dropped);
    let (begun, has_begun) = mpsc::channel();
    let (end, wait) = mpsc::channel::<()>();
    let (wait, calls) = (Mutex::new(wait), Arc::new(AtomicU32::new(0)));
    let count = calls.clone();
    let id = queue.subscribe(move |_| {
        let _ = &canary;
        count.fetch_add(1, Ordering::SeqCst);
        begun.send(()).unwrap();
        let _ = lock(&wait).recv();
    });
    let id = id.unwrap();
    submit(&queue, Lane::Native, scripted(verified).0);
    submit(&queue, Lane::Native, scripted(verified).0);
    has_begun.recv().unwrap();
    queue.unsubscribe(id).unwrap();
    assert!(is_dropped.try_recv().is_err());
    let waiter = std::thread::spawn({
        let queue = queue.clone();
        // It may have ended by then, which is what is waited for.
        move || queue.unsubscribe_wait(id).map_err(|error| error.status())
    });
    drop(end);
    is_dropped.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(matches!(
        waiter.join().unwrap(),
        Ok(()) | Err(Status::NotFound)
    ));
    close(&queue);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(
        queue.unsubscribe(id).unwrap_err().status(),
        Status::NotFound
    );
}

#[test]
fn a_callback_may_end_its_own_subscription_but_not_wait_for_itself() {
    let queue = queue();
    let (sender, receiver) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let (weak, receiver) = (queue.clone(), Mutex::new(receiver));
    let id = queue.subscribe(move |event| {
        let id = lock(&receiver).recv().unwrap();
        let inside = [
            weak.unsubscribe_wait(id).unwrap_err(),
            weak.fence(None).unwrap_err(),
            weak.drain(Instant::now()).unwrap_err(),
            weak.close(Instant::now()).unwrap_err(),
        ];
        // What has ended can be asked for anywhere.
        assert_eq!(weak.wait(event.ticket, None).unwrap(), *event);
        weak.unsubscribe(id).unwrap();
        answer.send(inside.map(|error| error.status())).unwrap();
    });
    sender.send(id.unwrap()).unwrap();
    let ticket = submit(&queue, Lane::Native, scripted(verified).0);
    queue.wait(ticket, Some(soon())).unwrap();
    let statuses = answered.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(statuses, [Status::WouldDeadlock; 4]);
    submit(&queue, Lane::Native, scripted(verified).0);
    close(&queue);
    assert_eq!(queue.stats().subscriber_panics, 0);
}
