//! `TaskGroup::shutdown`, and what a guard does on its way out.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{pending, poll_fn, ready};
use core::num::NonZeroUsize;
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use common::{look, panic_quietly};
use winddown::{
    CancelScope, ChildError, FutureUntil as _, Reason, Refused, Stopped, TaskGroup, TaskGuard,
};

const SHORT: Duration = Duration::from_millis(1);

fn reason_of(group: &TaskGroup) -> String {
    group.token().reason().expect("cancelled").to_string()
}

mod shutdown {
    use super::*;

    /// A task that leaves in time leaves gracefully. The grace is not polled once all have left.
    #[test]
    fn a_shutdown_is_graceful_if_all_leave_in_time() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let mut polls = 0;
        {
            let mut stop = group.shutdown(Box::pin(poll_fn(|_| {
                polls += 1;
                Poll::<()>::Pending
            })));
            assert!(look(&mut stop).is_pending() && group.is_closed());
            drop(guard);
            assert_eq!(look(&mut stop), Poll::Ready(Stopped::Gracefully));
            assert_eq!(look(&mut stop), Poll::Ready(Stopped::Gracefully), "ready again");
        }
        assert_eq!(polls, 1);
        assert!(!group.token().is_cancelled());
        assert_eq!(group.shutdown(ready(())).block(), Stopped::Gracefully);
    }

    /// The end of the grace cancels. The shutdown is over when the tasks have left.
    #[test]
    fn a_shutdown_is_forced_when_the_grace_is_over() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            guard.closed().block();
            tell.send(()).unwrap();
            guard.token().cancelled().block();
        });
        let mut second_signal = Box::pin(async move { told.recv().unwrap() });
        let stop = group.shutdown(&mut second_signal).block();
        thread.join().unwrap();
        assert_eq!(stop, Stopped::Forced);
        assert_eq!(reason_of(&group), "cancelled");
    }

    /// The grace is either of several: a timer, a token, a second signal of the user.
    #[test]
    fn any_future_is_a_grace() {
        let impatient = CancelScope::new();
        impatient.cancel();
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let either = pending::<()>().until(impatient.token());
        let mut stop = group.shutdown(either);
        assert!(look(&mut stop).is_pending());
        assert!(guard.token().is_cancelled());
        drop(guard);
        assert_eq!(look(&mut stop), Poll::Ready(Stopped::Forced));
    }

    /// A hard limit gives up and says how many are left; the group goes on.
    #[test]
    fn a_hard_limit_gives_up() {
        let group = TaskGroup::new();
        let guards = [(); 2].map(|()| group.guard().unwrap());
        let outcome = group.shutdown(ready(())).until(ready("enough")).block();
        let unfinished = outcome.unwrap_err();
        assert_eq!((unfinished.left, unfinished.by), (2, "enough"));
        assert!(group.token().is_cancelled() && !group.is_drained());
        assert_eq!(group.shutdown(pending::<()>()).block_for(SHORT).unwrap_err().left, 2);
        drop(guards);
        assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Forced);
    }

    /// Two shut down at once, each with a grace of its own: the shorter one counts, both hear it.
    #[test]
    fn two_shutdowns_agree() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let (mut patient, mut hasty) = (group.shutdown(pending::<()>()), group.shutdown(ready(())));
        assert!(look(&mut patient).is_pending() && look(&mut hasty).is_pending());
        drop(guard);
        assert_eq!(look(&mut patient), Poll::Ready(Stopped::Forced));
        assert_eq!(look(&mut hasty), Poll::Ready(Stopped::Forced));
    }

    /// A cancel after the last one left, or of a group that was empty, has forced no task.
    #[test]
    fn a_cancel_of_an_empty_group_does_not_count() {
        let group = TaskGroup::new();
        drop(group.guard().unwrap());
        let mut stop = group.shutdown(pending::<()>());
        assert_eq!(look(&mut stop), Poll::Ready(Stopped::Gracefully));
        group.cancel();
        assert_eq!(look(&mut stop), Poll::Ready(Stopped::Gracefully));
        assert_eq!(group.shutdown(ready(())).block(), Stopped::Gracefully);
        let empty = TaskGroup::new();
        empty.cancel();
        assert_eq!(empty.shutdown(ready(())).block(), Stopped::Gracefully);
    }

    /// A cancel from above closes a group that is open, and the cancel comes before that close. A group cannot
    /// tell whether a task left in between, and says that it was forced.
    #[test]
    fn a_cancel_from_above_forces_a_group_that_was_open() {
        for was_closed in [false, true] {
            let scope = CancelScope::new();
            let parent = TaskGroup::builder().parent(scope.token()).build();
            let child = parent.child().unwrap();
            drop(child.guard().unwrap());
            if was_closed {
                parent.close();
            }
            scope.cancel();
            let expected = if was_closed { Stopped::Gracefully } else { Stopped::Forced };
            for group in [&child, &parent] {
                assert_eq!(group.shutdown(pending::<()>()).block(), expected);
            }
        }
    }

    /// Rule 16: a finaliser that cancels forces no task: all had left by themselves.
    #[test]
    fn a_finaliser_that_cancels_has_not_forced_the_group() {
        let seen = Arc::new(OnceLock::<TaskGroup>::new());
        let group_of = Arc::clone(&seen);
        let group =
            TaskGroup::builder().finally(move || assert!(group_of.get().unwrap().cancel())).build();
        seen.set(group.clone()).unwrap();
        drop(group.guard().unwrap());
        assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Gracefully);
        assert!(group.token().is_cancelled());
    }
}

/// A group that is held up by a link when its grace is over.
mod links {
    use super::*;

    /// The group, and a task in the one that it is linked to.
    fn held_up() -> (CancelScope, TaskGroup, TaskGroup, TaskGuard) {
        let (scope, other) = (CancelScope::new(), TaskGroup::new());
        let inside = other.guard().unwrap();
        let group = TaskGroup::builder().parent(scope.token()).link(&other).build();
        (scope, group, other, inside)
    }

    /// Rule 16: all tasks had left by themselves when the grace was over, if there were any.
    #[test]
    fn tasks_that_left_in_time_were_not_forced() {
        for tasks in 0..3 {
            let (_scope, group, other, inside) = held_up();
            let guards: Vec<_> = (0..tasks).map(|_| group.guard().unwrap()).collect();
            drop(guards);
            let mut stop = group.shutdown(ready(()));
            assert!(look(&mut stop).is_pending());
            assert!(group.token().is_cancelled(), "the grace is over");
            assert!(!other.is_closed(), "a link neither closes nor cancels");
            other.close();
            drop(inside);
            assert_eq!(look(&mut stop), Poll::Ready(Stopped::Gracefully), "{tasks} tasks");
            assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Gracefully);
        }
    }

    /// The same for whatever else cancels it then, and whether the other one is forced or not.
    #[test]
    fn tasks_that_left_before_any_cancel_were_not_forced() {
        let cancels: [fn(&CancelScope, &TaskGroup); 3] = [
            |scope, _| assert!(scope.cancel()),
            |_, group| assert!(group.cancel()),
            |_, group| {
                let _ = look(&mut group.shutdown(ready(())));
            },
        ];
        for (cancel, forces_other) in cancels.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let (scope, group, other, inside) = held_up();
            drop(group.guard().unwrap());
            group.close();
            cancel(&scope, &group);
            assert!(group.token().is_cancelled() && !group.is_drained());
            let _ = if forces_other { other.cancel() } else { other.close() };
            drop(inside);
            assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Gracefully);
            let others = other.shutdown(pending::<()>()).block();
            assert_eq!(others == Stopped::Forced, forces_other);
        }
    }

    /// A task was inside when the grace was over: it was forced, whatever the link does.
    #[test]
    fn a_task_that_stayed_too_long_was_forced() {
        for link_ends_first in [true, false] {
            let (_scope, group, other, inside) = held_up();
            let guard = group.guard().unwrap();
            let mut stop = group.shutdown(ready(()));
            assert!(look(&mut stop).is_pending());
            other.close();
            if link_ends_first {
                drop((inside, guard));
            } else {
                drop((guard, inside));
            }
            assert_eq!(look(&mut stop), Poll::Ready(Stopped::Forced));
        }
    }
}

mod guards {
    use super::*;

    /// Rule 16: `leave` counts out, and then the task may wait for its own group.
    #[test]
    fn a_task_that_left_may_join() {
        let group = TaskGroup::new();
        let (first, second) = (group.guard().unwrap(), group.guard().unwrap());
        let handle = first.leave();
        assert_eq!((group.len(), handle.is_closed()), (1, false));
        let thread = thread::spawn(move || second.leave().join().block());
        handle.join().block();
        thread.join().unwrap();
    }

    type End = fn(&TaskGroup);

    /// API 5.8: whatever ends the task stops all, and says why.
    #[test]
    fn guards_cancel_when_they_are_told_to() {
        let ends: [(End, Option<&str>); 6] = [
            (|group| drop(group.guard().unwrap().cancel_on_panic()), None),
            (|group| drop(group.guard().unwrap().cancel_on_drop()), Some("its owner was dropped")),
            (
                |group| drop(group.guard().unwrap().cancel_on_drop().clone()),
                Some("its owner was dropped"),
            ),
            (
                |group| drop(group.guard().unwrap().cancel_on_drop().leave()),
                Some("its owner was dropped"),
            ),
            (|group| panicking(group, false), Some("a task panicked")),
            (|group| panicking(group, true), Some("a task panicked")),
        ];
        for (end, why) in ends {
            let group = TaskGroup::new();
            let other = group.guard().unwrap();
            end(&group);
            assert_eq!(other.token().reason().map(Reason::to_string).as_deref(), why);
            assert_eq!((group.is_closed(), group.len()), (why.is_some(), 1));
        }
    }

    fn panicking(group: &TaskGroup, both: bool) {
        let guard = group.guard().unwrap().cancel_on_panic();
        let guard = if both { guard.cancel_on_drop() } else { guard };
        let text = common::panic_of(|| {
            let _guard = guard.label("panics");
            panic_quietly("oops")
        });
        assert_eq!((text.as_str(), group.panics()), ("oops", 1));
    }

    /// The clone of a guard is a plain one.
    #[test]
    fn a_clone_does_not_cancel() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap().cancel_on_drop();
        drop(guard.clone());
        assert!(!group.token().is_cancelled());
        core::mem::forget(guard);
    }

    /// Everything prints, and an error says what to do.
    #[test]
    fn everything_prints() {
        let group = TaskGroup::builder().limit(NonZeroUsize::MIN).finally(|| {}).build();
        let guard = group.guard().unwrap();
        let texts = [
            format!("{group:?} {guard:?} {:?}", TaskGroup::builder().link(&group)),
            format!("{:?} {:?}", group.join(), group.closed()),
            format!("{:?} {:?}", group.shutdown(ready(())), group.guard_when_room()),
            format!("{:?}", group.track(ready(()))),
        ];
        assert!(texts[0].contains("len: 1") && texts[3].contains("Full"));
        assert_eq!(Refused::Closed.to_string(), "the group is closed: it takes no new work");
        assert!(Refused::Full.to_string().contains("wait for room"));
        assert!(ChildError::NotARoot.to_string().contains("link"));
        assert_eq!(ChildError::from(Refused::Full), ChildError::Refused(Refused::Full));
        assert!(core::error::Error::source(&ChildError::from(Refused::Full)).is_some());
    }
}
