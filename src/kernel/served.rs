//! Whether a file system is served by somebody who may fall silent: a FUSE server, another machine.
//!
//! What asks such a file system anything may wait for ever, and a release must not.

use std::os::fd::BorrowedFd;

use crate::error::Result;
use crate::kernel::descriptor::fstatfs;

/// `f_type` of statfs(2), from linux/magic.h and the file systems' own sources.
const MAGICS: [u64; 11] = [
    0x6573_5546, // fuse, fuseblk, virtiofs
    0x6969,      // nfs
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2, smb3
    0x517b,      // smbfs
    0x0102_1997, // 9p
    0x00c3_6400, // ceph
    0x5346_414f, // afs
    0x6b41_4653, // kafs
    0x7375_7245, // coda
    0x0bd0_0bd0, // lustre
];

/// The same by the names in mountinfo; FUSE has "fuse.sshfs" and its like, too.
const NAMES: [&[u8]; 14] = [
    b"fuse",
    b"fuseblk",
    b"virtiofs",
    b"nfs",
    b"nfs4",
    b"cifs",
    b"smb2",
    b"smb3",
    b"smbfs",
    b"9p",
    b"ceph",
    b"afs",
    b"coda",
    b"lustre",
];

/// Asks the file system for its type; a silent one makes the caller wait.
pub(crate) fn is_served(fd: BorrowedFd<'_>) -> Result<bool> {
    let statfs = fstatfs(fd)?;
    // The magic numbers have 32 bits, whatever the width and sign of the field.
    Ok(MAGICS.contains(&(statfs.f_type as u64 & 0xffff_ffff)))
}

/// The same by a name of mountinfo's, which asks nobody.
pub(crate) fn is_served_by_name(name: &[u8]) -> bool {
    NAMES.contains(&name) || name.starts_with(b"fuse.")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn local_file_systems_are_served_by_nobody() {
        for path in ["/proc", "/dev"] {
            let file = File::open(path).unwrap();
            assert_eq!(is_served(file.as_fd()), Ok(false), "{path}");
        }
        for name in ["tmpfs", "ext4", "xfs", "overlay", "fusectl"] {
            assert!(!is_served_by_name(name.as_bytes()), "{name}");
        }
        for name in ["fuse.sshfs", "nfs4"] {
            assert!(is_served_by_name(name.as_bytes()), "{name}");
        }
    }
}
