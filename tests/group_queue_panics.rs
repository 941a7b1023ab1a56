//! Rules 11, 12, 18: the queue of a group with a limit, and wakers that panic in each of their functions. No
//! place is lost, no wait keeps two, and the wait itself may go on or be dropped.

#![cfg(not(loom))]

mod common;

use core::task::{Poll, Waker};
use std::sync::{Arc, Mutex};

use common::{Bell, Foreign, limited, look, panic_of, panic_quietly, poll, queued, seated};
use winddown::future::WaitRoom;
use winddown::{Refused, TaskGroup, TaskGuard};

fn with_one_place() -> (TaskGroup, TaskGuard) {
    let group = limited(1);
    let guard = group.guard().unwrap();
    (group, guard)
}

/// A guard that a waker may drop.
type Inside = Arc<Mutex<Option<TaskGuard>>>;

/// A waker whose clone panics, and drops the guard before that if it `leaves`.
fn bad_clone(guard: TaskGuard, leaves: bool) -> (Inside, Arc<Foreign>) {
    let inside = Arc::new(Mutex::new(Some(guard)));
    let leaver = Arc::clone(&inside);
    let bad = Foreign::new().on_clone(move || {
        let guard = leaver.lock().unwrap().take_if(|_| leaves);
        drop(guard);
        panic_quietly("a clone")
    });
    (inside, bad.share())
}

/// A waker whose drop panics, once it is told to: the test's own copies may go quietly.
#[derive(Clone, Default)]
struct BadDrop(Arc<Mutex<Option<Act>>>);

/// What is done before the panic.
type Act = Box<dyn FnOnce() + Send>;

impl BadDrop {
    fn waker(&self) -> Waker {
        let this = self.clone();
        let on_drop = move || {
            let act = this.0.lock().unwrap().take();
            if let Some(act) = act {
                act();
                panic_quietly("a waker's drop")
            }
        };
        Foreign::new().on_drop(on_drop).into_waker()
    }

    /// The next drop does `act` and panics.
    fn arm(&self, act: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(act));
    }
}

/// A wait with a waker that will panic in its drop, first in the queue.
fn queued_badly(group: &TaskGroup) -> (WaitRoom<&TaskGroup>, BadDrop) {
    let (mut wait, bad) = (group.guard_when_room(), BadDrop::default());
    assert!(poll(&mut wait, &bad.waker()).is_pending());
    bad.arm(|| {});
    (wait, bad)
}

/// Rule 12: it gives up before it has a place. The place goes to the next.
#[test]
fn a_wait_that_gives_up_keeps_no_place_though_its_waker_panics() {
    let (group, guard) = with_one_place();
    let (bad, _) = queued_badly(&group);
    let (mut next, bell) = queued(&group);
    assert_eq!(panic_of(|| drop(bad)), "a waker's drop");
    drop(guard);
    assert_eq!((bell.rings(), group.len()), (1, 1));
    drop(seated(&mut next));
    assert!(group.is_empty() && group.guard().is_ok());
}

/// Rules 11, 12: the waker's drop leaves the group, so the place comes while the wait gives up.
#[test]
fn a_place_that_comes_while_a_wait_gives_up_goes_to_the_next() {
    let (group, guard) = with_one_place();
    let (wait, bad) = queued_badly(&group);
    let (mut next, bell) = queued(&group);
    bad.arm(move || drop(guard));
    assert_eq!(panic_of(|| drop(wait)), "a waker's drop");
    assert_eq!((bell.rings(), group.len()), (1, 1));
    drop(seated(&mut next));
    assert!(group.is_empty() && group.guard().is_ok());
}

/// Rule 12: the waker panics when it is woken, or in its drop right after that. The wait has its place, and
/// takes it or passes it on.
#[test]
fn a_wait_has_its_place_though_the_wake_panics() {
    for of_drop in [false, true] {
        for takes in [false, true] {
            let (group, guard) = with_one_place();
            let mut first = group.guard_when_room();
            let bad = BadDrop::default();
            let waker = if of_drop {
                bad.waker()
            } else {
                Foreign::new().on_wake(|| panic_quietly("a wake")).into_waker()
            };
            assert!(poll(&mut first, &waker).is_pending());
            drop(waker);
            bad.arm(|| {});
            let (mut next, bell) = queued(&group);
            let text = panic_of(|| drop(guard));
            assert_eq!(text, if of_drop { "a waker's drop" } else { "a wake" });
            assert_eq!((bell.rings(), group.len()), (0, 1), "it is the first one's");
            let taken = takes.then(|| seated(&mut first));
            drop(first);
            assert_eq!(bell.rings(), usize::from(!takes));
            drop(taken);
            drop(seated(&mut next));
            assert!(group.is_empty() && group.guard().is_ok());
        }
    }
}

/// Rules 11, 12: the drop of the old waker panics. The new one is in its place by then, and is woken.
#[test]
fn a_wait_that_gets_another_waker_stays_in_the_queue_though_the_old_one_panics() {
    let (group, guard) = with_one_place();
    let (mut first, _) = queued_badly(&group);
    let (mut second, second_bell) = queued(&group);
    let bell = Bell::new();
    assert_eq!(panic_of(|| poll(&mut first, &bell.waker())), "a waker's drop");
    drop(guard);
    assert_eq!((bell.rings(), second_bell.rings()), (1, 0), "it has kept its place in the queue");
    drop(seated(&mut first));
    assert_eq!(second_bell.rings(), 1);
    drop(seated(&mut second));
    assert!(group.is_empty());
}

/// Rules 11, 12: the drop of the old waker leaves the group, and so gives the wait its place. The poll that
/// panics does not lose that.
#[test]
fn a_place_that_comes_in_a_poll_that_panics_is_not_lost() {
    for takes in [false, true] {
        let (group, guard) = with_one_place();
        let (mut first, bad) = queued_badly(&group);
        let (mut next, next_bell) = queued(&group);
        bad.arm(move || drop(guard));
        let bell = Bell::new();
        assert_eq!(panic_of(|| poll(&mut first, &bell.waker())), "a waker's drop");
        assert_eq!((bell.rings(), next_bell.rings(), group.len()), (1, 0, 1));
        let taken = takes.then(|| seated(&mut first));
        drop(first);
        drop(taken);
        assert_eq!(next_bell.rings(), 1);
        drop(seated(&mut next));
        assert!(group.is_empty() && group.guard().is_ok());
    }
}

/// Rule 11: the clone of the first poll panics. Nothing is in the queue, and a later poll sits down.
#[test]
fn a_wait_whose_waker_cannot_be_cloned_is_not_in_the_queue() {
    for leaves in [false, true] {
        let (group, guard) = with_one_place();
        let (inside, bad) = bad_clone(guard, leaves);
        let mut first = group.guard_when_room();
        assert_eq!(panic_of(|| poll(&mut first, &bad.waker())), "a clone");
        assert_eq!(bad.alive(), 0, "no copy is kept");
        if leaves {
            assert!(group.is_empty(), "the place is free");
            drop(group.guard().unwrap());
            drop(seated(&mut first));
            continue;
        }
        let (mut second, second_bell) = queued(&group);
        let bell = Bell::new();
        assert!(poll(&mut first, &bell.waker()).is_pending());
        drop(inside.lock().unwrap().take());
        assert_eq!((second_bell.rings(), bell.rings()), (1, 0), "the second sat down first");
        drop(seated(&mut second));
        assert_eq!(bell.rings(), 1);
        drop(seated(&mut first));
        assert!(group.is_empty());
    }
}

/// Rule 11: the clone of a later poll panics. The wait has the waker that it had, and keeps its place in the
/// queue; also if the place comes while that is cloned.
#[test]
fn a_wait_keeps_the_waker_that_it_has_if_another_cannot_be_cloned() {
    for leaves in [false, true] {
        let (group, guard) = with_one_place();
        let (mut first, bell) = queued(&group);
        let (mut next, next_bell) = queued(&group);
        let (inside, bad) = bad_clone(guard, leaves);
        assert_eq!(panic_of(|| poll(&mut first, &bad.waker())), "a clone");
        assert_eq!(bad.alive(), 0);
        drop(inside.lock().unwrap().take());
        assert_eq!((bell.rings(), next_bell.rings()), (1, 0));
        drop(seated(&mut first));
        drop(seated(&mut next));
        assert!(group.is_empty() && group.guard().is_ok());
    }
}

/// Rules 4, 11: the group is closed, and the wait finds that; a place that it was granted is given back.
#[test]
fn a_wait_at_a_closed_door_keeps_nothing_though_its_waker_panics() {
    let (group, guard) = with_one_place();
    let (mut granted, bell) = queued(&group);
    drop(guard);
    assert_eq!((bell.rings(), group.len()), (1, 1));
    let (mut dismissed, _) = queued_badly(&group);
    assert_eq!(panic_of(|| group.close()), "a waker's drop", "right after its wake");
    for wait in [&mut granted, &mut dismissed] {
        assert!(matches!(look(wait), Poll::Ready(Err(Refused::Closed))));
    }
    assert!(group.is_empty() && group.is_drained());
}

/// Rule 12: as many places as there were before, after panics in all functions of many wakers.
#[test]
fn no_place_is_lost_by_any_panic() {
    let group = limited(3);
    for round in 0..50 {
        let mut guards = [(); 3].map(|()| Some(group.guard().unwrap()));
        let bad = BadDrop::default();
        let mut waits: Vec<_> = (0..6)
            .map(|at| {
                let mut wait = group.guard_when_room();
                let waker = match (round + at) % 3 {
                    0 => bad.waker(),
                    1 => Foreign::new().on_wake(|| panic_quietly("a wake")).into_waker(),
                    _ => Bell::new().waker(),
                };
                assert!(poll(&mut wait, &waker).is_pending());
                Some(wait)
            })
            .collect();
        bad.arm(|| {});
        for at in 0..6 {
            let (guard, wait) = (&mut guards, &mut waits[(at * 5 + round) % 6]);
            let leaves = || {
                if at % 2 == 0 { drop(guard[at / 2].take()) } else { drop(wait.take()) }
            };
            let _ = std::panic::catch_unwind(core::panic::AssertUnwindSafe(leaves));
        }
        let _ = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| waits.clear()));
        assert!(group.is_empty(), "round {round}");
    }
}
