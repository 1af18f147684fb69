//! What the tests of file operations share: a chroot on a volume of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use nsgate::{Chroot, ChrootOptions, Gate, OpenOptions, Result};

use crate::host::{self, Host, Volume};

/// Fields are dropped in this order: the chroot before its gate, the host's check last.
pub(crate) struct Files {
    pub(crate) chroot: Chroot,
    gate: Gate,
    pub(crate) volume: Volume,
    _host: Host,
}

impl Files {
    pub(crate) fn new() -> Files {
        Files::with_options(&ChrootOptions::default())
    }

    pub(crate) fn with_options(options: &ChrootOptions) -> Files {
        let _host = host::host();
        let volume = Volume::new();
        let gate = host::gate();
        let chroot = Chroot::open(&gate, volume.path(), options).unwrap();
        Files {
            chroot,
            gate,
            volume,
            _host,
        }
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let file = self.chroot.create(path, 0o644).unwrap();
        File::from(file).write_all(content.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        content(
            self.chroot
                .open_file(path, OpenOptions::new(libc::O_RDONLY)),
        )
    }

    /// The names in a directory, sorted.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .chroot
            .read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().name.into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // A second release is refused, by a test that made the first one itself.
        let _ = self.chroot.release();
        if !std::thread::panicking() {
            host::close(&self.gate);
        }
    }
}

pub(crate) fn content(file: Result<OwnedFd>) -> String {
    let mut content = String::new();
    File::from(file.unwrap())
        .read_to_string(&mut content)
        .unwrap();
    content
}

/// The errno of a call that has to fail.
#[track_caller]
pub(crate) fn errno<T>(result: Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.os_error().unwrap_or_else(|| panic!("{error}")),
    }
}
