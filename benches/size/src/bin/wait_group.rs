//! A guard, a wait that is pending, the guard's drop, the wait that is over.

#![cfg_attr(not(feature = "std"), no_std, no_main)]

use core::hint::black_box;
use core::pin::pin;

use winddown::WaitGroup;
use winddown_size::poll;

winddown_size::program!(run);

fn run() {
    static GROUP: WaitGroup = WaitGroup::new();
    let group = black_box(&GROUP);
    let guard = group.guard();
    let mut wait = pin!(group.wait());
    assert!(poll(wait.as_mut()).is_pending());
    drop(guard);
    assert!(poll(wait).is_ready());
}
