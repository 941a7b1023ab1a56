//! Closes, guards, handles, children, links and waits of one group meet on several threads: it ends
//! once, after the last task has left, and every wait is over then.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{pending, ready};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock};
use std::thread;

use common::{Act, Bell, at_once, look, poll};
use winddown::{CancelScope, ErrGroup, Refused, Stopped, TaskGroup, TaskGroupBuilder};

const ROUNDS: usize = if cfg!(debug_assertions) { 300 } else { 5000 };
/// Runs out only if a wake-up or a count is lost.
const LONG: Duration = Duration::from_secs(60);

/// Counts the ends, and the tasks that are inside.
#[derive(Clone, Debug, Default)]
struct Watch {
    ends: Arc<AtomicUsize>,
    inside: Arc<AtomicUsize>,
}

impl Watch {
    fn builder(&self) -> TaskGroupBuilder {
        let watch = self.clone();
        TaskGroup::builder().finally(move || {
            assert_eq!(watch.inside.load(Ordering::Relaxed), 0, "a task was inside");
            watch.ends.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn ends(&self) -> usize {
        self.ends.load(Ordering::Relaxed)
    }
}

/// Comes in until it is refused, with a clone now and then.
fn comes_and_goes<'a>(group: &TaskGroup, watch: &'a Watch) -> Act<'a> {
    let group = group.clone();
    Box::new(move || {
        for turn in 0..1000 {
            let was_closed = group.is_closed();
            let Ok(guard) = group.guard() else { return };
            watch.inside.fetch_add(1, Ordering::Relaxed);
            assert!(!was_closed && !group.is_drained());
            let guard = if turn % 4 == 0 { guard.clone() } else { guard };
            watch.inside.fetch_sub(1, Ordering::Relaxed);
            drop(guard);
        }
    })
}

fn waits(group: &TaskGroup, watch: &Watch) -> Act<'static> {
    let (wait, watch) = (group.clone().drained_owned(), watch.clone());
    Box::new(move || {
        wait.block_for(LONG).expect("the end was lost");
        assert_eq!(watch.ends(), 1);
    })
}

/// Rules 4, 16: entries meet a close. Once that has returned, nothing gets in.
#[test]
fn entries_meet_a_close() {
    for _ in 0..ROUNDS {
        let watch = Watch::default();
        let group = watch.builder().build();
        let closes = || -> Act<'_> {
            Box::new(|| {
                group.close();
                assert_eq!(group.guard().unwrap_err(), Refused::Closed);
                assert!(group.is_closed());
            })
        };
        at_once([
            comes_and_goes(&group, &watch),
            comes_and_goes(&group, &watch),
            closes(),
            closes(),
            waits(&group, &watch),
        ]);
        assert_eq!(watch.ends(), 1);
    }
}

/// Rules 4, 16: the last guard, the last handle, and the handle of another thread.
#[test]
fn the_last_guard_meets_the_last_handle() {
    for round in 0..ROUNDS {
        let watch = Watch::default();
        let group = watch.builder().build();
        let token = group.token().clone();
        let guards = [group.guard().unwrap(), group.guard().unwrap()];
        let mut acts: Vec<Act<'_>> = Vec::new();
        for (at, guard) in guards.into_iter().enumerate() {
            acts.push(match (round + at) % 4 {
                0 => Box::new(move || drop(guard)),
                1 => Box::new(move || drop(guard.clone().leave())),
                2 => Box::new(move || drop(guard.leave())),
                _ => Box::new(move || drop(guard.group().clone())),
            });
        }
        let other = group.clone();
        acts.push(Box::new(move || drop(group)));
        acts.push(Box::new(move || drop(other)));
        at_once(acts);
        assert_eq!(watch.ends(), 1);
        assert!(token.is_cancelled(), "the group is gone");
    }
}

/// Rule 16, S3.1, S3.2, S3.3: close, cancel, join, leave and shutdown, from inside and outside at
/// once; each wait returns after the finaliser has run.
#[test]
fn many_threads_end_the_group_at_once() {
    for round in 0..ROUNDS {
        let watch = Watch::default();
        let group = &watch.builder().build();
        let guards = [(); 3].map(|()| group.guard().unwrap());
        let seen = || assert_eq!((watch.ends(), group.is_drained()), (1, true));
        let mut acts: Vec<Act<'_>> = vec![
            Box::new(|| {
                group.join().block_for(LONG).expect("the end was lost");
                seen();
            }),
            Box::new(|| {
                group.shutdown(ready(())).block_for(LONG).expect("the end was lost");
                seen();
            }),
        ];
        for (at, guard) in guards.into_iter().enumerate() {
            let seen = &seen;
            acts.push(match (round + at) % 5 {
                0 => Box::new(move || {
                    guard.leave().shutdown(pending::<()>()).block_for(LONG).expect("no deadlock");
                    seen();
                }),
                1 => Box::new(move || {
                    let guard = guard.cancel_on_drop();
                    guard.leave().join().block_for(LONG).expect("no deadlock");
                    seen();
                }),
                2 => Box::new(move || drop(guard.cancel_on_drop())),
                3 => Box::new(move || {
                    guard.group().close();
                    guard.group().cancel();
                    drop(guard);
                }),
                _ => Box::new(move || {
                    guard.token().cancelled().block_for(LONG).expect("another task cancels");
                    drop(guard);
                }),
            });
        }
        at_once(acts);
        assert_eq!(watch.ends(), 1);
        assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Forced);
    }
}

/// Rule 17: births, entries and ends below, against a close, a cancel or a join above.
#[test]
fn children_meet_the_close_of_their_parent() {
    for round in 0..ROUNDS {
        let (above, below) = (Watch::default(), Watch::default());
        let (scope, born) = (CancelScope::new(), AtomicUsize::new(0));
        let parent = &above.builder().parent(scope.token()).build();
        let gives_birth = || -> Act<'_> {
            Box::new(|| {
                for turn in 0..20 {
                    let Ok(child) = parent.child_with(below.builder()) else { return };
                    born.fetch_add(1, Ordering::Relaxed);
                    if let Ok(guard) = child.guard() {
                        assert!(!parent.is_drained());
                        match turn % 3 {
                            0 => guard.leave().join().block_for(LONG).expect("it ends"),
                            1 => drop((child, guard)),
                            _ => drop(child.child().map(|grandchild| (guard, grandchild))),
                        }
                    }
                }
            })
        };
        at_once([
            gives_birth(),
            gives_birth(),
            waits(parent, &above),
            Box::new(move || match round % 4 {
                0 => drop(Some(parent.close())),
                1 => drop(Some(parent.cancel())),
                2 => drop(Some(scope.cancel())),
                _ => parent.join().block_for(LONG).expect("the end was lost"),
            }),
        ]);
        assert_eq!((above.ends(), below.ends()), (1, born.into_inner()));
    }
}

/// Links: groups are built on one that ends meanwhile; each ends after it, once.
#[test]
fn links_meet_the_end_of_what_they_point_to() {
    for _ in 0..ROUNDS {
        let (target, linked) = (Watch::default(), Watch::default());
        let group = target.builder().build();
        let guard = group.guard().unwrap();
        let builds = |handle: TaskGroup| -> Act<'_> {
            let (target, linked) = (&target, &linked);
            Box::new(move || {
                for _ in 0..5 {
                    let own = linked.builder().link(&handle).link(&handle).build();
                    own.close();
                    if own.is_drained() {
                        assert_eq!(target.ends(), 1);
                    }
                }
                drop(handle);
            })
        };
        let acts = [builds(group.clone()), builds(group.clone()), Box::new(move || drop(guard)), {
            let closes = group.clone();
            Box::new(move || assert!(closes.close() || closes.is_closed()))
        }];
        drop(group);
        at_once(acts);
        assert_eq!((target.ends(), linked.ends()), (1, 10));
    }
}

/// Rule 12: waits of every kind are polled, moved and dropped while the group ends.
#[test]
fn waits_are_dropped_while_the_group_ends() {
    for _ in 0..ROUNDS {
        let watch = Watch::default();
        let group = watch.builder().build();
        let guard = group.guard().unwrap();
        let bell = Bell::new();
        let gives_up = |handle: TaskGroup| -> Act<'_> {
            let bell = &bell;
            Box::new(move || {
                for turn in 0..30 {
                    match turn % 4 {
                        0 => drop(poll(&mut handle.drained(), &bell.waker())),
                        1 => drop(poll(&mut handle.closed(), &bell.waker())),
                        2 => drop(poll(&mut handle.join(), &bell.waker())),
                        _ => drop(poll(&mut handle.shutdown(ready(())), &bell.waker())),
                    }
                }
            })
        };
        at_once([
            gives_up(group.clone()),
            gives_up(group.clone()),
            waits(&group, &watch),
            Box::new(move || drop(guard)),
        ]);
        assert!(look(&mut group.closed()).is_ready());
        assert_eq!(Arc::strong_count(&bell), 1);
    }
}

/// A group is built under a token that is cancelled at that moment: it ends once all the same.
#[test]
fn a_birth_meets_a_cancel() {
    for round in 0..ROUNDS {
        let watch = Watch::default();
        let (scope, group) = (CancelScope::new(), OnceLock::new());
        let acts: [Act<'_>; 2] = [
            Box::new(|| {
                let builder = watch.builder().parent(scope.token());
                let limit = NonZeroUsize::new(3).unwrap();
                let builder = if round % 2 == 0 { builder.limit(limit) } else { builder };
                let own = builder.build();
                let inside: Vec<_> = (0..3).map_while(|_| own.guard().ok()).collect();
                drop(inside);
                own.drained().block_for(LONG).expect("the cancel was lost");
                group.set(own).unwrap();
            }),
            Box::new(|| assert!(scope.cancel())),
        ];
        at_once(acts);
        assert_eq!(watch.ends(), 1);
        assert!(group.get().unwrap().guard().is_err());
    }
}

/// Rule 16: groups are built under a token that is cancelled already, by several threads at once: each has come
/// to its end when `build` returns.
#[test]
fn several_are_born_under_a_cancelled_token() {
    const BATCH: usize = 20;
    for round in 0..ROUNDS / 2 {
        let tokens: Vec<_> = (0..BATCH)
            .map(|_| {
                let scope = CancelScope::new();
                let below = scope.token().with_value(round).child().detach();
                assert!(round % 2 == 0 || look(&mut below.token().cancelled()).is_pending());
                scope.cancel();
                (below, AtomicUsize::new(0))
            })
            .collect();
        let builds = || -> Act<'_> {
            Box::new(|| {
                let all_ended = tokens.iter().fold(true, |all_ended, (below, gate)| {
                    gate.fetch_add(1, Ordering::Relaxed);
                    while gate.load(Ordering::Relaxed) < 2 {
                        thread::yield_now();
                    }
                    let watch = Watch::default();
                    let group = watch.builder().parent(below.token()).build();
                    // The other thread waits at the next gate, whatever this one has found.
                    watch.ends() == 1 && group.is_drained() && group.guard().is_err() && all_ended
                });
                assert!(all_ended, "one had not come to its end");
            })
        };
        at_once([builds(), builds()]);
    }
}

/// Rule 15: several tasks fail at once, one of them first; all are told, and the answer has all.
#[test]
fn several_tasks_fail_at_once() {
    for _ in 0..ROUNDS {
        let group = ErrGroup::<usize>::new();
        let tasks = [(); 3].map(|()| group.group().guard().unwrap());
        let numbered = tasks.into_iter().enumerate();
        at_once(numbered.map(|(number, guard)| -> Act<'_> {
            let group = &group;
            Box::new(move || {
                group.record(number).unwrap();
                assert!(guard.token().is_cancelled());
                let handle = guard.leave();
                handle.join().block_for(LONG).expect("the end was lost");
                assert_eq!(group.join().block().unwrap_err().iter().len(), 3);
            })
        }));
    }
}
