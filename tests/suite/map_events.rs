//! Events of the sandbox map: on which thread, in which order, and what callbacks may do.

use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Instant;

use nsgate::{Network, State, Status};

use crate::host::{close, gate, host, soon};
use crate::map_support::*;

fn call(
    by: &'static str,
    what: &'static str,
    lifecycle: &str,
) -> (&'static str, &'static str, String) {
    (by, what, lifecycle.to_string())
}

#[test]
fn events_come_on_the_changing_thread_in_the_order_of_subscription() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    for name in ["limiter", "counter", "volumes"] {
        map.subscribe(name, Recorder::new(name, &log)).unwrap();
    }
    let life = register(&map, "sandbox", "life");
    life.mark_running().unwrap();
    life.mark_running().unwrap();
    let releaser = std::thread::scope(|scope| {
        let releaser = scope.spawn(|| {
            life.network_released().unwrap();
            life.network_released().unwrap();
            std::thread::current().id()
        });
        releaser.join().unwrap()
    });
    assert_eq!(
        calls(&log),
        [
            call("limiter", "insert", "life"),
            call("counter", "insert", "life"),
            call("volumes", "insert", "life"),
            call("limiter", "network release", "life"),
            call("counter", "network release", "life"),
            call("volumes", "network release", "life"),
        ]
    );
    let threads: Vec<_> = log.lock().unwrap().iter().map(|seen| seen.thread).collect();
    assert!(
        threads[..3]
            .iter()
            .all(|&thread| thread == std::thread::current().id())
    );
    assert!(threads[3..].iter().all(|&thread| thread == releaser));
    close(&gate);
}

#[test]
fn what_a_subscriber_answers_concerns_only_itself() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let panicking = Recorder::with("panicking", &log, |_, _| panic!("as the test wants it"));
    map.subscribe("panicking", panicking).unwrap();
    let failing = Recorder::with("failing", &log, |_, _| Err(failure()));
    map.subscribe("failing", failing).unwrap();
    map.subscribe("well", Recorder::new("well", &log)).unwrap();
    let life = register(&map, "sandbox", "life");
    assert!(life.mark_running().unwrap());
    assert!(life.network_released().unwrap());
    assert_eq!(log.lock().unwrap().len(), 6);
    let stats: Vec<_> = map
        .subscribers()
        .into_iter()
        .map(|one| (one.name, one.calls, one.failures, one.panics))
        .collect();
    assert_eq!(
        stats,
        [
            ("panicking".to_string(), 2, 0, 2),
            ("failing".to_string(), 2, 2, 0),
            ("well".to_string(), 2, 0, 0),
        ]
    );
    close(&gate);
}

#[test]
fn a_change_from_inside_is_told_next_by_the_same_thread() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let first = Recorder::with("first", &log, |what, life| {
        if what == "insert" {
            assert!(life.mark_stopped()?);
            assert!(life.network_released()?);
            assert_eq!(life.network(), Network::Released);
        }
        Ok(())
    });
    map.subscribe("first", first).unwrap();
    let second = Recorder::with("second", &log, {
        let map = map.clone();
        move |_, life| {
            // As long as an event is being told, its life is found.
            assert!(
                map.find_by_lifecycle(life.lifecycle_id())
                    .unwrap()
                    .is_same(life)
            );
            Ok(())
        }
    });
    map.subscribe("second", second).unwrap();
    let life = register(&map, "sandbox", "life");
    assert!(life.mark_running().unwrap());
    assert_eq!(
        calls(&log),
        [
            call("first", "insert", "life"),
            call("second", "insert", "life"),
            call("first", "network release", "life"),
            call("second", "network release", "life"),
        ]
    );
    assert_eq!(map.lifecycles(), 0);
    assert!(
        map.subscribers()
            .iter()
            .all(|one| one.panics + one.failures == 0)
    );
    map.close();
    close(&gate);
}

#[test]
fn a_change_of_another_sandbox_from_inside_is_told_at_once() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let parent = Recorder::with("parent", &log, {
        let map = map.clone();
        move |what, life| {
            if what == "insert" && life.id() == "parent" {
                register(&map, "child", "child").mark_running()?;
                assert!(map.find("child").is_some());
            }
            Ok(())
        }
    });
    map.subscribe("parent", parent).unwrap();
    map.subscribe("other", Recorder::new("other", &log))
        .unwrap();
    register(&map, "parent", "parent").mark_running().unwrap();
    assert_eq!(
        calls(&log),
        [
            call("parent", "insert", "parent"),
            call("parent", "insert", "child"),
            call("other", "insert", "child"),
            call("other", "insert", "parent"),
        ]
    );
    map.close();
    close(&gate);
}

#[test]
fn a_change_on_another_thread_is_made_at_once_and_told_in_its_turn() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let (entered, has_entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let blocking = Recorder::with("blocking", &log, move |what, _| {
        if what == "insert" {
            entered.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
        Ok(())
    });
    map.subscribe("blocking", blocking).unwrap();
    map.subscribe("last", Recorder::new("last", &log)).unwrap();
    let life = register(&map, "sandbox", "life");
    life.assign_network(address("10.0.0.1")).unwrap();
    let runs = Arc::new(Mutex::new(0));
    life.attach_job(&counting_job(&gate, &runs)).unwrap();
    let releaser = std::thread::scope(|scope| {
        scope.spawn(|| life.mark_running().unwrap());
        has_entered.recv().unwrap();
        let releaser = scope.spawn(|| {
            assert!(life.network_released().unwrap());
            std::thread::current().id()
        });
        // The address is free and the job released while the event still waits for its turn.
        eventually("released", || life.network() == Network::Released);
        assert!(map.find_by_address(address("10.0.0.1")).is_none());
        eventually("the attached job ran", || *runs.lock().unwrap() == 1);
        // All is over for the life but the telling: it stays in the map until then.
        life.mark_stopped().unwrap();
        assert_eq!(map.lifecycles(), 1);
        assert_eq!(
            status(map.wait_idle(Some(Instant::now()))),
            Status::TimedOut
        );
        let told = calls(&log)
            .into_iter()
            .filter(|(_, what, _)| *what != "release");
        assert_eq!(
            told.collect::<Vec<_>>(),
            [call("blocking", "insert", "life")]
        );
        go_on.send(()).unwrap();
        releaser.join().unwrap()
    });
    map.wait_idle(Some(soon())).unwrap();
    let seen = log.lock().unwrap().clone();
    let told: Vec<_> = seen.iter().filter(|one| one.what != "release").collect();
    let order: Vec<_> = told.iter().map(|one| (one.by, one.what)).collect();
    assert_eq!(
        order,
        [
            ("blocking", "insert"),
            ("last", "insert"),
            ("blocking", "network release"),
            ("last", "network release"),
        ]
    );
    assert!(told[2..].iter().all(|one| one.thread == releaser));
    close(&gate);
}

#[test]
fn of_two_callbacks_that_would_wait_for_each_other_one_is_told() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let both_inside = Barrier::new(2);
    let answers = Arc::new(Mutex::new(Vec::new()));
    let crossing = Recorder::with("crossing", &log, {
        let (map, answers) = (map.clone(), Arc::clone(&answers));
        move |what, life| {
            if what == "insert" {
                both_inside.wait();
                let other = if life.id() == "x" { "y" } else { "x" };
                let other = map.find(other).unwrap();
                let answer = other.network_released().map_err(|error| error.status());
                answers.lock().unwrap().push((other, answer));
            }
            Ok(())
        }
    });
    map.subscribe("crossing", crossing).unwrap();
    let (x, y) = (register(&map, "x", "x"), register(&map, "y", "y"));
    std::thread::scope(|scope| {
        scope.spawn(|| x.mark_running().unwrap());
        scope.spawn(|| y.mark_running().unwrap());
    });
    let mut answers = std::mem::take(&mut *answers.lock().unwrap());
    answers.sort_by_key(|(_, answer)| answer.is_ok());
    let (refused, made) = (&answers[0], &answers[1]);
    assert_eq!((refused.1, made.1), (Err(Status::WouldDeadlock), Ok(true)));
    // Nothing was changed by the refused one, and it can be made later.
    assert_eq!(
        (refused.0.network(), made.0.network()),
        (Network::None, Network::Released)
    );
    assert!(refused.0.network_released().unwrap());
    assert_eq!(log.lock().unwrap().len(), 4);
    drop(answers);
    map.close();
    close(&gate);
}

#[test]
fn a_callback_does_not_wait_for_the_map_that_calls_it() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let answer = Arc::new(Mutex::new(None));
    let waiting = Recorder::with("waiting", &Log::default(), {
        let (map, answer) = (map.clone(), Arc::clone(&answer));
        move |_, _| {
            *answer.lock().unwrap() = Some(status(map.wait_idle(None)));
            Ok(())
        }
    });
    map.subscribe("waiting", waiting).unwrap();
    register(&map, "sandbox", "life").mark_running().unwrap();
    assert_eq!(*answer.lock().unwrap(), Some(Status::WouldDeadlock));
    map.close();
    close(&gate);
}

#[test]
fn many_threads_change_the_same_lives_and_each_event_is_told_once_and_in_order() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    map.subscribe("first", Recorder::new("first", &log))
        .unwrap();
    map.subscribe("second", Recorder::new("second", &log))
        .unwrap();
    let names: Vec<String> = (0..300).map(|number| format!("life-{number}")).collect();
    let lives: Vec<_> = names
        .iter()
        .map(|name| register(&map, "sandbox", name))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for life in &lives {
                    if let Err(error) = life.mark_running() {
                        assert_eq!(
                            (error.status(), life.state()),
                            (Status::InvalidState, State::Stopped)
                        );
                    }
                }
            });
            scope.spawn(|| {
                for life in &lives {
                    while life.state() == State::Registered {
                        std::thread::yield_now();
                    }
                    life.network_released().unwrap();
                    life.mark_stopped().unwrap();
                }
            });
        }
    });
    map.wait_idle(Some(soon())).unwrap();
    let calls = calls(&log);
    for name in &names {
        let of_this = calls.iter().filter(|(_, _, lifecycle)| lifecycle == name);
        let of_this: Vec<_> = of_this.cloned().collect();
        let expected = [
            call("first", "insert", name),
            call("second", "insert", name),
            call("first", "network release", name),
            call("second", "network release", name),
        ];
        assert_eq!(of_this, expected);
    }
    close(&gate);
}
