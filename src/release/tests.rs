//! A whole queue with its threads, and resources that do as they are told.
#![allow(
    clippy::disallowed_methods,
    reason = "threads of tests that only wait may come from anywhere"
)]

mod asked_for;
mod attempts;
mod cancel;
mod closing;
mod events;
mod places;
mod stuck;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::*;
use crate::error::{Error, Status};
use crate::sync::lock;

/// The deadline of a wait that must succeed.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn queue_with(change: impl FnOnce(&mut GateOptions)) -> ReleaseQueue {
    let mut options = GateOptions::default();
    change(&mut options);
    let supervisor = Supervisor::start(&ProcRoot::open().unwrap()).unwrap();
    ReleaseQueue::start(&supervisor, options).unwrap()
}

fn queue() -> ReleaseQueue {
    queue_with(|_| ())
}

/// Polls until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = soon();
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

type Answer = Box<dyn FnMut(u32) -> Result<Proof> + Send>;

/// A resource that answers as a closure says and counts what happens to it.
struct Scripted {
    answer: Answer,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    attempts: AtomicU32,
    drops: AtomicU32,
    /// The threads that it was released and dropped on.
    threads: Mutex<Vec<std::thread::ThreadId>>,
}

impl Record {
    fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::SeqCst)
    }

    fn drops(&self) -> u32 {
        self.drops.load(Ordering::SeqCst)
    }

    fn note_thread(&self) {
        lock(&self.threads).push(std::thread::current().id());
    }

    fn was_on_this_thread(&self) -> bool {
        lock(&self.threads).contains(&std::thread::current().id())
    }
}

impl Resource for Scripted {
    fn release(&mut self) -> Result<Proof> {
        self.record.note_thread();
        let attempt = self.record.attempts.fetch_add(1, Ordering::SeqCst) + 1;
        (self.answer)(attempt)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.record.note_thread();
        self.record.drops.fetch_add(1, Ordering::SeqCst);
    }
}

fn scripted(
    answer: impl FnMut(u32) -> Result<Proof> + Send + 'static,
) -> (Box<Scripted>, Arc<Record>) {
    let record = Arc::new(Record::default());
    let resource = Scripted {
        answer: Box::new(answer),
        record: record.clone(),
    };
    (Box::new(resource), record)
}

fn verified(_attempt: u32) -> Result<Proof> {
    Ok(Proof::Verified)
}

fn errno(os_error: i32) -> Error {
    Error::os("release()", os_error)
}

/// A resource whose release lasts until the sender is dropped or sends.
fn hanging() -> (
    Box<Scripted>,
    Arc<Record>,
    mpsc::Sender<()>,
    mpsc::Receiver<()>,
) {
    let (end, wait) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let (resource, record) = scripted(move |_| {
        let _ = begun.send(());
        let _ = wait.recv();
        Ok(Proof::Verified)
    });
    (resource, record, end, has_begun)
}

fn submit(queue: &ReleaseQueue, lane: Lane, resource: Box<Scripted>) -> Ticket {
    let reservation = queue.reserve(Kind::Chroot, "/volumes/7").unwrap();
    reservation.submit(lane, resource)
}

/// Closes the queue and finds its threads gone.
fn close(queue: &ReleaseQueue) -> Report {
    let report = queue.close(soon()).unwrap();
    assert_eq!(report.remaining, 0, "{report:?}");
    let threads = queue.0.shared.with(|state| state.workforce.threads);
    assert_eq!(threads, 0);
    report
}
