//! A late touch of memory that is gone fails the model.
//!
//! loom checks how accesses of its atomics and cells are ordered, but it does not know when one of them
//! ends, and it does not see memory that is freed. A [`Canary`] knows: each use of what it watches
//! reads it, and the end writes it.
//!
//! * A use that is not ordered before the end is a race of a read and a write, which loom reports
//!   ("Causality violation") in whatever order the two happen to run.
//! * A use behind the end, on the thread that ended it or on one that knows of the end, finds the
//!   canary gone: an assertion.
//!
//! The second reads memory that may be freed already. The allocator of the models therefore keeps freed
//! blocks, as they are, for a while.

use core::fmt;
use core::ops::{Deref, DerefMut};

use loom::cell::UnsafeCell;

/// Whether what it watches is gone.
pub(super) struct Canary {
    is_gone: UnsafeCell<bool>,
}

// SAFETY: loom runs all threads of a model on one thread, and fails the model if a write is not ordered
//   with every other access.
unsafe impl Sync for Canary {}

impl Canary {
    #[track_caller]
    pub(super) fn new() -> Self {
        Self { is_gone: UnsafeCell::new(false) }
    }

    /// Called before each use. While a thread unwinds nothing is checked: a model that fails would
    /// abort on its way out.
    #[track_caller]
    pub(super) fn touch(&self) {
        if !std::thread::panicking() {
            // SAFETY: see `Sync`.
            let is_gone = self.is_gone.with(|is_gone| unsafe { *is_gone });
            assert!(!is_gone, "touched after it was gone");
        }
    }

    /// Called at the end, after the last use.
    #[track_caller]
    pub(super) fn end(&self) {
        if !std::thread::panicking() {
            // SAFETY: see `Sync`.
            self.is_gone.with_mut(|is_gone| unsafe { *is_gone = true });
        }
    }
}

/// One of loom's atomics or cells, whose end is checked against all its uses.
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
