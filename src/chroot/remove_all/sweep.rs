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
    room: usize,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    // Whatever fails here, the listing has an end.
    if let Some(position @ 1..) = level.position.take() {
        seek(directory, position)?;
    }
    let swept = remove_entries(directory, buffer, level, room, go_on);
    // They are taken from the end: in the order in which the file system lists them.
    level.directories.reverse();
    swept
}

// As a part of its caller the loop keeps its variables in memory, and a removal takes a tenth longer.
#[inline(never)]
fn remove_entries(
    directory: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    level: &mut Level,
    mut room: usize,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut first = Ok(());
    loop {
        getdents64(directory, buffer)?;
        if buffer.is_empty() {
            return first;
        }
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
            room = room.saturating_sub(note(&entry, level));
            if room == 0 {
                level.position = Some(entry.next());
                return first;
            }
        }
        go_on()?;
    }
}

/// The bytes that it takes.
fn note(entry: &Entry<'_>, level: &mut Level) -> usize {
    let name = entry.name().to_owned();
    let length = name.count_bytes() + BESIDE_NAME;
    level.directories.push(name);
    length
}
