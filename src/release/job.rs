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
    place: Mutex<Place>,
}

/// Where a job is until it is submitted. Afterwards what is left of the reservation says the ticket.
struct Place {
    reservation: Reservation,
    resource: Option<Box<dyn Resource>>,
}

impl Job {
    pub(super) fn new(reservation: Reservation, resource: Box<dyn Resource>) -> Job {
        Job(Arc::new_cyclic(|job| Inner {
            queue: reservation.queue().clone(),
            place: Mutex::new(Place::new(job.clone(), reservation, resource)),
        }))
    }

    /// Hands the job to the queue. INVALID_STATE when it was submitted already.
    ///
    /// Any thread may call it. It waits for nothing and allocates nothing.
    pub fn submit(&self) -> Result<Ticket> {
        let mut place = lock(&self.0.place);
        let Some(resource) = place.resource.take() else {
            return Err(submitted());
        };
        place.reservation.submit_in_place(Lane::Blocking, resource);
        Ok(place.reservation.ticket())
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
        let place = lock(&self.0.place);
        match place.resource {
            Some(_) => None,
            None => Some(place.reservation.ticket()),
        }
    }

    /// Has the hook called with the job's end. ALREADY_EXISTS where there is another; INVALID_STATE
    /// when it was submitted already.
    pub(crate) fn set_hook(&self, hook: Hook) -> Result<()> {
        let place = lock(&self.0.place);
        if place.resource.is_none() {
            return Err(submitted());
        }
        if place.reservation.set_hook(hook)? {
            return Ok(());
        }
        Err(Error::new(
            Status::AlreadyExists,
            "the job is attached already",
        ))
    }
}

fn submitted() -> Error {
    Error::new(Status::InvalidState, "the job was submitted already")
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("ticket", &self.ticket())
            .finish_non_exhaustive()
    }
}

impl Place {
    fn new(job: Weak<Inner>, mut reservation: Reservation, resource: Box<dyn Resource>) -> Place {
        reservation.set_reclaim(Box::new(move |reservation, resource| match job.upgrade() {
            Some(inner) => {
                let again = Place::new(job, reservation, resource);
                *lock(&inner.place) = again;
            }
            None => reservation.discard(resource),
        }));
        Place {
            reservation,
            resource: Some(resource),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(resource) = self.resource.take() {
            self.reservation.discard_in_place(resource);
        }
    }
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
