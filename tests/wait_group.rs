//! `WaitGroup`, its guards and its waits.

#![cfg(not(loom))]

mod common;

use core::cell::Cell;
use core::future::{Future, IntoFuture, Ready, pending, poll_fn, ready};
use core::mem::forget;
use core::ops::Deref;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use common::{Bell, Foreign, look, panic_of, panic_quietly, poll};
use futures_util::future::FusedFuture;
use winddown::{Guard, Overflow, Unbalanced, WaitGroup};

/// Rule 3: a wait on a group that was never used is over at once.
#[test]
fn a_group_that_was_never_used_is_idle() {
    let group = WaitGroup::new();
    assert!(group.is_idle());
    assert_eq!(group.count(), 0);
    assert_eq!(look(&mut group.wait()), Poll::Ready(()));
    assert!(WaitGroup::default().is_idle());
}

#[test]
fn a_guard_of_a_static_group_is_just_guard() {
    static GROUP: WaitGroup = WaitGroup::new();
    struct Task {
        _guard: Guard,
    }
    let task = Task { _guard: GROUP.guard() };
    let worker = thread::spawn(move || drop(task));
    worker.join().unwrap();
    assert!(GROUP.is_idle());
}

/// Rule 1: every guard counts once, clones too.
#[test]
fn guards_count_in_and_out() {
    let group = WaitGroup::new();
    let one = group.guard();
    let two = one.clone();
    assert_eq!(group.count(), 2);
    drop(one);
    assert_eq!(group.count(), 1);
    let three = two.clone();
    drop(two);
    assert_eq!(group.count(), 1);
    drop(three);
    assert!(group.is_idle());
}

/// Rule 1: the raw form keeps the same count as the guards.
#[test]
fn add_and_done_share_the_count_with_guards() {
    let group = WaitGroup::new();
    assert_eq!(group.add(0), Ok(()));
    assert!(group.is_idle());
    assert_eq!(group.add(1), Ok(()));
    assert_eq!(group.add(3), Ok(()));
    let guard = group.guard();
    assert_eq!(group.count(), 5);
    for left in (1..5).rev() {
        assert_eq!(group.done(), Ok(()));
        assert_eq!(group.count(), left);
    }
    drop(guard);
    assert!(group.is_idle());
}

/// Rule 1: an unbalanced `done` is an error and changes nothing, before and after rounds.
#[test]
fn an_unbalanced_done_changes_nothing() {
    let group = WaitGroup::new();
    assert!(group.done().is_err());
    assert!(group.is_idle());
    let bell = Bell::new();
    let guard = group.guard();
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    drop(guard);
    let refused: Unbalanced = group.done().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the wait group is idle: there is nothing in flight that could be done"
    );
    assert_eq!((group.count(), bell.rings()), (0, 1));
    let _guard = group.guard();
    assert_eq!(group.count(), 1, "no debt was left behind");
}

/// Rule 1: a `done` beyond the adds takes the count of a guard, and the drop of that guard then changes nothing.
#[test]
fn a_guard_that_was_counted_out_before_changes_nothing() {
    let group = WaitGroup::new();
    let guard = group.guard();
    assert_eq!(group.done(), Ok(()));
    drop(guard);
    assert!(group.is_idle());
    let guard = group.guard();
    assert_eq!(group.count(), 1);
    drop(guard);
}

/// Rule 1: an `add` that is too large changes nothing.
#[test]
fn an_add_beyond_every_range_is_refused() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let refused: Overflow = group.add(usize::MAX).unwrap_err();
    assert!(refused.to_string().contains("full"), "{refused}");
    assert_eq!(group.count(), 1);
    drop(guard);
    assert_eq!(look(&mut group.wait()), Poll::Ready(()));
}

/// A pointer of the user's own, into a struct that holds the group.
#[derive(Clone)]
struct Service(Arc<State>);

#[derive(Default)]
struct State {
    tasks: WaitGroup,
}

impl Deref for Service {
    type Target = WaitGroup;

    fn deref(&self) -> &WaitGroup {
        &self.0.tasks
    }
}

/// Rule 1, for every kind of pointer.
fn counts_over<P: Deref<Target = WaitGroup> + Clone>(group: P) {
    let guard = WaitGroup::guard_in(group.clone());
    let second = guard.clone();
    let third = WaitGroup::try_guard_in(group.clone()).unwrap();
    assert_eq!(group.count(), 3);
    let mut wait = WaitGroup::wait_in(group.clone());
    assert!(look(&mut wait).is_pending());
    drop((guard, second));
    assert!(look(&mut wait).is_pending());
    drop(third);
    assert!(group.is_idle());
    assert_eq!(look(&mut wait), Poll::Ready(()));
}

#[test]
fn guards_and_waits_go_over_any_pointer() {
    counts_over(&WaitGroup::new());
    counts_over(Arc::new(WaitGroup::new()));
    counts_over(Rc::new(WaitGroup::new()));
    counts_over(Service(Arc::default()));
}

#[test]
fn a_guard_keeps_what_it_points_with() {
    let group = Rc::new(WaitGroup::new());
    let guard = WaitGroup::guard_in(Rc::clone(&group));
    assert_eq!(Rc::strong_count(&group), 2);
    let boxed = WaitGroup::guard_in(Box::new(WaitGroup::new()));
    drop((guard, boxed));
    assert_eq!(Rc::strong_count(&group), 1);
}

/// Rule 1: `leave` counts out as the drop does, lends or gives back the same pointer, and wakes.
fn leaves_over<P: Deref<Target = WaitGroup> + Clone>(group: P) {
    let bell = Bell::new();
    let (first, second) = (WaitGroup::guard_in(group.clone()), WaitGroup::guard_in(group.clone()));
    let target: *const WaitGroup = &*group;
    assert!(core::ptr::eq(&**first.group(), target));
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    let pointer: P = first.leave();
    assert!(core::ptr::eq(&*pointer, target));
    assert_eq!((group.count(), bell.rings()), (1, 0));
    drop(second.leave());
    assert_eq!((group.count(), bell.rings(), look(&mut wait)), (0, 1, Poll::Ready(())));
}

#[test]
fn a_guard_that_leaves_gives_its_pointer_back() {
    leaves_over(&WaitGroup::new());
    leaves_over(Rc::new(WaitGroup::new()));
    leaves_over(Service(Arc::default()));
    let group = Arc::new(WaitGroup::new());
    leaves_over(Arc::clone(&group));
    assert_eq!(Arc::strong_count(&group), 1);
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    assert_eq!((Arc::strong_count(guard.group()), group.count()), (2, 1));
    drop(guard);
    let alone = WaitGroup::guard_in(Box::new(WaitGroup::new())).leave();
    assert!(alone.is_idle());
}

/// Rule 1: a count that a foreign `done` took is not taken twice.
#[test]
fn a_guard_whose_count_was_taken_may_leave() {
    let group = Arc::new(WaitGroup::new());
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    group.done().unwrap();
    assert!(Arc::ptr_eq(&guard.leave(), &group));
    assert!(group.is_idle() && Arc::strong_count(&group) == 1);
}

/// A pointer whose `Deref` panics at one look, and that counts looks and drops.
struct Faulty<'a> {
    group: &'a WaitGroup,
    fault: &'a Fault,
}

#[derive(Default)]
struct Fault {
    looks: Cell<usize>,
    at: Cell<Option<usize>>,
    drops: Cell<usize>,
}

impl Deref for Faulty<'_> {
    type Target = WaitGroup;

    fn deref(&self) -> &WaitGroup {
        let look = self.fault.looks.replace(self.fault.looks.get() + 1);
        if self.fault.at.get() == Some(look) {
            panic_quietly("the pointer fails");
        }
        self.group
    }
}

impl Drop for Faulty<'_> {
    fn drop(&mut self) {
        self.fault.drops.set(self.fault.drops.get() + 1);
    }
}

/// Rule 1: the pointer is asked once, before anything has changed, with and without waits to wake.
#[test]
fn a_guard_asks_its_pointer_once_on_its_way_out() {
    let ends: [fn(Guard<Faulty<'_>>); 2] = [|guard| drop(guard), |guard| drop(guard.leave())];
    for end in ends {
        let (group, fault, bell) = (WaitGroup::new(), Fault::default(), Bell::new());
        let guard = WaitGroup::guard_in(Faulty { group: &group, fault: &fault });
        let mut wait = group.wait();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        fault.looks.set(0);
        end(guard);
        assert_eq!((fault.looks.get(), fault.drops.get(), bell.rings()), (1, 1, 1));
    }
}

/// Rule 1: a `Deref` that panics in `leave` does not lose the count.
#[test]
fn a_pointer_that_panics_in_leave_is_asked_again_by_the_drop() {
    let (group, fault, bell) = (WaitGroup::new(), Fault::default(), Bell::new());
    let guard = WaitGroup::guard_in(Faulty { group: &group, fault: &fault });
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    fault.at.set(Some(fault.looks.get()));
    assert_eq!(panic_of(|| guard.leave()), "the pointer fails");
    assert_eq!((group.count(), fault.drops.get(), bell.rings()), (0, 1, 1));
    assert!(look(&mut wait).is_ready());
}

/// Rule 1: one that panics in the guard's drop forgets the guard, and does no harm to others.
#[test]
fn a_pointer_that_panics_in_the_drop_forgets_the_guard() {
    let (group, fault, bell) = (WaitGroup::new(), Fault::default(), Bell::new());
    let guard = WaitGroup::guard_in(Faulty { group: &group, fault: &fault });
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    fault.at.set(Some(fault.looks.get()));
    assert_eq!(panic_of(|| drop(guard)), "the pointer fails");
    assert_eq!((group.count(), fault.drops.get(), bell.rings()), (1, 1, 0));
    group.done().unwrap();
    assert!(bell.rings() == 1 && look(&mut wait).is_ready());
}

/// The work is out, and the pointer dropped, though a waker panics.
#[test]
fn a_guard_has_left_though_a_waker_panics() {
    let group = Arc::new(WaitGroup::new());
    let (waker, bell) = (Foreign::new().on_wake(|| panic_quietly("a waker")).share(), Bell::new());
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    let (mut first, mut second) = (group.wait(), group.wait());
    assert!(poll(&mut first, &waker.waker()).is_pending());
    assert!(poll(&mut second, &bell.waker()).is_pending());
    assert_eq!(panic_of(|| guard.leave()), "a waker");
    assert_eq!((group.count(), Arc::strong_count(&group), bell.rings()), (0, 1, 1));
    assert!(look(&mut first).is_ready() && look(&mut second).is_ready());
}

/// Rule 2: a guard is dropped on every way out, panics included.
#[test]
fn the_guard_of_a_panicking_thread_counts_out() {
    let group = Arc::new(WaitGroup::new());
    let bell = Bell::new();
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    let worker = thread::spawn(move || {
        let _guard = guard;
        panic_quietly("the worker fails");
    });
    worker.join().unwrap_err();
    assert!(group.is_idle());
    assert_eq!(bell.rings(), 1);
    assert_eq!(look(&mut wait), Poll::Ready(()));
}

/// Rule 2: `mem::forget` of a guard means "never done".
#[test]
fn a_forgotten_guard_is_never_done() {
    let group = WaitGroup::new();
    forget(group.guard());
    let mut wait = group.wait();
    assert!(look(&mut wait).is_pending());
    drop(group.guard());
    assert!(look(&mut wait).is_pending());
    assert_eq!(group.count(), 1);
}

/// Rule 3: a zero that was left again before the waiter was polled counts.
#[test]
fn a_zero_between_two_polls_ends_the_wait() {
    let group = WaitGroup::new();
    let first = group.guard();
    let mut wait = group.wait();
    assert!(look(&mut wait).is_pending());
    drop(first);
    let _second = group.guard();
    assert_eq!(look(&mut wait), Poll::Ready(()));
    assert!(look(&mut group.wait()).is_pending(), "a new wait counts from its own first poll");
}

/// Rule 3: zeros before the first poll count for nothing, and no wait ends without a zero.
#[test]
fn a_wait_never_ends_without_a_zero() {
    let group = WaitGroup::new();
    let bell = Bell::new();
    let mut early = group.wait();
    drop(group.guard());
    let mut guard = group.guard();
    assert!(poll(&mut early, &bell.waker()).is_pending(), "made before that zero, polled after it");
    for _ in 0..100 {
        let next = group.guard();
        drop(guard);
        guard = next;
        assert!(poll(&mut early, &bell.waker()).is_pending());
    }
    assert_eq!(bell.rings(), 0);
    drop(guard);
    assert_eq!((bell.rings(), look(&mut early)), (1, Poll::Ready(())));
}

/// Rule 3: each round ends the waits that were registered in it, and no later one.
#[test]
fn rounds_do_not_mix() {
    let group = WaitGroup::new();
    let mut old: Vec<winddown::future::Wait<&WaitGroup>> = Vec::new();
    for _ in 0..10 {
        let guard = group.guard();
        let bell = Bell::new();
        let mut wait = group.wait();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        assert!(old.iter_mut().all(|wait| look(wait).is_ready()));
        assert!(look(&mut wait).is_pending());
        drop(guard);
        old.push(wait);
    }
    assert!(old.iter_mut().all(|wait| look(wait).is_ready()));
}

/// Rule 3: a waiter of an old round that is dropped wakes no other wait, and loses no wake-up.
#[test]
fn dropping_a_woken_wait_of_an_old_round_changes_nothing() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let mut old = group.wait();
    assert!(look(&mut old).is_pending());
    drop(guard);
    let guard = group.guard();
    let bell = Bell::new();
    let mut new = group.wait();
    assert!(poll(&mut new, &bell.waker()).is_pending());
    drop(old);
    assert_eq!(bell.rings(), 0);
    drop(guard);
    assert_eq!((bell.rings(), look(&mut new)), (1, Poll::Ready(())));
}

/// Rule 7: the last guard wakes all waits, once.
#[test]
fn every_waiter_is_woken_by_the_last_one_out() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let second = group.guard();
    let bells: Vec<_> = (0..100).map(|_| Bell::new()).collect();
    let mut waits: Vec<_> = bells.iter().map(|_| group.wait()).collect();
    for (wait, bell) in waits.iter_mut().zip(&bells) {
        assert!(poll(wait, &bell.waker()).is_pending());
    }
    drop(guard);
    assert!(bells.iter().all(|bell| bell.rings() == 0));
    drop(second);
    assert!(bells.iter().all(|bell| bell.rings() == 1));
    assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let (first, last) = (Bell::new(), Bell::new());
    let mut wait = group.wait();
    assert!(poll(&mut wait, &first.waker()).is_pending());
    assert!(poll(&mut wait, &last.waker()).is_pending());
    assert!(poll(&mut wait, &last.waker()).is_pending());
    drop(guard);
    assert_eq!((first.rings(), last.rings()), (0, 1));
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&last)), (1, 1), "none is kept");
    assert!(look(&mut wait).is_ready());
}

#[test]
fn a_wait_is_fused_and_ready_again() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let mut wait = group.wait();
    assert!(!wait.is_terminated());
    assert!(look(&mut wait).is_pending());
    assert!(!wait.is_terminated());
    drop(guard);
    assert!(look(&mut wait).is_ready());
    assert!(wait.is_terminated());
    let _busy = group.guard();
    assert_eq!(look(&mut wait), Poll::Ready(()));
    assert!(wait.is_terminated());
}

#[test]
fn a_limit_that_comes_first_says_what_was_left_and_what_it_gave() {
    let group = WaitGroup::new();
    let _guards = [group.guard(), group.guard()];
    let mut wait = group.wait().until(ready("the limit"));
    let Poll::Ready(Err(unfinished)) = look(&mut wait) else { panic!("the limit is ready") };
    assert_eq!((unfinished.left, unfinished.by), (2, "the limit"));
    assert_eq!(unfinished.to_string(), "the limit came before the wait was over: 2 left");
    assert!(wait.is_terminated());
}

/// The wait is looked at first, at its first poll and at every later one.
#[test]
fn a_finished_wait_wins_over_a_ready_limit() {
    let group = WaitGroup::new();
    assert_eq!(look(&mut group.wait().until(ready(()))), Poll::Ready(Ok(())));
    let guard = group.guard();
    let over = Cell::new(false);
    let limit = poll_fn(|_| if over.get() { Poll::Ready(()) } else { Poll::Pending });
    let mut wait = group.wait().until(limit);
    assert!(look(&mut wait).is_pending());
    drop(guard);
    over.set(true);
    assert_eq!(look(&mut wait), Poll::Ready(Ok(())));
}

#[test]
fn a_limit_is_anything_that_turns_into_a_future() {
    struct Timer;
    impl IntoFuture for Timer {
        type Output = u8;
        type IntoFuture = Ready<u8>;

        fn into_future(self) -> Ready<u8> {
            ready(7)
        }
    }
    let group = WaitGroup::new();
    let _guard = group.guard();
    let mut wait = group.wait().until(Timer);
    assert!(matches!(look(&mut wait), Poll::Ready(Err(unfinished)) if unfinished.by == 7));
}

#[test]
fn limits_nest() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let mut inner_first = group.wait().until(ready('i')).until(ready('o'));
    let Poll::Ready(Ok(Err(inner))) = look(&mut inner_first) else { panic!("inner first") };
    assert_eq!((inner.left, inner.by), (1, 'i'));
    let mut outer = group.wait().until(pending::<()>()).until(ready('o'));
    let Poll::Ready(Err(unfinished)) = look(&mut outer) else { panic!("the outer alone is ready") };
    assert_eq!((unfinished.left, unfinished.by), (1, 'o'));
    drop(guard);
    let mut done = group.wait().until(ready(())).until(ready(()));
    assert_eq!(look(&mut done), Poll::Ready(Ok(Ok(()))));
}

#[test]
fn a_wait_with_a_limit_panics_when_polled_again() {
    const TEXT: &str = "a wait with a limit was polled again after it was ready";
    let group = WaitGroup::new();
    let mut done = group.wait().until(pending::<()>());
    assert!(look(&mut done).is_ready());
    assert_eq!(panic_of(|| look(&mut done)), TEXT);
    let _guard = group.guard();
    let mut limited = pin!(group.wait().until(async {}));
    assert!(look(&mut limited).is_ready());
    assert_eq!(panic_of(|| look(&mut limited)), TEXT);
    assert!(limited.is_terminated());
}

/// A future that notes when it is dropped.
struct Noted<'a, F> {
    future: F,
    log: &'a Log<'a>,
}

struct Log<'a> {
    group: &'a WaitGroup,
    count_at_drop: Cell<Option<usize>>,
}

impl<'a> Log<'a> {
    fn new(group: &'a WaitGroup) -> Self {
        Self { group, count_at_drop: Cell::new(None) }
    }
}

impl<F: Future + Unpin> Future for Noted<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.future).poll(cx)
    }
}

impl<F> Drop for Noted<'_, F> {
    fn drop(&mut self) {
        self.log.count_at_drop.set(Some(self.log.group.count()));
    }
}

/// Rule 2: the future goes first, then the guard, then the output comes.
#[test]
fn a_tracked_future_is_gone_before_it_is_counted_out() {
    let group = WaitGroup::new();
    let log = Log::new(&group);
    let mut task = group.guard().track(Noted { future: ready(7), log: &log });
    assert!(!task.is_terminated());
    assert_eq!(look(&mut task), Poll::Ready(7));
    assert!(task.is_terminated());
    assert_eq!((log.count_at_drop.get(), group.count()), (Some(1), 0));
    assert_eq!(
        panic_of(|| look(&mut task)),
        "a tracked future was polled again after it was ready"
    );
}

/// Rule 2: the same order when it is dropped, polled or not.
#[test]
fn a_tracked_future_that_is_dropped_goes_before_its_guard() {
    let group = WaitGroup::new();
    for polls in 0..2 {
        let log = Log::new(&group);
        let mut task = group.guard().track(Noted { future: pending::<()>(), log: &log });
        for _ in 0..polls {
            assert!(look(&mut task).is_pending());
        }
        assert_eq!(group.count(), 1);
        drop(task);
        assert_eq!((log.count_at_drop.get(), group.count()), (Some(1), 0));
    }
}

/// Rule 2: and when the future panics.
#[test]
fn a_tracked_future_that_panics_goes_before_its_guard() {
    let group = WaitGroup::new();
    let log = Log::new(&group);
    let future = poll_fn(|_| -> Poll<()> { panic_quietly("the task fails") });
    let mut task = group.guard().track(Noted { future, log: &log });
    assert_eq!(panic_of(|| look(&mut task)), "the task fails");
    drop(task);
    assert_eq!((log.count_at_drop.get(), group.count()), (Some(1), 0));
}

/// Rule 2: a panic in the drop of the future does not keep the guard.
#[test]
fn a_tracked_future_whose_drop_panics_counts_out() {
    struct Bad;
    impl Future for Bad {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    impl Drop for Bad {
        fn drop(&mut self) {
            panic_quietly("the drop fails");
        }
    }
    let group = WaitGroup::new();
    let mut task = group.guard().track(Bad);
    assert_eq!(panic_of(|| look(&mut task)), "the drop fails");
    drop(task);
    assert!(group.is_idle());
    let task = group.guard().track(Bad);
    assert_eq!(panic_of(|| drop(task)), "the drop fails");
    assert!(group.is_idle());
}

#[test]
fn a_tracked_future_may_borrow_and_stay_on_its_thread() {
    let group = Rc::new(WaitGroup::new());
    let text = String::from("borrowed");
    let task = WaitGroup::guard_in(Rc::clone(&group)).track(async { text.len() });
    let mut task = pin!(task);
    assert_eq!((group.count(), look(&mut task)), (1, Poll::Ready(8)));
    assert!(group.is_idle());
}

#[test]
fn debug_shows_the_count() {
    let group = WaitGroup::new();
    let guard = group.guard();
    assert_eq!(format!("{group:?}"), "WaitGroup { count: 1, .. }");
    for text in [format!("{guard:?}"), format!("{:?}", group.wait())] {
        assert!(text.contains("count: 1"), "{text}");
    }
}

/// Rules 1 and 3 under load: no round is missed, and no guard of the round is still in flight.
#[test]
fn many_threads_count_and_wait_through_many_rounds() {
    let group = Arc::new(WaitGroup::new());
    for _ in 0..200 {
        let finished = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let guard = WaitGroup::guard_in(Arc::clone(&group));
                let finished = Arc::clone(&finished);
                thread::spawn(move || {
                    let inner = guard.clone();
                    finished.fetch_add(1, Ordering::Relaxed);
                    drop(guard);
                    drop(inner);
                })
            })
            .collect();
        pollster::block_on(group.wait());
        // Rule 5: Relaxed is enough, since the wait acquires what the guards release.
        assert_eq!(finished.load(Ordering::Relaxed), 4);
        for worker in workers {
            worker.join().unwrap();
        }
    }
    assert!(group.is_idle());
}

#[cfg(feature = "std")]
mod blocking {
    use core::time::Duration;
    use std::sync::{Mutex, mpsc};
    use std::time::Instant;

    use super::*;
    use common::{Foreign, never_but_tell};

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn blocking_on_an_idle_group_returns() {
        let group = WaitGroup::new();
        group.wait().block();
        assert_eq!(group.wait().block_for(Duration::ZERO), Ok(()));
        assert_eq!(group.wait().block_until(Instant::now()), Ok(()));
    }

    /// Rule 5: a wait that has returned sees what was written before the guard was dropped.
    #[test]
    fn block_returns_when_another_thread_counts_out() {
        let group = WaitGroup::new();
        let written = AtomicUsize::new(0);
        let (tell, registered) = mpsc::channel();
        thread::scope(|scope| {
            let guard = group.guard();
            let written = &written;
            scope.spawn(move || {
                registered.recv().unwrap();
                written.store(1, Ordering::Relaxed);
                drop(guard);
            });
            assert_eq!(group.wait().until(never_but_tell(tell)).block(), Ok(()));
            assert_eq!(written.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn a_time_limit_says_what_was_left() {
        let group = WaitGroup::new();
        let _guards = [group.guard(), group.guard(), group.guard()];
        let unfinished = group.wait().block_for(SHORT).unwrap_err();
        assert_eq!((unfinished.left, unfinished.by), (3, ()));
        let unfinished = group.wait().block_until(Instant::now()).unwrap_err();
        assert_eq!(unfinished.left, 3);
    }

    /// The limit is not made of what the clock can hold.
    #[test]
    fn the_longest_time_means_for_ever() {
        let group = WaitGroup::new();
        let (tell, registered) = mpsc::channel();
        thread::scope(|scope| {
            let guard = group.guard();
            scope.spawn(move || {
                registered.recv().unwrap();
                drop(guard);
            });
            let wait = group.wait().until(never_but_tell(tell));
            assert_eq!(wait.block_for(Duration::MAX), Ok(Ok(())));
        });
    }

    #[test]
    fn a_finished_wait_wins_over_a_time_that_is_past() {
        let group = WaitGroup::new();
        let past = Instant::now();
        let guard = group.guard();
        let mut wait = group.wait();
        assert!(look(&mut wait).is_pending());
        drop(guard);
        let _busy = group.guard();
        assert_eq!(wait.block_until(past), Ok(()), "its zero was before");
    }

    /// A wait with a limit that is over is not polled again by blocking on it, either.
    #[test]
    fn a_wait_with_a_limit_panics_when_blocked_on_again() {
        const TEXT: &str = "a wait with a limit was polled again after it was ready";
        let group = WaitGroup::new();
        let mut done = group.wait().until(pending::<()>());
        assert!(look(&mut done).is_ready());
        assert_eq!(panic_of(|| done.block()), TEXT);
        let _guard = group.guard();
        let mut limited = group.wait().until(ready(()));
        assert!(look(&mut limited).is_ready());
        assert_eq!(panic_of(|| limited.block_for(SHORT)), TEXT);
    }

    /// A limit that is busy does not stop the clock.
    #[test]
    fn a_limit_that_wakes_at_each_poll_does_not_hold_up_the_time() {
        let group = WaitGroup::new();
        let _guard = group.guard();
        let busy = || {
            poll_fn(|cx| -> Poll<()> {
                cx.waker().wake_by_ref();
                Poll::Pending
            })
        };
        assert_eq!(group.wait().until(busy()).block_for(SHORT).unwrap_err().left, 1);
        assert_eq!(group.wait().until(busy()).block_until(Instant::now()).unwrap_err().left, 1);
    }

    /// It wakes the thread, by a reference to the waker, before the thread blocks.
    #[test]
    fn a_limit_that_wakes_during_its_poll_is_polled_again() {
        let group = WaitGroup::new();
        let _guard = group.guard();
        let mut polls = 0..3;
        let third = poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if polls.next().is_some() { Poll::Pending } else { Poll::Ready('x') }
        });
        assert_eq!(group.wait().until(third).block().unwrap_err().by, 'x');
    }

    /// The time is past, and the wake-up is stuck behind another waiter's waker; but the zero came.
    #[test]
    fn a_wait_that_ended_in_time_is_over_although_it_was_not_woken() {
        let group = WaitGroup::new();
        let mut guard = Some(group.guard());
        let (tell, delivering) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let released = Mutex::new(released);
        let stuck = Foreign::new().on_wake(move || {
            tell.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
        });
        let mut first = group.wait();
        assert!(poll(&mut first, &stuck.into_waker()).is_pending());
        thread::scope(|scope| {
            let limit = poll_fn(|_| -> Poll<()> {
                if let Some(guard) = guard.take() {
                    scope.spawn(move || drop(guard));
                    delivering.recv().unwrap();
                }
                Poll::Pending
            });
            let outcome = group.wait().until(limit).block_until(Instant::now());
            release.send(()).unwrap();
            assert_eq!(outcome, Ok(Ok(())));
        });
    }

    #[test]
    fn a_limit_that_is_ready_ends_a_blocking_wait() {
        let group = WaitGroup::new();
        let _guard = group.guard();
        let unfinished = group.wait().until(ready('x')).block().unwrap_err();
        assert_eq!((unfinished.left, unfinished.by), (1, 'x'));
    }

    /// A limit is woken through the blocked thread, from another one.
    #[test]
    fn a_limit_that_another_thread_ends_ends_a_blocking_wait() {
        let group = WaitGroup::new();
        let limit = winddown::Signal::new();
        let _guard = group.guard();
        let (tell, registered) = mpsc::channel();
        thread::scope(|scope| {
            let limit = &limit;
            scope.spawn(move || {
                registered.recv().unwrap();
                limit.close();
            });
            let until = limit.closed().until(never_but_tell(tell));
            let unfinished = group.wait().until(until).block().unwrap_err();
            assert_eq!((unfinished.left, unfinished.by), (1, Ok(())));
        });
    }

    /// Foreign code that is polled on the blocked thread may park it, too.
    #[test]
    fn a_stray_unpark_does_not_end_a_blocking_wait() {
        let group = WaitGroup::new();
        let _guard = group.guard();
        thread::current().unpark();
        assert_eq!(group.wait().block_for(SHORT).unwrap_err().left, 1);
    }

    #[test]
    fn a_wait_may_be_polled_first_and_blocked_on_later() {
        let group = WaitGroup::new();
        let guard = group.guard();
        let mut wait = group.wait();
        assert!(look(&mut wait).is_pending());
        thread::scope(|scope| {
            scope.spawn(move || drop(guard));
            wait.block();
        });
    }

    #[test]
    fn many_threads_block_on_one_group() {
        let group = WaitGroup::new();
        let (tell, registered) = mpsc::channel();
        thread::scope(|scope| {
            let guard = group.guard();
            for _ in 0..16 {
                let wait = group.wait().until(never_but_tell(tell.clone()));
                scope.spawn(move || assert_eq!(wait.block(), Ok(())));
            }
            for _ in 0..16 {
                registered.recv().unwrap();
            }
            drop(guard);
        });
    }
}
