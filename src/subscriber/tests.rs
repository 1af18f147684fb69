use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

type Function = dyn Fn(u32) -> Result<()> + Send + Sync;
type List = SubscriberList<Function>;

fn list() -> Arc<List> {
    Arc::new(SubscriberList::new(Duration::from_secs(3600)))
}

fn subscribe(
    list: &List,
    name: &str,
    function: impl Fn(u32) -> Result<()> + Send + Sync + 'static,
) -> Subscription {
    list.subscribe(name, Box::new(function))
        .map_err(|(error, _)| error)
        .unwrap()
}

fn send(list: &List, event: u32) {
    let what = trace::Callback::of_queue("on_event");
    list.dispatch(what, |function| function(event));
}

/// Counts how often it is dropped.
struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counted_drops() -> (Drops, impl Fn() -> usize) {
    let count = Arc::new(AtomicUsize::new(0));
    (Drops(Arc::clone(&count)), move || {
        count.load(Ordering::SeqCst)
    })
}

#[test]
fn subscribers_are_called_in_order_and_told_apart_by_what_they_did() {
    let list = list();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for name in ["first", "second", "third"] {
        let seen = Arc::clone(&seen);
        subscribe(&list, name, move |event| {
            lock(&seen).push((name, event));
            match name {
                "first" => panic!("event {event}"),
                "second" => Err(Error::new(Status::CallbackFailed, "no")),
                _ => Ok(()),
            }
        });
    }
    send(&list, 7);
    assert_eq!(*lock(&seen), [("first", 7), ("second", 7), ("third", 7)]);
    let stats = list.statistics();
    let numbers: Vec<_> = stats
        .iter()
        .map(|one| (one.name.as_str(), one.calls, one.failures, one.panics))
        .collect();
    assert_eq!(
        numbers,
        [("first", 1, 0, 1), ("second", 1, 1, 0), ("third", 1, 0, 0)]
    );
    let panic = stats[0].last_error.as_ref().unwrap();
    assert_eq!(
        (panic.status(), panic.message()),
        (Status::Panic, "panicked: event 7")
    );
    let failure = stats[1].last_error.as_ref().unwrap();
    assert_eq!(failure.status(), Status::CallbackFailed);
    assert_eq!(stats[2].last_error, None);
}

#[test]
fn calls_over_the_budget_are_counted_as_slow() {
    let list: List = SubscriberList::new(Duration::ZERO);
    let id = subscribe(&list, "slow", |_| Ok(()));
    send(&list, 1);
    let stats = list.statistics_of(id).unwrap();
    assert_eq!((stats.calls, stats.slow), (1, 1));
    assert!(stats.longest > Duration::ZERO);
}

#[test]
fn a_refused_subscriber_is_given_back() {
    let list = list();
    let (drops, dropped) = counted_drops();
    let keep = Arc::new(drops);
    let function: Box<Function> = {
        let keep = Arc::clone(&keep);
        Box::new(move |_| {
            let _ = &keep;
            Ok(())
        })
    };
    let (error, function) = list.subscribe("", function).err().unwrap();
    assert_eq!(error.status(), Status::InvalidArgument);
    let (error, function) = list.subscribe(&"n".repeat(256), function).err().unwrap();
    assert_eq!(error.status(), Status::InvalidArgument);
    list.close();
    let (error, function) = list.subscribe("late", function).err().unwrap();
    assert_eq!(error.status(), Status::Closed);
    drop(keep);
    assert_eq!(dropped(), 0);
    drop(function);
    assert_eq!(dropped(), 1);
}

#[test]
fn a_subscriber_may_end_itself_in_its_own_call() {
    let list = list();
    let (drops, dropped) = counted_drops();
    let dropped_inside = Arc::new(AtomicUsize::new(usize::MAX));
    let own = Arc::new(Mutex::new(None));
    let id = subscribe(&list, "once", {
        let (list, own) = (Arc::clone(&list), Arc::clone(&own));
        let (dropped_inside, count) = (Arc::clone(&dropped_inside), Arc::clone(&drops.0));
        move |_| {
            let _ = &drops;
            let id = lock(&own).unwrap();
            let waited = list.unsubscribe_wait(id).unwrap_err();
            assert_eq!(waited.status(), Status::WouldDeadlock);
            list.unsubscribe(id).unwrap();
            assert_eq!(list.unsubscribe(id).unwrap_err().status(), Status::NotFound);
            dropped_inside.store(count.load(Ordering::SeqCst), Ordering::SeqCst);
            Ok(())
        }
    });
    *lock(&own) = Some(id);
    send(&list, 1);
    assert_eq!((dropped_inside.load(Ordering::SeqCst), dropped()), (0, 1));
    send(&list, 2);
    assert!(list.statistics().is_empty());
    let gone = list.unsubscribe_wait(id).unwrap_err();
    assert_eq!(gone.status(), Status::NotFound);
}

#[test]
fn a_subscriber_may_end_a_later_one_before_its_call() {
    let list = list();
    let (drops, dropped) = counted_drops();
    let victim = Arc::new(Mutex::new(None));
    subscribe(&list, "first", {
        let (list, victim) = (Arc::clone(&list), Arc::clone(&victim));
        move |_| {
            if let Some(id) = lock(&victim).take() {
                list.unsubscribe_wait(id)?;
            }
            Ok(())
        }
    });
    let calls = Arc::new(AtomicUsize::new(0));
    let id = subscribe(&list, "second", {
        let calls = Arc::clone(&calls);
        move |_| {
            let _ = &drops;
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    send(&list, 1);
    *lock(&victim) = Some(id);
    send(&list, 2);
    assert_eq!((calls.load(Ordering::SeqCst), dropped()), (1, 1));
    assert_eq!(list.statistics()[0].failures, 0);
}

#[test]
fn a_wait_from_another_thread_ends_after_the_running_call_and_the_drop() {
    let list = list();
    let (drops, dropped) = counted_drops();
    let (entered, has_entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let id = subscribe(&list, "running", move |_| {
        let _ = &drops;
        entered.send(()).unwrap();
        let _ = lock(&may_go_on).recv();
        Ok(())
    });
    std::thread::scope(|scope| {
        scope.spawn(|| send(&list, 1));
        has_entered.recv().unwrap();
        list.unsubscribe(id).unwrap();
        assert_eq!(dropped(), 0);
        assert_eq!(list.statistics_of(id).unwrap().calls, 0);
        // Only unsubscribed, still running: both of these wait for it.
        let waiters = [
            scope.spawn(|| list.unsubscribe_wait(id).map(|()| dropped())),
            scope.spawn(|| list.unsubscribe_wait(id).map(|()| dropped())),
        ];
        send(&list, 2);
        assert_eq!(dropped(), 0);
        go_on.send(()).unwrap();
        for waiter in waiters {
            match waiter.join().unwrap() {
                Ok(drops) => assert_eq!(drops, 1),
                Err(error) => assert_eq!(error.status(), Status::NotFound),
            }
        }
    });
    assert_eq!(dropped(), 1);
}

#[test]
fn of_two_calls_that_wait_for_each_other_the_second_is_told() {
    let (one, other) = (list(), list());
    let ids = Arc::new(Mutex::new(None));
    let both_inside = Arc::new(std::sync::Barrier::new(2));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let waits_for = |list: &Arc<List>, pick: fn((Subscription, Subscription)) -> Subscription| {
        let list = Arc::clone(list);
        let (ids, both_inside) = (Arc::clone(&ids), Arc::clone(&both_inside));
        let answers = Arc::clone(&answers);
        move |_| {
            both_inside.wait();
            let id = pick(lock(&ids).unwrap());
            let answer = list.unsubscribe_wait(id);
            lock(&answers).push(answer.map_err(|error| error.status()));
            Ok(())
        }
    };
    let first = subscribe(&one, "first", waits_for(&other, |ids| ids.1));
    let second = subscribe(&other, "second", waits_for(&one, |ids| ids.0));
    *lock(&ids) = Some((first, second));
    std::thread::scope(|scope| {
        scope.spawn(|| send(&one, 1));
        scope.spawn(|| send(&other, 1));
    });
    let mut answers = lock(&answers).clone();
    answers.sort_by_key(|answer| answer.is_ok());
    assert_eq!(answers, [Err(Status::WouldDeadlock), Ok(())]);
}

#[test]
fn the_end_of_a_subscriber_may_panic_and_does_not_wait_for_itself() {
    struct Ending {
        list: Arc<List>,
        own: Arc<Mutex<Option<Subscription>>>,
        answer: Arc<Mutex<Option<Status>>>,
    }
    impl Drop for Ending {
        fn drop(&mut self) {
            let id = lock(&self.own).unwrap();
            let error = self.list.unsubscribe_wait(id).unwrap_err();
            *lock(&self.answer) = Some(error.status());
            panic!("the end of a subscriber");
        }
    }
    let (list, own, answer) = (list(), Arc::new(Mutex::new(None)), Arc::default());
    let ending = Ending {
        list: Arc::clone(&list),
        own: Arc::clone(&own),
        answer: Arc::clone(&answer),
    };
    let id = subscribe(&list, "loud", move |_| {
        let _ = &ending;
        Ok(())
    });
    *lock(&own) = Some(id);
    list.unsubscribe_wait(id).unwrap();
    assert_eq!(*lock(&answer), Some(Status::WouldDeadlock));
}

#[test]
fn subscribers_that_come_during_a_dispatch_see_the_next_event() {
    let list = list();
    let seen = Arc::new(Mutex::new(Vec::new()));
    subscribe(&list, "parent", {
        let (list, seen) = (Arc::clone(&list), Arc::clone(&seen));
        move |event| {
            let seen = Arc::clone(&seen);
            if event == 1 {
                subscribe(&list, "child", move |event| {
                    lock(&seen).push(event);
                    Ok(())
                });
            }
            Ok(())
        }
    });
    send(&list, 1);
    assert!(lock(&seen).is_empty());
    send(&list, 2);
    assert_eq!(*lock(&seen), [2]);
}

#[test]
fn dropping_the_list_drops_each_callback_once() {
    let list = list();
    let (drops, dropped) = counted_drops();
    subscribe(&list, "kept", move |_| {
        let _ = &drops;
        Ok(())
    });
    send(&list, 1);
    drop(list);
    assert_eq!(dropped(), 1);
}
