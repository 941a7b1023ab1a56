//! What a notification costs after many waits that nobody polled since: no more than after none. Counted, and
//! not timed.

extern crate std;

use alloc::vec::Vec;
use core::future::Future;
use core::task::Poll;

use super::*;
use crate::WaitGroup;
use crate::future::Wait;
use crate::wait::Source;

impl<T: Target> Waiters<T> {
    /// How many listen, and how often the event was notified so far.
    pub(crate) fn effort(&self) -> (usize, usize) {
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        self.list.get().map_or((0, 0), |list| (load(&list.listening), load(&list.notified)))
    }
}

/// How many waits are not polled any more.
const OLD: usize = 10_000;

fn parked(group: &WaitGroup, count: usize) -> Vec<Wait<&WaitGroup>> {
    let waits = (0..count).map(|_| {
        let mut wait = group.wait();
        let polled = Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
        wait
    });
    waits.collect()
}

/// How often the event is notified by a round with as many new waits.
fn notified_by_a_round(group: &WaitGroup, waits: usize) -> usize {
    let (listening, before) = group.waiters().effort();
    assert_eq!(listening, 0, "nobody listens between two rounds");
    group.add(1).unwrap();
    let waits = parked(group, waits);
    let (listening, _) = group.waiters().effort();
    assert_eq!(listening, waits.len().saturating_sub(1), "the first is in the slot");
    group.done().unwrap();
    let (listening, after) = group.waiters().effort();
    assert_eq!(listening, 0, "all were fired");
    after - before
}

/// Rule 13: a round pays for those who wait for it. Waits of earlier rounds that nobody polled, or dropped, cost
/// it nothing.
#[test]
fn a_round_costs_no_more_after_many_waits_that_nobody_polled() {
    let (fresh, group) = (WaitGroup::new(), WaitGroup::new());
    let mut old = Vec::new();
    for _ in 0..4 {
        group.add(1).unwrap();
        old.extend(parked(&group, OLD / 4));
        group.done().unwrap();
    }
    for waits in [0, 1, 2, BATCH, BATCH + 1, BATCH + 2, 100] {
        let costs = notified_by_a_round(&group, waits);
        assert_eq!(costs, waits.saturating_sub(1).div_ceil(BATCH), "one for each batch");
        assert_eq!(costs, notified_by_a_round(&fresh, waits));
    }
    // They go while others listen, and are not counted down again.
    group.add(1).unwrap();
    let new = parked(&group, 3);
    drop(old);
    assert_eq!(group.waiters().effort().0, 2);
    drop(new);
    assert_eq!(group.waiters().effort().0, 0);
    group.done().unwrap();
}

/// Rule 12: the same for waits that are given up, in whatever order.
#[test]
fn a_round_costs_no_more_after_many_waits_that_gave_up() {
    let group = WaitGroup::new();
    group.add(1).unwrap();
    let (first, second) = (parked(&group, OLD / 2), parked(&group, OLD / 2));
    drop(first);
    assert_eq!(group.waiters().effort(), (OLD / 2, 0));
    drop(second);
    assert_eq!(group.waiters().effort(), (0, 0));
    group.done().unwrap();
    assert_eq!(group.waiters().effort(), (0, 0), "a zero of an abandoned round");
    assert_eq!(notified_by_a_round(&group, 2), 1);
}
