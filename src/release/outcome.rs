//! What becomes of a release: the words that tickets, events and reports are made of.

use std::time::Duration;

/// What is released.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// use nsgate::Kind;
///
/// let namespace = nsgate::MountNamespace::create(&gate)?;
/// let event = gate.releases().wait(namespace.release()?, None)?;
/// assert_eq!(event.kind, Kind::MountNamespace);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(u32)]
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A chroot: its mount tree and, if code ran inside, its namespace.
    Chroot = 1,
    /// A mount namespace.
    MountNamespace = 2,
    /// A descriptor that the host handed over.
    Descriptor = 3,
    /// A path to unmount, with everything mounted below it.
    Unmount = 4,
    /// The host's own work.
    Job = 5,
}

/// The id of one release. It is never zero and never used again by the same queue.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::Ticket;
///
/// let ticket = chroot.release()?;
/// let kept = ticket.as_raw();
/// gate.releases().wait(Ticket::from_raw(kept), None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticket(u64);

impl Ticket {
    const INDEX_BITS: u32 = 24;
    /// The most places that a ticket can tell apart.
    pub(crate) const PLACES: usize = 1 << Ticket::INDEX_BITS;
    /// Outcomes that can be asked for after their place is used again: places besides the capacity.
    pub(crate) const REMEMBERED: usize = 4096;

    /// `generation` is at least 1, which keeps the ticket from being zero.
    pub(crate) fn new(index: u32, generation: u64) -> Ticket {
        debug_assert!(generation > 0 && (index as usize) < Ticket::PLACES);
        Ticket(generation << Ticket::INDEX_BITS | u64::from(index))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize & (Ticket::PLACES - 1)
    }

    pub(crate) fn generation(self) -> u64 {
        self.0 >> Ticket::INDEX_BITS
    }

    /// The number to keep or to hand to other languages.
    pub fn as_raw(self) -> u64 {
        self.0
    }

    /// The ticket with this number. Any number is safe: one that no release ever had answers
    /// NOT_FOUND.
    pub fn from_raw(raw: u64) -> Ticket {
        Ticket(raw)
    }
}

/// How sure it is that what was released no longer exists (rule 17 of the design).
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::{Outcome, Proof};
///
/// let file = chroot.create("data", 0o600)?;
/// let event = gate.releases().wait(chroot.release()?, None)?;
/// if let Outcome::Released(Proof::Held { descriptors }) = event.outcome {
///     println!("{descriptors} descriptor keeps the mount"); // until `file` is closed
/// }
/// assert_ne!(event.outcome, Outcome::Released(Proof::Verified));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// The kernel says that it is gone, as are the mounts below it.
    Verified,
    /// It was let go, but something keeps it: a file that is still open, for example.
    Held {
        /// How many descriptors of this process hold it, of the 4,096 with the lowest numbers, which
        /// alone are looked at. 0 when something else does, such as another process, a mapping or a
        /// working directory.
        descriptors: u32,
    },
    /// The kernel can't tell, at least not to this process, or not without asking the server of a
    /// FUSE or network file system, which may be silent. That goes for a chroot with mounts below its
    /// root, too, and where it can't be known whether there were any: before Linux 6.15, unless it was
    /// opened without them and private, and where code ran inside before 6.11.
    Unverified,
}

/// How a release ended. Each has exactly one.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::Outcome;
///
/// let event = gate.releases().wait(chroot.release()?, None)?;
/// match event.outcome {
///     Outcome::Released(proof) => println!("let go: {proof:?}"),
///     Outcome::Failed { os_error } => eprintln!("errno {os_error}, see ReleaseQueue::failed"),
///     Outcome::Cancelled | Outcome::Abandoned => {}
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Let go, and gone as far as the proof says.
    Released(Proof),
    /// Given up; it is in the list of failed releases.
    Failed {
        /// The errno, or 0 where no system call stands behind it: a panic, a status of the host's.
        os_error: i32,
    },
    /// Taken back before it started.
    Cancelled,
    /// The queue closed before it ended.
    Abandoned,
}

/// The end of one release.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let volume = tempfile::tempdir()?;
/// # let chroot = nsgate::Chroot::open(&gate, volume.path(), &Default::default())?;
/// use nsgate::Event;
///
/// let releases = gate.releases();
/// let readable = releases.event_fd(); // for poll(2); events are kept from here on
/// let ticket = chroot.release()?;
/// releases.wait(ticket, None)?;
/// let mut events = [Event::default(); 16];
/// let count = releases.read_events(&mut events);
/// assert_eq!((count, events[0].ticket, events[0].sequence), (1, ticket, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Counts the queue's events from 1 without a gap; a gap in what is read was dropped.
    pub sequence: u64,
    /// Which release.
    pub ticket: Ticket,
    /// What was released.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// How often it was tried.
    pub attempts: u32,
    /// From the submit to the first attempt.
    pub queued: Duration,
    /// From the first attempt to the end.
    pub worked: Duration,
    /// The step before the release failed, with this errno (0: not an OS error). The release went
    /// on all the same.
    pub before_release_failed: Option<i32>,
}

impl Default for Event {
    /// An event of nothing, to fill buffers with: its sequence is 0, which no event has.
    fn default() -> Event {
        Event {
            sequence: 0,
            ticket: Ticket(0),
            kind: Kind::Job,
            outcome: Outcome::Abandoned,
            attempts: 0,
            queued: Duration::ZERO,
            worked: Duration::ZERO,
            before_release_failed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_keeps_its_place_and_generation() {
        for (index, generation) in [(0, 1), (Ticket::PLACES as u32 - 1, 1), (7, (1 << 40) - 1)] {
            let ticket = Ticket::new(index, generation);
            assert_ne!(ticket.as_raw(), 0);
            assert_eq!(ticket.index(), index as usize);
            assert_eq!(ticket.generation(), generation);
            assert_eq!(Ticket::from_raw(ticket.as_raw()), ticket);
        }
    }
}
