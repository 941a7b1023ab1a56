//! Groups with a limit: which tasks are refused, which wait, and which is next.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{pending, ready};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, Barrier};
use std::thread;

use common::{Bell, Foreign, limited, look, panic_of, poll, seated};
use futures_util::future::FusedFuture as _;
use winddown::{CancelScope, Refused, TaskGroup, Unfinished};

const ROUNDS: usize = if cfg!(debug_assertions) { 300 } else { 3000 };
/// Comes only if a place is lost.
const LONG: Duration = Duration::from_secs(60);

/// As many as the limit, and no more; a task that is refused is not counted.
#[test]
fn a_full_group_says_so() {
    let group = limited(2);
    let guards = [group.guard().unwrap(), group.guard().unwrap()];
    assert_eq!(group.guard().unwrap_err(), Refused::Full);
    assert_eq!(group.track(ready(())).unwrap_err(), Refused::Full);
    assert_eq!(group.child().unwrap_err(), Refused::Full, "a child counts as one task");
    assert_eq!((group.len(), group.is_closed()), (2, false));
    drop(guards);
    let child = group.child().unwrap();
    let guards = [(); 5].map(|()| child.guard().unwrap());
    assert_eq!(group.len(), 1, "the limit is not the child's");
    drop(group.guard().unwrap());
    drop((guards, child));
    assert!(group.is_empty());
}

/// A task that is inside brings others in, past the limit; they leave as all do.
#[test]
fn a_clone_is_not_held_up() {
    let group = limited(1);
    let guard = group.guard().unwrap();
    let clones = [guard.clone(), guard.clone()];
    let (bell, mut wait) = (Bell::new(), group.guard_when_room());
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    drop(guard);
    let [first, second] = clones;
    drop(first);
    assert_eq!((bell.rings(), group.len()), (0, 1));
    drop(second);
    assert_eq!(bell.rings(), 1);
    drop(seated(&mut wait));
}

/// Limits: first come, first served; a newcomer never overtakes.
#[test]
fn places_are_given_in_the_order_of_arrival() {
    let group = limited(2);
    let mut inside = vec![group.guard().unwrap(), group.guard().unwrap()];
    let bells: Vec<_> = (0..20).map(|_| Bell::new()).collect();
    let mut waits: Vec<_> = bells
        .iter()
        .map(|bell| {
            let mut wait = group.guard_when_room();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            wait
        })
        .collect();
    for (at, wait) in waits.iter_mut().enumerate() {
        drop(inside.remove(0));
        assert!(
            bells.iter().enumerate().all(|(turn, bell)| bell.rings() == usize::from(turn <= at))
        );
        assert_eq!(group.guard().unwrap_err(), Refused::Full, "the place is taken");
        assert!(look(&mut group.guard_when_room()).is_pending());
        inside.push(seated(wait));
        assert_eq!(group.len(), 2);
    }
    drop(inside);
    assert!(group.is_empty() && group.guard().is_ok());
}

/// Rule 12, Limits: a place that was granted to a wait that is dropped goes to the next.
#[test]
fn a_wait_that_gives_up_passes_its_place_on() {
    for gives_up in 0..32_usize {
        let group = limited(1);
        let guard = group.guard().unwrap();
        let bells = [(); 5].map(|()| Bell::new());
        let mut waits = bells.each_ref().map(|bell| {
            let mut wait = group.guard_when_room();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            Some(wait)
        });
        // Some before there is a place, some after it was granted to them.
        let early = |turn: usize| gives_up & 1 << turn != 0;
        (0..5).filter(|turn| early(*turn)).for_each(|turn| waits[turn] = None);
        drop(guard);
        let stay: Vec<_> = (0..5).filter(|turn| !early(*turn)).collect();
        for pair in stay.windows(2) {
            assert_eq!((bells[pair[0]].rings(), bells[pair[1]].rings()), (1, 0));
            waits[pair[0]] = None;
            assert_eq!(bells[pair[1]].rings(), 1, "its turn");
        }
        assert_eq!(group.len(), usize::from(!stay.is_empty()));
        drop(waits);
        assert!(group.is_empty() && group.guard().is_ok(), "{gives_up:b}");
    }
}

/// Limits: without a limit, or with room, it is ready at once.
#[test]
fn room_is_had_at_once_where_there_is_some() {
    for group in [TaskGroup::new(), limited(1)] {
        let guard = seated(&mut group.guard_when_room());
        assert_eq!(group.len(), 1);
        drop(guard);
        drop(group.guard_when_room().block().unwrap());
    }
}

/// Limits: close ends every wait, and gives a place back that nobody took.
#[test]
fn a_close_ends_the_queue() {
    let scope = CancelScope::new();
    for from_above in [false, true] {
        let group = TaskGroup::builder().limit(NonZeroUsize::MIN).parent(scope.token()).build();
        let guard = group.guard().unwrap();
        let bells = [(); 4].map(|()| Bell::new());
        let mut waits = bells.each_ref().map(|bell| {
            let mut wait = group.guard_when_room();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            wait
        });
        drop(guard);
        assert!(if from_above { scope.cancel() } else { group.close() });
        for (wait, bell) in waits.iter_mut().zip(&bells) {
            assert!(bell.rings() >= 1);
            assert!(matches!(look(wait), Poll::Ready(Err(Refused::Closed))));
        }
        assert!(group.is_empty() && group.is_drained(), "the place that was granted came back");
    }
}

/// API 5.4: it is fused, and says clearly that it is over.
#[test]
fn a_wait_for_room_is_over_once() {
    let group = limited(1);
    let mut wait = group.guard_when_room();
    assert!(!wait.is_terminated());
    let guard = seated(&mut wait);
    assert!(wait.is_terminated());
    assert!(panic_of(|| look(&mut wait)).contains("polled again"));
    assert!(panic_of(|| wait.block()).contains("polled again"));
    let mut queued = group.guard_when_room();
    assert!(look(&mut queued).is_pending() && !queued.is_terminated());
    drop(guard);
    drop(seated(&mut queued));
    assert!(queued.is_terminated());
    drop(queued);
    assert!(group.is_empty());
}

/// With a limit of its own: it says how many hold it up, and gives its place in the queue up.
#[test]
fn a_wait_for_room_may_have_a_limit() {
    let group = limited(1);
    let guard = group.guard().unwrap();
    let wait = group.guard_when_room().until(ready(7)).block();
    let Err(Unfinished { left: 1, by: 7, .. }) = wait else { panic!("{wait:?}") };
    assert_eq!(group.guard_when_room().block_for(Duration::from_millis(1)).unwrap_err().left, 1);
    drop(guard);
    let outcome = group.guard_when_room().until(pending::<()>()).block();
    drop(outcome.unwrap().unwrap());
    assert!(group.is_empty());
}

/// A group with a limit and a finaliser may be below a parent.
#[test]
fn a_limit_goes_with_everything_else() {
    let parent = TaskGroup::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let here = Arc::clone(&ran);
    let builder = TaskGroup::builder().limit(NonZeroUsize::MIN).finally(move || {
        here.fetch_add(1, Ordering::Relaxed);
    });
    let child = parent.child_with(builder).unwrap();
    let guard = child.guard().unwrap();
    assert_eq!(child.guard().unwrap_err(), Refused::Full);
    let mut wait = child.guard_when_room();
    assert!(look(&mut wait).is_pending());
    parent.close();
    assert!(matches!(look(&mut wait), Poll::Ready(Err(Refused::Closed))));
    drop(guard);
    assert!(parent.is_drained());
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

/// Rule 11: wakers of the queue leave, queue up, give up and close, inline.
#[test]
fn wakers_of_the_queue_may_do_anything() {
    let acts: [fn(&TaskGroup); 5] = [
        |group| drop(group.guard()),
        |group| drop(look(&mut group.guard_when_room())),
        |group| assert!(group.join().block_for(Duration::ZERO).is_ok() || !group.is_drained()),
        |group| drop(group.clone()),
        |group| drop(group.guard_when_room().block_for(Duration::from_micros(1))),
    ];
    for act in acts {
        let group = limited(1);
        let guard = group.guard().unwrap();
        let handle = group.clone();
        let waker = Foreign::new().on_wake(move || act(&handle)).share();
        let mut wait = group.guard_when_room();
        assert!(poll(&mut wait, &waker.waker()).is_pending());
        drop(guard);
        assert!(waker.woken() >= 1);
        drop(look(&mut wait));
        drop(wait);
        assert!(group.is_empty());
        group.join().block();
    }
}

/// Limits, on threads: never more inside than the limit, and no place is lost by waits that give up.
#[test]
fn no_place_is_lost_among_threads_that_give_up() {
    for round in 0..ROUNDS {
        let limit = 1 + round % 3;
        let group = limited(limit);
        let (inside, start) = (AtomicUsize::new(0), Barrier::new(4));
        thread::scope(|threads| {
            for thread in 0..4 {
                let (group, inside, start) = (&group, &inside, &start);
                threads.spawn(move || {
                    start.wait();
                    for turn in 0..10 {
                        let mut wait = group.guard_when_room();
                        if (turn + thread) % 3 == 0 {
                            drop(look(&mut wait));
                            continue;
                        }
                        let guard = wait.block_for(LONG).expect("a place was lost").unwrap();
                        assert!(inside.fetch_add(1, Ordering::Relaxed) < limit);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        drop(guard);
                    }
                });
            }
        });
        assert!(group.is_empty());
        group.join().block_for(LONG).expect("it drains");
    }
}

/// Limits, on threads: a close meets tasks that wait, leave and give up, and the group still drains.
#[test]
fn a_close_among_threads_that_wait_leaves_nobody_behind() {
    for round in 0..ROUNDS {
        let group = limited(1);
        let start = Barrier::new(4);
        thread::scope(|threads| {
            for thread in 0..3 {
                let (group, start) = (&group, &start);
                threads.spawn(move || {
                    start.wait();
                    for turn in 0..5 {
                        let mut wait = group.guard_when_room();
                        if (turn + thread) % 2 == 0 {
                            let _ = look(&mut wait);
                            continue;
                        }
                        let Ok(guard) = wait.block_for(LONG).expect("close ends it") else { break };
                        drop(guard);
                    }
                });
            }
            start.wait();
            (0..round % 20).for_each(|_| thread::yield_now());
            group.join().block_for(LONG).expect("it drains");
            assert!(group.is_empty());
        });
    }
}
