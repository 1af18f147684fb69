//! The sandbox map: lives, their states, and by what they are found.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nsgate::{Network, SandboxMap, State, Status};

use crate::host::{close, gate, host};
use crate::map_support::*;

#[test]
fn a_life_from_its_registration_to_its_end() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let life = register(&map, "sandbox", "life");
    let own = address("10.0.0.1");
    assert_eq!(
        (life.id(), life.lifecycle_id(), *life.value()),
        ("sandbox", "life", "value")
    );
    assert_eq!(
        (life.state(), life.network()),
        (State::Registered, Network::None)
    );
    assert!(map.find("sandbox").is_none() && map.find_by_address(own).is_none());
    assert!(map.find_by_lifecycle("life").unwrap().is_same(&life));
    assert_eq!(
        (map.count(), map.lifecycles(), map.running().len()),
        (0, 1, 0)
    );

    assert!(life.assign_network(own).unwrap());
    assert_eq!(life.network(), Network::Assigned(own));
    assert!(map.find_by_address(own).unwrap().is_same(&life));

    assert!(life.mark_running().unwrap());
    assert_eq!(life.state(), State::Running);
    assert!(map.find("sandbox").unwrap().is_same(&life));
    assert_eq!(
        (map.count(), map.running().len(), map.snapshot().len()),
        (1, 1, 1)
    );

    assert!(life.mark_stopping().unwrap());
    assert_eq!(life.state(), State::Stopping);
    assert!(map.find("sandbox").is_none() && map.find_by_address(own).is_some());
    assert_eq!((map.count(), map.lifecycles()), (0, 1));

    assert!(life.mark_stopped().unwrap());
    assert_eq!((life.state(), map.lifecycles()), (State::Stopped, 1));

    assert!(map.network_released(own, "life").unwrap());
    assert_eq!(
        (life.network(), life.address()),
        (Network::Released, Some(own))
    );
    assert!(map.find_by_address(own).is_none() && map.find_by_lifecycle("life").is_none());
    assert_eq!((map.lifecycles(), map.snapshot().len()), (0, 0));
    map.wait_idle(Some(Instant::now())).unwrap();
    close(&gate);
}

#[test]
fn changes_that_were_made_before_change_nothing() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let life = register(&map, "sandbox", "life");
    life.assign_network(address("10.0.0.1")).unwrap();
    assert!(!life.assign_network(address("10.0.0.1")).unwrap());
    life.mark_running().unwrap();
    assert!(!life.mark_running().unwrap());
    assert_eq!(map.count(), 1);
    life.mark_stopping().unwrap();
    assert!(!life.mark_stopping().unwrap());
    assert_eq!(status(life.mark_running()), Status::InvalidState);
    life.mark_stopped().unwrap();
    assert!(!life.mark_stopping().unwrap() && !life.mark_stopped().unwrap());
    assert_eq!(status(life.mark_running()), Status::InvalidState);
    assert!(life.network_released().unwrap());
    // The life has left the map; its handle still answers.
    assert!(!life.network_released().unwrap() && !life.mark_stopped().unwrap());
    assert_eq!(
        status(life.assign_network(address("10.0.0.2"))),
        Status::InvalidState
    );
    assert_eq!(status(life.mark_running()), Status::InvalidState);
    close(&gate);
}

#[test]
fn a_life_may_stop_without_having_run_and_be_released_without_an_address() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let never_ran = register(&map, "sandbox", "never-ran");
    assert!(never_ran.mark_stopped().unwrap());
    assert_eq!(map.lifecycles(), 0);
    assert!(!never_ran.network_released().unwrap());
    assert_eq!(never_ran.network(), Network::None);

    // A throw-away resume: its network goes first, and it never runs.
    let thrown_away = register(&map, "sandbox", "thrown-away");
    thrown_away.assign_network(address("10.0.0.1")).unwrap();
    assert!(thrown_away.network_released().unwrap());
    assert_eq!(
        (thrown_away.state(), map.lifecycles()),
        (State::Registered, 1)
    );
    assert!(thrown_away.mark_stopped().unwrap());
    assert_eq!(map.lifecycles(), 0);

    let no_address = register(&map, "sandbox", "no-address");
    assert!(no_address.network_released().unwrap());
    assert_eq!(
        status(no_address.assign_network(address("10.0.0.1"))),
        Status::InvalidState
    );
    assert!(no_address.mark_stopped().unwrap());
    assert_eq!(map.lifecycles(), 0);
    close(&gate);
}

#[test]
fn ids_are_checked_and_a_refused_value_comes_back() {
    let _host = host();
    let gate = gate();
    let map = SandboxMap::new(&gate);
    let longest = "i".repeat(255);
    let too_long = "i".repeat(256);
    for (sandbox_id, lifecycle_id) in [
        ("", "life"),
        ("sandbox", ""),
        (&too_long, "life"),
        ("sandbox", &too_long),
    ] {
        let (error, value) = map.register(sandbox_id, lifecycle_id, 7).unwrap_err();
        assert_eq!((error.status(), value), (Status::InvalidArgument, 7));
    }
    map.register(&longest, &longest, 1).unwrap();
    let (error, value) = map.register("other", &longest, 2).unwrap_err();
    assert_eq!((error.status(), value), (Status::AlreadyExists, 2));
    // An id is free again when its life has left.
    map.find_by_lifecycle(&longest)
        .unwrap()
        .mark_stopped()
        .unwrap();
    map.register("other", &longest, 3).unwrap();
    close(&gate);
}

#[test]
fn an_address_has_one_owner_at_a_time() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let (first, second) = (register(&map, "a", "first"), register(&map, "b", "second"));
    let shared = address("10.0.0.1");
    first.assign_network(shared).unwrap();
    assert_eq!(status(second.assign_network(shared)), Status::AlreadyExists);
    assert_eq!(
        status(second.assign_network(address("::ffff:10.0.0.1"))),
        Status::AlreadyExists
    );
    assert_eq!(second.network(), Network::None);
    assert_eq!(
        status(first.assign_network(address("10.0.0.2"))),
        Status::InvalidState
    );
    assert!(
        map.find_by_address(address("::ffff:10.0.0.1"))
            .unwrap()
            .is_same(&first)
    );
    for nobody in ["0.0.0.0", "::"] {
        assert_eq!(
            status(second.assign_network(address(nobody))),
            Status::InvalidArgument
        );
    }
    first.network_released().unwrap();
    assert_eq!(status(first.assign_network(shared)), Status::InvalidState);
    assert!(second.assign_network(shared).unwrap());
    assert!(map.find_by_address(shared).unwrap().is_same(&second));
    // IPv6 addresses are addresses as well.
    let third = register(&map, "c", "third");
    third.assign_network(address("fd00::1")).unwrap();
    assert!(
        map.find_by_address(address("fd00::1"))
            .unwrap()
            .is_same(&third)
    );
    close(&gate);
}

#[test]
fn an_address_that_has_a_new_owner_does_not_release_it() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let (before, after) = (register(&map, "a", "before"), register(&map, "a", "after"));
    let slot = address("10.0.0.1");
    before.assign_network(slot).unwrap();
    assert_eq!(
        status(map.network_released(slot, "after")),
        Status::WrongLifecycle
    );
    assert!(map.network_released(slot, "before").unwrap());
    assert!(!map.network_released(slot, "before").unwrap());
    after.assign_network(slot).unwrap();
    // The late second release of the one that is gone.
    assert_eq!(
        status(map.network_released(slot, "before")),
        Status::WrongLifecycle
    );
    assert_eq!(
        status(map.network_released(slot, "nobody")),
        Status::WrongLifecycle
    );
    assert_eq!(after.network(), Network::Assigned(slot));
    let free = address("10.0.0.9");
    assert_eq!(
        status(map.network_released(free, "nobody")),
        Status::NotFound
    );
    assert_eq!(
        status(map.network_released(free, "after")),
        Status::WrongLifecycle
    );
    assert!(
        map.network_released(address("::ffff:10.0.0.1"), "after")
            .unwrap()
    );
    close(&gate);
}

#[test]
fn of_several_lives_the_one_that_began_last_is_the_live_one() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let lives = ["first", "second", "third"].map(|id| register(&map, "sandbox", id));
    for life in &lives {
        life.mark_running().unwrap();
        assert!(map.find("sandbox").unwrap().is_same(life));
    }
    assert_eq!((map.count(), map.running().len()), (3, 3));
    // Stopping an older one is no concern of the live one.
    lives[0].mark_stopping().unwrap();
    assert!(map.find("sandbox").unwrap().is_same(&lives[2]));
    lives[2].mark_stopped().unwrap();
    assert!(map.find("sandbox").unwrap().is_same(&lives[1]));
    lives[1].mark_stopping().unwrap();
    assert!(map.find("sandbox").is_none());
    assert_eq!((map.count(), map.lifecycles()), (0, 2));
    close(&gate);
}

#[test]
fn a_closed_map_takes_nothing_and_keeps_nothing() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let subscription = map
        .subscribe("recorder", Recorder::new("recorder", &log))
        .unwrap();
    let life = register(&map, "sandbox", "life");
    life.assign_network(address("10.0.0.1")).unwrap();
    life.mark_running().unwrap();
    let runs = Arc::new(Mutex::new(0));
    life.attach_job(&counting_job(&gate, &runs)).unwrap();
    map.close();
    map.close();
    assert_eq!((map.count(), map.lifecycles()), (0, 0));
    assert!(map.find("sandbox").is_none() && map.find_by_address(address("10.0.0.1")).is_none());
    for refused in [
        life.mark_running(),
        life.mark_stopping(),
        life.mark_stopped(),
        life.network_released(),
        life.assign_network(address("10.0.0.1")),
    ] {
        assert_eq!(status(refused), Status::Closed);
    }
    let late = counting_job(&gate, &runs);
    assert_eq!(status(life.attach_job(&late)), Status::Closed);
    let (error, _) = map.register("sandbox", "late", "value").unwrap_err();
    assert_eq!(error.status(), Status::Closed);
    let refused = map.subscribe("late", Recorder::new("late", &log));
    assert_eq!(status(refused), Status::Closed);
    assert_eq!(status(map.unsubscribe(subscription)), Status::NotFound);
    map.wait_idle(None).unwrap();
    eventually("the attached job ran", || *runs.lock().unwrap() == 1);
    // Nobody was told of what the closing did.
    assert_eq!(calls(&log), [("recorder", "insert", "life".to_string())]);
    drop(late);
    close(&gate);
}

#[test]
fn the_host_s_value_is_dropped_once_with_the_last_handle() {
    struct Value(Arc<AtomicUsize>);
    impl Drop for Value {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let _host = host();
    let gate = gate();
    let drops = Arc::new(AtomicUsize::new(0));
    let map = SandboxMap::new(&gate);
    let left = map
        .register("a", "left", Value(drops.clone()))
        .map_err(|(error, _)| error)
        .unwrap();
    left.mark_running().unwrap();
    left.mark_stopped().unwrap();
    assert_eq!((map.lifecycles(), drops.load(Ordering::SeqCst)), (0, 0));
    drop(left);
    assert_eq!(drops.load(Ordering::SeqCst), 1);

    let kept = map
        .register("b", "kept", Value(drops.clone()))
        .map_err(|(error, _)| error)
        .unwrap();
    kept.mark_running().unwrap();
    let other_handle = map.clone();
    drop(map);
    assert!(!kept.mark_running().unwrap());
    drop(other_handle);
    assert_eq!(status(kept.mark_running()), Status::Closed);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    drop(kept);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    close(&gate);
}
