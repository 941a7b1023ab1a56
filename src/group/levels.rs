//! How the levels of a group rise: by its own close or cancel, or by what comes from above.

use alloc::boxed::Box;

use super::drain::{Drain, Rest};
use super::shared::Shared;
use crate::node::{Follower, Node};
use crate::population::Left;
use crate::reason::Reason;
use crate::sync::{Arc, AtomicBool, Ordering, Slot, Weak};

impl Shared {
    /// Hooks the group to its door, so that it follows those above; if they are closed or cancelled
    /// already, it is so from birth. Nobody else has the group yet.
    pub(super) fn follow(this: &Arc<Self>) {
        let follow = Follow {
            group: Arc::downgrade(this),
            kept: Slot::empty(),
            is_last: AtomicBool::new(false),
        };
        // It may have to deliver to the part of the chain that it hooks up.
        let _delivery = this.tree.deliver();
        Node::follow(&this.door, Box::new(follow));
    }

    /// Closes the door. True for the first.
    pub(super) fn close(this: &Arc<Self>) -> (bool, Rest) {
        let was_open = this.door.found().is_none();
        let _delivery = this.tree.deliver();
        let closed = this.population.close();
        let (_, aims) = this.door.settle(Reason::Cancelled);
        let wakes = this.population.dismiss();
        let drain = Drain::of(this, this.after(closed.unwrap_or(Left::Done)));
        (was_open && closed.is_some(), Rest { aims, wakes, drain })
    }

    /// Closes the door and cancels the token.
    pub(super) fn cancel(this: &Arc<Self>, reason: Reason) -> (Result<(), Reason>, Rest) {
        this.tree.note_cancel();
        let (_, mut rest) = Self::close(this);
        let (outcome, aims) = match this.stop.token().node() {
            Some(node) => node.settle(reason),
            None => unreachable!("a group's token has a scope"),
        };
        rest.aims.append(aims);
        (outcome, rest)
    }
}

/// What makes a group follow its door. Its hook is fired once, so each step is made once, by one thread.
struct Follow {
    group: Weak<Shared>,
    /// Keeps the group from `settle` to the end of `run`: dropping it may be foreign code.
    kept: Slot<Shared>,
    /// The door was closed over nobody: `run` drains.
    is_last: AtomicBool,
}

impl Follower for Follow {
    fn settle(&self) {
        let Some(group) = self.group.upgrade() else { return };
        let left = group.after(group.population.close().unwrap_or(Left::Done));
        self.is_last.store(matches!(left, Left::Last), Ordering::Relaxed);
        self.kept.replace(Some(group));
    }

    fn run(&self) {
        let Some(group) = self.kept.replace(None) else { return };
        let left = if self.is_last.load(Ordering::Relaxed) { Left::Last } else { Left::Done };
        let wakes = group.population.dismiss();
        Rest { wakes, drain: Drain::of(&group, left), ..Rest::nothing() }.run();
    }
}
