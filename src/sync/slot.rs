//! A place for one reference.
//!
//! Edge **V** (value): a reference, and what its owner did, is published to whoever takes it.

use core::ptr;

use super::{Arc, AtomicPtr, Ordering};

/// A place that holds an `Arc` or nothing.
pub(crate) struct Slot<T> {
    held: AtomicPtr<T>,
}

impl<T> Slot<T> {
    pub(crate) fn empty() -> Self {
        Self { held: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Puts `new` in and gives what was there.
    pub(crate) fn replace(&self, new: Option<Arc<T>>) -> Option<Arc<T>> {
        let new = new.map_or(ptr::null(), Arc::into_raw);
        // V: publishes the new one, acquires the old one.
        let old = self.held.swap(new.cast_mut(), Ordering::AcqRel);
        // SAFETY: not null, it came from the line above, and the swap made the reference ours.
        (!old.is_null()).then(|| unsafe { Arc::from_raw(old.cast_const()) })
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.replace(None);
    }
}
