//! What allocates (without waits nothing does), and that all of it is freed.

#![cfg(all(feature = "std", not(loom)))]

mod common;
#[path = "common/heap.rs"]
mod heap;

use core::future::{pending, ready};
use core::task::Waker;
use core::time::Duration;
use std::sync::Arc;

use common::{Bell, know_the_cores, look, panic_of, panic_quietly, poll};
use heap::{allocations, leaked};
use winddown::future::Wait;
use winddown::{Signal, WaitGroup};

/// The counter counts: otherwise every test below would pass.
#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| Box::new(1)), 1);
    assert_eq!(leaked(|| drop(Box::new([0_u8; 100]))), (0, 0));
    let kept = allocations(|| Box::leak(Box::new([0_u8; 100])));
    assert_eq!(kept, 1);
}

/// Rule 13, for every path of a group that nobody waits for.
#[test]
fn a_group_without_waiters_never_allocates() {
    let count = allocations(|| {
        let group = WaitGroup::new();
        group.add(2).unwrap();
        group.done().unwrap();
        group.done().unwrap();
        group.done().unwrap_err();
        group.add(usize::MAX).unwrap_err();
        let guard = group.guard();
        drop(guard.clone());
        let guard = WaitGroup::try_guard_in(&group).map(|other| (guard, other)).unwrap();
        assert_eq!((group.count(), group.is_idle()), (2, false));
        drop(guard);
        assert!(look(&mut group.guard().track(ready(7))).is_ready());
        assert!(look(&mut group.wait()).is_ready());
        assert!(look(&mut group.wait().until(pending::<()>())).is_ready());
        drop(group.wait());
        group.wait().block();
        group.wait().block_for(Duration::from_secs(1)).unwrap();
        group.wait().until(pending::<()>()).block().unwrap();
    });
    assert_eq!(count, 0);
}

/// Rule 13, for every path of a signal that nobody waits for.
#[test]
fn a_signal_without_waiters_never_allocates() {
    let count = allocations(|| {
        let mut signal = Signal::typed();
        assert!(!signal.is_closed() && signal.get().is_none());
        drop((signal.closed(), signal.value()));
        signal.close_with(7).unwrap();
        assert_eq!(signal.close_with(8), Err(8));
        assert!(signal.is_closed() && signal.get().is_some());
        assert!(look(&mut signal.closed()).is_ready());
        assert!(look(&mut signal.value()).is_ready());
        signal.closed().block();
        assert_eq!(signal.value().block_for(Duration::ZERO), Ok(&7));
        assert_eq!((signal.reset(), signal.into_inner()), (Some(7), None));
        let plain = Signal::new();
        assert!(plain.close() && !plain.close());
    });
    assert_eq!(count, 0);
}

/// Rule 13: the first wait makes the list; then there are seats for a few, and behind them a block with its
/// listener for a crowd.
#[test]
fn parking_allocates_a_block_for_many() {
    know_the_cores();
    let group = WaitGroup::new();
    let _guard = group.guard();
    let park = |wait: &mut Wait<&WaitGroup>| allocations(|| assert!(look(wait).is_pending()));
    assert_eq!(park(&mut group.wait()), 1, "the list");
    assert_eq!(park(&mut group.wait()), 0, "the seat of the wait that has gone");
    let mut waits: Vec<_> = (0..1_000).map(|_| group.wait()).collect();
    let blocks: Vec<_> = waits.iter_mut().map(park).collect();
    assert_eq!(blocks[..4], [0; 4], "the front");
    assert!((3..=5).contains(&blocks[4]), "a block, its listener, and what all blocks share");
    assert_eq!(blocks.iter().skip(5).max(), Some(&2), "a block and its listener");
    let most = if usize::BITS == 64 { 2 * 34 } else { 2 * 72 };
    assert!(blocks.iter().skip(5).sum::<usize>() <= most, "one block for many waits");
    drop(waits);
    let mut waits: Vec<_> = (0..1_000).map(|_| group.wait()).collect();
    assert_eq!(waits.iter_mut().map(park).sum::<usize>(), 0, "all blocks stayed, and listen");
}

/// Rule 13: a wait that is parked and polled again costs nothing more.
#[test]
fn polling_a_parked_wait_again_does_not_allocate() {
    let (group, signal) = (WaitGroup::new(), Signal::new());
    let _guard = group.guard();
    let bell = Bell::new().waker();
    // The first of its object, and one behind it.
    for _ in 0..2 {
        let (mut wait, mut closed) = (group.wait(), signal.closed());
        assert!(poll(&mut wait, &bell).is_pending() && poll(&mut closed, &bell).is_pending());
        let count = allocations(|| {
            for _ in 0..100 {
                let waker = bell.clone();
                assert!(poll(&mut wait, &waker).is_pending());
                assert!(poll(&mut closed, &waker).is_pending());
            }
        });
        assert_eq!(count, 0);
        core::mem::forget((wait, closed));
    }
}

/// Rule 6: an interrupt may close, so a close does not allocate, however many wait.
#[test]
fn ending_waits_does_not_allocate() {
    for waiters in [1, 2, 20] {
        let (group, signal) = (WaitGroup::new(), Signal::typed());
        let guard = group.guard();
        let mut waits: Vec<_> = (0..waiters).map(|_| (group.wait(), signal.value())).collect();
        for (wait, value) in &mut waits {
            assert!(look(wait).is_pending() && look(value).is_pending());
        }
        assert_eq!(allocations(|| drop(guard)), 0, "{waiters} waiters");
        assert_eq!(allocations(|| signal.close_with([7; 9]).unwrap()), 0, "{waiters} waiters");
        for (wait, value) in &mut waits {
            assert_eq!(allocations(|| look(wait).is_ready() && look(value).is_ready()), 0);
        }
    }
}

/// Rule 13: an abandoned wait does not make later ends pay in blocks.
#[test]
fn ending_abandoned_waits_does_not_allocate() {
    let (group, signal) = (WaitGroup::new(), Signal::new());
    let guard = group.guard();
    assert!(look(&mut group.wait()).is_pending() && look(&mut signal.closed()).is_pending());
    let count = allocations(|| {
        drop(guard);
        drop(group.guard());
        assert!(signal.close());
    });
    assert_eq!(count, 0);
}

/// Rule 12: a lone wait, many waits, woken or not, dropped before or after their object.
#[test]
fn everything_is_freed_at_the_end() {
    for waiters in [0, 1, 2, 20] {
        for ends in [false, true] {
            assert_eq!(leaked(|| waits_of_a_group(waiters, ends)), (0, 0), "{waiters}, {ends}");
            assert_eq!(leaked(|| waits_of_a_signal(waiters, ends)), (0, 0), "{waiters}, {ends}");
        }
    }
}

fn waits_of_a_group(waiters: usize, ends: bool) {
    let group = Arc::new(WaitGroup::new());
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    let mut waits: Vec<_> = (0..waiters).map(|_| WaitGroup::wait_in(Arc::clone(&group))).collect();
    drop(group);
    for wait in &mut waits {
        assert!(poll(wait, &Bell::new().waker()).is_pending());
        assert!(poll(wait, &Bell::new().waker()).is_pending());
    }
    if ends {
        drop(guard);
        assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
    }
}

fn waits_of_a_signal(waiters: usize, ends: bool) {
    let signal = Arc::new(Signal::typed());
    let mut waits: Vec<_> = (0..waiters).map(|_| Signal::closed_in(Arc::clone(&signal))).collect();
    for wait in &mut waits {
        assert!(poll(wait, &Bell::new().waker()).is_pending());
    }
    if ends {
        signal.close_with(vec![1, 2, 3]).unwrap();
    }
    drop(signal);
}

/// Rule 12: a wait that blocks gives back what it took.
#[test]
fn blocking_waits_free_what_they_took() {
    let (group, signal) = (WaitGroup::new(), Signal::<u8>::typed());
    let _guard = group.guard();
    let block = || {
        group.wait().block_for(Duration::from_millis(1)).unwrap_err();
        signal.value().block_for(Duration::from_millis(1)).unwrap_err();
        signal.closed().until(ready(())).block().unwrap_err();
    };
    block();
    assert_eq!(leaked(block), (0, 0), "after the first waits, which make the lists");
}

/// Rule 18: the waiters' block is freed although the value's drop panics.
#[test]
fn a_signal_whose_value_panics_in_its_drop_is_freed() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic_quietly("the drop");
        }
    }
    let leak = leaked(|| {
        let signal = Arc::new(Signal::typed());
        let mut waits = [(); 3].map(|()| Signal::closed_in(Arc::clone(&signal)));
        assert!(waits.iter_mut().all(|wait| look(wait).is_pending()));
        assert!(signal.close_with(Bad).is_ok());
        drop(waits);
        assert_eq!(panic_of(|| drop(signal)), "the drop");
    });
    assert_eq!(leak, (0, 0));
}

/// Rule 11: a waker that panics in its wake leaves nothing behind.
#[test]
fn a_panicking_waker_is_freed() {
    let leak = leaked(|| {
        let (group, bell) = (WaitGroup::new(), Bell::new());
        let guard = group.guard();
        let bad: Waker = common::Foreign::new().on_wake(|| panic_quietly("the waker")).into_waker();
        let mut waits = [group.wait(), group.wait(), group.wait()];
        assert!(poll(&mut waits[0], &bell.waker()).is_pending());
        assert!(poll(&mut waits[1], &bad).is_pending());
        assert!(poll(&mut waits[2], &bell.waker()).is_pending());
        assert_eq!(panic_of(|| drop(guard)), "the waker");
        assert_eq!(bell.rings(), 2);
    });
    assert_eq!(leak, (0, 0));
}
