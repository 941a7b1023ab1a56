//! A shared value that is made by whoever needs it first.
//!
//! Edge **P** (pointer): the value is published with the pointer to it, and acquired with it.

use core::ptr;

use super::{Arc, AtomicPtr, Exclusive as _, Ordering, const_unless_loom};

/// A place for an `Arc<T>`: null until [`get_or_make`](Self::get_or_make), then the same for ever.
pub(crate) struct LazyArc<T> {
    value: AtomicPtr<T>,
}

impl<T> LazyArc<T> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { value: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// The value, if it was made.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // P: acquires the value that `make` published.
        let value = self.value.load(Ordering::Acquire);
        // SAFETY: if not null, it came from `Arc::into_raw` in `make`, and the reference that it
        //   stands for is given up in `drop` alone, which has `&mut self`.
        unsafe { value.as_ref() }
    }

    /// A reference to the value, which is made here if nobody needed it before.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> Arc<T> {
        // P: as in `get`.
        let mut value = self.value.load(Ordering::Acquire).cast_const();
        if value.is_null() {
            value = self.make(make());
        }
        // SAFETY: `value` came from `Arc::into_raw`, and our own reference, which lives as long as
        //   `self`, keeps it during this call.
        unsafe { Arc::increment_strong_count(value) };
        // SAFETY: the reference that was just counted.
        unsafe { Arc::from_raw(value) }
    }

    #[cold]
    fn make(&self, value: T) -> *const T {
        let made = Arc::into_raw(Arc::new(value));
        let (null, new) = (ptr::null_mut(), made.cast_mut());
        // P: publishes our value; or acquires the value of another thread that was faster.
        match self.value.compare_exchange(null, new, Ordering::Release, Ordering::Acquire) {
            Ok(_) => made,
            Err(theirs) => {
                // SAFETY: `made` came from `Arc::into_raw` above, and nobody else has seen it.
                drop(unsafe { Arc::from_raw(made) });
                theirs.cast_const()
            }
        }
    }
}

impl<T> Drop for LazyArc<T> {
    fn drop(&mut self) {
        let value = self.value.replace_mut(ptr::null_mut());
        if !value.is_null() {
            // SAFETY: `value` came from `Arc::into_raw`, and this is our own reference.
            drop(unsafe { Arc::from_raw(value.cast_const()) });
        }
    }
}
