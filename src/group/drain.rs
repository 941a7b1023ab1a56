//! The end of a group.
//!
//! The drain has two steps. The finaliser runs as foreign code, with nothing of ours unfinished. Then the group
//! is drained, which is own work: its waits are over, and its followers (its parent, and groups that are linked
//! to it) are held up by it no more. Those that end by that are added to the same list, so a chain of groups is
//! drained without recursion. A finaliser that panics counts as run: the second step follows all the same.

use core::mem;

use super::shared::Shared;
use crate::park::deferred::{Deferred, Linked};
use crate::sync::Arc;

// SAFETY: `HEAD` is the offset of `head`, which `Shared::new` makes.
unsafe impl Linked for Shared {
    const HEAD: usize = mem::offset_of!(Self, head);

    fn settle(this: Arc<Self>, deferred: &mut Deferred) {
        match &this.finaliser {
            Some(finaliser) if !finaliser.is_spent() => deferred.finalise(this),
            _ => Self::drain(this, deferred),
        }
    }

    fn finalise(&self) {
        if let Some(finaliser) = &self.finaliser {
            finaliser.run();
        }
    }

    /// The last reference drops the token's scope, which tells the tokens that outlive it.
    fn run(this: Arc<Self>) {
        drop(this);
    }
}

impl Shared {
    fn drain(this: Arc<Self>, deferred: &mut Deferred) {
        if let Some(seal) = this.seal.take() {
            seal.seal(deferred);
        }
        // By nobody else: this closes it, and the group ends once.
        let _ = this.drained.settle((), deferred);
        let mut followers = this.followers.seal();
        while let Some(mut hold) = followers.pop() {
            hold.end(deferred);
        }
        #[cfg(feature = "tracing")]
        this.tell_drained(deferred);
        deferred.run_later(this);
    }
}
