//! A touch of memory that is gone fails the model.
//!
//! loom checks how the accesses of its atomics and cells are ordered, but it does not know when one of
//! these objects ends, and it does not see memory that is freed. A [`Canary`] adds that: each use of an
//! object reads its canary, and the end of the object writes it.
//!
//! * A use that is not ordered before the end is a race between a read and a write. loom reports it
//!   ("Causality violation"), whichever of the two runs first.
//! * A use that is ordered after the end finds the canary gone, and an assertion fails.
//!
//! Both read memory that may have been freed. The allocator of the models therefore keeps freed blocks
//! as they are for a while (`loom-tests/src/quarantine.rs`).

use core::fmt;
use core::ops::{Deref, DerefMut};

use loom::cell::UnsafeCell;

/// Tells whether an object is gone.
pub(super) struct Canary {
    /// Read by each use of the object, written once by its end.
    is_gone: UnsafeCell<bool>,
}

// SAFETY: loom runs all threads of a model on one thread of the system, and fails the model if a write
//   is not ordered with every other access.
unsafe impl Sync for Canary {}

impl Canary {
    #[track_caller]
    pub(super) fn new() -> Self {
        Self { is_gone: UnsafeCell::new(false) }
    }

    /// Called before each use of the object.
    ///
    /// Nothing is checked while the thread unwinds: a second panic would abort the test, and hide the
    /// first one.
    #[track_caller]
    pub(super) fn touch(&self) {
        if !std::thread::panicking() {
            // SAFETY: see `Sync`.
            let is_gone = self.is_gone.with(|is_gone| unsafe { *is_gone });
            assert!(!is_gone, "touched after it was gone");
        }
    }

    /// Called once, after the last use of the object.
    #[track_caller]
    pub(super) fn end(&self) {
        if !std::thread::panicking() {
            // SAFETY: see `Sync`.
            self.is_gone.with_mut(|is_gone| unsafe { *is_gone = true });
        }
    }
}

/// An atomic or a cell of loom, with a canary.
pub(crate) struct Watched<A> {
    canary: Canary,
    inner: A,
}

impl<A> Watched<A> {
    #[track_caller]
    pub(crate) fn watch(inner: A) -> Self {
        Self { canary: Canary::new(), inner }
    }
}

impl<A> Deref for Watched<A> {
    type Target = A;

    #[track_caller]
    fn deref(&self) -> &A {
        self.canary.touch();
        &self.inner
    }
}

impl<A> DerefMut for Watched<A> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut A {
        self.canary.touch();
        &mut self.inner
    }
}

impl<A> Drop for Watched<A> {
    fn drop(&mut self) {
        self.canary.end();
    }
}

impl<A: fmt::Debug> fmt::Debug for Watched<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

macro_rules! atomics {
    ($([$($generic:ident)?] $name:ident = $atomic:ty, $value:ty;)+) => {$(
        pub(crate) type $name$(<$generic>)? = Watched<$atomic>;

        impl$(<$generic>)? Watched<$atomic> {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self::watch(<$atomic>::new(value))
            }
        }
    )+};
}

atomics! {
    [] AtomicBool = loom::sync::atomic::AtomicBool, bool;
    [] AtomicUsize = loom::sync::atomic::AtomicUsize, usize;
    [] AtomicWord = loom::sync::atomic::AtomicU64, u64;
    [T] AtomicPtr = loom::sync::atomic::AtomicPtr<T>, *mut T;
}
