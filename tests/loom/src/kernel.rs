//! In place of what talks to the kernel.

pub(crate) mod dissolve {
    use std::ops::Deref;

    pub(crate) struct DetachedTree;

    impl DetachedTree {
        pub(crate) fn new(
            _descriptor: std::os::fd::OwnedFd,
            _is_alone: Option<bool>,
        ) -> DetachedTree {
            DetachedTree
        }
    }

    /// There is none here: no resource is a tree.
    pub(crate) enum Dissolver {}

    impl Dissolver {
        pub(crate) const MOST: usize = 16;

        pub(crate) fn dissolve<T: Deref<Target = DetachedTree>>(
            &self,
            _trees: &[T],
        ) -> crate::error::Result<()> {
            match *self {}
        }
    }
}

pub(crate) mod event_fd {
    use crate::sync::atomic::{AtomicU32, Ordering};

    /// Counts its signals.
    pub(crate) struct EventFd(pub(crate) AtomicU32);

    impl EventFd {
        pub(crate) fn new() -> EventFd {
            EventFd(AtomicU32::new(0))
        }

        pub(crate) fn signal(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        pub(crate) fn clear(&self) {
            self.0.store(0, Ordering::SeqCst);
        }
    }
}

pub(crate) mod process {
    pub(crate) fn thread_id() -> i32 {
        1
    }

    pub(crate) fn give_way() -> bool {
        true
    }

    pub(crate) fn stand_firm() {}
}
