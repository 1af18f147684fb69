//! The interface of the release queue, until the queue itself arrives in a later commit (on a conflict
//! take the side of the queue).
use crate::{
    error::*,
    gate::{GateOptions, supervisor::Supervisor},
};
use std::{os::fd::BorrowedFd, path::Path, sync::Arc, time::*};
pub enum Kind {
    Chroot,
    MountNamespace,
}
pub(crate) enum Lane {
    Native,
}
pub enum Proof {
    Unverified,
}
pub struct Event;
#[derive(Clone, Debug)]
pub struct RetryOptions {
    pub attempts: u32,
}
impl Default for RetryOptions {
    fn default() -> Self {
        RetryOptions { attempts: 1 }
    }
}
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);
impl Ticket {
    pub fn as_raw(self) -> u64 {
        self.0
    }
    pub fn from_raw(r: u64) -> Ticket {
        Ticket(r)
    }
}
#[derive(Debug)]
pub struct Report {
    pub remaining: u64,
}
pub struct Stats;
#[derive(Clone)]
pub struct ReleaseQueue;
pub(crate) struct Reservation;
pub(crate) trait Resource: Send + std::any::Any {
    fn release(&mut self) -> Result<Proof>;
    fn path(&self) -> Option<&Path> {
        None
    }
}
pub(crate) type Hook = Arc<dyn Fn(&Event) + Send + Sync>;
pub(crate) type BeforeRelease = Box<dyn FnMut() -> Result<()> + Send>;
pub(crate) type Reclaim = Box<dyn FnOnce(Reservation, Box<dyn Resource>) + Send>;
#[derive(Clone)]
pub(crate) struct MountProof;
pub(crate) struct Mark;
impl MountProof {
    pub fn mark(&self, _: BorrowedFd<'_>) -> Option<Mark> {
        None
    }
    pub fn outcome(&self, _: Option<Mark>) -> Proof {
        Proof::Unverified
    }
}
impl Reservation {
    pub fn ticket(&self) -> Ticket {
        Ticket(1)
    }
    pub fn submit(self, _: Lane, _: Box<dyn Resource>) -> Ticket {
        Ticket(1)
    }
    pub fn set_hook(&mut self, _: Hook) {}
    pub fn set_before_release(&mut self, _: BeforeRelease) {}
    pub fn set_reclaim(&mut self, _: Reclaim) {}
}
impl ReleaseQueue {
    pub fn wait(&self, _: Ticket, _: Option<Instant>) -> Result<()> {
        Ok(())
    }
    pub(crate) fn start(_: &Supervisor, _: &GateOptions) -> Result<Self> {
        Ok(Self)
    }
    pub fn can_prove_mounts(&self) -> bool {
        false
    }
    pub(crate) fn mount_proof(&self) -> MountProof {
        MountProof
    }
    pub(crate) fn reserve(&self, _: Kind, _: &str) -> Result<Reservation> {
        Ok(Reservation)
    }
    pub(crate) fn announce(&self, _: Ticket) {}
    pub fn cancel(&self, _: Ticket) -> Result<()> {
        Ok(())
    }
    pub fn stats(&self) -> Stats {
        Stats
    }
    pub fn close(&self, _: Instant) -> Result<Report> {
        Ok(Report { remaining: 0 })
    }
    pub(crate) fn finish(&self) {}
}
