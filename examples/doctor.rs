//! Says what this machine offers to nsgate, what is used instead of what it lacks, and which limits
//! bind first. Ends with status 1, and the reason, where no gate can be opened or no chroot used.
//!
//!     sudo cargo run --example doctor
//!
//! Without root: unshare -Urm cargo run --example doctor

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nsgate::{Chroot, ChrootOptions, Event, Features, Gate, GateOptions};

#[allow(dead_code, reason = "the test suite calls examine alone")]
fn main() -> ExitCode {
    match examine(&mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

/// Writes everything that there is to say; whether nsgate works here.
pub(crate) fn examine(out: &mut impl Write) -> io::Result<bool> {
    system(out)?;
    let gate = match Gate::open(GateOptions::default()) {
        Ok(gate) => gate,
        Err(error) => {
            line(out, "gate", "none", &error.to_string())?;
            return Ok(false);
        }
    };
    features(out, gate.features())?;
    let tried = try_chroot(&gate);
    match &tried {
        Ok(event) => line(
            out,
            "chroot",
            "works",
            &format!("opened, run in, {:?}", event.outcome),
        )?,
        Err(error) => line(out, "chroot", "fails", &error.to_string())?,
    }
    Ok(tried.is_ok())
}

fn line(out: &mut impl Write, what: &str, value: &str, note: &str) -> io::Result<()> {
    let line = format!("{what:<24} {value:<16} {note}");
    writeln!(out, "{}", line.trim_end())
}

fn system(out: &mut impl Write) -> io::Result<()> {
    line(out, "kernel", &proc("sys/kernel/osrelease"), "")?;
    let is_initial = proc("self/uid_map").split_whitespace().last() == Some("4294967295");
    let (value, note) = match is_initial {
        true => ("initial", ""),
        false => ("of its own", "the end of mounts can't be proved in it"),
    };
    line(out, "user namespace", value, note)?;
    let note = "needed, in the user namespace that owns the mount namespace";
    line(out, "CAP_SYS_ADMIN", yes(has_cap_sys_admin()), note)?;
    let limits = proc("thread-self/limits");
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().next());
    let note = "descriptors: a chroot takes one, and two once code ran inside";
    line(out, "RLIMIT_NOFILE", soft.unwrap_or("?"), note)?;
    for (what, note) in [
        ("fs/mount-max", "mounts in one namespace"),
        (
            "user/max_mnt_namespaces",
            "one for each chroot that code ran in",
        ),
    ] {
        line(out, what, &proc(&format!("sys/{what}")), note)?;
    }
    Ok(())
}

fn features(out: &mut impl Write, features: &Features) -> io::Result<()> {
    let known = [
        (
            "mount_setattr",
            features.mount_setattr,
            "each chroot's namespace is made when it is opened",
        ),
        (
            "fchmodat2",
            features.fchmodat2,
            "chmod goes by the file's link in /proc",
        ),
        (
            "namespace ids",
            features.ns_id,
            "namespaces are told apart by their inodes, which are used again",
        ),
        (
            "mount proof",
            features.mount_proof,
            "that a mount is gone is reported as unverified",
        ),
        (
            "dissolving together",
            features.dissolve_together,
            "each chroot waits for a grace period of its own when it is released",
        ),
    ];
    for (what, is_there, instead) in known {
        line(
            out,
            what,
            yes(is_there),
            if is_there { "" } else { instead },
        )?;
    }
    let note = "not used: namespaces are made by moving the tree, which stays one";
    let is_there = features.open_tree_namespace;
    line(out, "OPEN_TREE_NAMESPACE", yes(is_there), note)
}

/// Opens a chroot that changes nothing, runs in it and waits for the end of its release.
fn try_chroot(gate: &Gate) -> nsgate::Result<Event> {
    let mut options = ChrootOptions::default();
    options.read_only = true;
    let chroot = Chroot::open(gate, &std::env::temp_dir(), &options)?;
    chroot.stat("/")?;
    chroot.run(|| ())?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let event = gate.releases().wait(chroot.release()?, Some(deadline))?;
    gate.close(deadline)?;
    Ok(event)
}

fn has_cap_sys_admin() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let status = proc("thread-self/status");
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok());
    mask.is_some_and(|mask| mask & CAP_SYS_ADMIN != 0)
}

fn proc(file: &str) -> String {
    match fs::read_to_string(Path::new("/proc").join(file)) {
        Ok(text) => text.trim_end().to_owned(),
        Err(error) => format!("? ({error})"),
    }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
