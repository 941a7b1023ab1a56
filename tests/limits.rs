//! The limits of the count and of the round, reached by construction.
//!
//! `RUSTFLAGS="--cfg winddown_small_word" cargo test --test limits` shrinks the fields of the state
//! word to four and two bits, so that the margin and the wrap of the round come into reach, too.

#![cfg(not(loom))]

mod common;

use core::mem::forget;
use core::task::Poll;
use std::rc::Rc;

use common::{Bell, look, panic_of, poll};
use winddown::{Guard, WaitGroup};

/// Half of the range of the count.
const HALF: usize = if cfg!(winddown_small_word) {
    8
} else if cfg!(target_has_atomic = "64") {
    1 << 31
} else {
    1 << 15
};

/// A group with `count` pieces of work in flight.
fn group_of(count: usize) -> WaitGroup {
    let group = WaitGroup::new();
    group.add(count).unwrap();
    assert_eq!(group.count(), count);
    group
}

/// Rule 1: half of the range may be in flight, and nothing beyond it.
#[test]
fn a_full_group_refuses_and_changes_nothing() {
    let group = group_of(HALF);
    for more in [1, 2, HALF, usize::MAX / 2, usize::MAX] {
        assert!(group.add(more).is_err());
    }
    assert!(WaitGroup::try_guard_in(&group).is_err());
    assert!(panic_of(|| drop(group.guard())).contains("the wait group is full"));
    assert_eq!(group.add(0), Ok(()));
    assert_eq!(group.count(), HALF);
}

/// Rule 1: no `add` goes beyond the limit, wherever it starts.
#[test]
fn an_add_reaches_the_limit_and_no_further() {
    for before in [0, 1, 2, HALF - 1] {
        let group = group_of(before);
        assert!(group.add(HALF - before + 1).is_err());
        assert_eq!(group.count(), before);
        group.add(HALF - before).unwrap();
        assert_eq!(group.count(), HALF);
    }
}

/// Rule 1: the last free place goes to one guard, whose clone is refused.
#[test]
fn the_clone_of_the_last_guard_panics_with_nothing_counted() {
    let group = group_of(HALF - 1);
    let guard = group.guard();
    assert!(panic_of(|| drop(guard.clone())).contains("look for guards that are leaked"));
    assert_eq!(group.count(), HALF);
    drop(guard);
    assert_eq!(group.count(), HALF - 1);
    drop(group.guard());
}

/// Rule 1: a refused pointer is dropped, and with it what it held.
#[test]
fn a_refused_pointer_is_dropped() {
    let group = Rc::new(group_of(HALF));
    assert!(WaitGroup::try_guard_in(Rc::clone(&group)).is_err());
    assert!(!panic_of(|| drop(WaitGroup::guard_in(Rc::clone(&group)))).is_empty());
    assert_eq!(Rc::strong_count(&group), 1);
}

/// Rule 1: a place that becomes free can be taken again.
#[test]
fn a_full_group_has_room_again_after_one_is_done() {
    let group = group_of(HALF);
    for _ in 0..3 {
        group.done().unwrap();
        let guard: Guard<&WaitGroup> = WaitGroup::try_guard_in(&group).unwrap();
        assert!(group.add(1).is_err());
        forget(guard);
    }
    assert_eq!(group.count(), HALF);
}

/// Rules 1 and 3: a wait on a full group is parked, and told how much is left.
#[test]
fn a_full_group_can_be_waited_for() {
    let group = group_of(HALF);
    let bell = Bell::new();
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    let Poll::Ready(Err(unfinished)) = look(&mut group.wait().until(core::future::ready(())))
    else {
        panic!("the limit is ready");
    };
    assert_eq!(unfinished.left, HALF);
    assert!(group.add(1).is_err());
    assert_eq!((bell.rings(), group.count()), (0, HALF));
}

#[cfg(winddown_small_word)]
mod small {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// How many awaited zeros bring the round back to where it was.
    const TURN: usize = 4;

    /// Rule 1: guards that are leaked one by one fill the group, and the next one is refused.
    #[test]
    fn leaked_guards_fill_a_group_and_never_wrap_it() {
        let group = WaitGroup::new();
        for count in 1..=HALF {
            forget(group.guard());
            assert_eq!(group.count(), count);
        }
        for _ in 0..4 * HALF {
            assert!(WaitGroup::try_guard_in(&group).is_err());
        }
        assert_eq!(group.count(), HALF);
        for _ in 0..HALF {
            group.done().unwrap();
        }
        assert!(group.done().is_err());
        assert!(look(&mut group.wait()).is_ready());
    }

    /// Rule 1: as many threads as the margin admits may pass the check for the last place at the
    /// same time; what they counted is right, however many got through.
    #[test]
    fn threads_that_race_for_the_last_place_never_wrap_the_count() {
        for _ in 0..300 {
            let group = group_of(HALF - 1);
            let bell = Bell::new();
            let mut wait = group.wait();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            let (start, entered) = (Barrier::new(HALF), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..HALF {
                    scope.spawn(|| {
                        start.wait();
                        if let Ok(guard) = WaitGroup::try_guard_in(&group) {
                            entered.fetch_add(1, Ordering::Relaxed);
                            forget(guard);
                        }
                    });
                }
            });
            let entered = entered.into_inner();
            assert!(entered >= 1);
            assert_eq!(group.count(), HALF - 1 + entered);
            assert!(WaitGroup::try_guard_in(&group).is_err());
            for left in (0..HALF - 1 + entered).rev() {
                assert_eq!(bell.rings(), 0);
                group.done().unwrap();
                assert_eq!(group.count(), left);
            }
            assert!(group.done().is_err());
            assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
        }
    }

    /// One zero that is waited for.
    fn awaited_zero(group: &WaitGroup) {
        let guard = group.guard();
        let mut wait = group.wait();
        assert!(look(&mut wait).is_pending());
        drop(guard);
        assert!(look(&mut wait).is_ready());
    }

    /// Rule 3: a wrap of the round completes a wait late, never early, and no other zero count does.
    #[test]
    fn a_wait_that_slept_through_a_whole_turn_is_late_by_one_zero() {
        for zeros in 0..=3 * TURN {
            let group = WaitGroup::new();
            let bell = Bell::new();
            let first = group.guard();
            let mut wait = group.wait();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            if zeros > 0 {
                drop(first);
                (1..zeros).for_each(|_| awaited_zero(&group));
            }
            let busy = group.guard();
            let rings = bell.rings();
            assert_eq!(rings, usize::from(zeros > 0), "woken at the first zero and no other");
            if zeros % TURN != 0 {
                assert_eq!(poll(&mut wait, &bell.waker()), Poll::Ready(()), "{zeros} zeros");
                continue;
            }
            assert!(poll(&mut wait, &bell.waker()).is_pending(), "{zeros} zeros look like none");
            drop(busy);
            if zeros == 0 {
                assert!(look(&mut wait).is_pending(), "the first guard is still there");
                continue;
            }
            assert_eq!(bell.rings(), rings + 1, "it was registered again");
            let _busy = group.guard();
            assert_eq!(look(&mut wait), Poll::Ready(()), "the next zero ends it");
        }
    }

    /// Rule 3: zeros without a wait do not turn the round, so no wait can sleep through them.
    #[test]
    fn zeros_that_nobody_awaits_do_not_count() {
        let group = WaitGroup::new();
        for _ in 0..5 * TURN {
            drop(group.guard());
        }
        let guard = group.guard();
        let mut wait = group.wait();
        assert!(look(&mut wait).is_pending());
        drop(guard);
        for _ in 0..5 * TURN {
            drop(group.guard());
        }
        let _busy = group.guard();
        assert_eq!(look(&mut wait), Poll::Ready(()));
    }
}

/// Groups, which refuse at half of their range, limit or not.
#[cfg(winddown_small_word)]
#[path = "limits/groups.rs"]
mod groups;
