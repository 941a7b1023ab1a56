//! The one facade over `core`, `std`, loom and portable atomics.
//!
//! No other file names them, or `Arc`: what holds here holds for every platform, and a model runs
//! the same code as a server. Three things differ under loom and are spelled out below: constructors
//! are not `const`; `Arc` is our own ([`model`]), since loom's has neither `Weak` nor `into_inner` and
//! std's is invisible to the model; and a touch of an atomic, a cell or the value of an `Arc` that is
//! gone fails the model.

mod lazy;
#[cfg(loom)]
pub(crate) mod model;
#[cfg(winddown_pauses)]
pub(crate) mod pauses;
mod sealable;
mod step;
mod take_once;
mod unwind;

pub(crate) use lazy::LazyArc;
pub(crate) use sealable::{SealableStack, Taken};
pub(crate) use step::{replace, step};
pub(crate) use take_once::TakeOnce;
pub(crate) use unwind::{keep_through, run_both, run_to_end};

pub(crate) use core::sync::atomic::Ordering;

#[cfg(winddown_pauses)]
mod imp {
    pub(crate) use super::pauses::{AtomicBool, AtomicPtr, AtomicUsize, AtomicWord};
    pub(crate) use alloc::sync::{Arc, Weak};
    pub(crate) use core::sync::atomic::fence;
}

#[cfg(not(any(loom, winddown_pauses, feature = "portable-atomic")))]
mod imp {
    pub(crate) use alloc::sync::{Arc, Weak};
    #[cfg(not(target_has_atomic = "64"))]
    pub(crate) use core::sync::atomic::AtomicU32 as AtomicWord;
    #[cfg(target_has_atomic = "64")]
    pub(crate) use core::sync::atomic::AtomicU64 as AtomicWord;
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};
}

#[cfg(all(not(any(loom, winddown_pauses)), feature = "portable-atomic"))]
mod imp {
    #[cfg(not(target_has_atomic = "64"))]
    pub(crate) use portable_atomic::AtomicU32 as AtomicWord;
    #[cfg(target_has_atomic = "64")]
    pub(crate) use portable_atomic::AtomicU64 as AtomicWord;
    pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};
    pub(crate) use portable_atomic_util::{Arc, Weak};
}

#[cfg(loom)]
mod imp {
    pub(crate) use super::model::{Arc, AtomicBool, AtomicPtr, AtomicUsize, AtomicWord, Weak};
    pub(crate) use loom::sync::atomic::fence;
}

use imp::fence;
pub(crate) use imp::{Arc, AtomicBool, AtomicPtr, AtomicUsize, AtomicWord, Weak};

#[cfg(loom)]
pub(crate) use core::sync::atomic::AtomicUsize as Advice;
/// A number that advises, and on which nothing rests: a model does not look at the order of its accesses.
#[cfg(not(loom))]
pub(crate) use imp::AtomicUsize as Advice;

/// Whether `this` is the only strong reference. If so, what the threads did that dropped the others is acquired.
pub(crate) fn is_only<T>(this: &Arc<T>) -> bool {
    if Arc::strong_count(this) > 1 {
        return false;
    }
    if cfg!(winddown_thread_sanitizer) {
        // That sanitizer knows no fences. The step from a weak reference to a strong one acquires the same.
        drop(Arc::downgrade(this).upgrade());
    } else {
        // C: acquires what was registered by a reference that is gone.
        fence(Ordering::Acquire);
    }
    true
}

/// What the widest atomic of the target holds; without native 64-bit atomics 32 bits, since
/// emulating more would take a lock or a critical section on every step.
#[cfg(any(loom, target_has_atomic = "64"))]
pub(crate) type WordBits = u64;
#[cfg(not(any(loom, target_has_atomic = "64")))]
pub(crate) type WordBits = u32;

/// An atomic whose value an exclusive reference may take without an atomic access.
pub(crate) trait Exclusive<V> {
    /// Puts `value` in and gives what was there.
    fn replace_mut(&mut self, value: V) -> V;
}

macro_rules! exclusive {
    ($([$($generic:ident)?] $atomic:ty = $value:ty;)+) => {$(
        impl<$($generic)?> Exclusive<$value> for $atomic {
            fn replace_mut(&mut self, value: $value) -> $value {
                #[cfg(not(loom))]
                return core::mem::replace(self.get_mut(), value);
                #[cfg(loom)]
                return self.with_mut(|it| core::mem::replace(it, value));
            }
        }
    )+};
}

exclusive! {
    [T] AtomicPtr<T> = *mut T;
    [] AtomicUsize = usize;
}

/// Declares a function `const`, except under loom, whose types have no `const` constructors.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        $vis const fn $($rest)*
        #[cfg(loom)]
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(crate) use const_unless_loom;

/// A cell that is written through a shared reference, by the thread that the protocol around it admits.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(
    #[cfg(not(loom))] core::cell::UnsafeCell<T>,
    #[cfg(loom)] model::Watched<loom::cell::UnsafeCell<T>>,
);

impl<T> UnsafeCell<T> {
    const_unless_loom! {
        pub(crate) const fn new(value: T) -> Self {
            #[cfg(not(loom))]
            return Self(core::cell::UnsafeCell::new(value));
            #[cfg(loom)]
            return Self(model::Watched::watch(loom::cell::UnsafeCell::new(value)));
        }
    }

    /// A pointer for reading; under loom a read that is checked against every write.
    pub(crate) fn read_ptr(&self) -> *const T {
        #[cfg(not(loom))]
        return self.0.get();
        #[cfg(loom)]
        return self.0.with(|it| it);
    }

    /// A pointer for writing; under loom a write that is checked against every access.
    pub(crate) fn write_ptr(&self) -> *mut T {
        #[cfg(not(loom))]
        return self.0.get();
        #[cfg(loom)]
        return self.0.with_mut(|it| it);
    }
}

/// A value that starts a cache line, where there are caches.
#[cfg_attr(feature = "std", repr(align(64)))]
pub(crate) struct Line<T>(pub(crate) T);

/// How many threads are worth counting apart, and which of them this one is.
///
/// `index()` is below `count()`, which is a power of two and never changes. Unsafe code relies on that (condition 10).
#[cfg(all(feature = "std", not(loom)))]
pub(crate) mod threads {
    use core::cell::Cell;
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// A thread that may run on one core only is told that there is one. And more than there are cores
    /// lets fewer threads meet.
    const LEAST: usize = 8;
    /// More would take longer to add up than they save.
    const MOST: usize = 64;

    static NEXT: AtomicUsize = AtomicUsize::new(0);

    std::thread_local! {
        // From 1 on; 0 is not assigned yet. Without a destructor, it is there until the thread is
        // gone.
        static INDEX: Cell<usize> = const { Cell::new(0) };
    }

    /// The first call in a process asks the system, which takes tens of microseconds.
    pub(crate) fn count() -> usize {
        // 0 is not known yet.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Relaxed: a number, and nothing that goes with it.
        let known = COUNT.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = cores.next_power_of_two().clamp(LEAST, MOST);
        // The first answer stays, also if the system changes its mind meanwhile.
        match COUNT.compare_exchange(0, count, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => count,
            Err(first) => first,
        }
    }

    #[inline]
    pub(crate) fn index() -> usize {
        let index = |it: &Cell<usize>| if it.get() == 0 { assign(it) } else { it.get() };
        INDEX.try_with(index).unwrap_or(1) - 1
    }

    /// Whether this thread looks for a seat apart from other threads.
    #[inline]
    pub(crate) fn sits_apart() -> bool {
        true
    }

    #[cold]
    fn assign(cell: &Cell<usize>) -> usize {
        cell.set((NEXT.fetch_add(1, Ordering::Relaxed) & (count() - 1)) + 1);
        cell.get()
    }
}

/// A model says which thread counts where, and which threads sit apart.
#[cfg(loom)]
pub(crate) mod threads {
    use core::cell::Cell;

    loom::thread_local! {
        static INDEX: Cell<usize> = Cell::new(0);
        static SITS_APART: Cell<bool> = Cell::new(false);
    }

    pub(crate) fn count() -> usize {
        2
    }

    pub(crate) fn index() -> usize {
        INDEX.with(Cell::get)
    }

    pub(crate) fn set_index(index: usize) {
        assert!(index < count());
        INDEX.with(|it| it.set(index));
    }

    pub(crate) fn sits_apart() -> bool {
        SITS_APART.with(Cell::get)
    }

    pub(crate) fn sit_apart() {
        SITS_APART.with(|it| it.set(true));
    }
}

/// A short lock, for the one list of the crate that has one.
#[cfg(all(feature = "holders", feature = "std"))]
pub(crate) struct Lock<T>(std::sync::Mutex<T>);

#[cfg(all(feature = "holders", feature = "std"))]
impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// A critical section in place of a lock.
#[cfg(all(feature = "holders", not(feature = "std"), feature = "critical-section"))]
pub(crate) struct Lock<T>(critical_section::Mutex<core::cell::RefCell<T>>);

#[cfg(all(feature = "holders", not(feature = "std"), feature = "critical-section"))]
impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(critical_section::Mutex::new(core::cell::RefCell::new(value)))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        critical_section::with(|section| f(&mut self.0.borrow_ref_mut(section)))
    }
}

/// Threads and unwinding: what blocking waits and panic safety need of `std`.
#[cfg(feature = "std")]
pub(crate) mod host {
    pub(crate) use std::thread::panicking;

    #[cfg(loom)]
    pub(crate) use loom::thread_local;
    #[cfg(not(loom))]
    pub(crate) use std::thread_local;

    #[cfg(not(loom))]
    pub(crate) use std::thread::{Thread, current, park, park_timeout};

    #[cfg(loom)]
    pub(crate) use loom::thread::{Thread, current, park};
    /// loom has no clock: a model never blocks with a timeout.
    #[cfg(loom)]
    pub(crate) fn park_timeout(_: core::time::Duration) {
        unreachable!("blocking with a timeout cannot be modelled")
    }

    pub(crate) use std::time::Instant;

    /// The time; `None` on the targets without a clock, where `Instant::now` panics.
    pub(crate) fn now() -> Option<Instant> {
        let has_clock =
            !cfg!(any(all(target_family = "wasm", target_os = "unknown"), target_os = "zkvm"));
        has_clock.then(Instant::now)
    }
}
