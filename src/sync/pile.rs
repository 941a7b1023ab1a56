//! Values that are kept until their owner goes.

use core::ptr;

use alloc::boxed::Box;

use super::{AtomicPtr, Exclusive as _, Ordering, const_unless_loom};

/// A pile that grows by one value at a time and is dropped as a whole.
pub(crate) struct Pile<T> {
    top: AtomicPtr<Layer<T>>,
}

struct Layer<T> {
    _value: T,
    below: *mut Layer<T>,
}

impl<T> Pile<T> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { top: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// Whether nothing has been pushed that this thread has heard of.
    pub(crate) fn is_empty(&self) -> bool {
        self.top.load(Ordering::Relaxed).is_null()
    }

    pub(crate) fn push(&self, value: T) {
        let layer = Box::into_raw(Box::new(Layer { _value: value, below: ptr::null_mut() }));
        let mut below = self.top.load(Ordering::Relaxed);
        loop {
            // SAFETY: the layer is ours until the exchange succeeds.
            unsafe { (*layer).below = below };
            // Release: publishes the layer to the drop, together with those below: each exchange
            // continues the release sequence of the one before.
            match self.top.compare_exchange_weak(below, layer, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => below = now,
            }
        }
    }
}

impl<T> Drop for Pile<T> {
    fn drop(&mut self) {
        let mut top = self.top.replace_mut(ptr::null_mut());
        while !top.is_null() {
            // SAFETY: from `Box::into_raw` in `push`; `&mut self` makes the pile ours.
            let layer = unsafe { Box::from_raw(top) };
            top = layer.below;
        }
    }
}
