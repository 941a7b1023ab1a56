//! A guard and the wait of its task, a join that is pending, the cancel, the guard's drop, the join that
//! is over.

#![cfg_attr(not(feature = "std"), no_std, no_main)]

use core::hint::black_box;
use core::pin::pin;

use winddown::TaskGroup;
use winddown_size::poll;

winddown_size::program!(run);

fn run() {
    let group = black_box(TaskGroup::new());
    let guard = group.guard().expect("an open group");
    let mut join = pin!(group.join());
    assert!(poll(join.as_mut()).is_pending());
    let token = guard.token().clone();
    let mut stop = pin!(token.cancelled());
    assert!(poll(stop.as_mut()).is_pending());
    assert!(group.cancel());
    assert!(poll(stop).is_ready());
    drop(guard);
    assert!(poll(join).is_ready());
}
