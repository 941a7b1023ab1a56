//! Whether a close from above may be on its way.
//!
//! A group below others is closed as soon as one of those is, though the step that closes its own
//! population comes a moment later. To ask all of them at each entry would take a step for each level.
//! So a tree of groups counts the deliveries that are going on: **while there is none, every group below
//! a closed one has its own population closed.**
//!
//! Edge **W** (way): a delivery is counted before its first step. Who has seen any sign of a close sees
//! it counted, or sees it done, and then acquires all that it did. This holds for every thread that has
//! a part in the delivery: each counts itself before it takes its part from another.

use crate::sync::{AtomicBool, AtomicUsize, Ordering};
use crate::token::CancelToken;

/// What all groups of a tree share.
pub(super) struct Tree {
    /// How many threads deliver.
    deliveries: AtomicUsize,
    /// Set by the first who cancels a group of the tree.
    has_cancelled: AtomicBool,
    /// What the root is below: cancelled by strangers, who are not counted.
    above: Option<CancelToken>,
}

/// One thread delivers, until this is dropped.
pub(super) struct Delivery<'a>(&'a Tree);

impl Tree {
    pub(super) fn new(above: Option<CancelToken>) -> Self {
        Self { deliveries: AtomicUsize::new(0), has_cancelled: AtomicBool::new(false), above }
    }

    /// False if a group may be closed from above and not know it yet.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        // W: acquires the deliveries that are done.
        self.deliveries.load(Ordering::Acquire) == 0 && !self.is_cancelled_above()
    }

    fn is_cancelled_above(&self) -> bool {
        self.above.as_ref().is_some_and(CancelToken::is_cancelled)
    }

    /// Called before a group is cancelled.
    pub(super) fn note_cancel(&self) {
        // Relaxed: whoever has heard of the cancel has heard of this, which came before it.
        self.has_cancelled.store(true, Ordering::Relaxed);
    }

    /// False if no token of the tree is cancelled.
    pub(super) fn may_be_cancelled(&self) -> bool {
        self.has_cancelled.load(Ordering::Relaxed) || self.is_cancelled_above()
    }

    pub(super) fn deliver(&self) -> Delivery<'_> {
        // W: comes before the first step of the delivery, which is a release of another word.
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        Delivery(self)
    }
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        // W: publishes what the delivery did.
        self.0.deliveries.fetch_sub(1, Ordering::Release);
    }
}
