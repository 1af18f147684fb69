//! A kernel, or a filter, without openat2: no gate, rather than a weaker way to look paths up.

use nsgate::{Gate, GateOptions, Status};

use crate::forbid::without;
use crate::host::host;

#[test]
fn without_openat2_there_is_no_gate() {
    let _host = host();
    let opened = without(libc::SYS_openat2, || {
        Gate::open(GateOptions::default()).map(drop)
    });
    let error = opened.unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert_eq!(error.os_error(), Some(libc::ENOSYS));
    assert!(error.to_string().contains("openat2"), "{error}");
}
