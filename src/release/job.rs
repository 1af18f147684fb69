//! Work that the host hands over: its own jobs, descriptors, unmounts.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Weak};

use super::ReleaseQueue;
use super::outcome::{Proof, Ticket};
use super::reservation::Reservation;
use super::resource::{Hook, Lane, Resource};
use crate::error::{Error, Result, Status};
use crate::kernel::close::close;
use crate::sync::lock;

/// Something with a reserved place in the queue that the host submits when its time has come.
///
/// A cheap handle. When the last one is dropped before the submit, what it stands for is dropped by
/// a worker (a descriptor is closed, a job is not run) and the place is given back.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// use nsgate::{Kind, Outcome, Proof};
///
/// // The place in the queue is taken now, so that the submit can't fail for lack of one.
/// let job = gate.releases().reserve_job("tell the billing", || Ok(()))?;
/// let ticket = job.submit()?;
/// let event = gate.releases().wait(ticket, None)?;
/// assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
/// assert_eq!(event.kind, Kind::Job);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Job(Arc<Inner>);

struct Inner {
    queue: ReleaseQueue,
    state: Mutex<State>,
}

enum State {
    Reserved(Reservation, Box<dyn Resource>),
    Submitted(Ticket),
}

impl Job {
    pub(super) fn new(reservation: Reservation, resource: Box<dyn Resource>) -> Job {
        Job(Arc::new_cyclic(|job| Inner {
            queue: reservation.queue().clone(),
            state: Mutex::new(reserved(job.clone(), reservation, resource)),
        }))
    }

    /// Hands the job to the queue. INVALID_STATE when it was submitted already.
    ///
    /// Any thread may call it. It waits for nothing and allocates nothing.
    pub fn submit(&self) -> Result<Ticket> {
        let mut state = lock(&self.0.state);
        let ticket = match &*state {
            State::Reserved(reservation, _) => reservation.ticket(),
            State::Submitted(_) => {
                return Err(Error::new(
                    Status::InvalidState,
                    "the job was submitted already",
                ));
            }
        };
        if let State::Reserved(reservation, resource) =
            std::mem::replace(&mut *state, State::Submitted(ticket))
        {
            reservation.submit(Lane::Blocking, resource);
        }
        Ok(ticket)
    }

    /// Takes a submitted job back: it is as before its submit. INVALID_STATE when it was not
    /// submitted, has started or has ended.
    pub fn cancel(&self) -> Result<()> {
        match self.ticket() {
            Some(ticket) => self.0.queue.cancel(ticket),
            None => Err(Error::new(
                Status::InvalidState,
                "the job was not submitted",
            )),
        }
    }

    /// The ticket of the release, once it is submitted.
    pub fn ticket(&self) -> Option<Ticket> {
        match *lock(&self.0.state) {
            State::Reserved(..) => None,
            State::Submitted(ticket) => Some(ticket),
        }
    }

    /// Has the hook called with the job's end. ALREADY_EXISTS where there is another; INVALID_STATE
    /// when it was submitted already.
    pub(crate) fn set_hook(&self, hook: Hook) -> Result<()> {
        match &mut *lock(&self.0.state) {
            State::Reserved(reservation, _) => {
                if reservation.has_hook() {
                    return Err(Error::new(
                        Status::AlreadyExists,
                        "the job is attached already",
                    ));
                }
                reservation.set_hook(hook);
                Ok(())
            }
            State::Submitted(_) => Err(Error::new(
                Status::InvalidState,
                "the job was submitted already",
            )),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("ticket", &self.ticket())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let state = state.unwrap_or_else(|poisoned| poisoned.into_inner());
        let unknown = State::Submitted(Ticket::from_raw(0));
        if let State::Reserved(reservation, resource) = std::mem::replace(state, unknown) {
            reservation.discard(resource);
        }
    }
}

fn reserved(job: Weak<Inner>, mut reservation: Reservation, resource: Box<dyn Resource>) -> State {
    reservation.set_reclaim(Box::new(move |reservation, resource| match job.upgrade() {
        Some(inner) => {
            let again = reserved(job, reservation, resource);
            *lock(&inner.state) = again;
        }
        None => reservation.discard(resource),
    }));
    State::Reserved(reservation, resource)
}

/// The host's own work.
pub(super) struct HostJob<F>(pub(super) F);

impl<F: FnMut() -> Result<()> + Send + 'static> Resource for HostJob<F> {
    fn release(&mut self) -> Result<Proof> {
        (self.0)()?;
        Ok(Proof::Unverified)
    }
}

/// A descriptor of the host's.
pub(super) struct Descriptor(pub(super) Option<OwnedFd>);

impl Resource for Descriptor {
    fn release(&mut self) -> Result<Proof> {
        if let Some(descriptor) = self.0.take() {
            close(descriptor)?;
        }
        Ok(Proof::Unverified)
    }
}
