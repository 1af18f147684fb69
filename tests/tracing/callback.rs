//! Spans of callbacks.

use nsgate::{
    Chroot, ChrootOptions, Error, Event, Result, Sandbox, SandboxMap, Status, Subscriber,
};

use crate::assert_told_from_home;
use crate::host::{Volume, close, gate, host};
use crate::recorder::{Span, recorder};

/// Fails on insert, panics on the network's release after a run in its chroot.
struct Clumsy(Chroot);

impl Subscriber<()> for Clumsy {
    fn on_insert(&self, _sandbox: &Sandbox<()>) -> Result<()> {
        Err(Error::new(Status::CallbackFailed, "no room"))
    }

    fn on_network_release(&self, _sandbox: &Sandbox<()>) -> Result<()> {
        self.0.run(|| ())?;
        panic!("clumsy");
    }
}

/// Does nothing.
struct Quiet;

impl Subscriber<()> for Quiet {
    fn on_release(&self, _sandbox: &Sandbox<()>, _event: &Event) -> Result<()> {
        Ok(())
    }
}

fn named<'a>(spans: &'a [Span], subscriber: &str, event: &str) -> &'a Span {
    let is_it = |span: &&Span| {
        span.fields.get("subscriber") == subscriber && span.fields.get("event") == event
    };
    let found: Vec<&Span> = spans.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{subscriber} {event} in {spans:?}");
    found[0]
}

#[test]
fn a_callback_says_whose_it_is_and_how_it_went() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let open = || Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    let map = SandboxMap::new(&gate);
    map.subscribe("clumsy", Clumsy(open())).unwrap();
    map.subscribe("quiet", Quiet).unwrap();
    gate.releases().subscribe(|_| ()).unwrap();
    let sandbox = map.register("sandbox-1", "life-1", ()).unwrap();
    let caller = tracing::info_span!("caller").entered();
    sandbox.mark_running().unwrap();
    let chroot = open();
    sandbox.attach(&chroot).unwrap();
    sandbox.network_released().unwrap();
    drop(caller);
    let ticket = recorder.wait_for(|seen| {
        let spans = seen.ended("callback");
        let mut releases = spans.iter();
        releases.find(|span| span.fields.get("subscriber") == "releases")?;
        let opened = seen.ended("open");
        Some(opened[1].fields.get("ticket").to_string())
    });
    let spans = recorder.seen().ended("callback");
    assert_eq!(spans.len(), 7, "{spans:?}");

    let failed = named(&spans, "clumsy", "on_insert");
    assert_eq!(failed.parent, Some("caller"));
    assert_eq!(failed.fields.get("lifecycle_id"), "life-1");
    assert_eq!(failed.fields.get("error"), "no room");
    assert_eq!(failed.fields.get("panicked"), "");
    failed.fields.number("took_us");

    let panicked = named(&spans, "clumsy", "on_network_release");
    assert_eq!(panicked.fields.get("panicked"), "true");
    assert!(panicked.fields.get("error").contains("clumsy"));
    let runs = recorder.seen().ended("run");
    assert_eq!(runs[0].parent, Some("callback"));

    let well = named(&spans, "quiet", "on_network_release");
    assert_eq!(
        (well.fields.get("error"), well.fields.get("ticket")),
        ("", "")
    );

    let told = named(&spans, "quiet", "on_release");
    assert_eq!((told.parent, told.fields.get("ticket")), (None, &*ticket));
    assert_eq!(told.fields.get("lifecycle_id"), "life-1");
    let told = named(&spans, "releases", "on_release");
    assert_eq!((told.parent, told.fields.get("ticket")), (None, &*ticket));
    assert_eq!(told.fields.get("lifecycle_id"), "");

    sandbox.mark_stopped().unwrap();
    map.close();
    drop(chroot);
    close(&gate);
    assert_told_from_home(&recorder);
}
