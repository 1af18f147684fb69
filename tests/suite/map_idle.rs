//! When a map has nothing left to wait for.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use nsgate::Status;

use crate::host::{close, gate, host, soon};
use crate::map_support::*;

#[test]
fn waiting_for_an_idle_map() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    map.wait_idle(None).unwrap();
    let life = register(&map, "sandbox", "life");
    life.assign_network(address("10.0.0.1")).unwrap();
    assert_eq!(
        status(map.wait_idle(Some(Instant::now()))),
        Status::TimedOut
    );
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| map.wait_idle(Some(soon())));
        life.mark_stopped().unwrap();
        assert_eq!(map.lifecycles(), 1);
        life.network_released().unwrap();
        waiter.join().unwrap().unwrap();
    });
    close(&gate);
}

/// Also of one that nobody is told of any more: the callback that runs when the map is closed.
#[test]
fn a_map_that_is_closed_is_idle_when_its_last_event_is_told() {
    let _host = host();
    let gate = gate();
    let map = Map::new(&gate);
    let log = Log::default();
    let (begin, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let (ended, is_over) = (Mutex::new(ended), Arc::new(AtomicBool::new(false)));
    let told = is_over.clone();
    let slow = Recorder::with("slow", &log, move |what, life| {
        if what == "insert" {
            // Told by this thread once the insert is.
            life.network_released()?;
            begin.send(()).unwrap();
            let _ = ended.lock().unwrap().recv();
            told.store(true, SeqCst);
        }
        Ok(())
    });
    map.subscribe("slow", slow).unwrap();
    let (life, other) = (register(&map, "s", "life"), register(&map, "s", "other"));
    std::thread::scope(|scope| {
        let changer = scope.spawn(|| life.mark_running());
        begun.recv().unwrap();
        map.close();
        map.close();
        let too_early = map.wait_idle(Some(Instant::now()));
        let waiter = scope.spawn(|| {
            map.wait_idle(Some(soon())).unwrap();
            is_over.load(SeqCst)
        });
        end.send(()).unwrap();
        assert!(changer.join().unwrap().unwrap());
        assert!(waiter.join().unwrap());
        assert_eq!(status(too_early), Status::TimedOut);
    });
    map.wait_idle(Some(Instant::now())).unwrap();
    drop((life, other));
    close(&gate);
}
