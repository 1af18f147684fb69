//! A layer that remembers all that the library tells, and from where.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::thread::ThreadId;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::host::{LONG, standing};

/// One span.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: Fields,
    pub(crate) closed: bool,
}

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) level: Level,
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: Fields,
}

/// Fields as they print.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    /// A field's value; "" where it was not recorded.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        let value = self.get(name);
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {value:?} in {self:?}"))
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_string());
    }
}

#[derive(Default)]
pub(crate) struct Seen {
    spans: Vec<(Id, Span)>,
    pub(crate) events: Vec<Told>,
    /// Who was the subscriber called by.
    pub(crate) threads: Vec<ThreadId>,
    /// Calls from threads that stood elsewhere than the process.
    pub(crate) abroad: Vec<[PathBuf; 3]>,
}

impl Seen {
    /// The spans of this name that have ended.
    pub(crate) fn ended(&self, name: &str) -> Vec<Span> {
        let spans = self.spans.iter().map(|(_, span)| span);
        spans
            .filter(|span| span.closed && span.name == name)
            .cloned()
            .collect()
    }

    /// The release with this ticket, once it has ended.
    pub(crate) fn release(&self, ticket: nsgate::Ticket) -> Option<Span> {
        let ticket = ticket.as_raw().to_string();
        let mut releases = self.ended("release").into_iter();
        releases.find(|span| span.fields.get("ticket") == ticket)
    }

    pub(crate) fn messages(&self) -> Vec<&str> {
        let messages = self.events.iter().map(|event| event.fields.get("message"));
        messages.collect()
    }
}

struct Shared {
    home: [PathBuf; 3],
    seen: Mutex<Seen>,
    changed: Condvar,
    panics: AtomicBool,
}

/// The process's only subscriber: threads of the library have no other.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Shared>);

static RECORDER: LazyLock<Recorder> = LazyLock::new(|| {
    let recorder = Recorder(Arc::new(Shared {
        home: standing(),
        seen: Mutex::default(),
        changed: Condvar::new(),
        panics: AtomicBool::new(false),
    }));
    let subscriber = Registry::default().with(recorder.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    recorder
});

/// A recorder that has seen nothing. The tests take turns.
pub(crate) fn recorder() -> Recorder {
    let recorder = RECORDER.clone();
    *recorder.seen() = Seen::default();
    recorder
}

impl Recorder {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits until `look` finds what it is for.
    pub(crate) fn wait_for<R>(&self, mut look: impl FnMut(&Seen) -> Option<R>) -> R {
        let mut found = None;
        let seen = self.seen();
        let condition = |seen: &mut Seen| {
            found = look(seen);
            found.is_none()
        };
        let waited = self.0.changed.wait_timeout_while(seen, LONG, condition);
        drop(waited);
        found.expect("the library tells what the test waits for")
    }

    /// Whether every call panics after it was recorded.
    pub(crate) fn panics(&self, panics: bool) {
        self.0.panics.store(panics, SeqCst);
    }

    fn called(&self, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen();
        seen.threads.push(std::thread::current().id());
        // Inside a volume there is no /proc to ask.
        let there = std::panic::catch_unwind(standing).unwrap_or_default();
        if there != self.0.home {
            seen.abroad.push(there);
        }
        change(&mut seen);
        drop(seen);
        self.0.changed.notify_all();
        assert!(!self.0.panics.load(SeqCst), "the subscriber panics");
    }
}

fn of_library(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.target() == "nsgate"
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !of_library(attributes.metadata()) {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|span| span.parent());
        let span = Span {
            name: attributes.metadata().name(),
            parent: parent.map(|parent| parent.name()),
            fields,
            closed: false,
        };
        self.called(|seen| seen.spans.push((id.clone(), span)));
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if !context
            .span(id)
            .is_some_and(|span| of_library(span.metadata()))
        {
            return;
        }
        self.called(|seen| {
            // An id may come again after its span was closed.
            let mut spans = seen.spans.iter_mut().rev();
            if let Some((_, span)) = spans.find(|(own, _)| own == id) {
                record.record(&mut span.fields);
            }
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let told = Told {
            level: *event.metadata().level(),
            parent: context.event_span(event).map(|span| span.name()),
            fields,
        };
        self.called(|seen| seen.events.push(told));
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if context
            .span(id)
            .is_some_and(|span| of_library(span.metadata()))
        {
            self.called(|_| ());
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.on_enter(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if !context
            .span(&id)
            .is_some_and(|span| of_library(span.metadata()))
        {
            return;
        }
        self.called(|seen| {
            let mut spans = seen.spans.iter_mut().rev();
            if let Some((_, span)) = spans.find(|(own, _)| *own == id) {
                span.closed = true;
            }
        });
    }
}
