//! The limits of the wait group's word, reached by a few calls: with `--cfg winddown_small_word` the
//! count has four bits, so eight is full, and the round has two, so four awaited zeros are a turn.

#![cfg(all(winddown_small_word, not(loom)))]

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::panic::{AssertUnwindSafe, catch_unwind};

use winddown::{Guard, WaitGroup};

/// Half of the range of the count.
const FULL: usize = 8;
/// Awaited zeros until the round is where it was.
const TURN: usize = 4;

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Rule 1: a guard too many is refused, with nothing counted, and there is room again when one goes.
#[test]
fn a_full_group_refuses_guards() {
    let group = WaitGroup::new();
    let mut guards: Vec<Guard<_>> = (0..FULL).map(|_| group.guard()).collect();
    assert_eq!(group.count(), FULL);
    assert!(WaitGroup::try_guard_in(&group).is_err());
    assert!(group.add(1).is_err());
    assert_eq!(group.count(), FULL);
    drop(guards.pop());
    guards.push(WaitGroup::try_guard_in(&group).unwrap());
    drop(guards);
    assert!(group.is_idle());
}

/// Rule 1: `guard` and `Guard::clone` of a full group panic, with nothing counted.
#[test]
fn a_full_group_panics_where_no_error_can_be_returned() {
    let group = WaitGroup::new();
    group.add(FULL - 1).unwrap();
    let last = group.guard();
    for panicked in [
        catch_unwind(AssertUnwindSafe(|| drop(group.guard()))),
        catch_unwind(AssertUnwindSafe(|| drop(last.clone()))),
    ] {
        let panic = panicked.unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("full"));
    }
    assert_eq!(group.count(), FULL);
}

/// Rule 1: an `add` that would overflow counts nothing, however large it is.
#[test]
fn an_add_of_too_many_counts_none() {
    let group = WaitGroup::new();
    group.add(3).unwrap();
    for n in [FULL - 2, FULL, 16, usize::MAX] {
        assert!(group.add(n).is_err(), "{n} fit in");
        assert_eq!(group.count(), 3);
    }
    group.add(FULL - 3).unwrap();
    assert_eq!(group.count(), FULL);
    group.add(0).unwrap();
}

/// Rule 1: no count wraps, and guards that are leaked stay counted.
#[test]
fn leaked_guards_fill_the_group_for_ever() {
    let group = WaitGroup::new();
    for _ in 0..FULL {
        core::mem::forget(group.guard());
    }
    for _ in 0..100 {
        assert!(WaitGroup::try_guard_in(&group).is_err());
    }
    assert!(poll(&mut group.wait()).is_pending());
    assert_eq!(group.count(), FULL);
}

/// Rule 3: a wait that is polled after any number of awaited zeros but a whole turn is over.
#[test]
fn a_wait_sees_that_zeros_went_by() {
    for zeros in 1..TURN {
        let group = WaitGroup::new();
        let busy = group.guard();
        let mut wait = group.wait();
        assert!(poll(&mut wait).is_pending());
        drop(pass(&group, busy, zeros));
        assert_eq!(poll(&mut wait), Poll::Ready(()), "after {zeros} zeros");
    }
}

/// Rule 3: after a whole turn of awaited zeros a wait is late, but never early and never lost.
#[test]
fn a_whole_turn_of_zeros_makes_a_wait_late() {
    let group = WaitGroup::new();
    let busy = group.guard();
    let mut wait = group.wait();
    assert!(poll(&mut wait).is_pending());
    let busy = pass(&group, busy, TURN);
    assert!(poll(&mut wait).is_pending());
    drop(pass(&group, busy, 1));
    assert_eq!(poll(&mut wait), Poll::Ready(()));
}

/// Lets `busy` go, `zeros` times in all, each awaited by somebody, with another guard after each.
fn pass<'a>(
    group: &'a WaitGroup,
    mut busy: Guard<&'a WaitGroup>,
    zeros: usize,
) -> Guard<&'a WaitGroup> {
    for _ in 0..zeros {
        assert!(poll(&mut group.wait()).is_pending());
        drop(busy);
        busy = group.guard();
    }
    busy
}
