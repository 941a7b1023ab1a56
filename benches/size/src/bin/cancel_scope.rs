//! A child's wait that is pending, the root's cancel, the wait that is over.

#![cfg_attr(not(feature = "std"), no_std, no_main)]

use core::hint::black_box;
use core::pin::pin;

use winddown::CancelScope;
use winddown_size::poll;

winddown_size::program!(run);

fn run() {
    let root = black_box(CancelScope::new());
    let child = black_box(root.token().child());
    let mut wait = pin!(child.token().cancelled());
    assert!(poll(wait.as_mut()).is_pending());
    assert!(root.cancel());
    assert!(child.token().is_cancelled());
    assert!(poll(wait).is_ready());
}
