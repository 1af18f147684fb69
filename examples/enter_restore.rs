//! Puts this thread into other mount namespaces and brings it back: namespace, root and working
//! directory, from nested visits too.
//!
//!     sudo cargo run --example enter_restore
//!
//! Without root: unshare -Urm cargo run --example enter_restore

#![allow(
    clippy::disallowed_methods,
    reason = "the program's own process and namespaces"
)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nsgate::{Gate, GateOptions, MountNamespace};

fn main() -> Result<(), Box<dyn Error>> {
    let gate = Gate::open(GateOptions::default())?;
    std::env::set_current_dir(std::env::temp_dir())?;
    let before = Standing::now()?;
    println!(
        "{:<30} {:<18} {:<6} {:<10} note",
        "", "namespace", "root", "cwd"
    );
    before.print("outside", "");

    // A private copy of this namespace: what is mounted in it shows nowhere else.
    let first = MountNamespace::create(&gate)?;
    let second = MountNamespace::create(&gate)?;

    let entered = first.enter()?;
    mount_tmpfs("/tmp")?;
    std::fs::write("/tmp/only-here", "a file that the host never sees")?;
    Standing::now()?.print("in the first", has_file());

    // Guards are bound to the thread and restored last in, first out.
    let nested = second.enter()?;
    Standing::now()?.print("in the second, from the first", has_file());
    nested.restore()?;
    Standing::now()?.print("back in the first", has_file());

    entered.restore()?;
    let after = Standing::now()?;
    after.print("outside again", has_file());
    assert_eq!(
        after, before,
        "namespace, root and working directory are as before"
    );

    // The short form: a job on a namespace thread; this thread does not move at all.
    let found = first.run(|| std::fs::read_to_string("/tmp/only-here"))??;
    println!("\nrun() in the first namespace read: {found:?}");

    first.release()?;
    second.release()?;
    let report = gate.close(Instant::now() + Duration::from_secs(10))?;
    println!(
        "released {}, remaining {}",
        report.released, report.remaining
    );
    Ok(())
}

/// Where a thread stands.
#[derive(PartialEq, Debug)]
struct Standing {
    namespace: PathBuf,
    root: PathBuf,
    directory: PathBuf,
}

impl Standing {
    fn now() -> std::io::Result<Standing> {
        // Not /proc/self: that is the process's first thread.
        let link = |name: &str| std::fs::read_link(format!("/proc/thread-self/{name}"));
        Ok(Standing {
            namespace: link("ns/mnt")?,
            root: link("root")?,
            directory: link("cwd")?,
        })
    }

    fn print(&self, place: &str, note: &str) {
        println!(
            "{place:<30} {:<18} {:<6} {:<10} {note}",
            self.namespace.display(),
            self.root.display(),
            self.directory.display()
        );
    }
}

fn has_file() -> &'static str {
    match Path::new("/tmp/only-here").exists() {
        true => "/tmp/only-here is there",
        false => "/tmp/only-here is not there",
    }
}

fn mount_tmpfs(on: &str) -> nix::Result<()> {
    let flags = nix::mount::MsFlags::MS_NOSUID | nix::mount::MsFlags::MS_NODEV;
    nix::mount::mount(Some("tmpfs"), on, Some("tmpfs"), flags, None::<&str>)
}
