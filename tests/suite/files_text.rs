//! What a customer's names look like in messages and reports: one line each, and no long one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nsgate::{Chroot, ChrootOptions, Error};

use crate::differential::user::{AsUser, user};
use crate::files::Files;

const FORGED: &str = "a\nERROR forged \x1b[2J";

#[track_caller]
fn is_one_short_line(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 4096, "{} bytes", text.len());
}

#[test]
fn a_name_forges_no_line_of_a_log() {
    let files = Files::new();
    files.write(FORGED, "");
    files.chroot.chmod(FORGED, 0o444).unwrap();
    let refused = {
        let _user = AsUser::new(user());
        files.chroot.truncate(FORGED, 1).unwrap_err()
    };
    assert_eq!(refused.os_error(), Some(libc::EACCES));
    is_one_short_line(&refused);
    let options = ChrootOptions::default();
    // A file is none.
    is_one_short_line(&files.chroot.open_chroot(FORGED, &options).unwrap_err());
    let gate = files.chroot.gate();
    let missing = files.volume.path().join(FORGED).join("missing");
    is_one_short_line(&Chroot::open(gate, &missing, &options).unwrap_err());
}

#[test]
fn nor_does_a_label() {
    let files = Files::new();
    let name = OsStr::from_bytes(b"dir\n\xff");
    files.chroot.mkdir(name, 0o755).unwrap();
    let inner = files.chroot.open_chroot(name, &ChrootOptions::default());
    let inner = inner.unwrap();
    assert_eq!(inner.volume(), Path::new(name));
    let (go, waits) = mpsc::channel::<()>();
    inner
        .before_release(move || {
            // Until the other end is dropped.
            let _ = waits.recv();
            Ok(())
        })
        .unwrap();
    inner.release().unwrap();
    let releases = files.chroot.gate().releases();
    let report = releases.drain(Instant::now() + Duration::from_millis(1));
    assert_eq!(report.unwrap().items[0].label, "dir\\n\u{fffd}");
    drop(go);
}

#[test]
fn a_path_of_megabytes_makes_a_short_message() {
    let files = Files::new();
    let long = "n/".repeat(1 << 21);
    let options = ChrootOptions::default();
    let errors = [
        files.chroot.open_chroot(&long, &options).unwrap_err(),
        Chroot::open(files.chroot.gate(), long.as_ref(), &options).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.os_error(), Some(libc::ENAMETOOLONG));
        is_one_short_line(&error);
    }
    let empty = files.chroot.open_chroot("", &options).unwrap_err();
    assert_eq!(empty.os_error(), Some(libc::ENOENT));
}
