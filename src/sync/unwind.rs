//! Going on after a panic of foreign code.

use core::cell::Cell;

/// Calls `step` until it says that nothing is left. A step that panics does not keep the others from
/// being made: the first panic goes on when all of them are, unless this thread is unwinding already,
/// where that would abort.
///
/// Without `std` a panic cannot be caught: the steps that are left are made while it unwinds, and a
/// second panic aborts.
#[cfg(feature = "std")]
pub(crate) fn run_to_end(mut step: impl FnMut() -> bool) {
    use core::panic::AssertUnwindSafe;
    use std::panic::{catch_unwind, resume_unwind};

    let mut first = None;
    loop {
        // After a panic `step` goes on with what it has not taken in hand yet.
        match catch_unwind(AssertUnwindSafe(|| while step() {})) {
            Ok(()) => break,
            Err(panic) if first.is_none() && !is_unwinding() => first = Some(panic),
            // In here, since its drop may leave more to be done.
            Err(panic) => discard(panic),
        }
    }
    if let Some(panic) = first {
        resume_unwind(panic);
    }
}

/// Drops what a panic carried. That is foreign too, and may panic.
#[cfg(feature = "std")]
#[cold]
fn discard(panic: alloc::boxed::Box<dyn core::any::Any + Send>) {
    let drop_it = core::panic::AssertUnwindSafe(|| drop(panic));
    if let Err(again) = std::panic::catch_unwind(drop_it) {
        core::mem::forget(again);
    }
}

#[cfg(not(feature = "std"))]
pub(crate) fn run_to_end(step: impl FnMut() -> bool) {
    struct GoOn<S: FnMut() -> bool>(S);

    impl<S: FnMut() -> bool> Drop for GoOn<S> {
        fn drop(&mut self) {
            while self.0() {}
        }
    }

    let mut rest = GoOn(step);
    while rest.0() {}
    core::mem::forget(rest);
}

/// Calls `first` and then `second`, also if `first` panics.
pub(crate) fn run_both(first: impl FnOnce(), second: impl FnOnce()) {
    let (mut first, mut second) = (Some(first), Some(second));
    run_to_end(|| {
        if let Some(first) = first.take() {
            first();
        } else if let Some(second) = second.take() {
            second();
        } else {
            return false;
        }
        true
    });
}

/// Calls `act`, which is foreign code, and then gives `value` back. If `act` panics, `value` is dropped before the
/// panic goes on, and a panic of that drop does not meet the first. A panic that does not go on, since this thread is
/// unwinding already, changes nothing: `value` is given back.
///
/// A drop that panics where a function ends leaks what the function returns (a known fault of the compiler). So a
/// function that owns foreign things drops them by this, and not by its end.
pub(crate) fn keep_through<T>(value: T, act: impl FnOnce()) -> T {
    let (value, done) = (Cell::new(Some(value)), Cell::new(false));
    let act = || {
        act();
        done.set(true);
    };
    run_both(act, || {
        if !done.get() && !is_unwinding() {
            drop(value.take());
        }
    });
    value.take().unwrap_or_else(|| unreachable!("a panic goes on"))
}

/// Whether this thread was unwinding before the step that a [`run_to_end`] makes, so that a panic of it does not go on.
fn is_unwinding() -> bool {
    #[cfg(feature = "std")]
    return std::thread::panicking();
    #[cfg(not(feature = "std"))]
    false
}
