//! What a notification costs after many waits that nobody polled since, and how long a chain gets. Counted, and not
//! timed.

extern crate std;

use alloc::vec::Vec;
use core::future::Future;
use core::task::Poll;

use core::pin::Pin;
use core::task::{Context, Waker};

use super::chain::NOTIFY_AT_MOST;
use super::{CROWD, FRONT};
use crate::WaitGroup;
use crate::future::Wait;

/// How many waits are not polled any more.
const OLD: usize = 10_000;

/// How many blocks as many new waits take behind the front, where all seats are free.
fn blocks(waits: usize) -> usize {
    waits.saturating_sub(FRONT).div_ceil(CROWD)
}

fn parked(group: &WaitGroup, count: usize) -> Vec<Wait<&WaitGroup>> {
    let waits = (0..count).map(|_| {
        let mut wait = group.wait();
        let polled = Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
        wait
    });
    waits.collect()
}

fn effort(group: &WaitGroup) -> (usize, usize) {
    group.waiters().effort()
}

/// How often the event is notified by a round with as many new waits, and how many blocks it fires.
fn effort_of_a_round(group: &WaitGroup, waits: usize) -> (usize, usize) {
    let (listening, before) = effort(group);
    assert_eq!(listening, 0, "nobody listens between two rounds");
    group.add(1).unwrap();
    let _waits = parked(group, waits);
    let (blocks, _) = effort(group);
    group.done().unwrap();
    let (listening, after) = effort(group);
    assert_eq!(listening, 0, "all were fired");
    (after - before, blocks)
}

/// Rule 13: a round pays for the waits that wait for it. Waits of earlier rounds that nobody polled, or dropped, cost
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
    for waits in [0, 1, 2, FRONT, FRONT + 1, 100, NOTIFY_AT_MOST * CROWD + FRONT + 1] {
        // They sit in the front of the fresh one alone; old waits have that of the other.
        let costs = effort_of_a_round(&group, waits);
        assert_eq!(costs.1, waits.div_ceil(CROWD), "they sit together");
        assert_eq!(costs.0, costs.1.div_ceil(NOTIFY_AT_MOST), "one for each batch");
        let costs = effort_of_a_round(&fresh, waits);
        assert_eq!(costs, (blocks(waits).div_ceil(NOTIFY_AT_MOST), blocks(waits)));
    }
    drop(old);
    assert_eq!(effort(&group).0, 0);
}

/// Rule 12: what waits that gave up have left is paid for once, a block at a time.
#[test]
fn a_round_costs_no_more_after_many_waits_that_gave_up() {
    let group = WaitGroup::new();
    group.add(1).unwrap();
    let (first, second) = (parked(&group, OLD / 2), parked(&group, OLD / 2));
    assert_eq!(effort(&group), (blocks(OLD), 0));
    drop(first);
    drop(second);
    group.done().unwrap();
    assert_eq!(
        effort(&group),
        (0, blocks(OLD).div_ceil(NOTIFY_AT_MOST)),
        "a zero of an abandoned round"
    );
    assert_eq!(effort_of_a_round(&group, FRONT), (0, 0));
    assert_eq!(effort_of_a_round(&group, FRONT + 2), (1, 1));
}

/// Rule 12: the seats that waits leave are taken again, in whatever order they come and go.
#[test]
fn the_chain_is_as_long_as_the_largest_crowd_wants() {
    let group = WaitGroup::new();
    group.add(1).unwrap();
    let chain = || group.waiters().chain();
    let mut waits = parked(&group, 1_000);
    let most = chain();
    assert_eq!(most, blocks(1_000));
    for turn in 0..200_usize {
        // Scattered over all blocks.
        for at in 0..100 {
            drop(waits.swap_remove(at * 31 * (turn + 1) % waits.len()));
        }
        waits.extend(parked(&group, 100));
    }
    assert!(chain() <= 4 * most, "{} blocks for {most}", chain());
    drop(waits);
    let grown = chain();
    let _waits = parked(&group, 1_000);
    assert_eq!(chain(), grown);
}
