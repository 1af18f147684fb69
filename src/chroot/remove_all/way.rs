//! The way from the directory that a tree is in down to where the work is.
//!
//! Only some levels are open, so that depth costs no descriptors. One that was closed is looked up again
//! from the nearest one above that is open: by the names, beneath it, through no link and onto no mount.
//! Never by "..": a directory may have been moved, and what is above it then is none of the tree. (Nor
//! would that be cheaper: below a mount of a part of a file system the kernel climbs all the way to the
//! mount's root for each "..".)
//!
//! [`keeps`] says which stay open: the nearest levels, and above them ever fewer. So the next open one
//! is never much further away than the deepest level that has been closed since, and all look-ups
//! together cost what the way down did, times a small number.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::chroot::target::failed;
use crate::error::Result;
use crate::kernel::path::{PATH_MAX, directory_beneath, with_c_path};

/// A directory on the way.
pub(super) struct Level {
    pub(super) name: CString,
    /// Names of directories in it that are still to be removed.
    pub(super) directories: Vec<CString>,
    /// Where its listing goes on; none at its end.
    pub(super) position: Option<u64>,
    /// How often it was read from its start.
    pub(super) passes: u32,
    /// Something in it could not be removed.
    pub(super) failed: bool,
}

impl Level {
    pub(super) fn new(name: CString, passes: u32) -> Level {
        Level {
            name,
            directories: Vec::new(),
            position: Some(0),
            passes,
            failed: false,
        }
    }
}

/// Invariant, but for the moment between [`pop`](Way::pop) and [`reopen`](Way::reopen): the last level
/// is open. Each other level is open or closed; `open` has the open ones with their numbers, which rise.
pub(super) struct Way<'a> {
    base: BorrowedFd<'a>,
    levels: Vec<Level>,
    open: Vec<(usize, OwnedFd)>,
}

/// How many levels are open at most.
const OPEN: usize = 48;

/// So many levels before the last one stay open. Above them those that begin a block of as many may.
const NEAR: usize = 16;

/// Whether a level stays open while `last` is the last: of the blocks whose numbers a power of two
/// divides, for each such power, the last two. One alone would be closed and looked up again from far
/// above by who goes down and up across its border.
fn keeps(level: usize, last: usize) -> bool {
    if last - level < NEAR {
        return true;
    }
    let (block, last) = (level / NEAR, last / NEAR);
    let power = block.trailing_zeros();
    level.is_multiple_of(NEAR) && (block == 0 || (last >> power) - (block >> power) <= 1)
}

impl<'a> Way<'a> {
    pub(super) fn new(base: BorrowedFd<'a>) -> Way<'a> {
        Way {
            base,
            levels: Vec::new(),
            open: Vec::new(),
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Level> {
        self.levels.last_mut()
    }

    pub(super) fn last_with_directory(&mut self) -> Option<(&mut Level, BorrowedFd<'_>)> {
        let (_, fd) = self.open.last()?;
        Some((self.levels.last_mut()?, fd.as_fd()))
    }

    /// The last level; the base, where there is none.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.base, |(_, fd)| fd.as_fd())
    }

    pub(super) fn push(&mut self, level: Level, fd: OwnedFd) {
        let number = self.levels.len();
        self.levels.push(level);
        self.open.push((number, fd));
        if self.open.len() > OPEN {
            self.open.retain(|(level, _)| keeps(*level, number));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Level> {
        self.open.pop();
        self.levels.pop()
    }

    /// Opens the last level, if it was closed, and on the way those that are to stay open with it. On an
    /// error the way ends above the level that can't be reached: somebody moved it or what it was in.
    pub(super) fn reopen(&mut self) -> Result<()> {
        let levels = self.levels.len();
        let mut at_once = usize::MAX;
        loop {
            let next = self.open.last().map_or(0, |(number, _)| number + 1);
            if next >= levels {
                return Ok(());
            }
            let (reached, way) = self.names(next, levels - 1, at_once);
            match open_level(self.directory(), &way) {
                Ok(fd) => {
                    self.open.retain(|(level, _)| keeps(*level, levels - 1));
                    self.open.push((reached, fd));
                }
                // As far as there is a way.
                Err(_) if reached > next => at_once = 1,
                Err(error) => {
                    self.levels.truncate(next);
                    return Err(error);
                }
            }
        }
    }

    /// The names from level `next` on to the next one that is to be open, at most `most` of them and no
    /// more than fit in a path; and which level that leads to.
    fn names(&self, next: usize, last: usize, most: usize) -> (usize, Vec<u8>) {
        let mut way = Vec::new();
        let mut reached = next;
        for number in next..=last {
            let name = self.levels[number].name.to_bytes();
            let is_full = way.len() + name.len() + 1 >= PATH_MAX || number - next == most;
            if number > next && is_full {
                break;
            }
            way.extend_from_slice(name);
            way.push(b'/');
            reached = number;
            if keeps(number, last) {
                break;
            }
        }
        (reached, way)
    }
}

/// Opens the directory that `way` leads to. EBUSY where something is mounted on the way.
pub(super) fn open_level(from: BorrowedFd<'_>, way: &[u8]) -> Result<OwnedFd> {
    with_c_path(way, |way| directory_beneath(from, way)).map_err(|error| match error.os_error() {
        Some(libc::EXDEV) => failed(from, way, "unlinkat", libc::EBUSY),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::super::DEPTH;
    use super::*;
    use crate::kernel::descriptor::fstat;

    /// Some last levels, among them those before and behind which the most changes.
    fn lasts() -> impl Iterator<Item = usize> {
        let powers = (0..DEPTH.ilog2()).map(|power| 1 << power);
        powers.flat_map(|power| [power, power + 1, 2 * power - 1, power + power / 3])
    }

    #[test]
    fn few_levels_stay_open() {
        for last in lasts() {
            let kept = (0..=last).filter(|level| keeps(*level, last)).count();
            assert!(kept < OPEN, "{kept} of {last}");
        }
    }

    #[test]
    fn the_next_open_level_is_near_for_who_comes_from_near() {
        for deepest in lasts() {
            for climbed in lasts().take_while(|climbed| *climbed <= deepest) {
                let last = deepest - climbed;
                let open = (0..=last).rev().find(|level| keeps(*level, deepest));
                let away = last - open.expect("the first level");
                assert!(away <= 4 * climbed + NEAR, "{away} of {last}");
            }
        }
    }

    #[test]
    fn what_was_closed_is_not_wanted_further_down() {
        for level in (0..4096).step_by(NEAR) {
            let mut kept = (level..8192).map(|last| keeps(level, last));
            let closed = kept.by_ref().position(|kept| !kept);
            assert!(closed.is_none() || !kept.any(|kept| kept), "{level}");
        }
    }

    #[test]
    fn a_way_that_was_moved_ends_above_and_leads_nowhere_else() {
        let base = tempfile::tempdir().expect("the base");
        let (start, moved) = (base.path().join("start"), base.path().join("moved"));
        fs::create_dir_all(start.join("d/".repeat(200))).expect("directories");
        let directory = fs::File::open(&start).expect("the start");
        let mut way = Way::new(directory.as_fd());
        for _ in 0..200 {
            let fd = open_level(way.directory(), b"d").expect("a directory");
            way.push(Level::new(c"d".to_owned(), 1), fd);
        }
        // The fourth level is at another place now, and a link to it where it was.
        fs::rename(start.join("d/d/d/d"), &moved).expect("moved");
        symlink(&moved, start.join("d/d/d/d")).expect("a link");
        let lost = loop {
            way.pop().expect("the way leads through what was moved");
            if let Err(error) = way.reopen() {
                break error;
            }
        };
        assert_eq!(lost.os_error(), Some(libc::ELOOP), "{lost}");
        assert_eq!(way.depth(), 3);
        let here = fstat(way.directory()).expect("an open level");
        let third = fs::metadata(start.join("d/d/d")).expect("the third level");
        assert_eq!((here.st_dev, here.st_ino), (third.dev(), third.ino()));
    }
}
