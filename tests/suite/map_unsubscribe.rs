//! The end of a subscriber: from inside its own callback, from inside another one, and from another
//! thread while it runs. It is dropped exactly once, after its last call, never early.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

use nsgate::{Result, Status, Subscriber, Subscription};

use crate::host::{close, gate, host};
use crate::map_support::*;

/// Calls `on_insert` with whatever the test wants, and counts its drops.
struct Ending<F> {
    on_insert: F,
    drops: Arc<AtomicUsize>,
}

impl<F: Fn(&Life) -> Result<()> + Send + Sync + 'static> Subscriber<&'static str> for Ending<F> {
    fn on_insert(&self, sandbox: &Life) -> Result<()> {
        let answer = (self.on_insert)(sandbox);
        if self.drops.load(SeqCst) != 0 {
            // Dropped while it runs: no test counts as many drops as this.
            self.drops.fetch_add(1_000, SeqCst);
        }
        answer
    }
}

impl<F> Drop for Ending<F> {
    fn drop(&mut self) {
        self.drops.fetch_add(1, SeqCst);
    }
}

fn subscribe(
    map: &Map,
    name: &str,
    on_insert: impl Fn(&Life) -> Result<()> + Send + Sync + 'static,
) -> (Subscription, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let subscriber = Ending {
        on_insert,
        drops: Arc::clone(&drops),
    };
    (map.subscribe(name, subscriber).unwrap(), drops)
}

#[test]
fn from_inside_its_own_callback() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let own = Arc::new(Mutex::new(None));
    let calls = Arc::new(AtomicUsize::new(0));
    let (id, drops) = subscribe(&map, "once", {
        let (map, own, calls) = (map.clone(), Arc::clone(&own), Arc::clone(&calls));
        move |_| {
            calls.fetch_add(1, SeqCst);
            let id: Subscription = own.lock().unwrap().unwrap();
            assert_eq!(status(map.unsubscribe_wait(id)), Status::WouldDeadlock);
            map.unsubscribe(id)?;
            assert_eq!(status(map.unsubscribe(id)), Status::NotFound);
            Ok(())
        }
    });
    *own.lock().unwrap() = Some(id);
    let (last, last_drops) = subscribe(&map, "last", |_| Ok(()));
    register(&map, "a", "first").mark_running().unwrap();
    assert_eq!((calls.load(SeqCst), drops.load(SeqCst)), (1, 1));
    register(&map, "b", "second").mark_running().unwrap();
    assert_eq!((calls.load(SeqCst), drops.load(SeqCst)), (1, 1));
    let stats = map.subscribers();
    assert_eq!((stats.len(), stats[0].calls, stats[0].panics), (1, 2, 0));
    assert_eq!(status(map.subscriber(id)), Status::NotFound);
    map.unsubscribe_wait(last).unwrap();
    assert_eq!(last_drops.load(SeqCst), 1);
    close(&gate);
}

#[test]
fn from_inside_another_callback_before_and_after_its_turn() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let victims = Arc::new(Mutex::new(Vec::new()));
    let (before, before_drops) = subscribe(&map, "before", |_| Ok(()));
    let (_, drops) = subscribe(&map, "ends the others", {
        let (map, victims) = (map.clone(), Arc::clone(&victims));
        move |_| {
            for id in victims.lock().unwrap().drain(..) {
                map.unsubscribe_wait(id)?;
            }
            Ok(())
        }
    });
    let after_calls = Arc::new(AtomicUsize::new(0));
    let (after, after_drops) = subscribe(&map, "after", {
        let calls = Arc::clone(&after_calls);
        move |_| {
            calls.fetch_add(1, SeqCst);
            Ok(())
        }
    });
    *victims.lock().unwrap() = vec![before, after];
    register(&map, "a", "life").mark_running().unwrap();
    assert_eq!(
        (before_drops.load(SeqCst), after_drops.load(SeqCst)),
        (1, 1)
    );
    assert_eq!((after_calls.load(SeqCst), drops.load(SeqCst)), (0, 0));
    let stats = map.subscribers();
    assert_eq!((stats.len(), stats[0].failures, stats[0].panics), (1, 0, 0));
    map.close();
    assert_eq!(drops.load(SeqCst), 1);
    close(&gate);
}

#[test]
fn from_another_thread_while_it_runs() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let (entered, has_entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let (id, drops) = subscribe(&map, "running", move |_| {
        entered.send(()).unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
        Ok(())
    });
    let (running, other) = (register(&map, "a", "running"), register(&map, "b", "other"));
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| running.mark_running());
        has_entered.recv().unwrap();
        let waiter = scope.spawn(|| map.unsubscribe_wait(id).map(|()| drops.load(SeqCst)));
        eventually("ended", || map.subscribers().is_empty());
        // No new call, although the old one still runs.
        other.mark_running().unwrap();
        assert!(has_entered.try_recv().is_err());
        assert_eq!((drops.load(SeqCst), waiter.is_finished()), (0, false));
        assert_eq!(map.subscriber(id).unwrap().calls, 0);
        go_on.send(()).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
        runner.join().unwrap().unwrap();
    });
    assert_eq!(drops.load(SeqCst), 1);
    close(&gate);
}

/// Threads make events while others subscribe and end subscribers in each of the ways there are.
#[test]
fn subscribers_come_and_go_while_events_are_told() {
    const SUBSCRIBERS: usize = 400;
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let done = AtomicUsize::new(0);
    let all_drops: Mutex<Vec<Arc<AtomicUsize>>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for sandbox in ["a", "b"] {
            let (map, done) = (&map, &done);
            scope.spawn(move || {
                for number in 0.. {
                    let life = register(map, sandbox, &format!("{sandbox}-{number}"));
                    life.mark_running().unwrap();
                    life.mark_stopped().unwrap();
                    if done.load(SeqCst) == 2 {
                        break;
                    }
                }
            });
        }
        for kind in 0..2 {
            let (map, done, all_drops) = (&map, &done, &all_drops);
            scope.spawn(move || {
                for number in 0..SUBSCRIBERS {
                    let own = Arc::new(Mutex::new(None));
                    let (id, drops) = subscribe(map, "passing", {
                        let (map, own) = (map.clone(), Arc::clone(&own));
                        move |_| {
                            // The first call that knows its id ends the subscriber.
                            let id = own.lock().unwrap().take();
                            id.map_or(Ok(()), |id| map.unsubscribe(id))
                        }
                    });
                    all_drops.lock().unwrap().push(Arc::clone(&drops));
                    if (number + kind) % 2 == 0 {
                        *own.lock().unwrap() = Some(id);
                        eventually("ended by itself", || drops.load(SeqCst) == 1);
                    } else {
                        map.unsubscribe_wait(id).unwrap();
                        assert_eq!(drops.load(SeqCst), 1);
                    }
                }
                done.fetch_add(1, SeqCst);
            });
        }
    });
    assert!(map.subscribers().is_empty());
    let all_drops = all_drops.into_inner().unwrap();
    assert_eq!(all_drops.len(), 2 * SUBSCRIBERS);
    assert!(all_drops.iter().all(|drops| drops.load(SeqCst) == 1));
    close(&gate);
}
