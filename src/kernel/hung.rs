//! What a thread of this process hangs in, as far as /proc tells.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;

use crate::kernel::process::ProcRoot;

/// System call, wait channel and innermost kernel functions of a thread, in words. What can't be
/// read (the stack is for root only) is left out.
pub(crate) fn describe(proc: &ProcRoot, thread: i32) -> String {
    let mut parts = Vec::new();
    if let Some(syscall) = read(proc, thread, "syscall") {
        parts.push(match syscall.split_whitespace().next() {
            Some("running") => "running in user space".to_string(),
            Some(number) => format!("in system call {}", name(number)),
            None => String::new(),
        });
    }
    if let Some(channel) = read(proc, thread, "wchan")
        && channel != "0"
    {
        parts.push(format!("waiting in {channel}"));
    }
    if let Some(stack) = read(proc, thread, "stack") {
        let frames: Vec<&str> = stack.lines().filter_map(function).take(8).collect();
        if !frames.is_empty() {
            parts.push(format!("kernel stack {}", frames.join(" < ")));
        }
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() {
        return format!("thread {thread}: nothing readable in /proc");
    }
    format!("thread {thread}: {}", parts.join(", "))
}

fn read(proc: &ProcRoot, thread: i32, file: &str) -> Option<String> {
    let path = CString::new(format!("self/task/{thread}/{file}")).ok()?;
    let file = proc.open_at(&path, libc::O_RDONLY).ok()?;
    let mut text = String::new();
    File::from(file).take(4096).read_to_string(&mut text).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_string())
}

/// "[<0>] fuse_flush+0x12/0x80" → "fuse_flush".
fn function(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)?.split('+').next()
}

/// The names of calls that a release hangs in more often than in others.
fn name(number: &str) -> String {
    let known = [
        (libc::SYS_close, "close"),
        (libc::SYS_umount2, "umount2"),
        (libc::SYS_fsync, "fsync"),
        (libc::SYS_openat, "openat"),
        (libc::SYS_openat2, "openat2"),
        (libc::SYS_unlinkat, "unlinkat"),
        (libc::SYS_read, "read"),
        (libc::SYS_write, "write"),
        (libc::SYS_futex, "futex"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_ppoll, "ppoll"),
        (libc::SYS_wait4, "wait4"),
        (libc::SYS_waitid, "waitid"),
    ];
    let call = number.parse::<libc::c_long>().ok();
    match known.iter().find(|(known, _)| Some(*known) == call) {
        Some((_, name)) => format!("{number} ({name})"),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeping_thread_is_described_by_its_call() {
        let proc = ProcRoot::open().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                sender.send(crate::kernel::process::thread_id()).unwrap();
                let _ = wait.recv();
            });
            let id = receiver.recv().unwrap();
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
            let mut text = describe(&proc, id);
            while !text.contains("(futex)") && std::time::Instant::now() < deadline {
                std::thread::yield_now();
                text = describe(&proc, id);
            }
            drop(end);
            assert!(text.contains("(futex)"), "{text}");
        });
        assert_eq!(describe(&proc, 0), "thread 0: nothing readable in /proc");
    }

    #[test]
    fn a_line_of_the_kernel_stack_gives_its_function() {
        assert_eq!(function("[<0>] fuse_flush+0x12/0x80"), Some("fuse_flush"));
        assert_eq!(function(""), None);
    }
}
