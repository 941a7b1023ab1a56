//! A future or a stream, and what is held for as long as it is there.
//!
//! **Invariant: the work is there exactly if the guard is.** So one tag serves both, and the guard's own
//! niche can be that tag: a tracked task is as large as its future and its guard.

use core::mem::{self, MaybeUninit};
use core::pin::Pin;

/// See the module.
pub(super) struct Held<W, G> {
    /// Pinned with the whole.
    work: MaybeUninit<W>,
    /// Never pinned.
    guard: Option<G>,
}

// The guard is never pinned, so it may be moved.
impl<W: Unpin, G> Unpin for Held<W, G> {}

impl<W, G> Held<W, G> {
    pub(super) fn new(work: W, guard: G) -> Self {
        Self { work: MaybeUninit::new(work), guard: Some(guard) }
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.guard.is_none()
    }

    /// The work, unless it is over.
    pub(super) fn work(&self) -> Option<&W> {
        if self.is_over() {
            return None;
        }
        // SAFETY: it is there, since the guard is.
        Some(unsafe { self.work.assume_init_ref() })
    }

    #[inline]
    fn work_mut(self: Pin<&mut Self>) -> Option<Pin<&mut W>> {
        if self.is_over() {
            return None;
        }
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: it is there, since the guard is.
        let work = unsafe { this.work.assume_init_mut() };
        // SAFETY: pinned with the whole; it is moved nowhere, and dropped in its place before its memory goes.
        Some(unsafe { Pin::new_unchecked(work) })
    }

    /// Polls the work by `poll`. None if it is over. If `poll` panics, the work is over: it is ended here,
    /// whether or not this is dropped soon.
    #[inline]
    pub(super) fn poll<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut W>) -> R) -> Option<R> {
        let mut end = End(self);
        let polled = end.0.as_mut().work_mut().map(poll);
        mem::forget(end);
        polled
    }

    /// Drops the work, in its place, and then calls `then` with the guard, also if that drop panics. None if
    /// it is over.
    #[inline]
    pub(super) fn end<R>(self: Pin<&mut Self>, then: impl FnOnce(G) -> R) -> Option<R> {
        // SAFETY: nothing but the guard is moved out of it, which is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let guard = this.guard.take()?;
        let then = AtLatest::when_dropped(move || then(guard));
        // SAFETY: it was there, since the guard was, and is gone for all from now on, since the guard is.
        unsafe { this.work.assume_init_drop() };
        Some(then.now())
    }
}

impl<W, G> Drop for Held<W, G> {
    fn drop(&mut self) {
        // SAFETY: it is not moved any more.
        let this = unsafe { Pin::new_unchecked(self) };
        this.end(drop);
    }
}

/// Ends the work when it is dropped.
struct End<'a, W, G>(Pin<&'a mut Held<W, G>>);

impl<W, G> Drop for End<'_, W, G> {
    fn drop(&mut self) {
        self.0.as_mut().end(drop);
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
