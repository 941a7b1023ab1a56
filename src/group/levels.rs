//! How the levels of a group rise: by its own close or cancel, or by what comes from above.
//!
//! A close settles the door, and that step says which closer was the first; then it closes the population.
//! Every closer does both. **Invariant: a population that is seen closed implies a door that is seen closed,
//! and so does a token that is seen cancelled.**
//!
//! The door is a node of a tree of its own: a child's door hangs below its parent's, and the door of a root
//! below the token that the group was built with, if there is one. So a close reaches all below at once, to
//! be asked ([`Shared::is_closed`] looks at the doors alone), and by the delivery, to be acted on: each group
//! has a seat in the node above its door. A token is cancelled by its own group, which closes
//! the door first, or from above, which is above the door too.

use super::shared::Shared;
use crate::cancel::node::{Follower, Node};
use crate::cancel::reason::Reason;
use crate::park::deferred::Deferred;
use crate::sync::Arc;

impl Shared {
    /// Whether the door is closed, here or above.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.door.is_cancelled()
    }

    /// Hooks the group in above its door, so that it is closed with what is above; if that is closed or
    /// cancelled, the group is so from birth. To be called before anybody else has the group.
    pub(super) fn follow(this: &Arc<Self>, deferred: &mut Deferred) {
        if !this.door.node().is_some_and(|door| Node::follow(door, this, deferred)) {
            Self::close(this, deferred);
        }
    }

    /// Closes the door, and then the population. True for the first.
    pub(super) fn close(this: &Self, deferred: &mut Deferred) -> bool {
        let settle = |door| Node::settle(door, Reason::Closed, deferred).is_ok();
        let is_first = this.door.node().is_some_and(settle);
        if let Some(exit) = this.population.close(deferred) {
            #[cfg(feature = "tracing")]
            this.tell_closed(deferred);
            // SAFETY: the caller keeps the group.
            unsafe { Self::after(this, exit, deferred) };
        }
        is_first
    }

    /// Closes the door and cancels the token.
    pub(super) fn cancel(
        this: &Self,
        reason: Reason,
        deferred: &mut Deferred,
    ) -> Result<(), Reason> {
        Self::close(this, deferred);
        this.stop.token().settle(reason, deferred)?;
        #[cfg(feature = "tracing")]
        this.tell_cancelled(deferred);
        Ok(())
    }
}

/// A group has a seat above its door, which is fired once: so each step is made once, by one thread.
impl Follower for Shared {
    fn settle(this: Arc<Self>, deferred: &mut Deferred) -> Option<Arc<Self>> {
        Self::close(&this, deferred);
        Some(this)
    }
}
