//! A closure that runs once or never.

use alloc::boxed::Box;

use crate::sync::{AtomicBool, Ordering, UnsafeCell};

type Closure = Box<dyn FnOnce() + Send>;

/// A closure that is run by a delivery or dropped by its owner: by whoever takes it first.
pub(crate) struct Callback {
    taken: AtomicBool,
    closure: UnsafeCell<Option<Closure>>,
}

// SAFETY: the closure is touched by the one thread that changed `taken`, or by the drop; it may go
//   to another thread, since it is `Send`.
unsafe impl Sync for Callback {}

impl Callback {
    pub(crate) fn new(closure: impl FnOnce() + Send + 'static) -> Self {
        Self { taken: AtomicBool::new(false), closure: UnsafeCell::new(Some(Box::new(closure))) }
    }

    /// The closure, for the first who asks.
    pub(crate) fn take(&self) -> Option<Closure> {
        // R (run or drop): one taker. Acquires nothing: the hook's publication brought the closure.
        if self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: we changed `taken`, so nobody else touches the closure.
        unsafe { (*self.closure.write_ptr()).take() }
    }

    /// Whether it ran, or was taken back.
    pub(crate) fn is_spent(&self) -> bool {
        // Relaxed: a hint that there is nothing to keep; a stale false keeps a little too much.
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn run(&self) {
        if let Some(closure) = self.take() {
            closure();
        }
    }
}
