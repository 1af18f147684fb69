//! How the events of a life are told: one after the other, under no lock.

use super::life::Sandbox;
use super::turn::{Call, Change, Delivery};
use crate::trace;

impl<T: Send + Sync + 'static> Sandbox<T> {
    /// Tells an event, in its turn and on this thread, and whatever was changed from inside it.
    pub(super) fn deliver(&self, delivery: Delivery, call: Call) {
        match delivery {
            Delivery::Now => {}
            Delivery::Above => return,
            Delivery::Later(waiting) => {
                self.await_turn();
                drop(waiting);
            }
        }
        let mut next = Some(call);
        let (mut may_leave, mut parted) = (false, false);
        while let Some(call) = next {
            self.0.node.hold(|| self.tell(call));
            let mut inner = self.inner();
            next = inner.turn.next();
            may_leave = inner.may_leave();
            parted = inner.left && inner.turn.is_over();
        }
        self.0.turn_passed.notify_all();
        if may_leave {
            self.leave_at_last();
        }
        if parted {
            // The map was closed meanwhile.
            drop(self.part_with_keepsake());
            self.0.shared.finish();
        }
    }

    fn await_turn(&self) {
        let mut inner = self.inner();
        while !inner.turn.acquire() {
            inner = self
                .0
                .turn_passed
                .wait(inner)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    fn tell(&self, call: Call) {
        let subscribers = &self.0.shared.subscribers;
        let what = trace::Callback::of_life(call.change.event(), self.lifecycle_id());
        subscribers.dispatch(what, |observer| match call.change {
            Change::Insert => observer.on_insert(self, call.context),
            Change::NetworkRelease => observer.on_network_release(self, call.context),
        });
    }
}
