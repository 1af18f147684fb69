//! Both ways to ask for a visit: waiting for it, and being told of its end.

use std::fmt::Display;

use super::{Done, Enter, NamespaceThreads, RunId, Visit};
use crate::error::{Error, Result, Status};
use crate::trace;

impl NamespaceThreads {
    /// Runs `enter` and then `job` on a thread, and waits for them. The job's panic comes back as
    /// PANIC.
    pub(crate) fn run<R: Send>(
        &self,
        enter: impl FnOnce() -> Result<()> + Send,
        job: impl FnOnce() -> R + Send,
        trace: trace::Visit,
    ) -> Result<R> {
        let mut result = None;
        let (sender, receiver) = crossbeam_channel::bounded(1);
        {
            let slot = &mut result;
            let job: Box<dyn FnOnce() + Send + '_> = Box::new(move || *slot = Some(job()));
            let enter: Box<dyn FnOnce() -> Result<()> + Send + '_> = Box::new(enter);
            // SAFETY: what both borrow outlives them: this function returns only after `done` was
            // called, or `visit` failed, and in both cases they are gone by then.
            let (enter, job) = unsafe {
                (
                    std::mem::transmute::<Box<dyn FnOnce() -> Result<()> + Send + '_>, Enter>(
                        enter,
                    ),
                    std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Box<dyn FnOnce() + Send>>(
                        job,
                    ),
                )
            };
            self.visit(Visit {
                enter,
                job,
                done: Done::Waiter(sender),
                trace,
            })?;
        }
        self.0.for_ends.until(|| !receiver.is_empty());
        receiver
            .recv()
            .unwrap_or_else(|_| Err(Error::closed("the namespace thread is gone")))?;
        result.ok_or_else(|| Error::new(Status::Panic, "the job ended without a result"))
    }

    /// Queues a visit that the caller does not wait for; `label` is for its span. Whatever becomes of
    /// it then, `done` is told, unless it is taken back.
    pub(crate) fn start(
        &self,
        label: &dyn Display,
        enter: Enter,
        job: Box<dyn FnOnce() + Send>,
        done: Box<dyn FnOnce(Result<()>) + Send>,
    ) -> Result<RunId> {
        trace::start(label, |trace, started| {
            let teller = self.0.teller.get(&self.0.supervisor)?;
            let tracer = teller.clone();
            let callback = Box::new(move |outcome| {
                started.ended(&outcome, |what| tracer.tell(what));
                done(outcome);
            });
            self.visit(Visit {
                enter,
                job,
                done: Done::Callback { callback, teller },
                trace,
            })
        })
    }
}
