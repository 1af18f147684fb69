//! What is compared of an answer, as text. Inode numbers and the clock differ between the two trees.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// A time that an operation set is told exactly, one that the clock set is not.
pub(crate) fn time(seconds: i64, nanoseconds: i64) -> String {
    match seconds {
        ..1_000_000_000 => format!("{seconds}.{nanoseconds:0>9}"),
        _ => "now".into(),
    }
}

pub(crate) fn errno(number: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(number))
}

/// Uses an open descriptor: its flags, what it is, its content, and a write that leaves a mark.
pub(crate) fn opened(fd: OwnedFd, number: u32) -> String {
    let flags = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    let close = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    let mut file = File::from(fd);
    let metadata = file.metadata().unwrap();
    let mut answer = format!(
        "flags {flags:#o} cloexec {close} mode {:#o} owner {}:{} size {}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.size(),
    );
    if metadata.is_file() && flags & libc::O_PATH == 0 {
        let mut content = vec![0; 64];
        match file.read(&mut content) {
            Ok(length) => answer += &format!(" read {}", content[..length].escape_ascii()),
            Err(error) => answer += &format!(" read {}", errno(error.raw_os_error().unwrap())),
        }
        match file.write(format!("<{number}>").as_bytes()) {
            Ok(length) => answer += &format!(" wrote {length}"),
            Err(error) => answer += &format!(" write {}", errno(error.raw_os_error().unwrap())),
        }
    }
    // O_TMPFILE has no name to be found by later.
    answer + &format!(" at {}", position(&file))
}

fn position(file: &File) -> i64 {
    // SAFETY: an open descriptor.
    unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_CUR) }
}
