//! The mounts of a namespace, as /proc/thread-self/mountinfo lists them (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::kernel::process::ProcRoot;
use crate::kernel::served::is_served_by_name;

/// A line of mountinfo.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Mount {
    pub(crate) id: u64,
    parent: u64,
    pub(crate) path: PathBuf,
    /// `MS_RDONLY` and its like, of the mount and not of its file system; those for access times are
    /// left out.
    pub(crate) flags: u64,
    /// Whether a server stands behind it, which may be silent.
    pub(crate) is_served: bool,
}

/// The mounts of the calling thread's namespace that can be reached from its root.
pub(crate) fn mounts(proc: &ProcRoot) -> Result<Vec<Mount>> {
    let file = proc.open_at(c"thread-self/mountinfo", libc::O_RDONLY)?;
    let mut text = Vec::new();
    File::from(file).read_to_end(&mut text).map_err(|error| {
        Error::os(
            "read(/proc/thread-self/mountinfo)",
            error.raw_os_error().unwrap_or(libc::EIO),
        )
    })?;
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .collect())
}

/// The mount with this id after all that is mounted below it, deepest first, and what covers others
/// before what it covers.
pub(crate) fn deepest_first(mounts: &[Mount], id: u64) -> Vec<&Mount> {
    let mut found: Vec<&Mount> = mounts.iter().filter(|mount| mount.id == id).collect();
    let mut next = 0;
    while next < found.len() {
        let parent = found[next].id;
        found.extend(mounts.iter().filter(|mount| mount.parent == parent));
        next += 1;
    }
    // A mount stands behind its parent and behind its elder siblings.
    found.reverse();
    found
}

fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let path = fields.nth(2)?;
    let flags = flags(fields.next()?);
    // A number of optional fields ends with a dash.
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mount {
        id,
        parent,
        path: OsString::from_vec(unescape(path)).into(),
        flags,
        is_served: is_served_by_name(kind),
    })
}

fn flags(words: &[u8]) -> u64 {
    words
        .split(|byte| *byte == b',')
        .map(|word| match word {
            b"ro" => libc::MS_RDONLY,
            b"nosuid" => libc::MS_NOSUID,
            b"nodev" => libc::MS_NODEV,
            b"noexec" => libc::MS_NOEXEC,
            b"nosymfollow" => MS_NOSYMFOLLOW,
            _ => 0,
        })
        .fold(0, |flags, flag| flags | flag)
}

/// Linux 5.10; the libc crate lacks it.
pub(crate) const MS_NOSYMFOLLOW: libc::c_ulong = 256;

/// Undoes "\040" and its like.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let octal = match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(*byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parsed(text: &str) -> Vec<Mount> {
        text.lines()
            .filter_map(|line| parse(line.as_bytes()))
            .collect()
    }

    #[test]
    fn a_line_of_mountinfo_gives_ids_and_the_path_unescaped() {
        let line = r"36 35 98:0 /a /mnt/with\040space\134 rw,noatime master:1 - ext3 /dev/root rw";
        let found = parsed(line);
        assert_eq!(found[0].id, 36);
        assert_eq!(found[0].parent, 35);
        assert_eq!(found[0].path, Path::new("/mnt/with space\\"));
        assert_eq!(found[0].flags, 0);
        assert!(!found[0].is_served);
        let flags = "1 0 0:1 / /a ro,nosuid,nodev,noexec,relatime,nosymfollow - x x rw";
        let all = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        assert_eq!(parsed(flags)[0].flags, all | MS_NOSYMFOLLOW);
        assert!(parsed("1 0 0:1 / /a rw - fuse.sshfs x rw")[0].is_served);
        assert!(parsed("not a line\n\n7").is_empty());
    }

    #[test]
    fn what_lies_deepest_or_on_top_comes_first() {
        let found = parsed(
            "1 0 0:1 / / rw - x x rw\n\
             2 1 0:1 / /a rw - x x rw\n\
             3 2 0:1 / /a/b rw - x x rw\n\
             4 3 0:1 / /a/b/c rw - x x rw\n\
             5 1 0:1 / /other rw - x x rw\n\
             6 2 0:1 / /a rw - x x rw\n",
        );
        let order = |id| -> Vec<u64> {
            let mounts = deepest_first(&found, id);
            mounts.iter().map(|mount| mount.id).collect()
        };
        assert_eq!(order(2), [4, 6, 3, 2]);
        assert_eq!(order(5), [5]);
        assert_eq!(order(9), [0; 0]);
    }
}
