//! A shared value that is made when it is first needed.
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
        // SAFETY: if not null, it came from `Arc::into_raw` in `make`, and the reference that it
        //   stands for is given up in `drop` alone, which has `&mut self`.
        unsafe { self.as_ptr().as_ref() }
    }

    /// The value, as `Arc::as_ptr` gives it; null if it was not made. It lives as long as `self`.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *const T {
        // P: acquires the value that `make` published.
        self.value.load(Ordering::Acquire)
    }

    /// The value, as `Arc::as_ptr` gives it, made here if nobody needed it before. It lives as long as `self`.
    #[inline]
    pub(crate) fn get_or_make_ptr(&self, make: impl FnOnce() -> T) -> *const T {
        let value = self.as_ptr();
        if value.is_null() { self.make(make()) } else { value }
    }

    /// The value, made here if nobody needed it before.
    #[inline]
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        // SAFETY: not null, and it lives as long as `self`.
        unsafe { &*self.get_or_make_ptr(make) }
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
