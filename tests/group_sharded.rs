//! Groups that have come to count on a line for each core: the same rules, whatever thread enters and leaves.
//!
//! Contention spreads a count, so on one core these groups may count in one word.
//! `RUSTFLAGS="--cfg winddown_born_sharded" cargo test --test group_sharded` spreads all of them at birth.

#![cfg(all(feature = "std", not(loom)))]

mod common;
#[path = "common/heap.rs"]
mod heap;

use core::cell::RefCell;
use core::future::{pending, ready};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use common::{know_the_cores, look};
use heap::leaked;
use winddown::{ErrGroup, Refused, Stopped, TaskGroup, TaskGuard};

const ROUNDS: usize = if cfg!(debug_assertions) { 100 } else { 2000 };
/// Runs out only if a wake-up or a count is lost.
const LONG: Duration = Duration::from_secs(60);

/// A group whose threads have contended.
fn sharded() -> TaskGroup {
    contended(TaskGroup::new())
}

/// Has threads enter `group` and leave until they have lost many exchanges.
fn contended(group: TaskGroup) -> TaskGroup {
    let start = Barrier::new(2);
    let contend = || {
        start.wait();
        (0..5_000).for_each(|_| drop(group.guard().unwrap()));
    };
    thread::scope(|threads| {
        threads.spawn(contend);
        contend();
    });
    assert!(group.is_empty());
    group
}

/// A group, and how often its finaliser ran.
fn counted() -> (TaskGroup, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let here = Arc::clone(&ran);
    let group = TaskGroup::builder().finally(move || {
        here.fetch_add(1, Ordering::Relaxed);
    });
    (group.build(), ran)
}

/// Sharding: tasks enter on one thread and leave on another, and the threads end.
#[test]
fn tasks_may_leave_on_another_thread_than_they_entered() {
    let (group, ran) = counted();
    let group = contended(group);
    let mut guards = Vec::new();
    for _ in 0..8 {
        let handle = group.clone();
        let entered = thread::spawn(move || [(); 5].map(|()| handle.guard().unwrap()));
        guards.extend(entered.join().unwrap());
        assert_eq!(group.len(), guards.len());
        // Leaves on a shard that nobody may have entered by.
        drop(guards.swap_remove(0));
        assert_eq!(group.len(), guards.len());
    }
    let half = guards.split_off(guards.len() / 2);
    thread::spawn(move || drop(half)).join().unwrap();
    let left = guards.len();
    assert_eq!((group.len(), group.is_empty()), (left, false));
    group.close();
    assert_eq!((group.len(), ran.load(Ordering::Relaxed)), (left, 0));
    thread::spawn(move || drop(guards)).join().unwrap();
    assert_eq!((group.is_drained(), ran.load(Ordering::Relaxed)), (true, 1));
}

thread_local! {
    static KEPT: RefCell<Vec<TaskGuard>> = const { RefCell::new(Vec::new()) };
    static LATE: RefCell<Option<(TaskGroup, mpsc::Sender<bool>)>> = const { RefCell::new(None) };
}

struct AtTheEnd;

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let (group, tell) = LATE.with(|it| it.borrow_mut().take()).expect("set before");
        tell.send(group.guard().is_ok()).unwrap();
    }
}

/// Sharding: guards are dropped, and taken, while a thread's own variables are destroyed.
#[test]
fn guards_may_be_dropped_and_taken_while_a_thread_ends() {
    thread_local!(static END: AtTheEnd = const { AtTheEnd });
    let group = sharded();
    let (tell, told) = mpsc::channel();
    for _ in 0..8 {
        let (handle, tell) = (group.clone(), tell.clone());
        let thread = thread::spawn(move || {
            LATE.set(Some((handle.clone(), tell)));
            END.with(|_| {});
            KEPT.with(|it| it.borrow_mut().extend([(); 3].map(|()| handle.guard().unwrap())));
        });
        thread.join().unwrap();
        assert!(told.recv().unwrap(), "it entered");
        assert!(group.is_empty());
    }
    group.join().block();
}

/// Rule 4: closed is closed on every thread, seen by all, and entry from inside goes on.
#[test]
fn nobody_enters_a_closed_group_on_any_thread() {
    let group = sharded();
    let guard = group.guard().unwrap();
    assert!(group.close() && !group.close());
    for _ in 0..8 {
        let (handle, clone) = (group.clone(), guard.clone());
        let thread = thread::spawn(move || {
            let inside = clone.clone();
            drop(clone);
            drop(inside);
            handle.guard().unwrap_err()
        });
        assert_eq!(thread.join().unwrap(), Refused::Closed);
        assert_eq!((group.len(), group.is_drained()), (1, false));
    }
    drop(guard);
    assert!(group.is_drained());
}

/// All else is as in a group without contention: children, links, errors, shutdown, the last handle.
#[test]
fn everything_else_is_as_without_contention() {
    let parent = sharded();
    let child = contended(parent.child().unwrap());
    let linked = contended(TaskGroup::builder().link(&parent).build());
    let guard = child.guard().unwrap();
    assert_eq!((parent.len(), child.len(), linked.len()), (1, 1, 0));
    linked.close();
    let mut stop = parent.shutdown(ready(()));
    assert!(look(&mut stop).is_pending());
    assert!(guard.token().is_cancelled() && child.is_closed());
    drop(child);
    drop(guard);
    assert_eq!(stop.block(), Stopped::Forced);
    assert!(linked.is_drained());
    let errors: ErrGroup<u8> = TaskGroup::builder().build_err();
    let _ = contended(errors.group().clone());
    assert!(look(&mut errors.try_track(ready(Err(7))).unwrap()).is_ready());
    assert_eq!(errors.join().block().unwrap_err().first(), Some(&7));
    let (group, ran) = counted();
    let guard = group.guard().unwrap();
    drop(group);
    assert!(guard.group().is_closed());
    drop(guard);
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

/// Rules 4, 16: entries, exits and clones of several threads meet the first spread or the fold, and a second
/// closer; the group drains once, and not before the last one has left.
#[test]
fn the_fold_meets_entries_clones_and_leaves() {
    for round in 0..ROUNDS {
        let (group, ran) = counted();
        let group = if round % 8 == 0 { contended(group) } else { group };
        let inside = Arc::new(AtomicUsize::new(0));
        let start = Barrier::new(4);
        let (give, given) = mpsc::channel::<TaskGuard>();
        thread::scope(|threads| {
            for thread in 0..2 {
                let (group, inside, start, give) = (&group, &inside, &start, give.clone());
                threads.spawn(move || {
                    start.wait();
                    for turn in 0.. {
                        inside.fetch_add(1, Ordering::Relaxed);
                        let Ok(guard) = group.guard() else {
                            inside.fetch_sub(1, Ordering::Relaxed);
                            assert!(group.is_closed());
                            break;
                        };
                        let guard = if turn % 3 == 0 { guard.clone() } else { guard };
                        if (turn + thread) % 2 == 0 {
                            // Leaves on the other thread.
                            give.send(guard).unwrap();
                            continue;
                        }
                        inside.fetch_sub(1, Ordering::Relaxed);
                        drop(guard);
                    }
                });
            }
            drop(give);
            let (leaves, start_of) = (Arc::clone(&inside), &start);
            threads.spawn(move || {
                start_of.wait();
                for guard in given {
                    leaves.fetch_sub(1, Ordering::Relaxed);
                    drop(guard);
                }
            });
            start.wait();
            (0..round % 10).for_each(|_| thread::yield_now());
            let other = threads.spawn(|| group.close());
            let first = group.close();
            assert!(first != other.join().unwrap(), "one closes it");
            group.drained().block_for(LONG).expect("it drains");
            assert_eq!((group.len(), ran.load(Ordering::Relaxed)), (0, 1));
        });
        assert_eq!(inside.load(Ordering::Relaxed), 0);
    }
}

/// Rule 5: a waiter sees what was written inside, on any thread.
#[test]
fn a_waiter_sees_what_was_written_inside() {
    let group = sharded();
    let written = Arc::new(AtomicUsize::new(0));
    for _ in 0..8 {
        let (guard, written) = (group.guard().unwrap(), Arc::clone(&written));
        thread::spawn(move || {
            for _ in 0..100 {
                written.fetch_add(1, Ordering::Relaxed);
                drop(guard.clone());
            }
        });
    }
    group.join().block_for(LONG).expect("it drains");
    assert_eq!(written.load(Ordering::Relaxed), 800);
}

/// A snapshot of the length never shows nonsense while all move.
#[test]
fn the_length_is_one_that_could_be() {
    let group = sharded();
    let _stays = group.guard().unwrap();
    let done = AtomicUsize::new(0);
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                for _ in 0..20_000 {
                    drop(group.guard().unwrap().clone());
                }
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        while done.load(Ordering::Relaxed) < 2 {
            assert!(group.len() <= 5, "two threads with two guards each, and one");
            assert!(!format!("{group:?}").is_empty());
        }
    });
    assert_eq!(group.len(), 1);
    assert!(look(&mut group.join().until(pending::<()>())).is_pending());
    assert_eq!(group.len(), 1);
}

/// Rule 2: guards from before threads contend leave afterwards, and the other way round.
#[test]
fn guards_from_before_and_after_the_contention_are_counted_alike() {
    let (group, ran) = counted();
    let before = [(); 3].map(|()| group.guard().unwrap());
    let start = Barrier::new(2);
    let contend = || {
        start.wait();
        let mut kept = Vec::new();
        for turn in 0..5_000 {
            let guard = group.guard().unwrap();
            if turn % 500 == 0 {
                kept.push(guard.clone());
            }
        }
        kept
    };
    let (one, other) = thread::scope(|threads| {
        let other = threads.spawn(contend);
        (contend(), other.join().unwrap())
    });
    assert_eq!(group.len(), 23);
    thread::spawn(move || drop((before, other))).join().unwrap();
    assert_eq!(group.len(), 10);
    group.close();
    assert_eq!((group.len(), ran.load(Ordering::Relaxed)), (10, 0));
    drop(one);
    assert!(group.is_drained());
    assert_eq!((group.len(), ran.load(Ordering::Relaxed)), (0, 1));
}

/// A group that is born sharded gives its shards back.
#[test]
fn a_group_leaves_no_shards_behind() {
    know_the_cores();
    drop(TaskGroup::new());
    assert_eq!(leaked(TaskGroup::new), (0, 0));
}
