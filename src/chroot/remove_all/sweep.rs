//! Reading a directory and removing what is in it.

use std::os::fd::BorrowedFd;

use super::is_gone;
use super::way::Level;
use crate::error::Result;
use crate::kernel::entries::{Entries, Entry, getdents64, seek};
use crate::kernel::file::{Unlink, unlinkat};

/// What a noted name takes beside its bytes: a place in the list, and what the allocator adds.
const BESIDE_NAME: usize = 32;

/// Removes every entry from where the level's listing stands that is no directory, and notes those that
/// are until they fill `room` bytes; one is noted in any case. Goes on after an error and returns the
/// first.
pub(super) fn sweep(
    directory: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    level: &mut Level,
    mut room: usize,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    // Whatever fails here, the listing has an end.
    if let Some(position @ 1..) = level.position.take() {
        seek(directory, position)?;
    }
    let mut first = Ok(());
    while level.position.is_none() {
        if let Err(error) = go_on().and_then(|()| getdents64(directory, buffer)) {
            first = first.and(Err(error));
            break;
        }
        if buffer.is_empty() {
            break;
        }
        first = first.and(remove_listed(directory, buffer, level, &mut room));
    }
    // They are taken from the end: in the order in which the file system lists them.
    level.directories.reverse();
    first
}

/// The same for one buffer; the level's listing goes on within it where there is no room left.
// As a part of its caller the loop keeps its variables in memory, and a removal takes a tenth longer.
#[inline(never)]
fn remove_listed(
    directory: BorrowedFd<'_>,
    buffer: &[u8],
    level: &mut Level,
    room: &mut usize,
) -> Result<()> {
    let mut first = Ok(());
    for entry in Entries::of(buffer) {
        if entry.kind() != libc::DT_DIR {
            match unlinkat(directory, entry.name(), Unlink::File) {
                Ok(()) => continue,
                Err(error) if is_gone(&error) => continue,
                Err(error) if error.os_error() == Some(libc::EISDIR) => {}
                Err(error) => {
                    first = first.and(Err(error));
                    continue;
                }
            }
        }
        *room = room.saturating_sub(note(&entry, level));
        if *room == 0 {
            level.position = Some(entry.next());
            break;
        }
    }
    first
}

/// The bytes that it takes.
fn note(entry: &Entry<'_>, level: &mut Level) -> usize {
    let name = entry.name().to_owned();
    let length = name.count_bytes() + BESIDE_NAME;
    level.directories.push(name);
    length
}
