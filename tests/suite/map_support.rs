//! What the tests of the sandbox map share.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Instant;

use nsgate::{Error, Event, Gate, Job, Result, Sandbox, SandboxMap, Status, Subscriber};

use crate::host::soon;

pub(crate) type Map = SandboxMap<&'static str>;
pub(crate) type Life = Sandbox<&'static str>;

/// Waits, within bounds, until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = soon();
    while !is_so() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn register(map: &Map, sandbox_id: &str, lifecycle_id: &str) -> Life {
    let registered = map.register(sandbox_id, lifecycle_id, "value");
    registered.map_err(|(error, _)| error).unwrap()
}

pub(crate) fn address(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

pub(crate) fn status<T: std::fmt::Debug>(result: Result<T>) -> Status {
    result.unwrap_err().status()
}

/// A job that counts its runs.
pub(crate) fn counting_job(gate: &Gate, runs: &Arc<Mutex<u32>>) -> Job {
    let runs = Arc::clone(runs);
    let job = move || {
        *runs.lock().unwrap() += 1;
        Ok(())
    };
    gate.releases().reserve_job("counting", job).unwrap()
}

/// What a subscriber was called for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Seen {
    pub(crate) by: &'static str,
    pub(crate) what: &'static str,
    pub(crate) lifecycle: String,
    pub(crate) thread: ThreadId,
}

type OnCall = dyn Fn(&'static str, &Life) -> Result<()> + Send + Sync;

/// Notes every call; `on_call` may do more.
pub(crate) struct Recorder {
    name: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    on_call: Box<OnCall>,
}

pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;

impl Recorder {
    pub(crate) fn new(name: &'static str, seen: &Log) -> Recorder {
        Recorder::with(name, seen, |_, _| Ok(()))
    }

    pub(crate) fn with(
        name: &'static str,
        seen: &Log,
        on_call: impl Fn(&'static str, &Life) -> Result<()> + Send + Sync + 'static,
    ) -> Recorder {
        Recorder {
            name,
            seen: Arc::clone(seen),
            on_call: Box::new(on_call),
        }
    }

    fn note(&self, what: &'static str, sandbox: &Life) -> Result<()> {
        self.seen.lock().unwrap().push(Seen {
            by: self.name,
            what,
            lifecycle: sandbox.lifecycle_id().to_string(),
            thread: std::thread::current().id(),
        });
        (self.on_call)(what, sandbox)
    }
}

impl Subscriber<&'static str> for Recorder {
    fn on_insert(&self, sandbox: &Life) -> Result<()> {
        self.note("insert", sandbox)
    }

    fn on_network_release(&self, sandbox: &Life) -> Result<()> {
        self.note("network release", sandbox)
    }

    fn on_release(&self, sandbox: &Life, _event: &Event) -> Result<()> {
        self.note("release", sandbox)
    }
}

/// Who was called for what, without the threads.
pub(crate) fn calls(log: &Log) -> Vec<(&'static str, &'static str, String)> {
    let seen = log.lock().unwrap();
    let calls = seen
        .iter()
        .map(|one| (one.by, one.what, one.lifecycle.clone()));
    calls.collect()
}

pub(crate) fn failure() -> Error {
    Error::new(Status::CallbackFailed, "as the test wants it")
}
