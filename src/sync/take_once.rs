//! A value that the first caller takes.
//!
//! Edge **R** (run or drop): of all callers, one takes.

use super::{AtomicBool, Ordering, UnsafeCell};

/// See the module.
pub(crate) struct TakeOnce<T> {
    is_taken: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is touched by the one thread that changed `is_taken`, or by the drop; it may go
//   to another thread, since it is `Send`.
unsafe impl<T: Send> Sync for TakeOnce<T> {}

impl<T> TakeOnce<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        Self { is_taken: AtomicBool::new(value.is_none()), value: UnsafeCell::new(value) }
    }

    /// The value, for the first caller.
    pub(crate) fn take(&self) -> Option<T> {
        // R: one taker. Acquires nothing: what brought this object to the caller brought the value.
        if self.is_taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: we changed `is_taken`, so nobody else touches the value.
        unsafe { (*self.value.write_ptr()).take() }
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_taken(&self) -> bool {
        // Relaxed: a hint that there is nothing to keep; a stale false keeps a little too much.
        self.is_taken.load(Ordering::Relaxed)
    }
}
