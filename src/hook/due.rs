//! Fired hooks on their way to be run.

use core::mem::ManuallyDrop;
use core::ptr;

use super::{Hook, Target};
use crate::sync::{Arc, FirstPanic, Ordering};

/// Fired hooks that are due to be run, first fired first. Each holds one reference.
///
/// Running them is foreign code, so it is the last thing that an operation does. If one panics, the
/// others still run; the first panic goes on when all have.
#[must_use = "the hooks are due"]
pub(crate) struct Due<T: Target> {
    pub(super) first: *mut Hook<T>,
    /// Of no meaning while `first` is null.
    pub(super) last: *mut Hook<T>,
}

impl<T: Target> Default for Due<T> {
    fn default() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut() }
    }
}

impl<T: Target> Due<T> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Puts `hook` behind all others.
    pub(crate) fn push(&mut self, hook: Arc<Hook<T>>) {
        let hook = Arc::into_raw(hook).cast_mut();
        self.append(Self { first: hook, last: hook });
    }

    /// Puts all of `more` behind all others.
    pub(crate) fn append(&mut self, more: Self) {
        let more = ManuallyDrop::new(more);
        if more.is_empty() {
            return;
        }
        if self.is_empty() {
            self.first = more.first;
        } else {
            // SAFETY: the list is not empty, and holds a reference to its last hook.
            unsafe { &*self.last }.next.store(more.first, Ordering::Relaxed);
        }
        self.last = more.last;
    }

    /// Takes the first hook out.
    pub(crate) fn pop(&mut self) -> Option<Arc<Hook<T>>> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: the list holds one reference to its first hook, which this takes out.
        let hook = unsafe { Arc::from_raw(self.first.cast_const()) };
        self.first = hook.next.load(Ordering::Relaxed);
        // A hook's link ends where its list does; `push` relies on it.
        hook.next.store(ptr::null_mut(), Ordering::Relaxed);
        Some(hook)
    }

    /// Runs every hook. Foreign code: nothing of the caller's may be unfinished.
    pub(crate) fn run(mut self) {
        let mut panic = FirstPanic::none();
        while let Some(hook) = self.pop() {
            panic.catch(|| hook.target.run());
            panic.catch(|| drop(hook));
        }
        panic.resume();
    }
}

impl<T: Target> Drop for Due<T> {
    /// Goes on with the rest where unwinding cannot be caught.
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            self.go_on();
        }
    }
}

impl<T: Target> Due<T> {
    #[cold]
    fn go_on(&mut self) {
        while let Some(hook) = self.pop() {
            hook.target.run();
        }
    }
}
