//! A registration that outlives its wait.
//!
//! Edge **T** (take): a registration, and what its last owner did to it, is published to its taker; and that the
//! place is empty, to the thread that puts the next one in.

use core::mem::MaybeUninit;

use super::{Parked, Target};
use crate::sync::{AtomicUsize, Exclusive as _, Ordering, UnsafeCell, const_unless_loom};

/// Nothing is in it; somebody puts something in or takes it out; something is in it.
const EMPTY: usize = 0;
const BUSY: usize = 1;
const FULL: usize = 2;

/// Where a registration outlives its wait, for the next wait of the same task to take up.
pub(crate) struct Kept<T: Target> {
    state: AtomicUsize,
    /// Belongs to the thread that made it `BUSY`.
    parked: UnsafeCell<MaybeUninit<Parked<T>>>,
}

// SAFETY: `parked` is touched by one thread at a time, which has to be `Send`; and it is.
unsafe impl<T: Target> Sync for Kept<T> {}

impl<T: Target> Kept<T> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self {
                state: AtomicUsize::new(EMPTY),
                parked: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    /// Puts `parked` in. It comes back if there is one already, or another thread puts one in or takes it out.
    #[inline]
    pub(crate) fn put(&self, parked: Parked<T>) -> Result<(), Parked<T>> {
        // T: acquires that the last taker is done.
        if !self.go(EMPTY, BUSY) {
            return Err(parked);
        }
        // SAFETY: we made it busy.
        unsafe { self.parked.write_ptr().cast::<Parked<T>>().write(parked) };
        // T: publishes it.
        self.state.store(FULL, Ordering::Release);
        Ok(())
    }

    /// What was put in; none also while another thread puts one in or takes it out.
    #[inline]
    pub(crate) fn take(&self) -> Option<Parked<T>> {
        // T: acquires what was put in.
        if !self.go(FULL, BUSY) {
            return None;
        }
        // SAFETY: it was full, and we made it busy.
        let parked = unsafe { self.parked.read_ptr().cast::<Parked<T>>().read() };
        // T: publishes that we are done.
        self.state.store(EMPTY, Ordering::Release);
        Some(parked)
    }

    #[inline]
    fn go(&self, from: usize, to: usize) -> bool {
        // The look first: mostly it is otherwise, and a load is cheap.
        self.state.load(Ordering::Relaxed) == from
            && self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

impl<T: Target> Drop for Kept<T> {
    fn drop(&mut self) {
        if self.state.replace_mut(EMPTY) == FULL {
            // SAFETY: full, and `&mut self` makes it ours.
            drop(unsafe { self.parked.read_ptr().cast::<Parked<T>>().read() });
        }
    }
}
