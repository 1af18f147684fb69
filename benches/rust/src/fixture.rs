//! The volume that is measured on: a tmpfs, mounted in the benchmark's own namespace.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::bare::check;

pub struct Fixture {
    scratch: PathBuf,
}

/// Paths of one file at depth 1, 4 and 16, relative to the volume.
pub const DEPTHS: [(usize, &str); 3] = [
    (1, "file"),
    (4, "a/b/c/file"),
    (16, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/file"),
];

impl Fixture {
    pub fn new() -> io::Result<Fixture> {
        let scratch = std::env::temp_dir().join(format!("nsgate-bench.{}", std::process::id()));
        fs::create_dir(&scratch)?;
        let fixture = Fixture { scratch };
        mount(c"tmpfs", &fixture.scratch, Some(c"tmpfs"), 0)?;
        for (_, path) in DEPTHS {
            let path = fixture.volume().join(path);
            fs::create_dir_all(path.parent().expect("a file in the volume"))?;
            fs::write(path, "content")?;
        }
        for (count, name) in [(100, "hundred"), (10_000, "ten-thousand")] {
            let directory = fixture.volume().join(name);
            fs::create_dir(&directory)?;
            for i in 0..count {
                fs::write(directory.join(format!("entry-{i:05}")), "")?;
            }
        }
        Ok(fixture)
    }

    pub fn volume(&self) -> PathBuf {
        self.scratch.join("volume")
    }

    /// Adds bind mounts until the namespace has `count` mounts, and says how many it has. They lie on
    /// a mount of their own, or on the same as the volume.
    pub fn fill_mount_table(&self, count: usize, place: Place) -> io::Result<usize> {
        let directory = match place {
            Place::Elsewhere => self.scratch.join("elsewhere"),
            Place::BesideTheVolume => self.scratch.join("beside"),
        };
        if !directory.exists() {
            fs::create_dir(&directory)?;
            if matches!(place, Place::Elsewhere) {
                mount(c"tmpfs", &directory, Some(c"tmpfs"), 0)?;
            }
        }
        for i in count_mounts()?..count {
            let target = directory.join(i.to_string());
            fs::create_dir(&target)?;
            mount(&c_path(&target)?, &target, None, libc::MS_BIND)?;
        }
        count_mounts()
    }
}

/// Where further mounts are made.
#[derive(Clone, Copy)]
pub enum Place {
    Elsewhere,
    /// The kernel looks at each when it copies the tree of the volume (copy_tree).
    BesideTheVolume,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // The mounts end with the namespace; the directory below them is the host's.
        if let Ok(path) = c_path(&self.scratch) {
            // SAFETY: a NUL-terminated path.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
        if let Err(error) = fs::remove_dir(&self.scratch) {
            eprintln!("{}: {error}", self.scratch.display());
        }
    }
}

fn count_mounts() -> io::Result<usize> {
    Ok(fs::read_to_string("/proc/thread-self/mountinfo")?
        .lines()
        .count())
}

pub fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn mount(
    source: &std::ffi::CStr,
    target: &Path,
    kind: Option<&std::ffi::CStr>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let target = c_path(target)?;
    let kind = kind.map_or(std::ptr::null(), |kind| kind.as_ptr());
    // SAFETY: NUL-terminated strings or null, where mount(2) allows it.
    check(unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind,
            flags,
            std::ptr::null(),
        )
    } as i64)?;
    Ok(())
}
