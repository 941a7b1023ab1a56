//! A registration that outlives its wait.
//!
//! Edge **T** (take): a registration, and what its last owner did to it, is published to its taker; and that a
//! borrower is done with the place, to the thread that it is lent to next.

use core::mem::MaybeUninit;

use super::{Parked, Target};
use crate::sync::{AtomicUsize, Exclusive as _, Ordering, UnsafeCell, const_unless_loom};

/// Nothing is in it.
const EMPTY: usize = 0;
/// It is lent: one wait has taken what was in it, or is about to fill it, and gives it back by `put_back`.
const LENT: usize = 1;
/// A registration is in it, and belongs to the next borrower.
const FULL: usize = 2;

/// Where a registration outlives its wait, for the next wait of the same task to take up.
///
/// A wait that takes the registration holds the place until it ends. So a turn of a `select!` loop makes one
/// read-modify-write here, to take, and a store, to put back. A wait that finds the place lent does without it.
pub(crate) struct SpareRegistration<T: Target> {
    state: AtomicUsize,
    /// Belongs to the thread that made it `LENT`.
    parked: UnsafeCell<MaybeUninit<Parked<T>>>,
}

// SAFETY: `parked` is touched by one thread at a time, which has to be `Send`; and it is.
unsafe impl<T: Target> Sync for SpareRegistration<T> {}

impl<T: Target> SpareRegistration<T> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self {
                state: AtomicUsize::new(EMPTY),
                parked: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    /// Takes what is in it, which lends the place to the caller until `put_back`. None also if it is lent.
    #[inline]
    pub(crate) fn take(&self) -> Option<Parked<T>> {
        // T: acquires what was put in.
        if !self.lend(FULL) {
            return None;
        }
        // SAFETY: it was full, and is lent to us.
        Some(unsafe { self.parked.read_ptr().cast::<Parked<T>>().read() })
    }

    /// Puts `parked` in. It comes back if there is one already, or if the place is lent.
    #[inline]
    pub(crate) fn put(&self, parked: Parked<T>) -> Result<(), Parked<T>> {
        // T: acquires that the last borrower is done.
        if !self.lend(EMPTY) {
            return Err(parked);
        }
        // SAFETY: it is lent to us.
        unsafe { self.put_back(Some(parked)) };
        Ok(())
    }

    /// Gives the place back, with `parked` or empty.
    ///
    /// # Safety
    ///
    /// It is lent to the caller.
    #[inline]
    pub(crate) unsafe fn put_back(&self, parked: Option<Parked<T>>) {
        let state = match parked {
            Some(parked) => {
                // SAFETY: it is lent to us.
                unsafe { self.parked.write_ptr().cast::<Parked<T>>().write(parked) };
                FULL
            }
            None => EMPTY,
        };
        // T: `FULL` publishes the registration, and what we did to it, to the thread that takes it: it shares the handle,
        // and nothing else orders us. `EMPTY` publishes that we have read the place.
        self.state.store(state, Ordering::Release);
    }

    #[inline]
    fn lend(&self, from: usize) -> bool {
        // The look first: mostly it is otherwise, and a load is cheap.
        self.state.load(Ordering::Relaxed) == from
            // T: acquires the registration, and what its last owner did to it.
            && self.state.compare_exchange(from, LENT, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

impl<T: Target> Drop for SpareRegistration<T> {
    fn drop(&mut self) {
        if self.state.replace_mut(EMPTY) == FULL {
            // SAFETY: full, and `&mut self` makes it ours.
            drop(unsafe { self.parked.read_ptr().cast::<Parked<T>>().read() });
        }
    }
}
