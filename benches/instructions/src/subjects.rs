//! What is waited for, behind the same few operations.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use winddown::future::{Wait, WaitCancelled, WaitClosed, WaitDrained};
use winddown::{CancelScope, CancelToken, Canceller, Signal, TaskGroup, WaitGroup};

/// Something that ends once. A wait that is made before the end is pending until then.
pub(crate) trait Event: Sized + 'static {
    const NAME: &'static str;
    type Wait: Future<Output = ()> + Unpin;

    fn new() -> Self;
    fn wait(&'static self) -> Self::Wait;
    fn end(&self);
}

/// The prepared objects live for ever, so that waits can borrow from them.
pub(crate) fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Polls with a waker whose clone, wake and drop are calls that do nothing.
pub(crate) fn poll(future: &mut (impl Future<Output = ()> + Unpin)) -> Poll<()> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

impl Event for Signal {
    const NAME: &'static str = "Signal";
    type Wait = WaitClosed<&'static Self>;

    fn new() -> Self {
        Self::new()
    }

    fn wait(&'static self) -> Self::Wait {
        self.closed()
    }

    fn end(&self) {
        assert!(self.close());
    }
}

/// One piece of work is in flight.
impl Event for WaitGroup {
    const NAME: &'static str = "WaitGroup";
    type Wait = Wait<&'static Self>;

    fn new() -> Self {
        let group = Self::new();
        group.add(1).expect("room");
        group
    }

    fn wait(&'static self) -> Self::Wait {
        self.wait()
    }

    fn end(&self) {
        self.done().expect("one piece of work");
    }
}

impl Event for Canceller {
    const NAME: &'static str = "CancelToken";
    type Wait = WaitCancelled<&'static CancelToken>;

    fn new() -> Self {
        CancelScope::new().detach()
    }

    fn wait(&'static self) -> Self::Wait {
        self.token().cancelled()
    }

    fn end(&self) {
        assert!(self.cancel());
    }
}

/// Nobody is inside; its close drains it.
impl Event for TaskGroup {
    const NAME: &'static str = "TaskGroup";
    type Wait = WaitDrained<&'static Self>;

    fn new() -> Self {
        Self::new()
    }

    fn wait(&'static self) -> Self::Wait {
        self.drained()
    }

    fn end(&self) {
        assert!(self.close());
    }
}
