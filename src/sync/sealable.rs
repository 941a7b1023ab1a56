//! Values that collect until a thread takes them all.
//!
//! Edge **Q**: an entry is published by its push to the thread that seals or drops the stack.

use core::marker::PhantomData;
use core::mem;
use core::ptr;

use alloc::boxed::Box;

use super::{AtomicPtr, Exclusive as _, Ordering, const_unless_loom, run_to_end, step};

/// A stack that grows by one value at a time and is taken, or dropped, as a whole.
pub(crate) struct SealableStack<T> {
    /// The last entry, or null, or `SEALED` for ever.
    top: AtomicPtr<Entry<T>>,
    _owns: PhantomData<T>,
}

// SAFETY: sharing a stack lets one thread put in a value that another takes out or drops, and none
//   look at it where it lies. (`Send` is derived and asks for `T: Send`.)
unsafe impl<T: Send> Sync for SealableStack<T> {}

/// One value of a stack.
struct Entry<T> {
    value: T,
    below: *mut Entry<T>,
}

impl<T> SealableStack<T> {
    /// No entry is at this address.
    const SEALED: *mut Entry<T> = ptr::without_provenance_mut(1);

    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { top: AtomicPtr::new(ptr::null_mut()), _owns: PhantomData }
        }
    }

    /// Whether nothing has been pushed that this thread has heard of.
    pub(crate) fn is_empty(&self) -> bool {
        self.top.load(Ordering::Relaxed).is_null()
    }

    /// Puts `value` on top; gives it back if the stack is sealed.
    pub(crate) fn push(&self, value: T) -> Result<(), T> {
        let entry = Box::into_raw(Box::new(Entry { value, below: ptr::null_mut() }));
        // Q: a push that is refused acquires what came before the seal.
        let top = self.top.load(Ordering::Acquire);
        // Q: publishes the entry, together with those below: each exchange continues the release
        // sequence of the one before.
        step(&self.top, top, Ordering::Release, Ordering::Acquire, |top| {
            if top == Self::SEALED {
                // SAFETY: from `Box::into_raw` above, and nobody has seen it.
                return Err(unsafe { Box::from_raw(entry) }.value);
            }
            // SAFETY: the entry is ours until the exchange succeeds.
            unsafe { (*entry).below = top };
            Ok((entry, ()))
        })
    }

    /// Takes all that was pushed, if nobody else has the stack.
    pub(crate) fn take(&mut self) -> Taken<T> {
        let top = self.top.replace_mut(ptr::null_mut());
        Taken { top: if top == Self::SEALED { ptr::null_mut() } else { top } }
    }

    /// Takes all that was pushed; from now on nothing can be.
    pub(crate) fn seal(&self) -> Taken<T> {
        // Q: acquires the entries. Release: what came before is seen by the pushes that are refused.
        let top = self.top.swap(Self::SEALED, Ordering::AcqRel);
        Taken { top: if top == Self::SEALED { ptr::null_mut() } else { top } }
    }
}

impl<T> Drop for SealableStack<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// What was taken from a stack, the last value on top.
pub(crate) struct Taken<T> {
    top: *mut Entry<T>,
}

// SAFETY: it owns its entries, as a list of boxes would.
unsafe impl<T: Send> Send for Taken<T> {}

impl<T> Taken<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.top.is_null()
    }

    /// Turns the order around, and says how many values there are. Allocates nothing.
    pub(crate) fn reverse(&mut self) -> usize {
        let (mut reversed, mut count) = (ptr::null_mut(), 0);
        while !self.top.is_null() {
            // SAFETY: from `Box::into_raw` in `push`, and this list owns it.
            let entry = unsafe { &mut *self.top };
            self.top = mem::replace(&mut entry.below, reversed);
            reversed = entry;
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
        let entry = unsafe { Box::from_raw(self.top) };
        self.top = entry.below;
        Some(entry.value)
    }
}

impl<T> Drop for Taken<T> {
    /// Drops all values, also if the drop of one panics.
    fn drop(&mut self) {
        if !self.is_empty() {
            run_to_end(|| self.pop().is_some());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Arc;

    #[test]
    fn what_nobody_has_taken_is_dropped_with_the_stack() {
        let (value, stack) = (Arc::new(()), SealableStack::new());
        for _ in 0..3 {
            assert!(stack.push(Arc::clone(&value)).is_ok());
        }
        drop(stack);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
