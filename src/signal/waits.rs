//! The futures of a signal.

use core::fmt;
use core::ops::Deref;

use super::Signal;
use crate::park::seats::Task;
use crate::park::wait::{Lead, WaitOn, Waiting, named_wait};

/// The future of [`Signal::closed`] and [`Signal::closed_in`].
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{Signal, future::WaitClosed};
///
/// static STOP: Signal = Signal::new();
///
/// struct Worker {
///     stop: WaitClosed, // of a `static` signal
/// }
///
/// let worker = Worker { stop: STOP.closed() };
/// STOP.close();
/// worker.stop.block();
/// ```
#[must_use = "does nothing unless awaited, polled or blocked on"]
#[derive(Clone)]
pub struct WaitClosed<P = &'static Signal> {
    wait: WaitOn<ToSignal<P>, (), Task>,
}

#[derive(Clone)]
struct ToSignal<P>(P);

impl<T, P: Deref<Target = Signal<T>>> WaitClosed<P> {
    #[inline]
    pub(super) fn new(waiting: Waiting<(), Task>, signal: P) -> Self {
        Self { wait: WaitOn::new(waiting, ToSignal(signal)) }
    }
}

impl<T, P: Deref<Target = Signal<T>>> Lead<(), Task> for ToSignal<P> {
    type Source = Signal<T>;

    #[inline]
    fn source(&self) -> Option<&Signal<T>> {
        Some(&self.0)
    }
}

named_wait!("WaitClosed", [T, P: Deref<Target = Signal<T>>] WaitClosed<P>, (), |_this| ());

/// The future of [`Signal::value`].
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{Signal, future::WaitValue};
///
/// let port = Signal::<u16>::typed();
/// let wait: WaitValue<'_, u16> = port.value();
/// port.close_with(80).unwrap();
/// assert_eq!(*wait.block(), 80);
/// ```
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitValue<'a, T> {
    wait: WaitClosed<&'a Signal<T>>,
}

impl<'a, T> WaitValue<'a, T> {
    #[inline]
    pub(super) fn new(signal: &'a Signal<T>) -> Self {
        Self { wait: signal.closed() }
    }
}

// Published once, the value stays while the signal is borrowed.
named_wait!("WaitValue", ['a, T] WaitValue<'a, T>, &'a T, |this| value_of(this.wait.wait.lead.0));

impl<T> Clone for WaitValue<'_, T> {
    fn clone(&self) -> Self {
        Self { wait: self.wait.clone() }
    }
}

/// The future of [`Signal::value_in`].
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use winddown::{Signal, future::WaitValueIn};
///
/// let port = Arc::new(Signal::<u16>::typed());
/// let wait: WaitValueIn<Arc<Signal<u16>>> = Signal::value_in(port.clone());
/// port.close_with(80).unwrap();
/// assert_eq!(*wait.block(), 80);
/// ```
#[must_use = "does nothing unless awaited, polled or blocked on"]
#[derive(Clone)]
pub struct WaitValueIn<P> {
    wait: WaitClosed<P>,
}

impl<T, P: Deref<Target = Signal<T>>> WaitValueIn<P> {
    #[inline]
    pub(super) fn new(signal: P) -> Self {
        Self { wait: Signal::closed_in(signal) }
    }
}

named_wait!(
    "WaitValueIn", [T, P: Deref<Target = Signal<T>> + Clone] WaitValueIn<P>,
    Value<P>,
    |this| Value(this.wait.wait.lead.0.clone())
);

/// The output of [`Signal::value_in`]: dereferences to the value of a closed signal, and owns a pointer to that
/// signal.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use winddown::{Signal, future::Value};
///
/// let port = Arc::new(Signal::<u16>::typed());
/// port.close_with(80).unwrap();
/// let value: Value<Arc<Signal<u16>>> = Signal::value_in(port).block();
/// assert_eq!(*value, 80);
/// ```
///
/// # Panics
///
/// When it is dereferenced, if the pointer leads to another signal by then, which is open. No pointer of the
/// standard library does that.
#[derive(Clone, Copy)]
pub struct Value<P>(P);

impl<T, P: Deref<Target = Signal<T>>> Deref for Value<P> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        value_of(&self.0)
    }
}

impl<T: fmt::Debug, P: Deref<Target = Signal<T>>> fmt::Debug for Value<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: fmt::Display, P: Deref<Target = Signal<T>>> fmt::Display for Value<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

#[inline]
fn value_of<T>(signal: &Signal<T>) -> &T {
    signal.get().expect("a signal that a wait has seen closed has its value")
}
