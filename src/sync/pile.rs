//! Values that pile up until somebody takes them all.
//!
//! Edge **Q** (pile): a layer is published by its push to whoever seals or drops the pile.

use core::marker::PhantomData;
use core::mem;
use core::ptr;

use alloc::boxed::Box;

use super::{AtomicPtr, Exclusive as _, Ordering, const_unless_loom, run_to_end, step};

/// A pile that grows by one value at a time and is taken, or dropped, as a whole.
pub(crate) struct Pile<T> {
    /// The last layer, or null, or `SEALED` for ever.
    top: AtomicPtr<Layer<T>>,
    _owns: PhantomData<T>,
}

// SAFETY: sharing a pile lets one thread put in a value that another takes out or drops, and none
//   look at it where it lies. (`Send` is derived and asks for `T: Send`.)
unsafe impl<T: Send> Sync for Pile<T> {}

/// One value of a pile.
struct Layer<T> {
    value: T,
    below: *mut Layer<T>,
}

impl<T> Pile<T> {
    /// No layer is at this address.
    const SEALED: *mut Layer<T> = ptr::without_provenance_mut(1);

    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { top: AtomicPtr::new(ptr::null_mut()), _owns: PhantomData }
        }
    }

    /// Whether nothing has been pushed that this thread has heard of.
    pub(crate) fn is_empty(&self) -> bool {
        self.top.load(Ordering::Relaxed).is_null()
    }

    /// Puts `value` on top; gives it back if the pile is sealed.
    pub(crate) fn push(&self, value: T) -> Result<(), T> {
        let layer = Box::into_raw(Box::new(Layer { value, below: ptr::null_mut() }));
        // Acquire: a refused push has what came before the seal.
        let top = self.top.load(Ordering::Acquire);
        // Q: publishes the layer, together with those below: each exchange continues the release
        // sequence of the one before.
        step(&self.top, top, Ordering::Release, Ordering::Acquire, |top| {
            if top == Self::SEALED {
                // SAFETY: from `Box::into_raw` above, and nobody has seen it.
                return Err(unsafe { Box::from_raw(layer) }.value);
            }
            // SAFETY: the layer is ours until the exchange succeeds.
            unsafe { (*layer).below = top };
            Ok((layer, ()))
        })
    }

    /// Takes all that was pushed, if nobody else has the pile.
    pub(crate) fn take(&mut self) -> Layers<T> {
        let top = self.top.replace_mut(ptr::null_mut());
        Layers { top: if top == Self::SEALED { ptr::null_mut() } else { top } }
    }

    /// Takes all that was pushed; from now on nothing can be.
    pub(crate) fn seal(&self) -> Layers<T> {
        // Q: acquires the layers. Release: what came before is seen by those who are refused.
        let top = self.top.swap(Self::SEALED, Ordering::AcqRel);
        Layers { top: if top == Self::SEALED { ptr::null_mut() } else { top } }
    }
}

impl<T> Drop for Pile<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// What was taken from a pile, the last value on top.
pub(crate) struct Layers<T> {
    top: *mut Layer<T>,
}

// SAFETY: it owns its layers, as a list of boxes would.
unsafe impl<T: Send> Send for Layers<T> {}

impl<T> Layers<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.top.is_null()
    }

    /// Turns the order around, and says how many values there are. Allocates nothing.
    pub(crate) fn reverse(&mut self) -> usize {
        let (mut reversed, mut count) = (ptr::null_mut(), 0);
        while !self.top.is_null() {
            // SAFETY: from `Box::into_raw` in `push`, and this list owns it.
            let layer = unsafe { &mut *self.top };
            self.top = mem::replace(&mut layer.below, reversed);
            reversed = layer;
            count += 1;
        }
        self.top = reversed;
        count
    }

    /// Takes the value that was pushed last.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.top.is_null() {
            return None;
        }
        // SAFETY: from `Box::into_raw` in `push`, and this list owns it.
        let layer = unsafe { Box::from_raw(self.top) };
        self.top = layer.below;
        Some(layer.value)
    }
}

impl<T> Drop for Layers<T> {
    /// Drops all values, also if the drop of one panics.
    fn drop(&mut self) {
        if !self.is_empty() {
            run_to_end(|| self.pop().is_some());
        }
    }
}
