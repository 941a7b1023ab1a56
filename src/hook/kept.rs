//! Registrations that outlive their waits.
//!
//! Edge **T** (take): a registration, and what its last owner did to it, is published to its taker.

use core::mem::ManuallyDrop;
use core::ptr;

use super::{Hook, Parked, Target};
use crate::sync::{Arc, AtomicPtr, Exclusive as _, Ordering, const_unless_loom};

/// Where a registration outlives its wait, for the next wait of the same task to take up.
pub(crate) struct Kept<T: Target> {
    /// The hook of a [`Parked`], or null.
    hook: AtomicPtr<Hook<T>>,
}

impl<T: Target> Kept<T> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { hook: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// Puts `parked` in, and gives what was there.
    #[inline]
    pub(crate) fn replace(&self, parked: Option<Parked<T>>) -> Option<Parked<T>> {
        let new = match parked {
            None => ptr::null(),
            // SAFETY: the pointee is not moved out of, but for the pointer, which goes into `hook`.
            Some(parked) => Arc::into_raw(unsafe { ptr::read(&ManuallyDrop::new(parked).hook) }),
        };
        // T (take): publishes the registration, and what its owner did to it, to whoever takes it.
        let old = self.hook.swap(new.cast_mut(), Ordering::AcqRel);
        if old.is_null() {
            return None;
        }
        // SAFETY: not null, it came from the line above, and the swap made the reference ours.
        Some(Parked { hook: unsafe { Arc::from_raw(old.cast_const()) } })
    }
}

impl<T: Target> Drop for Kept<T> {
    fn drop(&mut self) {
        let hook = self.hook.replace_mut(ptr::null_mut()).cast_const();
        if !hook.is_null() {
            // SAFETY: it came from `replace`, and `&mut self` makes the reference ours.
            drop(Parked { hook: unsafe { Arc::from_raw(hook) } });
        }
    }
}
