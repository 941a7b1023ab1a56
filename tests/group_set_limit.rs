//! `TaskGroup::set_limit` and `limit`: a group with a limit gets another one while tasks run and others wait for a
//! place, and tells the one that it has.

#![cfg(not(loom))]

mod common;

use core::num::NonZeroUsize;
use core::task::Poll;
use std::sync::Arc;

use common::{Bell, Foreign, limited, look, panic_of, panic_quietly, poll, queued, seated};
use winddown::future::WaitRoom;
use winddown::{Refused, TaskGroup, TaskGuard};

/// The highest limit there is, which the docs of `TaskGroupBuilder::limit` name.
const HIGHEST: usize = if cfg!(target_has_atomic = "64") { 1_073_741_823 } else { 16_383 };

fn limit(most: usize) -> NonZeroUsize {
    NonZeroUsize::new(most).unwrap()
}

/// As many tasks inside, the first by the door and the others by its side, past any limit.
fn inside(group: &TaskGroup, tasks: usize) -> Vec<TaskGuard> {
    let first = group.guard().unwrap();
    let mut guards: Vec<_> = (1..tasks).map(|_| first.clone()).collect();
    guards.push(first);
    guards
}

/// As many waits in the queue, and their bells.
fn queue(group: &TaskGroup, waits: usize) -> (Vec<WaitRoom<&TaskGroup>>, Vec<Arc<Bell>>) {
    (0..waits).map(|_| queued(group)).unzip()
}

/// The limit that the group tells.
fn told(group: &TaskGroup) -> Option<usize> {
    group.limit().map(NonZeroUsize::get)
}

/// That the first `count` of them were let in, and the others are not.
#[track_caller]
fn assert_let_in(bells: &[Arc<Bell>], count: usize) {
    let rings: Vec<_> = bells.iter().map(|bell| bell.rings()).collect();
    let expected: Vec<_> = (0..bells.len()).map(|at| usize::from(at < count)).collect();
    assert_eq!(rings, expected);
}

/// How many more tasks a group lets in.
fn room_of(group: &TaskGroup) -> usize {
    let guards: Vec<_> = core::iter::from_fn(|| group.guard().ok()).take(100).collect();
    guards.len()
}

/// A new limit lets in as many from the queue as there is room for below it, first come, first served. The others
/// stay in the queue, and a newcomer is behind them.
#[test]
fn a_new_limit_lets_in_the_head_of_the_queue_as_far_as_there_is_room() {
    let cases = (1..4).flat_map(|old| (old..6).map(move |tasks| (old, tasks)));
    let cases = cases.flat_map(|case| (0..5).map(move |waits| (case, waits)));
    for ((old, tasks), waits) in cases {
        for new in 1..8 {
            let group = limited(old);
            let guards = inside(&group, tasks);
            let (mut queued, bells) = queue(&group, waits);
            group.set_limit(limit(new)).unwrap();
            let let_in = waits.min(new.saturating_sub(tasks));
            assert_let_in(&bells, let_in);
            assert_eq!(group.len(), tasks + let_in, "places that were granted count");
            let seats: Vec<_> = queued[..let_in].iter_mut().map(seated).collect();
            assert!(queued[let_in..].iter_mut().all(|wait| look(wait).is_pending()));
            let room = if let_in < waits { 0 } else { new.saturating_sub(tasks + waits) };
            assert_eq!(room_of(&group), room, "from {old} to {new}, {tasks} inside, {waits} wait");
            drop((guards, seats));
            drop(queued);
            assert!(group.is_empty());
            assert_eq!(room_of(&group), new);
        }
    }
}

/// A lower limit sends nobody away. Nobody gets in before fewer are inside, in the order of the queue.
#[test]
fn a_lower_limit_waits_until_fewer_are_inside() {
    for new in 1..5 {
        let group = limited(5);
        let mut guards: Vec<_> = (0..5).map(|_| group.guard().unwrap()).collect();
        let (mut queued, bells) = queue(&group, 3);
        group.set_limit(limit(new)).unwrap();
        assert_eq!((group.len(), group.guard().unwrap_err()), (5, Refused::Full));
        while group.len() > new {
            drop(guards.pop());
            assert_let_in(&bells, 0);
        }
        for (at, wait) in queued.iter_mut().enumerate() {
            drop(guards.remove(0));
            assert_let_in(&bells, at + 1);
            guards.push(seated(wait));
            assert_eq!(group.len(), new);
        }
        drop(guards);
        assert!(group.is_empty());
        assert_eq!(room_of(&group), new);
    }
}

/// A limit that goes up and down while nobody waits is the last one, and costs no place.
#[test]
fn the_last_limit_counts() {
    let group = limited(1);
    for new in [3, 1, 7, 7, 2, 1, 5] {
        group.set_limit(limit(new)).unwrap();
        assert_eq!(room_of(&group), new);
        let guard = group.guard().unwrap();
        group.set_limit(limit(new + 1)).unwrap();
        assert_eq!(room_of(&group), new);
        drop(guard);
        assert_eq!(room_of(&group), new + 1);
    }
}

/// A group tells the limit that was set last, the builder's at first: while tasks are beyond it, while others wait, to
/// each handle, from inside, and when the group is closed, cancelled and drained.
#[test]
fn a_group_tells_the_limit_that_was_set_last() {
    for first in [1, 3, 1000] {
        let group = limited(first);
        assert_eq!(told(&group), Some(first));
        let guards = inside(&group, 3);
        let (queued, _bells) = if first <= 3 { queue(&group, 2) } else { (Vec::new(), Vec::new()) };
        let (handle, child) = (group.clone(), group.child());
        for new in [2, 2, 1, 4000, 3] {
            group.set_limit(limit(new)).unwrap();
            let by = [&group, &handle, guards[0].group()];
            assert_eq!(by.map(told), [Some(new); 3]);
        }
        drop((queued, child, guards));
        assert_eq!((told(&group), group.len()), (Some(3), 0), "who comes and goes changes nothing");
        let guard = handle.guard().unwrap();
        group.close();
        assert_eq!(told(&group), Some(3));
        handle.set_limit(limit(5)).unwrap();
        assert_eq!(told(&group), Some(5), "closed");
        group.cancel();
        drop(guard);
        assert!(group.is_drained());
        assert_eq!(told(&group), Some(5));
        group.set_limit(limit(6)).unwrap();
        assert_eq!(told(&handle), Some(6), "drained");
    }
}

/// A group that was built without a limit has none to tell, whatever the groups above it have. Each tells its own.
#[test]
fn a_group_tells_no_limit_but_its_own() {
    let parent = limited(3);
    let (without, with) =
        (parent.child().unwrap(), parent.child_with(TaskGroup::builder().limit(limit(7))).unwrap());
    assert_eq!([&parent, &without, &with].map(told), [Some(3), None, Some(7)]);
    with.set_limit(limit(1)).unwrap();
    assert_eq!(without.set_limit(limit(1)).map_err(drop), Err(()));
    assert_eq!([&parent, &without, &with].map(told), [Some(3), None, Some(1)]);
    parent.set_limit(limit(2)).unwrap();
    assert_eq!([&parent, &without, &with].map(told), [Some(2), None, Some(1)]);
    let alone = TaskGroup::new();
    let guard = alone.guard().unwrap();
    assert_eq!((told(&alone), told(guard.group())), (None, None));
    alone.cancel();
    drop(guard);
    assert_eq!((told(&alone), alone.is_drained()), (None, true));
}

/// Rule 12: waits that gave up take no part.
#[test]
fn a_new_limit_passes_by_waits_that_gave_up() {
    for gone in 0..16_usize {
        let group = limited(1);
        let guard = group.guard().unwrap();
        let (queued, bells) = queue(&group, 4);
        let is_gone = |at: usize| gone & 1 << at != 0;
        let kept: Vec<_> =
            queued.into_iter().enumerate().filter(|(at, _)| !is_gone(*at)).map(|it| it.1).collect();
        let stayed: Vec<_> = (0..4).filter(|at| !is_gone(*at)).collect();
        group.set_limit(limit(3)).unwrap();
        for (place, at) in stayed.iter().enumerate() {
            assert_eq!(bells[*at].rings(), usize::from(place < 2), "{gone:b}");
        }
        assert_eq!(group.len(), 1 + stayed.len().min(2));
        // A place that was granted goes on, and in the end there is room for three.
        drop(kept);
        drop(guard);
        assert!(group.is_empty());
        assert_eq!(room_of(&group), 3);
    }
}

/// Rule 4: no limit opens a closed door. A place that was granted before the close comes back.
#[test]
fn a_new_limit_of_a_closed_group_lets_nobody_in() {
    for granted in [false, true] {
        let group = limited(1);
        let guard = group.guard().unwrap();
        let (mut queued, bells) = queue(&group, 3);
        if granted {
            group.set_limit(limit(2)).unwrap();
            assert_let_in(&bells, 1);
        }
        group.close();
        assert_let_in(&bells, 3);
        group.set_limit(limit(9)).unwrap();
        assert_let_in(&bells, 3);
        for wait in &mut queued {
            assert!(matches!(look(wait), Poll::Ready(Err(Refused::Closed))));
        }
        assert_eq!(group.guard().unwrap_err(), Refused::Closed);
        assert_eq!(group.len(), 1);
        drop(guard);
        assert!(group.is_drained());
        group.set_limit(limit(1)).unwrap();
        assert!(group.is_drained());
    }
}

/// A group that was built without a limit has none, and says so.
#[test]
fn a_group_without_a_limit_gets_none() {
    let parent = limited(3);
    let without = [TaskGroup::new(), parent.child().unwrap()];
    for group in without {
        let error = group.set_limit(limit(1)).unwrap_err();
        assert!(error.to_string().contains("built without a limit"));
        assert_eq!(room_of(&group), 100);
        group.close();
        assert_eq!(group.set_limit(limit(1)), Err(error));
    }
    let child = parent.child_with(TaskGroup::builder().limit(limit(1))).unwrap();
    child.set_limit(limit(2)).unwrap();
    assert_eq!((room_of(&child), room_of(&parent)), (2, 2), "each has its own");
}

/// A limit above the highest is the highest, which is more than a test can fill.
#[test]
fn a_limit_may_be_as_high_as_it_likes() {
    for highest in [usize::MAX, usize::MAX / 2, 1 << (usize::BITS / 2)] {
        let group = limited(1);
        let guard = group.guard().unwrap();
        let (queued, bells) = queue(&group, 50);
        group.set_limit(limit(highest)).unwrap();
        assert_let_in(&bells, 50);
        assert_eq!(told(&group), Some(highest.min(HIGHEST)), "that was taken for it");
        assert_eq!(told(&TaskGroup::builder().limit(limit(highest)).build()), told(&group));
        assert_eq!((group.len(), group.token().is_cancelled()), (51, false));
        drop(queued);
        assert_eq!(room_of(&group), 100);
        group.set_limit(limit(2)).unwrap();
        assert_eq!(room_of(&group), 1);
        drop(guard);
        assert_eq!(room_of(&group), 2);
    }
}

/// Rule 11: a waker that panics keeps nobody else out, and its own wait has a place.
#[test]
fn a_waker_that_panics_keeps_nobody_out() {
    for bad in 0..3 {
        let group = limited(1);
        let guard = group.guard().unwrap();
        let hostile = Foreign::new().on_wake(|| panic_quietly("a waker")).share();
        let bells = [(); 3].map(|()| Bell::new());
        let mut queued = [0, 1, 2].map(|at| {
            let mut wait = group.guard_when_room();
            let waker = if at == bad { hostile.waker() } else { bells[at].waker() };
            assert!(poll(&mut wait, &waker).is_pending());
            wait
        });
        assert_eq!(panic_of(|| group.set_limit(limit(4))), "a waker");
        assert_eq!((bells.iter().map(|it| it.rings()).sum::<usize>(), hostile.woken()), (2, 1));
        let seats = queued.each_mut().map(seated);
        assert_eq!(group.len(), 4);
        drop((seats, guard));
        assert_eq!(room_of(&group), 4);
    }
}

/// Rule 11: a waker of the queue changes the limit, enters and leaves, inline.
#[test]
fn a_waker_may_change_the_limit() {
    for new in 1..6 {
        let group = limited(1);
        let guard = group.guard().unwrap();
        let handle = group.clone();
        let waker = Foreign::new().on_wake(move || {
            assert_eq!(told(&handle), Some(2), "it is set before it wakes");
            handle.set_limit(limit(new)).unwrap();
            assert_eq!(told(&handle), Some(new));
            drop(handle.guard());
        });
        let mut first = group.guard_when_room();
        assert!(poll(&mut first, &waker.into_waker()).is_pending());
        let (queued, bells) = queue(&group, 4);
        group.set_limit(limit(2)).unwrap();
        assert_let_in(&bells, new.saturating_sub(2));
        assert_eq!(told(&group), Some(new), "the later one stays");
        let seat = seated(&mut first);
        drop((queued, seat, guard));
        assert!(group.is_empty());
        assert_eq!(room_of(&group), new);
    }
}

/// Several threads change the limit, enter, wait, give up and leave at once.
#[cfg(feature = "std")]
mod on_threads {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::time::Duration;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    const ROUNDS: usize = if cfg!(debug_assertions) { 200 } else { 2000 };
    /// Comes only if a place is lost.
    const LONG: Duration = Duration::from_secs(60);
    /// The highest limit that there is at any time.
    const MOST: usize = 4;

    /// Every wait gets in, never more than the highest limit are inside, and in the end there is room for as many
    /// as the last limit says.
    #[test]
    fn no_place_is_lost_while_the_limit_changes() {
        for round in 0..ROUNDS {
            let group = limited(1 + round % MOST);
            let (inside, start) = (AtomicUsize::new(0), Barrier::new(5));
            let enters = |guard: TaskGuard| {
                assert!(inside.fetch_add(1, Ordering::Relaxed) < MOST);
                inside.fetch_sub(1, Ordering::Relaxed);
                drop(guard);
            };
            thread::scope(|threads| {
                for thread in 0..3 {
                    let (group, start, enters) = (&group, &start, &enters);
                    threads.spawn(move || {
                        start.wait();
                        for turn in 0..10 {
                            let mut wait = group.guard_when_room();
                            if (turn + thread) % 4 == 0 {
                                // It gives up, with a place or without.
                                drop(look(&mut wait));
                                continue;
                            }
                            enters(wait.block_for(LONG).expect("a place was lost").unwrap());
                        }
                    });
                }
                for thread in 0..2 {
                    let (group, start) = (&group, &start);
                    threads.spawn(move || {
                        start.wait();
                        for turn in 0..20 {
                            let new = 1 + (turn * 5 + thread + round) % MOST;
                            group.set_limit(limit(new)).unwrap();
                            if turn % 3 == 0 {
                                thread::yield_now();
                            }
                        }
                    });
                }
            });
            assert!(group.is_empty());
            for last in [3, 1] {
                assert!(told(&group).is_some_and(|limit| limit <= MOST));
                group.set_limit(limit(last)).unwrap();
                assert_eq!((told(&group), room_of(&group)), (Some(last), last));
            }
            group.join().block_for(LONG).expect("it drains");
        }
    }

    /// A thread that looks while another one sets limits finds each at once, and never one that was replaced before.
    #[test]
    fn a_look_finds_no_limit_that_was_replaced_before() {
        let group = limited(1);
        let last = ROUNDS * 10;
        let _guard = group.guard().unwrap();
        let set = AtomicUsize::new(1);
        thread::scope(|threads| {
            threads.spawn(|| {
                for new in 2..=last {
                    group.set_limit(limit(new)).unwrap();
                    assert_eq!(told(&group), Some(new), "no other thread sets one");
                    set.store(new, Ordering::Release);
                }
            });
            let mut before = 1;
            while before < last {
                let replaced = set.load(Ordering::Acquire);
                let now = told(&group).unwrap();
                assert!(now >= before && now >= replaced && now <= last);
                before = now;
            }
        });
        assert_eq!(told(&group), Some(last));
    }

    /// A limit that is raised while the only task leaves: the wait is let in by one of the two, once.
    #[test]
    fn a_limit_that_rises_while_a_task_leaves_lets_in_each_once() {
        for round in 0..ROUNDS {
            let group = limited(1);
            let guard = group.guard().unwrap();
            let (mut queued, bells) = queue(&group, 3);
            let start = Barrier::new(2);
            thread::scope(|threads| {
                threads.spawn(|| {
                    start.wait();
                    drop(guard);
                });
                start.wait();
                group.set_limit(limit(1 + round % 3)).unwrap();
            });
            assert_let_in(&bells, 1 + round % 3);
            let looks: Vec<_> = queued.iter_mut().map(look).collect();
            assert_eq!(looks.iter().filter(|it| it.is_ready()).count(), 1 + round % 3);
            assert_eq!(group.len(), 1 + round % 3);
        }
    }

    /// A close meets a new limit: every wait ends, and the group drains.
    #[test]
    fn a_close_meets_a_new_limit() {
        for round in 0..ROUNDS {
            let group = limited(1);
            let guard = group.guard().unwrap();
            let (mut queued, _bells) = queue(&group, 3);
            let start = Barrier::new(3);
            thread::scope(|threads| {
                threads.spawn(|| {
                    start.wait();
                    group.close();
                });
                threads.spawn(|| {
                    start.wait();
                    drop(guard);
                });
                start.wait();
                group.set_limit(limit(1 + round % 4)).unwrap();
            });
            for wait in &mut queued {
                assert!(matches!(look(wait), Poll::Ready(Err(Refused::Closed))));
            }
            drop(queued);
            assert!(group.is_empty() && group.is_drained());
        }
    }
}
