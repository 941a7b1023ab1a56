//! What groups allocate, what they keep, and that all of it is freed.
//!
//! The flat heap is shown over ten million turns in all; in a build without optimisation over half a
//! million: `cargo test --release --test group_allocation` turns them all.

#![cfg(all(feature = "std", not(loom)))]

mod common;
#[path = "common/heap.rs"]
mod heap;

use core::future::{Future, Ready, pending, ready};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::{Bell, know_the_cores, look, panic_of, panic_quietly, poll};
use futures_util::stream::Once;
use heap::{Heap, allocations, leaked};
use winddown::future::{Tracked, TrackedStream};
use winddown::{CancelScope, ErrGroup, TaskGroup, TaskGroupBuilder, TaskGuard};

/// All tests together.
const TURNS: usize = if cfg!(debug_assertions) { 500_000 } else { 10_000_000 };
const TESTS: usize = 10;

fn limited() -> TaskGroupBuilder {
    TaskGroup::builder().limit(NonZeroUsize::new(3).unwrap())
}

/// The counter counts: otherwise every test below would pass.
#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| Box::new(1)), 1);
    assert_eq!(leaked(|| drop(Box::new([0_u8; 100]))), (0, 0));
}

/// The sizes that the docs promise.
#[test]
fn handles_and_guards_are_small() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<TaskGroup>(), word);
    assert_eq!(size_of::<Option<TaskGroup>>(), word);
    let with_a_ticket = usize::from(cfg!(feature = "holders"));
    assert_eq!(size_of::<TaskGuard>(), (1 + with_a_ticket) * word);
    assert_eq!(size_of::<Option<TaskGuard>>(), size_of::<TaskGuard>());
    assert_eq!(size_of::<ErrGroup<[u64; 9]>>(), 2 * word);
    let future = size_of::<Ready<usize>>();
    assert_eq!(size_of::<Tracked<Ready<usize>, TaskGuard>>(), future + size_of::<TaskGuard>());
    let stream = size_of::<Once<Ready<usize>>>();
    assert_eq!(
        size_of::<TrackedStream<Once<Ready<usize>>, TaskGuard>>(),
        stream + size_of::<TaskGuard>()
    );
}

/// Rule 13: entering and leaving allocate nothing, in each form, below a parent and a token, refused
/// or not; nor do looks, closes and cancels without waits.
#[cfg(not(feature = "holders"))]
#[test]
fn nothing_is_allocated_without_waits() {
    use core::task::Poll;

    use futures_util::stream::{self, StreamExt as _};

    let (scope, parent) = (CancelScope::new(), TaskGroup::new());
    let groups = [
        TaskGroup::new(),
        limited().build(),
        TaskGroup::builder().parent(scope.token()).build(),
        parent.child().unwrap(),
        TaskGroup::builder().link(&parent).build(),
    ];
    for group in groups {
        let count = allocations(|| {
            let guard = group.guard().unwrap().label("free").cancel_on_panic();
            let guard = guard.label_with(|| format!("connection {}", 7));
            drop(guard.clone());
            assert!(look(&mut group.track(ready(7)).unwrap()).is_ready());
            let mut stream = group.guard().unwrap().track_stream(stream::iter([7]));
            assert_eq!([7, 0].map(|_| look(&mut stream.next())), [Some(7), None].map(Poll::Ready));
            drop(group.guard_when_room().block().unwrap());
            assert!(look(&mut group.guard_when_room()).is_ready());
            drop((group.clone(), group.closed(), group.drained(), group.join()));
            assert_eq!((group.len(), group.is_closed(), group.is_drained()), (1, false, false));
            assert!(!group.is_cancelled() && !guard.is_cancelled() && !guard.is_closed());
            assert!(group.limit().is_none_or(|limit| limit.get() == 3));
            assert!(group.close() && group.guard().is_err() && group.track(ready(7)).is_err());
            assert!(look(&mut group.closed()).is_ready());
            group.closed().block();
            drop(guard.cancel_on_drop());
            assert!(!group.cancel());
        });
        assert_eq!(count, 0);
    }
    let count = allocations(|| parent.join().block());
    assert_eq!(count, 0);
}

/// Threads that contend spread the count of their group by themselves: one of them allocates, once, and the
/// group frees that when it goes.
#[test]
fn threads_that_contend_allocate_once_and_the_group_frees_it() {
    let is_alone = std::thread::available_parallelism().map_or(1, usize::from) == 1;
    if is_alone || cfg!(any(feature = "holders", winddown_born_sharded)) {
        return;
    }
    let mut group = None;
    let (uncontended, _) = leaked(|| group = Some(TaskGroup::new()));
    let group = group.unwrap();
    let (is_spread, deadline) = (AtomicBool::new(false), Instant::now() + Duration::from_secs(60));
    let contend = || {
        let before = Heap::now();
        let turn = |_| drop(group.guard().unwrap().clone());
        while !is_spread.load(Ordering::Relaxed) && Instant::now() < deadline {
            (0..1_000).for_each(turn);
            is_spread.fetch_or(Heap::now() != before, Ordering::Relaxed);
        }
        let spread = Heap::now();
        (0..10_000).for_each(turn);
        assert_eq!(Heap::now(), spread);
        (spread.allocations - before.allocations, spread.bytes - before.bytes)
    };
    let made = std::thread::scope(|threads| {
        let threads = [(); 2].map(|()| threads.spawn(contend));
        let made = threads.map(|thread| thread.join().unwrap());
        assert!(is_spread.load(Ordering::Relaxed));
        made
    });
    // Two threads may spread it at the same time; then one of them frees what it made.
    let bytes: isize = made.iter().map(|(_, bytes)| bytes).sum();
    assert!(made.iter().all(|(allocations, _)| *allocations <= 1) && bytes > 0, "{made:?}");
    assert_eq!(leaked(|| drop(group)).0, -uncontended - bytes);
}

/// Rule 12: a group ends in many ways, and each frees all of it.
#[test]
fn every_way_of_ending_frees_the_group() {
    let ends: [fn(TaskGroup); 12] = [
        drop,
        |group| assert!(group.close()),
        |group| assert!(group.cancel()),
        |group| group.cancel_with("text").unwrap(),
        |group| group.join().block(),
        |group| drop(group.guard().unwrap().cancel_on_drop()),
        |group| {
            let guard = group.guard().unwrap();
            drop(group);
            drop(guard.clone());
            drop(guard.leave());
        },
        |group| {
            let guard = group.guard().unwrap();
            let (mut closed, mut drained) = (guard.closed(), group.clone().drained_owned());
            assert!(look(&mut closed).is_pending() && look(&mut drained).is_pending());
            group.cancel();
            drop(closed);
            drop(guard);
            assert!(look(&mut drained).is_ready());
        },
        |group| {
            let guard = group.guard().unwrap();
            assert_eq!(group.shutdown(ready(())).until(ready(())).block().unwrap_err().left, 1);
            drop(guard);
        },
        |group| {
            let children = [(); 3].map(|()| group.child().unwrap());
            let grandchild = children[0].child().unwrap();
            let guard = grandchild.guard().unwrap();
            drop(grandchild);
            group.close();
            drop(children);
            drop(guard);
        },
        |group| {
            let links = [(); 3].map(|()| TaskGroup::builder().link(&group).link(&group).build());
            assert!(links.iter().all(TaskGroup::close));
            drop(group);
            assert!(links.iter().all(TaskGroup::is_drained));
        },
        |group| {
            let guard = group.guard().unwrap();
            let text = panic_of(|| {
                let _guard = guard;
                panic_quietly("oops")
            });
            assert_eq!(text, "oops");
        },
    ];
    let scope = CancelScope::new();
    let forms: [&dyn Fn() -> TaskGroupBuilder; 4] =
        [&TaskGroup::builder, &limited, &|| TaskGroup::builder().parent(scope.token()), &|| {
            TaskGroup::builder().finally(|| {})
        }];
    let parent = TaskGroup::new();
    for end in ends {
        for form in forms {
            // Once for what is made once, such as the list of the waits on the scope.
            end(form().build());
            assert_eq!(leaked(|| end(form().build())), (0, 0));
        }
        end(parent.child().unwrap());
        assert_eq!(leaked(|| end(parent.child().unwrap())), (0, 0));
    }
    assert!(parent.is_empty());
    let under_a_cancelled = || {
        let scope = CancelScope::new();
        scope.cancel();
        drop(TaskGroup::builder().parent(scope.token()).finally(|| {}).build());
    };
    assert_eq!(leaked(under_a_cancelled), (0, 0));
    assert_eq!(leaked(|| drop(limited().finally(|| {}).link(&parent))), (0, 0));
}

/// Rule 12, Limits: queues are freed, on each way of leaving them.
#[test]
fn a_queue_is_freed() {
    let queue = || {
        let group = limited().build();
        let mut guards: Vec<_> = (0..3).map(|_| group.guard().unwrap()).collect();
        let mut waits: Vec<_> = (0..8).map(|_| group.guard_when_room()).collect();
        assert!(waits.iter_mut().all(|wait| look(wait).is_pending()));
        drop(waits.remove(5));
        drop(guards.pop());
        drop(waits.remove(0));
        assert!(look(&mut waits[0]).is_ready());
        group.close();
        assert!(look(&mut waits[1]).is_ready());
    };
    assert_eq!(leaked(queue), (0, 0));
}

/// Errors are freed with the last of their copies.
#[test]
fn errors_are_freed() {
    let errors = || {
        let group = TaskGroup::builder().keep_errors(2).build_err::<String>();
        let task = group.try_track(ready(Err("task".to_owned()))).unwrap();
        let guard = group.group().guard().unwrap();
        assert!(look(&mut { task }).is_ready());
        for text in ["kept", "dropped", "dropped"] {
            group.record(text.to_owned()).unwrap();
        }
        let never_run = group.group().child_err::<String>();
        assert!(never_run.is_err());
        drop(guard);
        let errors = group.join().block().unwrap_err();
        assert_eq!(group.record("late".to_owned()).unwrap_err(), "late");
        let copy = errors.clone();
        drop((group, errors));
        copy.into_vec().unwrap()
    };
    assert_eq!(leaked(errors), (0, 0));
}

/// The heap is the same after many turns.
fn flat(mut turn: impl FnMut()) {
    (0..100).for_each(|_| turn());
    let before = Heap::now();
    (0..TURNS / TESTS).for_each(|_| turn());
    let after = Heap::now();
    assert_eq!((before.bytes, before.blocks), (after.bytes, after.blocks));
}

/// Polls each wait once and drops it.
fn abandon<F: Future + Unpin>(mut wait: impl FnMut() -> F) {
    let waker = Bell::new().waker();
    flat(|| assert!(poll(&mut wait(), &waker).is_pending()));
}

/// Rule 12, for each wait of a group; others wait on, and are woken in the end.
#[test]
fn abandoned_waits_leave_nothing_behind() {
    let group = limited().build();
    let guards = [(); 3].map(|()| group.guard().unwrap());
    let bell = Bell::new();
    let (mut closed, mut drained) = (group.closed(), group.drained());
    let mut room = group.guard_when_room();
    assert!(poll(&mut room, &bell.waker()).is_pending());
    abandon(|| group.guard_when_room());
    drop(room);
    abandon(|| group.guard_when_room());
    abandon(|| group.closed());
    assert!(poll(&mut closed, &bell.waker()).is_pending());
    abandon(|| group.closing().clone().cancelled_owned());
    abandon(|| group.drained());
    assert!(poll(&mut drained, &bell.waker()).is_pending());
    abandon(|| group.join());
    abandon(|| group.shutdown(pending::<()>()).until(pending::<()>()));
    assert_eq!(bell.rings(), 1, "the door");
    drop(guards);
    assert_eq!(bell.rings(), 2);
    drop((closed, drained));
    assert_eq!(Arc::strong_count(&bell), 1);
}

/// A child, a link, or a group below a token that is gone leaves nothing behind.
#[test]
fn groups_that_come_and_go_leave_nothing_behind() {
    let (scope, parent) = (CancelScope::new(), TaskGroup::new());
    let stays = parent.child().unwrap();
    let drained = TaskGroup::new();
    drained.close();
    flat(|| {
        let child = parent.child().unwrap();
        let grandchild = child.child().unwrap();
        drop(grandchild.guard().unwrap());
        drop(child);
        drop(grandchild);
        drop(TaskGroup::builder().parent(scope.token()).build());
        drop(TaskGroup::builder().link(&drained).build());
    });
    assert_eq!(parent.len(), 1);
    drop(stays);
    parent.join().block();
}

/// Guards by id come and go (S4.10).
#[test]
fn a_map_of_guards_stays_as_large_as_it_was() {
    let (group, ids) = (TaskGroup::new(), Mutex::new(std::collections::HashMap::new()));
    let mut next = 0;
    flat(|| {
        ids.lock().unwrap().insert(next % 8, group.guard().unwrap());
        next += 1;
    });
    assert_eq!(group.len(), 8);
    let all = core::mem::take(&mut *ids.lock().unwrap());
    drop(all);
    assert!(group.join().block_for(Duration::ZERO).is_ok());
}

/// Rule 13: what the first waits of each thing allocate, and how that is moved to the start (`docs/embedded.md`).
mod first_waits {
    use super::*;
    use winddown::{CancelToken, Signal, WaitGroup};

    /// Polls as many waits at a time as it is given, while they are pending, and drops them.
    fn prepare<F: Future + Unpin, const N: usize>(mut waits: [F; N]) -> usize {
        allocations(|| assert!(waits.iter_mut().all(|wait| look(wait).is_pending())))
    }

    /// What a wait of another task costs.
    fn of_a_task<F: Future + Unpin>(mut wait: F) -> usize {
        let bell = Bell::new().waker();
        allocations(|| assert!(poll(&mut wait, &bell).is_pending()))
    }

    #[test]
    fn one_pending_poll_prepares_a_signal_a_wait_group_and_a_drain() {
        let (signal, work, group) = (Signal::new(), WaitGroup::new(), TaskGroup::new());
        let (_work, _task) = (work.guard(), group.guard().unwrap());
        assert_eq!(prepare([signal.closed()]), 1);
        assert_eq!(prepare([work.wait()]), 1);
        assert_eq!(prepare([group.drained()]), 1);
        let later = [
            of_a_task(signal.closed()),
            of_a_task(work.wait()),
            of_a_task(group.join()),
            of_a_task(group.shutdown(pending::<()>())),
        ];
        assert_eq!(later, [0; 4]);
    }

    /// The first wait sits in the scope itself. A second one at the same time makes the list; so does a wait of
    /// another task on a handle that keeps a registration, since the new one is made before the old one goes.
    #[test]
    fn a_token_has_room_for_one_wait_and_two_at_a_time_prepare_it() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        for token in [guard.token(), guard.closing()] {
            assert_eq!(of_a_task(token.cancelled()), 0, "in the scope");
            assert_eq!(of_a_task(token.cancelled()), 4, "the list, and a block for a crowd");
            assert_eq!(of_a_task(token.cancelled()), 0);
        }
        let scope = CancelScope::new();
        assert_eq!(prepare([scope.token().cancelled()]), 0, "one prepares nothing");
        assert_eq!(prepare([scope.token().cancelled(), scope.token().cancelled()]), 4);
        let tokens = [(); 30].map(|()| scope.token().clone());
        let mut waits = tokens.each_ref().map(CancelToken::cancelled);
        assert_eq!(waits.iter_mut().map(of_a_task).sum::<usize>(), 0);
    }

    #[test]
    fn each_wait_for_a_place_allocates() {
        know_the_cores();
        let group = limited().build();
        let _tasks = [(); 3].map(|()| group.guard().unwrap());
        assert_eq!([(); 4].map(|()| of_a_task(group.guard_when_room())), [6, 2, 2, 2]);
    }

    #[test]
    fn the_first_wait_below_hooks_the_scope_into_each_one_above() {
        let root = CancelScope::new();
        let child = root.token().child();
        let (one, two) = (child.token().child(), child.token().child());
        assert_eq!(of_a_task(one.token().cancelled()), 2, "a list in each of two scopes");
        assert_eq!(of_a_task(two.token().cancelled()), 0);
    }
}
