//! Ten million abandoned waits: the heap is flat, to the byte.
//!
//! In a build without optimisation it is one million, so that the whole suite stays quick;
//! `cargo test --release --test abandoned` abandons them all.

#![cfg(not(loom))]

mod common;
#[path = "common/heap.rs"]
mod heap;

use core::future::{Future, pending};
use core::task::Waker;
use std::sync::Arc;

use common::{Bell, look, poll};
use heap::Heap;
use winddown::{Signal, WaitGroup};

/// All tests together.
const WAITS: usize = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };
const TESTS: usize = 5;

/// Polls each wait once, or twice with another waker, and drops it.
fn abandon<F: Future + Unpin>(mut wait: impl FnMut() -> F) {
    let (bell, other) = (Bell::new().waker(), Bell::new().waker());
    let mut turn = |at: usize| {
        let mut wait = wait();
        assert!(poll(&mut wait, &bell).is_pending());
        if at % 4 == 0 {
            assert!(poll(&mut wait, &other).is_pending());
        }
    };
    (0..100).for_each(&mut turn);
    let before = Heap::now();
    (0..WAITS / TESTS).for_each(&mut turn);
    let after = Heap::now();
    assert_eq!((before.bytes, before.blocks), (after.bytes, after.blocks));
    drop(core::hint::black_box(Box::new(1)));
    assert!(Heap::now().allocations > after.allocations, "the counter was at work");
}

/// Rule 12, without other waits.
#[test]
fn lone_waits_on_a_group_leave_nothing_behind() {
    let group = WaitGroup::new();
    let guard = group.guard();
    abandon(|| group.wait());
    drop(guard);
    assert!(look(&mut group.wait()).is_ready());
}

/// Rule 12, behind and between other waits, which are woken in the end.
#[test]
fn waits_on_a_group_among_others_leave_nothing_behind() {
    let group = Arc::new(WaitGroup::new());
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    let bell = Bell::new();
    let mut others = [(); 3].map(|()| group.wait());
    assert!(others.iter_mut().all(|other| poll(other, &bell.waker()).is_pending()));
    abandon(|| WaitGroup::wait_in(Arc::clone(&group)));
    drop(guard);
    assert_eq!(bell.rings(), 3);
}

/// Rule 12, where every abandoned wait was woken first: a whole round for each.
#[test]
fn waits_that_are_abandoned_when_woken_leave_nothing_behind() {
    let group = WaitGroup::new();
    let bell = Bell::new();
    let turns = WAITS / TESTS;
    let mut bytes = Heap::now().bytes;
    for at in 0..turns {
        let guard = group.guard();
        let (mut first, mut second) = (group.wait(), group.wait());
        assert!(poll(&mut first, &bell.waker()).is_pending());
        assert!(poll(&mut second, &bell.waker()).is_pending());
        drop(guard);
        drop((first, second));
        if at == 100 {
            bytes = Heap::now().bytes;
        }
    }
    assert_eq!(Heap::now().bytes, bytes);
    assert_eq!((bell.rings(), Arc::strong_count(&bell)), (2 * turns, 1));
}

/// Rule 12.
#[test]
fn lone_waits_on_a_signal_leave_nothing_behind() {
    let signal = Signal::<u8>::typed();
    abandon(|| signal.value());
    signal.close_with(1).unwrap();
    assert!(look(&mut signal.value()).is_ready());
}

/// Rule 12, with a limit around it.
#[test]
fn limited_waits_on_a_signal_among_others_leave_nothing_behind() {
    let signal = Arc::new(Signal::new());
    let mut others = [(); 3].map(|()| signal.closed());
    assert!(others.iter_mut().all(|other| poll(other, Waker::noop()).is_pending()));
    abandon(|| Signal::closed_in(Arc::clone(&signal)).until(pending::<()>()));
    signal.close();
    assert!(others.iter_mut().all(|other| look(other).is_ready()));
}
