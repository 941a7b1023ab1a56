//! A fired block, on its way through the list of deferred work.

use core::mem::{self, ManuallyDrop, MaybeUninit};

use super::block::Block;
use super::word::{SEATS, Seats, low};
use super::{Settled, Target};
use crate::deferred::{Batch, Deferred, Head, Job};
use crate::sync::{Arc, run_to_end};

/// Blocks that were fired, to be deferred.
pub(crate) type Fired<T> = Batch<Due<T>>;

/// A block that was fired, and what of it is still to be run. Holds a reference to the home of its list.
pub(crate) struct Due<T: Target> {
    block: Block<T>,
}

impl<T: Target> Due<T> {
    /// # Safety
    ///
    /// The caller fired the block, with this mask, and the home is alive. A reference to it that is `lent` is
    /// taken over.
    #[inline]
    pub(super) unsafe fn new(block: Block<T>, mask: usize, lent: bool) -> Self {
        block.set_mask(mask);
        if !lent {
            // SAFETY: the home is alive, and a list is only in an `Arc`.
            unsafe { Arc::increment_strong_count(block.home()) };
        }
        Self { block }
    }

    fn settle_each(&self, deferred: &mut Deferred) {
        let mut left = self.block.mask();
        for seat in Seats(left) {
            // SAFETY: fired; used as a target here, or, if its bits are as they were, by `run`.
            match T::settle(unsafe { self.block.copy(seat) }, deferred) {
                Settled::Runs(target) => mem::forget(target),
                Settled::Over => left &= !low(seat),
            }
        }
        self.block.set_mask(left);
    }

    /// The one target that was fired, and nothing else.
    #[inline]
    pub(crate) fn take_one(&self) -> Option<T> {
        let seat = Seats(self.block.mask()).next()?;
        // SAFETY: fired and not taken yet, as the mask says, which nobody reads after this.
        let target = unsafe { self.block.copy(seat) };
        self.block.delivered();
        Some(target)
    }
}

impl<T: Target> Drop for Due<T> {
    fn drop(&mut self) {
        // SAFETY: the reference that `new` counted.
        drop(unsafe { Arc::from_raw(self.block.home()) });
    }
}

// SAFETY: `from_head` is the inverse of `into_head`, and `Block::new` makes the head.
unsafe impl<T: Target> Job for Due<T> {
    fn into_head(self) -> *mut Head {
        ManuallyDrop::new(self).block.head()
    }

    unsafe fn from_head(head: *mut Head) -> Self {
        // SAFETY: it came from `into_head`, whose reference keeps the block.
        Self { block: unsafe { Block::from_head(head) } }
    }

    fn settle(self, deferred: &mut Deferred) {
        if self.block.has_own_work() {
            self.settle_each(deferred);
        }
        if T::WAKES {
            deferred.wake_later(self);
        } else {
            deferred.run_later(self);
        }
    }

    /// The home may go with this, behind all else.
    fn run(self) {
        if self.block.mask().is_power_of_two() {
            // What a lone wait costs.
            return self.take_one().map_or((), T::run);
        }
        // They are moved out first, and the block opened, so that waits that come back find it.
        let mut targets = [const { MaybeUninit::<T>::uninit() }; SEATS];
        let mut left = Seats(self.block.mask());
        for seat in left.clone() {
            // SAFETY: fired and not taken yet, as the mask says, which nobody reads after this.
            targets[seat].write(unsafe { self.block.copy(seat) });
        }
        self.block.delivered();
        run_to_end(|| {
            let Some(seat) = left.next() else { return false };
            // SAFETY: put in above, and taken once.
            unsafe { targets[seat].assume_init_read() }.run();
            true
        });
    }
}
