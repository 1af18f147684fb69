//! A job that does as its script says, and says what happens to it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use nsgate::{Error, Result, Status};

use super::Attempt;

/// Doors that a job holds at: each that is opened lets it through once.
#[derive(Default)]
pub(super) struct Doors {
    open: Mutex<usize>,
    changed: Condvar,
}

impl Doors {
    pub(super) fn open(&self, count: usize) {
        let mut open = self.open.lock().unwrap();
        *open = open.saturating_add(count);
        self.changed.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap();
        let mut open = self.changed.wait_while(open, |open| *open == 0).unwrap();
        *open -= 1;
    }
}

/// What is known of the job from outside.
#[derive(Clone, Default)]
pub(super) struct Traces {
    pub(super) doors: Arc<Doors>,
    pub(super) dropped: Arc<AtomicUsize>,
    pub(super) ran: Arc<AtomicUsize>,
}

/// Says that the job is gone.
struct Dropped {
    dropped: Arc<AtomicUsize>,
    running: Arc<AtomicBool>,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        // A payload that no test expects fails it, even when it is caught.
        assert!(!self.running.load(Ordering::SeqCst), "dropped while it ran");
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) fn scripted(
    script: &[Attempt],
    traces: &Traces,
) -> impl FnMut() -> Result<()> + Send + 'static {
    let running = Arc::new(AtomicBool::new(false));
    let gone = Dropped {
        dropped: traces.dropped.clone(),
        running: running.clone(),
    };
    let (doors, ran) = (traces.doors.clone(), traces.ran.clone());
    let mut script: VecDeque<Attempt> = script.iter().copied().collect();
    move || {
        let _keep = &gone;
        assert!(
            !running.swap(true, Ordering::SeqCst),
            "two attempts at once"
        );
        ran.fetch_add(1, Ordering::SeqCst);
        let mut step = script.pop_front();
        while step == Some(Attempt::Hold) {
            doors.pass();
            step = script.pop_front();
        }
        running.store(false, Ordering::SeqCst);
        match step {
            None | Some(Attempt::Succeed | Attempt::Hold) => Ok(()),
            Some(Attempt::Fail(os_error)) => Err(Error::os("scripted()", os_error)),
            Some(Attempt::Refuse) => Err(Error::new(Status::CallbackFailed, "scripted")),
            // Without the message that the hook of a plain panic prints.
            Some(Attempt::Panic) => std::panic::resume_unwind(Box::new("scripted")),
        }
    }
}
