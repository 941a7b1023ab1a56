//! How a node is hooked into its parent, once, so that a cancellation from above reaches the waits below.

use super::word::Word;
use super::{Follower, Node, WeakFollower};
use crate::park::deferred::Deferred;
use crate::park::seats::{Fires, Parked};
use crate::sync::Arc;

impl Node {
    /// Hooks the node into its parent, the parent into its own, and so on up to the first that is
    /// hooked, or being hooked, already. By the claimer: the thread whose announcement was the first.
    pub(super) fn hook_up(this: &Arc<Self>, deferred: &mut Deferred) {
        let mut node = this;
        while let Some(parent) = node.cancelling_parent() {
            if node.follows {
                return;
            }
            match node.hook_into(parent, WeakFollower::new(node)) {
                // G: the first announcement claims the parent.
                Some(before) if before.has_waiters() => return,
                Some(_) => node = parent,
                None => {
                    // The parent was cancelled meanwhile, and may have fired before our seat was armed.
                    // The caller has the node, so this is not the last reference.
                    drop(Self::settle_below(Arc::clone(node), deferred));
                    return;
                }
            }
        }
    }

    /// Registers `below` in the parent, for as long as this node lives; by the claimer. Gives the parent's word
    /// before the announcement; none if the parent is cancelled: then `below` may never be fired.
    fn hook_into(&self, parent: &Self, below: WeakFollower) -> Option<Word> {
        // SAFETY: we hold the parent, and the drop takes the link out before it lets go.
        let parked = unsafe { Parked::new(parent.children.home(Fires::Once), false, below) };
        let parked = parked.ok()?;
        // SAFETY: one thread has the claim, once.
        unsafe { *self.link.write_ptr() = Some(parked) };
        parent.step(Word::announce)
    }

    /// Registers `follower` in the parent, in place of the node itself: the follower settles the node. To
    /// be called before anybody else has the node, which [`follows`](Traits::follows). False if the node is
    /// cancelled from above: then the caller settles the follower; a delivery may do it too.
    pub(crate) fn follow(
        this: &Arc<Self>,
        follower: &Arc<impl Follower>,
        deferred: &mut Deferred,
    ) -> bool {
        let Some(parent) = this.cancelling_parent() else { return true };
        // Without a seat above nobody else delivers to us: what follows is done here and now.
        if this.found().is_some() {
            return false;
        }
        let Some(before) = this.hook_into(parent, WeakFollower::new(follower)) else {
            return false;
        };
        if !before.has_waiters() {
            Self::hook_up(parent, deferred);
        }
        // As in `announce`.
        this.found().is_none()
    }
}
