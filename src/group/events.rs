//! Who tells what of a group, with the feature `tracing`, and when; what an event says stands in `src/events.rs`.

use core::ptr;

use super::shared::Shared;
use crate::events;
use crate::park::deferred::Deferred;

impl Shared {
    /// The number of a group in its events.
    fn id(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// By the thread that closed the population, once.
    pub(super) fn tell_closed(&self, deferred: &mut Deferred) {
        let facts = || (self.population.len(), self.door.why());
        events::group(deferred, "closed", self.id(), facts);
    }

    /// By the thread that cancelled the token, if it was not cancelled from above.
    pub(super) fn tell_cancelled(&self, deferred: &mut Deferred) {
        let facts = || (self.population.len(), self.stop.token().why());
        events::group(deferred, "cancelled", self.id(), facts);
    }

    /// By the thread that drained the group, once.
    pub(super) fn tell_drained(&self, deferred: &mut Deferred) {
        events::drained(deferred, self.id(), self.was_forced(), self.panics());
    }

    /// By a wait for the drain that a limit has ended. Foreign code.
    pub(super) fn tell_overrun(&self, left: usize) {
        events::overrun(
            self.id(),
            left,
            self.stop.token().is_cancelled(),
            #[cfg(feature = "holders")]
            || self.register.report(),
        );
    }
}
