//! The end of a group.
//!
//! The one drainer runs the finaliser, holding nothing. Then the group is drained: its waits are over,
//! and its followers (its parent, and groups that are linked to it) are held up by it no more. Whoever
//! of them ends by that is drained by the same loop, so a chain of groups is drained without recursion.

use super::shared::{Hold, Shared};
use crate::hook::{Due, Task};
use crate::node::Aim;
use crate::population::Left;
use crate::sync::{Arc, FirstPanic, Layers};

/// Groups that have come to their end. Dropping it drains them, so unwinding does too.
pub(super) struct Drain {
    /// The first, by the reference that it has to itself.
    group: Option<Arc<Shared>>,
    /// The others, by holds that have ended; their references are ours.
    others: Layers<Hold>,
}

impl Drain {
    pub(super) fn nothing() -> Self {
        Self { group: None, others: Layers::none() }
    }

    /// The drain of `group`, for the one who was told that it is the last.
    pub(super) fn of(group: &Arc<Shared>, left: Left) -> Self {
        let mut drain = Self::nothing();
        if let Left::Last = left {
            group.note_force();
            // SAFETY: a group says so once, and each is used for one drain.
            drain.group = Some(unsafe { Shared::end(group) });
        }
        drain
    }

    pub(super) fn run(self) {
        drop(self);
    }

    /// Foreign code runs with nothing unfinished but what this holds.
    fn go_on(&mut self) {
        let mut panic = FirstPanic::none();
        while let Some(group) = &self.group {
            if let Some(finaliser) = &group.finaliser {
                // Runs once: where unwinding cannot be caught, it comes back here without it.
                panic.catch(|| finaliser.run());
            }
            if let Some((group, wakes)) = self.finish() {
                panic.catch(|| wakes.run());
                // The last reference drops the token's scope, which tells those who still look.
                panic.catch(|| drop(group));
            }
        }
        panic.resume();
    }

    /// The own work of one drain.
    fn finish(&mut self) -> Option<(Arc<Shared>, Due<Task>)> {
        let group = self.group.take()?;
        let mut wakes = group.drained.settle(()).unwrap_or_default();
        let mut followers = group.followers.seal();
        while let Some(mut layer) = followers.pop() {
            let (left, due) = layer.value.end();
            wakes.append(due);
            if let Left::Last = left {
                layer.value.shared().note_force();
                self.others.push(layer);
            }
        }
        // SAFETY: each of the others was told `Last`, and is taken out of the list once.
        self.group = self.others.pop().map(|layer| unsafe { Shared::end(layer.value.shared()) });
        Some((group, wakes))
    }
}

impl Drop for Drain {
    #[inline]
    fn drop(&mut self) {
        if self.group.is_some() {
            self.go_on();
        }
    }
}

/// What an operation on a group leaves to be done when its own work is finished.
#[must_use]
pub(super) struct Rest {
    pub(super) aims: Due<Aim>,
    pub(super) wakes: Due<Task>,
    pub(super) drain: Drain,
}

impl Rest {
    pub(super) fn nothing() -> Self {
        Self { aims: Due::default(), wakes: Due::default(), drain: Drain::nothing() }
    }

    pub(super) fn run(self) {
        let Self { aims, wakes, drain } = self;
        let mut panic = FirstPanic::none();
        panic.catch(|| aims.run());
        panic.catch(|| wakes.run());
        panic.catch(|| drain.run());
        panic.resume();
    }
}
