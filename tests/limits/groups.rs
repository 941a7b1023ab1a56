//! Groups at the limits of their counts, which small words bring into reach.

use core::num::NonZeroUsize;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::{Barrier, Mutex};
use std::thread;

use super::common::Drops;
use super::*;
use winddown::{ChildError, Refused, TaskGroup, TaskGuard};

/// The highest limit: it has one bit less than the count.
const MOST: usize = HALF - 1;

fn fill(group: &TaskGroup, most: usize) -> Vec<TaskGuard> {
    (0..most).map(|_| group.guard().unwrap()).collect()
}

/// API: `Full` at half range too, limit or not; a clone panics there with nothing changed.
#[test]
fn a_full_group_refuses_and_its_clones_panic() {
    let parent = TaskGroup::new();
    // One has a limit that is beyond the range.
    let limited = TaskGroup::builder().limit(NonZeroUsize::MAX).build();
    let groups = [(TaskGroup::new(), HALF), (parent.child().unwrap(), HALF), (limited, MOST)];
    for (group, most) in groups {
        let mut guards = fill(&group, most);
        assert_eq!(group.guard().unwrap_err(), Refused::Full);
        assert_eq!(group.child().unwrap_err(), Refused::Full);
        // A clone goes past a limit, and not past half of the range.
        while guards.len() < HALF {
            guards.push(guards[0].clone());
        }
        assert!(panic_of(|| guards[0].clone()).contains("the group is full"));
        assert!(panic_of(|| guards[0].clone()).contains("the group is full"));
        assert_eq!(group.len(), HALF);
        drop(guards.pop());
        drop(guards[0].clone());
        guards.push(guards[0].clone());
        group.close();
        assert_eq!(group.guard().unwrap_err(), Refused::Closed);
        assert!(!group.is_drained());
        drop(guards);
        assert!(group.is_drained());
    }
}

/// Rules 1 and 2: leaked guards fill a group and never wrap it; it is never drained.
#[test]
fn leaked_guards_fill_a_group() {
    let group = TaskGroup::new();
    for count in 1..=HALF {
        forget(group.guard().unwrap());
        assert_eq!(group.len(), count);
    }
    for _ in 0..4 * HALF {
        assert_eq!(group.guard().unwrap_err(), Refused::Full);
    }
    group.close();
    assert!(!group.is_drained());
    assert_eq!(group.len(), HALF);
}

/// Limits: at the highest limit a wait for room waits, and is served, as at any other.
#[test]
fn a_wait_for_room_is_served_at_the_highest_limit() {
    let group = TaskGroup::builder().limit(NonZeroUsize::MAX).build();
    let mut guards = fill(&group, MOST);
    let bell = Bell::new();
    let mut wait = group.guard_when_room();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    drop(guards.pop());
    assert_eq!(bell.rings(), 1);
    let Poll::Ready(Ok(guard)) = look(&mut wait) else { panic!("its turn") };
    assert_eq!((group.len(), group.guard().map(drop)), (MOST, Err(Refused::Full)));
    drop((guard, guards));
}

/// Without a limit there is no queue: a wait for room is told that the group is full.
#[test]
fn a_wait_for_room_without_a_limit_says_full() {
    let group = TaskGroup::new();
    let _guards = fill(&group, HALF);
    let Poll::Ready(outcome) = look(&mut group.guard_when_room()) else { panic!("at once") };
    assert_eq!(outcome.unwrap_err(), Refused::Full);
}

/// A full group refuses whatever would count, and what is refused is dropped with nothing counted.
#[test]
fn a_full_group_refuses_children_and_tasks_of_every_kind() {
    let drops = Drops::default();
    let errors = TaskGroup::builder().build_err::<()>();
    let _guards = fill(errors.group(), HALF);
    let group = errors.group();
    let fault = drops.calm();
    let task = async move { drop(fault) };
    assert_eq!(group.track(task).map(drop), Err(Refused::Full));
    let fault = drops.calm();
    let task = async move {
        drop(fault);
        Ok(())
    };
    assert_eq!(errors.try_track(task).map(drop), Err(Refused::Full));
    assert!(matches!(group.child_err::<()>().map(drop), Err(Refused::Full)));
    let fault = drops.calm();
    let builder = TaskGroup::builder().finally(move || drop(fault));
    assert_eq!(group.child_with(builder).map(drop), Err(ChildError::Refused(Refused::Full)));
    drops.assert_all_gone(3);
    // A link is no task.
    let linked = TaskGroup::builder().link(group).build();
    linked.close();
    assert!(group.len() == HALF && !linked.is_drained());
}

/// Rule 1: threads that all looked before any of them was counted fit into the margin, whether they come by the door,
/// past a limit as clones, or as children. Counts do not wrap, and the group drains after the last of them.
#[test]
fn threads_that_race_for_the_last_place_of_a_group_never_wrap_its_count() {
    for round in 0..300 {
        let limit = NonZeroUsize::new(MOST).filter(|_| round % 2 == 0);
        let group = limit.map_or_else(TaskGroup::new, |it| TaskGroup::builder().limit(it).build());
        let first = group.guard().unwrap();
        let clones = (2..HALF).map(|_| first.clone()).collect::<Vec<_>>();
        assert_eq!(group.len(), HALF - 1);
        let (start, entered) = (Barrier::new(HALF), Mutex::new(Vec::new()));
        thread::scope(|threads| {
            for number in 0..HALF {
                let (start, entered, group, first) = (&start, &entered, &group, &first);
                threads.spawn(move || {
                    start.wait();
                    let guard = match number % 2 {
                        0 => group.guard().ok(),
                        _ => catch_unwind(AssertUnwindSafe(|| first.clone())).ok(),
                    };
                    entered.lock().unwrap().extend(guard);
                });
            }
        });
        let entered = entered.into_inner().unwrap();
        assert!(!entered.is_empty() && entered.len() <= HALF);
        assert_eq!(group.len(), HALF - 1 + entered.len());
        assert_eq!(group.guard().map(drop), Err(Refused::Full));
        group.close();
        drop((entered, clones));
        assert!(group.len() == 1 && !group.is_drained());
        drop(first);
        assert!(group.is_drained());
    }
}

/// A limit beyond the range is the highest one. A lower one lets nobody in until so many have left, and the queue is
/// served in order when it is raised again to the highest.
#[test]
fn a_limit_is_changed_between_the_lowest_and_the_highest() {
    let group = TaskGroup::builder().limit(NonZeroUsize::MIN).build();
    let mut guards = fill(&group, 1);
    let bell = Bell::new();
    let mut waits: Vec<_> = (0..2 * HALF).map(|_| group.guard_when_room()).collect();
    waits.iter_mut().for_each(|it| assert!(poll(it, &bell.waker()).is_pending()));
    for highest in [NonZeroUsize::MAX, NonZeroUsize::new(MOST).unwrap()] {
        group.set_limit(highest).unwrap();
        assert_eq!(group.limit(), NonZeroUsize::new(MOST), "which was taken for it");
        let seated = waits.drain(..MOST - guards.len()).collect::<Vec<_>>();
        for mut wait in seated {
            let Poll::Ready(Ok(guard)) = look(&mut wait) else { panic!("its turn") };
            guards.push(guard);
        }
        assert_eq!((group.len(), guards.len()), (MOST, MOST));
        assert!(waits.iter_mut().all(|it| poll(it, &bell.waker()).is_pending()));
        group.set_limit(NonZeroUsize::MIN).unwrap();
        assert_eq!((group.limit(), group.len()), (Some(NonZeroUsize::MIN), MOST));
        guards.truncate(1);
        assert_eq!(group.guard().map(drop), Err(Refused::Full));
        assert_eq!(group.len(), 1);
    }
    assert_eq!(bell.rings(), 2 * (MOST - 1));
    group.close();
    assert!(waits.iter_mut().all(|it| matches!(look(it), Poll::Ready(Err(Refused::Closed)))));
}
