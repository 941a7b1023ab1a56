//! `TaskGroup`: its door, its levels, and what ends a wait for each.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{pending, ready};
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{Bell, limited, look, panic_quietly, poll};
use winddown::{
    CancelScope, ChildError, FutureUntil as _, Reason, Refused, TaskGroup, TaskGuard, Unfinished,
};

const SHORT: Duration = Duration::from_millis(1);

fn reason_of(group: &TaskGroup) -> String {
    group.token().reason().expect("cancelled").to_string()
}

mod door {
    use super::*;

    /// Every way in by the door.
    fn assert_refused(group: &TaskGroup) {
        let inside = group.len();
        assert_eq!(group.guard().unwrap_err(), Refused::Closed);
        assert_eq!(group.clone().guard().unwrap_err(), Refused::Closed);
        assert_eq!(group.track(ready(1)).unwrap_err(), Refused::Closed);
        let mut room = group.guard_when_room();
        assert!(matches!(look(&mut room), Poll::Ready(Err(Refused::Closed))));
        assert_eq!(group.guard_when_room().block().unwrap_err(), Refused::Closed);
        assert_eq!(group.child().unwrap_err(), Refused::Closed);
        assert_eq!(group.child_err::<u8>().unwrap_err(), Refused::Closed);
        let with = group.child_with(TaskGroup::builder());
        assert_eq!(with.unwrap_err(), ChildError::Refused(Refused::Closed));
        assert_eq!(group.len(), inside, "nothing was counted");
    }

    /// Rule 4, whatever closed it.
    #[test]
    fn nobody_enters_a_closed_group() {
        let closers: [fn(&TaskGroup); 6] = [
            |group| assert!(group.close()),
            |group| assert!(group.cancel()),
            |group| group.cancel_with("enough").unwrap(),
            |group| assert!(look(&mut group.join()).is_pending()),
            |group| assert!(look(&mut group.shutdown(pending::<()>())).is_pending()),
            |group| assert_eq!(group.join().block_for(SHORT).unwrap_err().left, 1),
        ];
        for close in closers {
            let group = TaskGroup::new();
            let guard = group.guard().unwrap();
            assert!(!group.is_closed());
            close(&group);
            assert!(group.is_closed() && !group.is_drained());
            assert_refused(&group);
            drop(guard);
            assert!(group.is_drained());
            assert_refused(&group);
        }
    }

    /// Rule 4: a task that is inside brings others in until the last one has gone.
    #[test]
    fn entry_from_inside_stays_possible() {
        let group = TaskGroup::new();
        let mut guard = group.guard().unwrap();
        group.close();
        for _ in 0..10 {
            guard = guard.clone();
            assert_eq!((group.len(), group.is_drained()), (1, false));
        }
        let other = guard.clone();
        drop(guard);
        assert!(!group.is_drained());
        drop(other);
        assert!(group.is_drained() && group.is_empty());
    }

    /// Rule 4: one close is the first.
    #[test]
    fn closing_again_changes_nothing_and_says_so() {
        let group = TaskGroup::new();
        assert!(group.close());
        assert!(!group.close() && !group.clone().close());
        assert!(group.is_drained() && !group.token().is_cancelled());
    }

    /// Rule 4: the last handle closes the door and cancels nothing; the tasks run on.
    #[test]
    fn the_last_handle_closes_the_door() {
        let group = TaskGroup::new();
        let (guard, other) = (group.guard().unwrap(), group.clone());
        let token = group.token().clone();
        drop(group);
        drop(other.guard().unwrap());
        drop(other);
        assert!(guard.group().is_closed() && !token.is_cancelled());
        assert!(look(&mut guard.closed()).is_ready());
        let inner = guard.clone();
        drop(guard);
        assert!(!token.is_cancelled(), "one is inside");
        drop(inner);
        assert_eq!(token.reason().unwrap().to_string(), "its owner was dropped");
    }

    /// Rule 4, API 5.9: a task that is inside makes a handle when all other handles are gone.
    #[test]
    fn a_handle_from_inside_may_be_one_of_a_closed_group() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        drop(group);
        for _ in 0..3 {
            let handle = guard.group().clone();
            assert_refused(&handle);
            assert!(!handle.close());
        }
        let handle = guard.leave();
        assert!(handle.is_drained());
        assert_refused(&handle);
        handle.join().block();
    }

    /// Rule 4: waits that own the last handle keep the door open, and close it when they go.
    #[test]
    fn a_wait_that_owns_the_last_handle_holds_the_door() {
        let limited = limited(1);
        for group in [TaskGroup::new(), limited] {
            let guard = group.guard().unwrap();
            let (mut room, mut drained) = (None, None);
            if guard.group().guard().is_err() {
                room = Some(group.guard_when_room_owned());
            } else {
                drained = Some(group.drained_owned());
            }
            assert!(room.as_mut().is_none_or(|wait| look(wait).is_pending()));
            assert!(drained.as_mut().is_none_or(|wait| look(wait).is_pending()));
            assert!(!guard.is_closed());
            drop((room, drained));
            assert!(guard.is_closed());
        }
    }

    /// Rule 4: a wait that owns the closing token, and no handle, hears of the drop of the last handle.
    #[test]
    fn an_owned_wait_for_the_close_does_not_hold_the_door() {
        for group in [TaskGroup::new(), limited(1)] {
            let guard = group.guard().unwrap();
            let (bell, mut wait) = (Bell::new(), group.closing().clone().cancelled_owned());
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            drop(group);
            assert!(guard.is_closed());
            assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
            drop(guard);
            assert_eq!(look(&mut wait.clone()), Poll::Ready(()), "the group is gone");
        }
    }

    /// A token is no handle: it does not keep the door open.
    #[test]
    fn the_closing_token_is_cancelled_by_the_close_and_says_so() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let closing = guard.closing().clone();
        assert_eq!(closing, *group.closing());
        assert_ne!(closing, *group.token());
        assert!(!closing.is_cancelled());
        let child = closing.child();
        drop(group);
        assert!(closing.is_cancelled() && child.token().is_cancelled());
        assert!(matches!(closing.reason(), Some(Reason::Closed)));
        assert!(!guard.token().is_cancelled());
        drop(guard);
        assert!(matches!(closing.reason(), Some(Reason::Closed)), "the first reason stays");
    }

    #[test]
    fn the_closing_token_has_the_reason_from_above() {
        let parent = CancelScope::new();
        let group = TaskGroup::builder().parent(parent.token()).build();
        let child = group.child().unwrap();
        parent.cancel_with("enough").unwrap();
        for closing in [group.closing(), child.closing()] {
            assert_eq!(closing.reason().unwrap().to_string(), "enough");
        }
        let (group, child) = (TaskGroup::new(), TaskGroup::new());
        let below = group.child().unwrap();
        group.cancel_with("enough").unwrap();
        assert!(matches!(below.closing().reason(), Some(Reason::Closed)));
        assert_eq!(below.token().reason().unwrap().to_string(), "enough");
        assert!(!child.closing().is_cancelled());
    }

    /// The same guard serves a thread, a closure and a future.
    #[test]
    fn guards_serve_threads_and_closures_and_futures_alike() {
        let group = TaskGroup::new();
        let (guard, work) = (group.guard().unwrap(), group.guard().unwrap());
        let mut future = group.track(pending::<()>()).unwrap();
        let closure = move || drop(work);
        let thread = thread::spawn(move || drop(guard));
        thread.join().unwrap();
        assert_eq!(group.len(), 2);
        closure();
        assert!(look(&mut future).is_pending());
        assert_eq!(group.join().block_for(SHORT).unwrap_err().left, 1);
        drop(future);
        group.join().block();
    }

    /// Rule 2: a refused future is dropped, and one that cannot be made counts nobody in.
    #[test]
    fn a_task_that_never_starts_is_not_counted() {
        struct Panics;
        impl IntoFuture for Panics {
            type Output = ();
            type IntoFuture = core::future::Ready<()>;

            fn into_future(self) -> Self::IntoFuture {
                panic_quietly("not made")
            }
        }
        let group = TaskGroup::new();
        assert_eq!(common::panic_of(|| group.track(Panics)), "not made");
        assert!(group.is_empty());
        group.close();
        let held = Arc::new(());
        let in_it = Arc::clone(&held);
        assert!(group.track(async move { drop(in_it) }).is_err());
        assert_eq!(Arc::strong_count(&held), 1);
    }

    /// Rules 2, 4: a guard that is forgotten holds the group up for ever, and its token stays.
    #[test]
    fn a_forgotten_guard_is_never_done() {
        let group = TaskGroup::new();
        let guard: &'static _ = Box::leak(Box::new(group.guard().unwrap()));
        group.close();
        assert_eq!(group.drained().block_for(SHORT).unwrap_err().left, 1);
        drop(group);
        let group = guard.group();
        assert!(group.is_closed() && !group.is_drained() && !guard.token().is_cancelled());
        drop(guard.clone());
        assert_eq!(group.len(), 1);
    }
}

mod levels {
    use super::*;

    /// The levels only rise, and each has a look and a wait.
    #[test]
    fn each_level_can_be_looked_at_and_waited_for() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let bells = [(); 3].map(|()| Bell::new());
        let mut closed = guard.closed();
        let mut cancelled = guard.token().cancelled();
        let mut drained = group.drained();
        assert!(poll(&mut closed, &bells[0].waker()).is_pending());
        assert!(poll(&mut cancelled, &bells[1].waker()).is_pending());
        assert!(poll(&mut drained, &bells[2].waker()).is_pending());
        let rings = || bells.each_ref().map(|bell| bell.rings());
        assert_eq!(rings(), [0, 0, 0]);
        group.close();
        assert_eq!(rings(), [1, 0, 0]);
        assert!(
            look(&mut closed).is_ready() && poll(&mut cancelled, &bells[1].waker()).is_pending()
        );
        assert!(group.cancel());
        assert_eq!(rings(), [1, 1, 0]);
        assert!(
            look(&mut cancelled).is_ready() && poll(&mut drained, &bells[2].waker()).is_pending()
        );
        drop((closed, cancelled));
        drop(guard);
        assert_eq!(rings(), [1, 1, 1]);
        for _ in 0..2 {
            assert!(look(&mut drained).is_ready(), "ready again");
            assert!(look(&mut group.closed()).is_ready());
            group.token().cancelled().block();
            assert!(look(&mut group.clone().drained_owned()).is_ready());
        }
    }

    /// Cancelled implies closed, at the moment when the first one hears of it.
    #[test]
    fn a_group_is_closed_before_it_is_cancelled() {
        let scope = CancelScope::new();
        let cancels: [&dyn Fn(&TaskGroup); 2] =
            [&|group| assert!(group.cancel()), &|_| assert!(scope.cancel())];
        for cancel in cancels {
            let group = TaskGroup::builder().parent(scope.token()).build();
            let guard = group.guard().unwrap();
            let seen = Arc::new(AtomicUsize::new(0));
            let (here, handle) = (Arc::clone(&seen), group.clone());
            let callback = group.token().on_cancel(move || {
                assert!(handle.is_closed() && handle.guard().is_err());
                here.fetch_add(1, Ordering::Relaxed);
            });
            cancel(&group);
            assert_eq!(seen.load(Ordering::Relaxed), 1);
            assert!(!callback.deregister());
            drop(guard);
        }
    }

    /// Rules 8, 17: a group and its guard answer as the group's token does, whatever is cancelled, here or above.
    #[test]
    fn a_group_and_its_guard_say_whether_it_is_cancelled() {
        let cancels: [fn(&CancelScope, &TaskGroup, &TaskGroup); 3] = [
            |_, _, child| assert!(child.cancel()),
            |_, parent, _| assert!(parent.cancel()),
            |scope, _, _| assert!(scope.cancel()),
        ];
        for (levels, cancel) in (1..).zip(cancels) {
            let scope = CancelScope::new();
            let parent = TaskGroup::builder().parent(scope.token()).build();
            let child = parent.child().unwrap();
            let guards = [&parent, &child].map(|group| group.guard().unwrap());
            let looks = || {
                let by_guard = guards.each_ref().map(TaskGuard::is_cancelled);
                assert_eq!([&parent, &child].map(TaskGroup::is_cancelled), by_guard);
                assert_eq!(guards.each_ref().map(|guard| guard.token().is_cancelled()), by_guard);
                by_guard
            };
            assert_eq!(looks(), [false, false]);
            parent.close();
            assert!(guards.iter().all(TaskGuard::is_closed));
            assert_eq!(looks(), [false, false], "a close is no cancel");
            cancel(&scope, &parent, &child);
            assert_eq!(looks(), [levels > 1, true]);
            drop(guards);
            assert!(parent.is_drained() && child.is_cancelled(), "for ever");
        }
    }

    /// The first reason wins; the others come back.
    #[test]
    fn a_group_is_cancelled_once() {
        let group = TaskGroup::new();
        group.cancel_with("first").unwrap();
        assert_eq!(group.cancel_with("second").unwrap_err().to_string(), "second");
        assert!(!group.cancel());
        assert_eq!(reason_of(&group), "first");
    }

    /// A group that is drained may still be cancelled: tokens below it hear of it.
    #[test]
    fn a_drained_group_may_be_cancelled() {
        let group = TaskGroup::new();
        let child = group.token().child();
        group.join().block();
        assert!(group.cancel());
        assert!(child.token().is_cancelled());
    }

    /// `join` is lazy: nothing happens before its first poll or block.
    #[test]
    fn join_closes_at_its_first_poll() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let (mut join, mut limited) = (group.join(), group.join().until(ready(7)));
        let shutdown = group.shutdown(ready(()));
        drop(group.guard().unwrap());
        drop(shutdown);
        assert!(!group.is_closed());
        assert_eq!(look(&mut limited).map(|it| it.unwrap_err().left), Poll::Ready(1));
        assert!(group.is_closed());
        assert!(look(&mut join).is_pending());
        drop(guard);
        assert!(look(&mut join).is_ready() && look(&mut join).is_ready());
    }

    /// `drained` only looks.
    #[test]
    fn drained_does_not_close() {
        let group = TaskGroup::new();
        assert!(look(&mut group.drained()).is_pending());
        assert!(look(&mut group.clone().drained_owned()).is_pending());
        assert!(group.drained().block_for(Duration::ZERO).is_err());
        assert!(!group.is_closed() && group.guard().is_ok());
    }

    /// A wait with a limit says what is left and what came first, and a drained group wins a tie.
    #[test]
    fn a_limit_says_how_many_are_left() {
        let group = TaskGroup::new();
        let guards = [(); 3].map(|()| group.guard().unwrap());
        let Poll::Ready(Err(Unfinished { left, by, .. })) = look(&mut group.join().until(ready(7)))
        else {
            panic!("the limit is ready");
        };
        assert_eq!((left, by), (3, 7));
        drop(guards);
        assert!(matches!(look(&mut group.join().until(ready(7))), Poll::Ready(Ok(()))));
    }

    /// A group can be raced against anything: its own door is a limit.
    #[test]
    fn the_door_is_a_limit_for_idle_work() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let thread = thread::spawn(move || {
            let idle = pending::<()>().until(guard.closed());
            pollster::block_on(idle).unwrap_err();
        });
        group.join().block();
        thread.join().unwrap();
    }
}
