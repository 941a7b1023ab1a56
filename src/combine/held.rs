//! A future, and what is held for as long as it is there.
//!
//! **Invariant: the future is there exactly if the guard is.** So one tag serves both, and the guard's own
//! niche can be that tag: a tracked task is as large as its future and its guard.

use core::mem::MaybeUninit;
use core::pin::Pin;

/// See the module.
pub(super) struct Held<F, G> {
    /// Pinned with the whole.
    future: MaybeUninit<F>,
    /// Never pinned.
    guard: Option<G>,
}

// The guard is never pinned, so it may be moved.
impl<F: Unpin, G> Unpin for Held<F, G> {}

impl<F, G> Held<F, G> {
    pub(super) fn new(future: F, guard: G) -> Self {
        Self { future: MaybeUninit::new(future), guard: Some(guard) }
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.guard.is_none()
    }

    /// The future, unless it is over.
    #[inline]
    pub(super) fn future(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        if self.is_over() {
            return None;
        }
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: it is there, since the guard is.
        let future = unsafe { this.future.assume_init_mut() };
        // SAFETY: pinned with the whole; it is moved nowhere, and dropped in its place before its memory goes.
        Some(unsafe { Pin::new_unchecked(future) })
    }

    /// Drops the future, in its place, and then calls `then` with the guard, also if that drop panics. None if
    /// it is over.
    #[inline]
    pub(super) fn end<R>(self: Pin<&mut Self>, then: impl FnOnce(G) -> R) -> Option<R> {
        // SAFETY: nothing but the guard is moved out of it, which is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let guard = this.guard.take()?;
        let then = AtLatest::when_dropped(move || then(guard));
        // SAFETY: it was there, since the guard was, and is gone for all from now on, since the guard is.
        unsafe { this.future.assume_init_drop() };
        Some(then.now())
    }
}

impl<F, G> Drop for Held<F, G> {
    fn drop(&mut self) {
        // SAFETY: it is not moved any more.
        let this = unsafe { Pin::new_unchecked(self) };
        this.end(drop);
    }
}

/// A closure that is called once: now, or when this is dropped.
struct AtLatest<R, T: FnOnce() -> R>(Option<T>);

impl<R, T: FnOnce() -> R> AtLatest<R, T> {
    fn when_dropped(closure: T) -> Self {
        Self(Some(closure))
    }

    fn now(mut self) -> R {
        match self.0.take() {
            Some(closure) => closure(),
            None => unreachable!("only this takes the closure, and this is its only call"),
        }
    }
}

impl<R, T: FnOnce() -> R> Drop for AtLatest<R, T> {
    fn drop(&mut self) {
        if let Some(closure) = self.0.take() {
            closure();
        }
    }
}
