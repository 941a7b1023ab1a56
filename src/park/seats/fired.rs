//! A fired block, on its way through the list of deferred work.

use core::mem::{self, ManuallyDrop, MaybeUninit};

use super::block::Block;
use super::word::{SEATS, SeatMask, low};
use super::{Settled, Target};
use crate::park::deferred::{Batch, Deferred, Head, Job};
use crate::sync::{Arc, run_to_end};

/// Blocks that were fired, to be deferred.
pub(crate) type FiredBlocks<T> = Batch<FiredBlock<T>>;

/// A block that was fired, and what of it is still to be run. The last one of a delivery holds a reference to the home
/// of the list: they are run in their order, one after the other.
pub(crate) struct FiredBlock<T: Target> {
    block: Block<T>,
    keeps_home: bool,
}

/// In the mask of a block: its `FiredBlock` holds the home. No seat has this bit.
const KEEPS_HOME: usize = 1 << (usize::BITS - 1);

impl<T: Target> FiredBlock<T> {
    /// # Safety
    ///
    /// The caller fired the block, with this mask, and then calls [`keep_home`](Self::keep_home) for all that it has fired.
    #[inline]
    pub(super) unsafe fn new(block: Block<T>, mask: usize) -> Self {
        block.set_mask(mask);
        Self { block, keeps_home: false }
    }

    /// Sees to it that the home stays until all of `fired` were run. If the caller `lends` its reference to it, that
    /// may be taken over, which is said then.
    ///
    /// # Safety
    ///
    /// The home is alive.
    #[inline]
    pub(super) unsafe fn keep_home(fired: &FiredBlocks<T>, lends: &mut bool) {
        let Some(last) = fired.last() else { return };
        // SAFETY: the head of a `FiredBlock` that is in there.
        let block = unsafe { Block::<T>::from_head(last) };
        if !mem::take(lends) {
            // SAFETY: the home is alive, and a list is only in an `Arc`.
            unsafe { Arc::increment_strong_count(block.home()) };
        }
        block.set_mask(block.mask() | KEEPS_HOME);
    }

    /// The seats that are still to be run.
    fn seats(&self) -> SeatMask {
        SeatMask(self.block.mask() & !KEEPS_HOME)
    }

    fn settle_each(&self, deferred: &mut Deferred) {
        let mut left = self.block.mask();
        for seat in self.seats() {
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
        let seat = self.seats().next()?;
        // SAFETY: fired and not taken yet, as the mask says, which nobody reads after this.
        let target = unsafe { self.block.copy(seat) };
        self.block.delivered();
        Some(target)
    }
}

impl<T: Target> Drop for FiredBlock<T> {
    fn drop(&mut self) {
        if self.keeps_home {
            // SAFETY: the reference that `keep_home` counted, or took over.
            drop(unsafe { Arc::from_raw(self.block.home()) });
        }
    }
}

// SAFETY: `from_head` is the inverse of `into_head`, and `Block::new` makes the head.
unsafe impl<T: Target> Job for FiredBlock<T> {
    fn into_head(self) -> *mut Head {
        ManuallyDrop::new(self).block.head()
    }

    unsafe fn from_head(head: *mut Head) -> Self {
        // SAFETY: it came from `into_head`, and the home is held by this, or by one that comes later.
        let block = unsafe { Block::<T>::from_head(head) };
        Self { block, keeps_home: block.mask() & KEEPS_HOME != 0 }
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
        let mut left = self.seats();
        if left.is_one() {
            // What a lone wait costs.
            return self.take_one().map_or((), T::run);
        }
        // They are moved out first, and the block opened, so that waits that come back find it.
        let mut targets = [const { MaybeUninit::<T>::uninit() }; SEATS];
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
