//! What the feature `tracing` tells: one program, run with one test thread in a mount namespace of
//! its own, whose only subscriber looks at where it is called, too.
#![allow(clippy::disallowed_methods, missing_docs)]

mod callback;
#[path = "../suite/host.rs"]
#[allow(dead_code, reason = "shared with the behaviour tests")]
mod host;
mod open;
mod recorder;
mod release;
mod run;

/// The library's threads stood where the process does whenever they told something.
fn assert_told_from_home(recorder: &recorder::Recorder) {
    let seen = recorder.seen();
    assert!(!seen.threads.is_empty());
    assert!(seen.abroad.is_empty(), "{:?}", seen.abroad);
}
