//! A thread as what a waker wakes.
//!
//! `std::task::Wake` sees neither portable atomics nor loom's, so the four functions of a waker stand here by hand.
//!
//! Edge **K** (wake): what the waking thread did before is seen by the poll that follows. One poll may answer several
//! wakes; it sees what came before each, so the flag is changed by read-modify-writes alone.

use core::ptr;
use core::task::{RawWaker, RawWakerVTable, Waker};

use crate::sync::host::{Instant, Thread, current, park, park_timeout};
use crate::sync::{Arc, AtomicBool, Ordering};

/// A thread that is blocked in a wait. The flag counts, not the thread's park token: foreign
/// code that is polled on this thread (a limit) may park too, and swallow the token.
pub(crate) struct Parker {
    woken: AtomicBool,
    thread: Thread,
}

/// At one address, by which a waker of a thread is known.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: `data` is of `Arc::into_raw`, and the waker that is being cloned keeps it.
    unsafe { Arc::increment_strong_count(data.cast::<Parker>()) };
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: `data` is of `Arc::into_raw`, and the waker gives its reference up.
    unsafe { Arc::from_raw(data.cast::<Parker>()) }.unpark();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: `data` is of `Arc::into_raw`, and the waker keeps it.
    unsafe { &*data.cast::<Parker>() }.unpark();
}

unsafe fn release(data: *const ()) {
    // SAFETY: as in `wake`.
    drop(unsafe { Arc::from_raw(data.cast::<Parker>()) });
}

impl Parker {
    /// For this thread.
    pub(crate) fn new() -> Self {
        Self { woken: AtomicBool::new(false), thread: current() }
    }

    /// A waker that unparks it.
    pub(crate) fn waker(this: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(Arc::clone(this)).cast();
        // SAFETY: the functions are for the pointer that `Arc::into_raw` gives, each reference is given up once, and
        //   a `Parker` may be used by any thread.
        unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
    }

    /// Whether `waker` came from `waker`.
    pub(crate) fn is_of(waker: &Waker) -> bool {
        ptr::eq(waker.vtable(), &VTABLE)
    }

    fn unpark(&self) {
        // K: what the waking thread did before is seen by the poll that follows `park`. A swap, also where the flag is
        // set already: it continues the release sequences of the wakes before it, so the park that takes the flag back
        // acquires them all. A plain store would hide those of other threads: the poll could miss what they did, and
        // their `unpark`, if it comes late, finds the flag clear. The thread's park token does not make up for it: a
        // park that finds the flag set takes no token.
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }

    /// Parks until woken (true), or until `at` (false).
    pub(crate) fn park(&self, at: Option<Instant>) -> bool {
        // K: acquires what came before the wake.
        while !self.woken.swap(false, Ordering::Acquire) {
            let Some(at) = at else {
                park();
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            park_timeout(left);
        }
        true
    }
}
