//! Every future is dropped at every point, or forgotten; the other futures are not affected.

#![cfg(not(loom))]

mod common;

use core::cell::Cell;
use core::future::{Future, pending};
use core::mem::forget;
use core::ops::Deref;
use core::pin::Pin;
use core::task::Poll;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use common::{Bell, Foreign, look, poll};
use winddown::{Signal, WaitGroup};

type Form<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Both types.
trait Waitable: Default {
    fn begin(&self);
    fn end(&self);

    /// Every form of every wait.
    fn forms(this: &Arc<Self>) -> Vec<Form<'_>>;
}

impl Waitable for WaitGroup {
    fn begin(&self) {
        self.add(1).unwrap();
    }

    fn end(&self) {
        self.done().unwrap();
    }

    fn forms(this: &Arc<Self>) -> Vec<Form<'_>> {
        let inner = Arc::new(Self::new());
        let tracked = Self::guard_in(inner).track(this.wait());
        vec![
            Box::pin(this.wait()),
            Box::pin(Self::wait_in(Arc::clone(this))),
            Box::pin(async { this.wait().until(pending::<()>()).await.unwrap() }),
            Box::pin(async {
                let _ = this.wait().until(pending::<()>()).until(this.wait()).await;
            }),
            Box::pin(tracked),
            Box::pin(async { futures_util::join!(this.wait(), this.wait()).0 }),
        ]
    }
}

impl Waitable for Signal<String> {
    fn begin(&self) {}

    fn end(&self) {
        self.close_with(String::from("over")).unwrap();
    }

    fn forms(this: &Arc<Self>) -> Vec<Form<'_>> {
        vec![
            Box::pin(this.closed()),
            Box::pin(Self::closed_in(Arc::clone(this))),
            Box::pin(async { assert_eq!(this.value().await, "over") }),
            Box::pin(async {
                let _ = this.value().until(pending::<()>()).await;
            }),
            Box::pin(async {
                let _ = this.closed().until(this.value()).until(pending::<()>()).await;
            }),
            Box::pin(async { futures_util::join!(this.closed(), this.closed()).0 }),
        ]
    }
}

/// A point at which a future is dropped.
#[derive(Clone, Copy, Debug)]
struct Point {
    form: usize,
    /// How often it was polled.
    polls: usize,
    /// By another waker each time.
    moves: bool,
    /// When the wait was over already, but it was not polled since.
    after_the_end: bool,
    /// How many others were registered before it.
    place: usize,
}

fn points() -> impl Iterator<Item = Point> {
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    (0..6).flat_map(move |form| {
        (0..4).flat_map(move |polls| {
            (0..3).flat_map(move |place| {
                flags.into_iter().map(move |(moves, after_the_end)| Point {
                    form,
                    polls,
                    moves,
                    after_the_end,
                    place,
                })
            })
        })
    })
}

/// Rule 12: the others wake, the dropped one does not, and nothing of it stays.
fn drop_at<W: Waitable>(point: Point) {
    let object = Arc::new(W::default());
    object.begin();
    let wakers: Vec<_> = (0..4).map(|_| Foreign::new().share()).collect();
    let bell = Bell::new();
    let mut others: Vec<_> = (0..2).map(|_| W::forms(&object).swap_remove(0)).collect();
    let mut victim = W::forms(&object).swap_remove(point.form);
    for (at, other) in others.iter_mut().enumerate() {
        if at == point.place {
            poll_at(&mut victim, point, &wakers);
        }
        assert!(poll(other, &bell.waker()).is_pending());
    }
    if point.place == others.len() {
        poll_at(&mut victim, point, &wakers);
    }
    if point.after_the_end {
        object.end();
        drop(victim);
    } else {
        drop(victim);
        assert!(wakers.iter().all(|waker| waker.alive() == 0), "{point:?}");
        object.end();
    }
    assert_eq!(bell.rings(), 2, "{point:?}");
    assert!(others.iter_mut().all(|other| look(other).is_ready()), "{point:?}");
    assert!(wakers.iter().all(|waker| waker.alive() == 0), "{point:?}");
    let woken = wakers.iter().any(|waker| waker.woken() > 0);
    assert_eq!(woken, point.after_the_end && point.polls > 0, "{point:?}");
    assert!(look(&mut W::forms(&object).swap_remove(point.form)).is_ready());
}

fn poll_at(victim: &mut Form<'_>, point: Point, wakers: &[Arc<Foreign>]) {
    for at in 0..point.polls {
        let waker = &wakers[if point.moves { at } else { 0 }];
        assert!(poll(victim, &waker.waker()).is_pending());
    }
}

/// Rule 12.
#[test]
fn every_wait_on_a_group_may_be_dropped_at_every_point() {
    points().for_each(drop_at::<WaitGroup>);
}

/// Rule 12.
#[test]
fn every_wait_on_a_signal_may_be_dropped_at_every_point() {
    points().for_each(drop_at::<Signal<String>>);
}

/// Rule 12: in all orders of dropping, the last one wakes or nobody does.
#[test]
fn waits_may_be_dropped_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for kept in 0..3 {
            let group = WaitGroup::new();
            let guard = group.guard();
            let bells = [Bell::new(), Bell::new(), Bell::new()];
            let mut waits = bells.each_ref().map(|bell| {
                let mut wait = group.wait();
                assert!(poll(&mut wait, &bell.waker()).is_pending());
                Some(wait)
            });
            for at in &order[..kept] {
                waits[*at] = None;
            }
            drop(guard);
            for (at, bell) in bells.iter().enumerate() {
                let dropped = order[..kept].contains(&at);
                assert_eq!(bell.rings(), usize::from(!dropped), "{order:?} {kept}");
            }
        }
    }
}

/// Rules 3 and 12: woken waits of an old round that are dropped fire nobody in the new one, and keep
/// nothing of theirs.
#[test]
fn woken_waits_that_are_dropped_leave_the_next_round_alone() {
    let group = WaitGroup::new();
    let (bell, waker) = (Bell::new(), Foreign::new().share());
    group.begin();
    let mut old = [group.wait(), group.wait(), group.wait()];
    assert!(old.iter_mut().all(|wait| poll(wait, &bell.waker()).is_pending()));
    group.end();
    group.begin();
    let mut new = [group.wait(), group.wait(), group.wait()];
    assert!(new.iter_mut().all(|wait| poll(wait, &waker.waker()).is_pending()));
    assert_eq!(waker.alive(), 3);
    drop(old);
    assert!(new.iter_mut().all(|wait| poll(wait, &waker.waker()).is_pending()));
    assert_eq!((waker.woken(), waker.alive()), (0, 3), "they are registered as before");
    drop(new);
    assert_eq!(waker.alive(), 0);
    group.end();
    assert_eq!((waker.woken(), bell.rings()), (0, 3));
}

/// Waits of every form are forgotten while they are parked; then the object moves, is used again by
/// others, and goes.
fn forget_waits<W: Waitable>(forgotten: usize, end_before_the_move: bool) {
    let object = Arc::new(W::default());
    object.begin();
    for at in 0..forgotten {
        let mut wait = W::forms(&object).swap_remove(if at % 2 == 0 { 0 } else { 3 });
        assert!(look(&mut wait).is_pending());
        forget(wait);
    }
    if end_before_the_move {
        object.end();
    }
    let object = Arc::into_inner(object).expect("nobody else has it");
    let moved = Box::new(object);
    let object = Arc::new(*moved);
    let bell = Bell::new();
    let mut wait = W::forms(&object).swap_remove(0);
    if end_before_the_move {
        assert!(look(&mut wait).is_ready());
        return;
    }
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    object.end();
    assert_eq!(bell.rings(), 1);
    assert!(look(&mut wait).is_ready());
}

/// Rule 12: nothing of a wait is in the object or the other way round.
#[test]
fn an_object_may_move_and_go_after_waits_were_forgotten() {
    for forgotten in 0..5 {
        for ends in [false, true] {
            forget_waits::<WaitGroup>(forgotten, ends);
            forget_waits::<Signal<String>>(forgotten, ends);
        }
    }
}

/// Rule 12: the wakers of forgotten waits are still there, and woken once.
#[test]
fn a_forgotten_wait_is_woken_like_any_other() {
    let group = WaitGroup::new();
    let (waker, bell) = (Foreign::new().share(), Bell::new());
    for round in 1..10 {
        group.begin();
        let mut wait = group.wait();
        assert!(poll(&mut wait, &waker.waker()).is_pending());
        forget(wait);
        let mut other = group.wait();
        assert!(poll(&mut other, &bell.waker()).is_pending());
        group.end();
        assert_eq!((waker.woken(), bell.rings()), (round, round));
    }
}

/// Rule 2: a forgotten guard keeps what it points to, and the group works on.
#[test]
fn guards_and_tracked_futures_may_be_forgotten() {
    let group = Arc::new(WaitGroup::new());
    forget(WaitGroup::guard_in(Arc::clone(&group)));
    let mut task = WaitGroup::guard_in(Arc::clone(&group)).track(pending::<()>());
    assert!(look(&mut task).is_pending());
    forget(task);
    assert_eq!((group.count(), Arc::strong_count(&group)), (2, 3));
    let bell = Bell::new();
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    group.done().unwrap();
    group.done().unwrap();
    assert_eq!((bell.rings(), group.is_idle()), (1, true), "counted out by hand");
}

/// Rule 12, against a finisher on another thread.
#[test]
fn waits_may_be_dropped_while_they_are_being_woken() {
    for _ in 0..500 {
        let signal = Signal::new();
        let (bell, dropped) = (Bell::new(), Foreign::new().share());
        let mut kept = signal.closed();
        let mut waits = [(); 8].map(|()| signal.closed());
        for wait in &mut waits {
            assert!(poll(wait, &dropped.waker()).is_pending());
        }
        assert!(poll(&mut kept, &bell.waker()).is_pending());
        thread::scope(|scope| {
            scope.spawn(|| assert!(signal.close()));
            waits.into_iter().for_each(drop);
        });
        assert_eq!((bell.rings(), dropped.alive()), (1, 0));
    }
}

/// Rules 3 and 12: threads come, wait, give up and go, with no round in common; a wake-up that is
/// lost is a wait that never ends.
#[test]
fn no_wake_up_is_lost_among_threads_that_come_and_go() {
    let group = WaitGroup::new();
    thread::scope(|scope| {
        for number in 0..4 {
            let group = &group;
            scope.spawn(move || {
                for turn in 0..1000 {
                    let guard = group.guard();
                    let (mut gives_up, mut kept) = (group.wait(), group.wait());
                    assert!(look(&mut gives_up).is_pending());
                    assert!(look(&mut kept).is_pending());
                    if (turn + number) % 3 == 0 {
                        drop(gives_up);
                    }
                    drop(guard);
                    pollster::block_on(kept);
                    pollster::block_on(group.wait());
                }
            });
        }
    });
    assert!(group.is_idle());
}

/// Rules 7 and 12: tasks register, give up and come back while the close is under way.
#[test]
fn no_close_is_lost_among_threads_that_give_up_and_come_back() {
    for round in 0..300 {
        let signal = Signal::typed();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..round % 7 {
                        let mut gives_up = signal.closed();
                        let _ = look(&mut gives_up);
                    }
                    assert_eq!(pollster::block_on(signal.value()), &round);
                });
            }
            scope.spawn(|| signal.close_with(round).unwrap());
        });
    }
}

/// A pointer that leads to another object at each look.
struct Fickle<'a, T> {
    both: &'a [T; 2],
    looks: &'a Cell<usize>,
}

impl<T> Deref for Fickle<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let look = self.looks.get();
        self.looks.set(look + 1);
        &self.both[look % 2]
    }
}

/// Rule 1: such a pointer unbalances what it points to, no count wraps, and nothing is left behind.
#[test]
fn a_pointer_that_leads_elsewhere_at_each_look_does_no_harm_to_others() {
    let both = [WaitGroup::new(), WaitGroup::new()];
    let looks = Cell::new(0);
    let fickle = || Fickle { both: &both, looks: &looks };
    drop(WaitGroup::guard_in(fickle()));
    assert_eq!([both[0].count(), both[1].count()], [1, 0], "out of the one that was idle");
    let bell = Bell::new();
    for polls in 1..10 {
        both[1].add(1).unwrap();
        let wakers = [Foreign::new().share(), Foreign::new().share()];
        let mut wait = WaitGroup::wait_in(fickle());
        let mut honest = both[1].wait();
        for at in 0..polls {
            // Ready or not: it compares the rounds of two groups.
            let _ = poll(&mut wait, &wakers[at % 2].waker());
        }
        assert!(poll(&mut honest, &bell.waker()).is_pending());
        both[1].done().unwrap();
        assert_eq!((bell.rings(), look(&mut honest)), (polls, Poll::Ready(())));
        drop(wait);
        assert!(wakers.iter().all(|waker| waker.alive() == 0));
    }
}

#[derive(Clone)]
struct Replaceable(Rc<Cell<&'static WaitGroup>>);

impl Deref for Replaceable {
    type Target = WaitGroup;

    fn deref(&self) -> &WaitGroup {
        self.0.get()
    }
}

/// Rule 12: what a wait is parked in is not what its pointer leads to.
#[test]
fn a_wait_goes_over_to_what_its_pointer_leads_to() {
    let (first, second) = (leak(), leak());
    let pointer = Replaceable(Rc::new(Cell::new(first)));
    let waker = Foreign::new().share();
    let mut wait = WaitGroup::wait_in(pointer.clone());
    assert!(poll(&mut wait, &waker.waker()).is_pending());
    pointer.0.set(second);
    first.done().unwrap();
    assert_eq!(waker.woken(), 1);
    assert!(poll(&mut wait, &waker.waker()).is_pending(), "it waits for the second now");
    second.done().unwrap();
    assert_eq!(waker.woken(), 2);
    assert!(look(&mut wait).is_ready());
}

/// Rule 12: also the clone of a wait that is over holds what it is parked in.
#[test]
fn the_clone_of_a_wait_that_is_over_may_outlive_the_group_that_it_waits_for() {
    let (idle, busy) = (leak(), Box::into_raw(Box::new(WaitGroup::new())));
    idle.done().unwrap();
    let pointer = Replaceable(Rc::new(Cell::new(idle)));
    let mut wait = WaitGroup::wait_in(pointer.clone());
    assert!(look(&mut wait).is_ready());
    let mut clone = wait.clone();
    let waker = Foreign::new().share();
    // SAFETY: the group lives until it is dropped below, and nothing leads to it by then.
    let group = unsafe { &*busy };
    group.add(1).unwrap();
    pointer.0.set(group);
    assert!(poll(&mut clone, &waker.waker()).is_pending());
    pointer.0.set(idle);
    // SAFETY: it came from `Box::into_raw`.
    drop(unsafe { Box::from_raw(busy) });
    assert_eq!(waker.alive(), 1, "the clone is parked still");
    drop(clone);
    assert_eq!(waker.alive(), 0);
}

fn leak() -> &'static WaitGroup {
    let group = Box::leak(Box::new(WaitGroup::new()));
    group.add(1).unwrap();
    group
}
