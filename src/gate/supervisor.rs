//! The one thread that makes every other thread of the library.
//!
//! A thread inherits namespace, root and working directory from its creator, so none may be made by
//! a thread of the host, which could stand anywhere at that moment (rule 4 of the design).

use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result, Status};
use crate::kernel::process::{self, ProcRoot};
use crate::kernel::{cancellation, signals};

/// What a library thread does.
pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// The supervisor makes a thread for it. It runs nothing itself: who asks for a thread waits for it.
struct Request {
    name: &'static str,
    body: Body,
    reply: mpsc::SyncSender<Result<()>>,
}

/// A handle to the supervisor thread, which ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Supervisor {
    requests: mpsc::Sender<Request>,
}

impl Supervisor {
    /// Starts the thread; INVALID_STATE when the caller stands elsewhere than the process's leader.
    pub(crate) fn start(proc: &ProcRoot) -> Result<Supervisor> {
        for (own, leader, what) in [
            (c"thread-self/ns/mnt", c"self/ns/mnt", "mount namespace"),
            (c"thread-self/root", c"self/root", "root"),
        ] {
            let flags = if what == "root" {
                libc::O_PATH
            } else {
                libc::O_RDONLY
            };
            let own = process::place(proc.open_at(own, flags)?.as_fd())?;
            let leader = process::place(proc.open_at(leader, flags)?.as_fd())?;
            if own != leader {
                return Err(Error::new(
                    Status::InvalidState,
                    format!("this thread has another {what} than the process"),
                ));
            }
        }
        let (requests, inbox) = mpsc::channel();
        spawn("nsgate", Box::new(move || serve(&inbox)))?;
        Ok(Supervisor { requests })
    }

    /// One that can make no thread.
    #[cfg(test)]
    pub(crate) fn without_thread() -> Supervisor {
        Supervisor {
            requests: mpsc::channel().0,
        }
    }

    /// Starts a thread whose signals are blocked, and that can't be cancelled. `name` has 15 bytes at most.
    pub(crate) fn spawn(&self, name: &'static str, body: Body) -> Result<()> {
        let (reply, answer) = mpsc::sync_channel(1);
        let gone = || Error::closed("the supervisor thread is gone");
        self.requests
            .send(Request { name, body, reply })
            .map_err(|_| gone())?;
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }
}

/// Has a thread made in place of the calling one, which is lost: however long it takes until one can be.
pub(crate) fn insist(start: impl Fn() -> Result<()>) {
    const PAUSE: Duration = Duration::from_millis(20);
    while start().is_err() {
        thread::sleep(PAUSE);
    }
}

fn serve(inbox: &mpsc::Receiver<Request>) {
    for Request { name, body, reply } in inbox {
        // Nobody listens when the asking thread was killed; the new thread is on its own then.
        drop(reply.send(spawn(name, body)));
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place where threads are made"
)]
fn spawn(name: &'static str, body: Body) -> Result<()> {
    let builder = thread::Builder::new().name(name.to_string());
    let thread = move || {
        signals::block();
        cancellation::refuse();
        body();
    };
    match builder.spawn(thread) {
        Ok(_detached) => Ok(()),
        Err(error) => Err(Error::os(
            format!("clone({name:?})"),
            error.raw_os_error().unwrap_or(libc::EAGAIN),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_the_supervisor_runs_its_body() {
        let supervisor = Supervisor::start(&ProcRoot::open().unwrap()).unwrap();
        let (sender, receiver) = mpsc::channel();
        supervisor
            .spawn("nsgate-test", Box::new(move || sender.send(7).unwrap()))
            .unwrap();
        assert_eq!(receiver.recv().unwrap(), 7);
    }
}
