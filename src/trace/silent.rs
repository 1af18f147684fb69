//! Without the feature: each function does what it is about, and nothing else.

use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::release::{Event, Kind, StuckRelease, Ticket};

pub(crate) fn went_abroad() {}

pub(crate) fn came_home(_visits: usize) {}

pub(crate) struct Open;

pub(crate) fn open<R>(
    _volume: &Path,
    _options: &impl Debug,
    work: impl FnOnce(&Open) -> Result<R>,
) -> Result<R> {
    work(&Open)
}

impl Open {
    pub(crate) fn reserved(&self, _ticket: Ticket) {}
}

#[derive(Clone, Default)]
pub(crate) struct Visit(());

impl Visit {
    pub(crate) fn begins(&self) {}

    pub(crate) fn is_inside(&self) {}

    pub(crate) fn ends(&self) {}
}

pub(crate) fn run<R>(_label: &dyn Display, work: impl FnOnce(Visit) -> Result<R>) -> Result<R> {
    work(Visit(()))
}

pub(crate) struct Started;

pub(crate) fn start<R>(
    _label: &dyn Display,
    work: impl FnOnce(Visit, Started) -> Result<R>,
) -> Result<R> {
    work(Visit(()), Started)
}

impl Started {
    pub(crate) fn ended(
        self,
        _outcome: &Result<()>,
        _elsewhere: impl FnOnce(Box<dyn FnOnce() + Send>),
    ) {
    }
}

#[derive(Default)]
pub(crate) struct Release(());

impl Release {
    pub(crate) fn begin(
        &mut self,
        _ticket: Ticket,
        _kind: Kind,
        _label: &Arc<str>,
        _queued: Duration,
        _attempt: u32,
    ) {
    }

    pub(crate) fn attempt<R>(&mut self, work: impl FnOnce() -> R) -> R {
        work()
    }

    pub(crate) fn failed(&mut self, _error: &Error) {}
}

#[derive(Default)]
pub(crate) struct Endings(());

impl Endings {
    pub(crate) fn push(&mut self, _release: Release, _label: Option<&Arc<str>>, _event: Event) {}

    pub(crate) fn tell(self) {}
}

pub(crate) fn stuck(_stuck: &StuckRelease) {}

#[derive(Clone, Copy)]
pub(crate) struct Callback<'a>(PhantomData<&'a str>);

impl<'a> Callback<'a> {
    pub(crate) fn of_life(_event: &'static str, _lifecycle_id: &'a str) -> Callback<'a> {
        Callback(PhantomData)
    }

    pub(crate) fn of_release(self, _ticket: Ticket) -> Callback<'a> {
        self
    }

    pub(crate) fn of_queue(_event: &'static str) -> Callback<'a> {
        Callback(PhantomData)
    }

    pub(crate) fn during(
        self,
        _subscriber: &str,
        work: impl FnOnce() -> (Duration, Result<Result<()>>),
    ) -> (Duration, Result<Result<()>>) {
        work()
    }
}
