//! As `windows`, for a group of tasks: the interrupt closes it, cancels it, and drops the last guard, so
//! that the drain and the finaliser run in it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::cell::Cell;
use core::future::{pending, ready};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use critical_section::Mutex;
use winddown::{TaskGroup, TaskGuard};
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::interrupt::{Moment, sweep_freeing};
use winddown_embedded::waits::{
    Left, Wait, abandon, all_were_woken, forget_rings, once, park, twice, was_woken,
};
use winddown_embedded::{image, say, stack};

#[global_allocator]
static HEAP: Heap = Heap;

static FINALISED: AtomicU32 = AtomicU32::new(0);

image!(groups, measuring);

fn groups() {
    heap::start();
    stack::paint();
    for (may_free, operations) in [(0, OPERATIONS), (1, WITH_A_CHILD)] {
        for &(name, operation) in operations {
            let rounds =
                [0, 1, 2].map(|crowd| sweep_freeing(may_free, |now| round(now, operation, crowd)));
            say!("ok {name}: {} rounds", rounds.iter().sum::<u32>());
        }
    }
    assert_eq!(heap::in_use(), 0);
    say!("ok heap: nothing left; stack {} bytes at most", stack::high_water());
}

/// Room for the last guard and for one more.
fn new_group() -> TaskGroup {
    let finaliser =
        || critical_section::with(|_| FINALISED.store(FINALISED.load(Relaxed) + 1, Relaxed));
    let limit = NonZeroUsize::new(2).unwrap();
    TaskGroup::builder().limit(limit).finally(finaliser).build()
}

/// The interrupt.
fn end(group: &TaskGroup, last: &Mutex<Cell<Option<TaskGuard>>>) {
    assert!(!group.is_drained() && group.len() > 0 && !group.is_empty());
    drop(group.guard());
    group.close();
    assert!(group.is_closed() && group.guard().is_err());
    group.cancel();
    assert!(group.token().is_cancelled());
    drop(critical_section::with(|cs| last.borrow(cs).take()));
}

/// Some wait for the door, the token and the drain.
fn crowd(group: &TaskGroup, size: usize) -> Vec<Wait<'_>> {
    let three = |_| {
        let token = group.token().clone();
        [park(group.closed()), park(token.cancelled_owned()), park(group.drained())]
    };
    (0..size).flat_map(three).collect()
}

fn round(now: &Moment, operation: Operation, size: usize) {
    let before = heap::in_use();
    strike(now, operation, size);
    assert_eq!(heap::in_use(), before);
    assert_eq!(FINALISED.load(Relaxed), 1);
}

fn strike(now: &Moment, operation: Operation, size: usize) {
    forget_rings();
    FINALISED.store(0, Relaxed);
    let group = new_group();
    let last = Mutex::new(Cell::new(Some(group.guard().unwrap())));
    let crowd = crowd(&group, size);
    let left = now.strike(|| end(&group, &last), || operation(&group));
    was_woken(left);
    assert!(group.is_drained());
    all_were_woken(crowd);
}

type Operation = for<'a> fn(&'a TaskGroup) -> Left<'a>;

const OPERATIONS: &[(&str, Operation)] = &[
    ("guard, clone, drop", |group| {
        if let Ok(guard) = group.guard() {
            drop((guard.clone().label("clone"), guard));
        }
        None
    }),
    ("guard that cancels", |group| {
        drop(group.guard().map(TaskGuard::cancel_on_drop));
        None
    }),
    ("guard, leave", |group| {
        drop(group.guard().map(TaskGuard::leave));
        None
    }),
    ("handle, drop", |group| {
        drop(group.clone());
        None
    }),
    ("track", |group| match group.track(ready(7)) {
        Ok(task) => once(task),
        Err(_) => None,
    }),
    ("close", |group| {
        group.close();
        None
    }),
    ("cancel", |group| {
        group.cancel();
        None
    }),
    ("closed", |group| once(group.closed())),
    ("closed, another task", |group| twice(group.closed())),
    ("closed, drop", |group| abandon(group.closed())),
    ("drained", |group| once(group.drained())),
    ("join", |group| once(group.join())),
    ("join, drop", |group| abandon(group.join())),
    ("join with a limit", |group| once(group.join().until(pending::<()>()))),
    ("shutdown", |group| once(group.shutdown(pending::<()>()))),
    ("shutdown without grace", |group| once(group.shutdown(ready(())))),
    ("guard when room", |group| once(group.guard_when_room())),
    ("guard when room, in a queue", |group| {
        let Ok(guard) = group.guard() else { return None };
        let left = once(group.guard_when_room());
        drop(guard);
        left
    }),
];

/// A child that is drained in the interrupt frees there what held its parent up.
const WITH_A_CHILD: &[(&str, Operation)] = &[
    ("child", |group| {
        let Ok(child) = group.child() else { return None };
        drop(child.guard());
        once(child.drained_owned())
    }),
    ("child, close, join", |group| {
        let Ok(child) = group.child() else { return None };
        once(async move { child.join().await })
    }),
];
