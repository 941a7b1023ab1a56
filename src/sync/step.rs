//! The one loop around a compare-and-swap.

use super::{AtomicPtr, AtomicUsize, AtomicWord, Ordering};

/// An atomic with compare-and-swap.
pub(crate) trait Atomic {
    type Value: Copy;

    /// Puts `new` in, if `old` is there; gives what is there if not, and sometimes, without a reason, what is there
    /// anyway.
    fn exchange(
        &self,
        old: Self::Value,
        new: Self::Value,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self::Value, Self::Value>;
}

macro_rules! atomics {
    ($([$($generic:ident)?] $atomic:ty = $value:ty;)+) => {$(
        impl<$($generic)?> Atomic for $atomic {
            type Value = $value;

            #[inline]
            fn exchange(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange_weak(old, new, success, failure)
            }
        }
    )+};
}

atomics! {
    [T] AtomicPtr<T> = *mut T;
    [] AtomicUsize = usize;
    [] AtomicWord = super::WordBits;
}

/// Makes a step: puts in what `next` makes of the value, and gives what `next` gives beside it. If `next` refuses,
/// nothing is changed.
///
/// `now` is a value that the atomic had, recent or not: the exchange tells. `next` is asked anew after each exchange
/// that another thread was faster for, and then acquires what `failure` says.
#[inline]
pub(crate) fn step<A: Atomic, S, E>(
    atomic: &A,
    mut now: A::Value,
    success: Ordering,
    failure: Ordering,
    mut next: impl FnMut(A::Value) -> Result<(A::Value, S), E>,
) -> Result<S, E> {
    loop {
        let (new, result) = next(now)?;
        match atomic.exchange(now, new, success, failure) {
            Ok(_) => return Ok(result),
            Err(other) => now = other,
        }
    }
}

/// A [`step`] that is never refused.
#[inline]
pub(crate) fn replace<A: Atomic>(
    atomic: &A,
    now: A::Value,
    success: Ordering,
    failure: Ordering,
    mut next: impl FnMut(A::Value) -> A::Value,
) {
    let Ok(()) = step(atomic, now, success, failure, |now| {
        Ok::<_, core::convert::Infallible>((next(now), ()))
    });
}
