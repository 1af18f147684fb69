//! Spans of opens.

use nsgate::{Chroot, ChrootOptions, MountNamespace};

use crate::assert_told_from_home;
use crate::host::{Volume, close, gate, host};
use crate::recorder::recorder;

#[test]
fn an_open_says_what_was_opened_and_how() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let mut options = ChrootOptions::default();
    options.noexec = true;
    let caller = tracing::info_span!("caller");
    let chroot = caller.in_scope(|| Chroot::open(&gate, volume.path(), &options).unwrap());
    let ticket = chroot.release().unwrap();
    let opened = recorder.seen().ended("open");
    let [open] = opened.as_slice() else {
        panic!("{opened:?}")
    };
    assert_eq!(open.parent, Some("caller"));
    assert_eq!(open.fields.get("volume"), volume.path().to_str().unwrap());
    assert!(open.fields.get("options").contains("noexec: true"));
    assert_eq!(open.fields.number("ticket"), ticket.as_raw());
    assert_eq!(open.fields.get("error"), "");
    close(&gate);
    assert_told_from_home(&recorder);
}

#[test]
fn an_open_that_fails_says_why() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    volume.file("file", "x");
    let path = volume.path().join("file");
    let error = Chroot::open(&gate, &path, &ChrootOptions::default()).unwrap_err();
    let opened = recorder.seen().ended("open");
    let [open] = opened.as_slice() else {
        panic!("{opened:?}")
    };
    assert_eq!(open.fields.get("error"), error.to_string());
    assert_eq!(open.fields.number("errno"), libc::ENOTDIR as u64);
    close(&gate);
}

#[test]
fn nothing_is_told_between_enter_and_restore() {
    let _host = host();
    let (gate, volume, recorder) = (gate(), Volume::new(), recorder());
    let namespace = MountNamespace::create(&gate).unwrap();
    let open = || Chroot::open(&gate, volume.path(), &ChrootOptions::default()).unwrap();
    std::thread::scope(|scope| {
        let entering = scope.spawn(|| {
            let outer = namespace.enter().unwrap();
            let inner = namespace.enter().unwrap();
            inner.restore().unwrap();
            drop(open());
            let own = std::thread::current().id();
            assert!(!recorder.seen().threads.contains(&own));
            outer.restore().unwrap();
            drop(open());
        });
        entering.join().unwrap();
    });
    assert_eq!(recorder.seen().ended("open").len(), 1);
    drop(namespace);
    close(&gate);
    assert_told_from_home(&recorder);
}
