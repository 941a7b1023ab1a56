//! Threads with little stack.

use std::thread;

/// Where one call for each link of a chain overflows after some hundred links.
pub(crate) const SMALL_STACK: usize = 64 << 10;

pub(crate) fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(SMALL_STACK).spawn(test).unwrap().join().unwrap();
}
