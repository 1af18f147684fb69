//! Places, submits, workers.

use std::sync::Arc as StdArc;
use std::time::Instant;

use loom::thread;

use super::harness::{Door, Queue, check, scripted};
use crate::error::Status;
use crate::release::resource::{Callbacks, OnEnd};
use crate::release::{Event, Lane, Outcome, Proof};
use crate::sync::Time;
use crate::sync::atomic::Ordering;

#[test]
fn every_submit_finds_the_worker_and_is_released_once() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let submitters = [(); 2].map(|()| {
            let queue = queue.clone();
            thread::spawn(move || {
                let (resource, record) = scripted(0, None);
                queue.submit(Lane::Native, resource);
                record
            })
        });
        let records = submitters.map(|submitter| submitter.join().unwrap());
        queue.drain();
        for record in &records {
            assert_eq!((record.attempts(), record.drops()), (1, 1));
        }
        queue.seal();
        worker.join().unwrap();
        queue.is_empty_after(2);
    });
}

#[test]
fn two_workers_of_a_lane_share_what_is_there_and_leave_nothing() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|options| options.blocking_workers = 2);
        let workers = [(); 2].map(|()| queue.worker(Lane::Blocking));
        let submitter = {
            let queue = queue.clone();
            thread::spawn(move || queue.submit(Lane::Blocking, scripted(0, None).0))
        };
        queue.submit(Lane::Blocking, scripted(0, None).0);
        queue.submit(Lane::Blocking, scripted(0, None).0);
        submitter.join().unwrap();
        queue.drain();
        queue.seal();
        for worker in workers {
            worker.join().unwrap();
        }
        queue.is_empty_after(3);
    });
}

/// The one worker hangs: whoever waits behind it has somebody come for it all the same, from the
/// second worker, which sleeps.
#[test]
fn a_worker_that_sleeps_is_woken_past_one_that_is_busy() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|options| options.blocking_workers = 2);
        let workers = [(); 2].map(|()| queue.worker(Lane::Blocking));
        let door = Door::new();
        let busy = queue.submit(Lane::Blocking, scripted(0, Some(door.clone())).0);
        let other = queue.submit(Lane::Blocking, scripted(0, None).0);
        queue.wait(other);
        door.open();
        queue.wait(busy);
        queue.seal();
        for worker in workers {
            worker.join().unwrap();
        }
        queue.is_empty_after(2);
    });
}

#[test]
fn one_place_is_taken_by_one_at_a_time_and_none_is_lost() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|options| options.capacity = 1);
        let worker = queue.worker(Lane::Native);
        let rivals = [true, false].map(|submits| {
            let queue = queue.clone();
            thread::spawn(move || match queue.reserve() {
                Ok((index, ticket)) => {
                    if submits {
                        queue.submit_to(index, Lane::Native, scripted(0, None).0);
                        queue.wait(ticket);
                    } else {
                        queue.0.with(|state| state.give_back(index, Instant::now()));
                    }
                    Some(submits)
                }
                Err(error) => {
                    assert_eq!(error.status(), Status::Full);
                    None
                }
            })
        });
        let got = rivals.map(|rival| rival.join().unwrap());
        assert!(got.iter().any(Option::is_some));
        // All that was taken is back.
        let (index, _) = queue.reserve().expect("the place is free");
        queue.0.with(|state| state.give_back(index, Instant::now()));
        queue.seal();
        worker.join().unwrap();
        queue.is_empty_after(u64::from(got[0].is_some()));
    });
}

#[test]
fn many_waiters_for_one_release_all_hear_of_its_end() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let ticket = queue.submit(Lane::Native, scripted(0, None).0);
        let waiters = [(); 2].map(|()| {
            let queue = queue.clone();
            thread::spawn(move || queue.wait(ticket).outcome)
        });
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Outcome::Released(Proof::Verified));
        }
        queue.seal();
        worker.join().unwrap();
        queue.is_empty_after(1);
    });
}

#[test]
fn a_hook_is_called_once_with_the_end() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        queue.0.with(|state| state.workforce.threads += 1);
        let notifier = {
            let queue = queue.clone();
            thread::spawn(move || {
                while let Some(notice) = queue.0.next_notice() {
                    notice.hook.expect("it has one").ended(&notice.event);
                }
            })
        };
        let heard = StdArc::new(std::sync::Mutex::new(Vec::new()));
        let tickets = [(); 2].map(|()| {
            let heard = heard.clone();
            let mut callbacks = Callbacks {
                hook: Some(StdArc::new(move |event: &Event| {
                    heard.lock().unwrap().push(event.ticket);
                })),
                ..Callbacks::default()
            };
            let (index, _) = queue.reserve().unwrap();
            let resource = scripted(0, None).0;
            queue.0.with(|state| {
                state.submit(
                    index,
                    Lane::Native,
                    resource,
                    &mut callbacks,
                    Instant::now(),
                )
            })
        });
        queue.drain();
        queue.seal();
        worker.join().unwrap();
        notifier.join().unwrap();
        assert_eq!(*heard.lock().unwrap(), tickets);
        queue.is_empty_after(2);
    });
}

/// The event descriptor: where events are left unread, it is readable once all is quiet.
#[test]
fn no_event_is_left_without_a_signal() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let reader = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.0.with_quietly(|state| {
                    let (count, empty) = state.ring.read(&mut [Event::default(); 4]);
                    if empty {
                        queue.0.event_fd.clear();
                    }
                    count
                })
            })
        };
        for _ in 0..2 {
            queue.submit(Lane::Native, scripted(0, None).0);
        }
        queue.drain();
        let read = reader.join().unwrap();
        queue.seal();
        worker.join().unwrap();
        let unread = queue
            .0
            .with_quietly(|state| state.ring.read(&mut [Event::default(); 4]).0);
        assert_eq!(read + unread, 2);
        let signalled = queue.0.event_fd.0.load(Ordering::SeqCst) > 0;
        assert!(unread == 0 || signalled);
        queue.is_empty_after(2);
    });
}

/// Submits that are made together wake nobody until the last of them, whoever else wakes meanwhile.
#[test]
fn what_was_submitted_quietly_is_taken_after_the_next_change() {
    check(2, Time::StandsStill, || {
        let queue = Queue::new(|_| ());
        let worker = queue.worker(Lane::Native);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || queue.submit(Lane::Native, scripted(0, None).0))
        };
        for _ in 0..2 {
            let (index, _) = queue.reserve().unwrap();
            let resource = scripted(0, None).0;
            let mut callbacks = Callbacks::default();
            let now = Instant::now();
            queue.0.with_quietly(|state| {
                state.submit(index, Lane::Native, resource, &mut callbacks, now);
            });
        }
        queue.0.with(|_| ());
        other.join().unwrap();
        queue.drain();
        queue.seal();
        worker.join().unwrap();
        queue.is_empty_after(3);
    });
}
