//! A closure that runs once or never.

use alloc::boxed::Box;

use crate::sync::TakeOnce;

type Closure = Box<dyn FnOnce() + Send>;

/// A closure that is run by a delivery or dropped by its owner: by the one of the two that takes it first.
pub(crate) struct Callback(TakeOnce<Closure>);

impl Callback {
    pub(crate) fn new(closure: impl FnOnce() + Send + 'static) -> Self {
        Self(TakeOnce::new(Some(Box::new(closure))))
    }

    /// The closure, for the first caller.
    pub(crate) fn take(&self) -> Option<Closure> {
        self.0.take()
    }

    /// Whether it ran, or was taken back.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.is_taken()
    }

    pub(crate) fn run(&self) {
        if let Some(closure) = self.take() {
            closure();
        }
    }
}
