//! How a group ends: its finaliser, its links, its children, and the token that it hangs below.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{Pending, pending, ready};
use core::num::NonZeroUsize;
use core::task::Poll;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use common::{Bell, look, panic_of, panic_quietly, poll};
use winddown::future::Expiry;
use winddown::{
    CancelScope, CancelToken, ChildError, Reason, Refused, Stopped, TaskGroup, TaskGroupBuilder,
};

/// What happened, in order.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn add(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn read(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    /// A builder whose finaliser writes down `what`.
    fn at_the_end(&self, what: &'static str) -> TaskGroupBuilder {
        let log = self.clone();
        TaskGroup::builder().finally(move || log.add(what))
    }
}

#[test]
fn a_wait_for_the_drain_shows_its_group() {
    let group = TaskGroup::new();
    let _guard = group.guard().unwrap();
    let mut wait = group.join();
    assert!(look(&mut wait).is_pending());
    let shown = format!("{wait:?}");
    assert!(shown.contains("Parked") && shown.contains(&format!("{group:?}")), "{shown}");
}

/// Rule 18: own work is done when a drop returns, however many deliveries that is inside of.
#[test]
fn a_guard_that_is_dropped_deep_inside_has_drained_its_group() {
    fn inside(deliveries: usize, work: Box<dyn FnOnce() + Send>) {
        if deliveries == 0 {
            return work();
        }
        let scope = CancelScope::new();
        scope.token().on_cancel(move || inside(deliveries - 1, work)).detach();
        assert!(scope.cancel());
    }

    let (group, ran) = (TaskGroup::new(), Arc::new(OnceLock::new()));
    let (guard, other) = (group.guard().unwrap(), Arc::clone(&ran));
    group.close();
    let work = move || {
        drop(guard);
        assert!(group.is_drained());
        other.set(()).expect("once");
    };
    inside(20, Box::new(work));
    assert!(ran.get().is_some());
}

mod finaliser {
    use super::*;

    /// Rule 16: on the thread that made the group closed and empty, even without a wait.
    #[test]
    fn it_runs_on_the_thread_that_ends_the_group() {
        for closes_last in [true, false] {
            let ran_on = Arc::new(OnceLock::new());
            let here = Arc::clone(&ran_on);
            let group = TaskGroup::builder()
                .finally(move || here.set(thread::current().id()).expect("once"))
                .build();
            let guard = group.guard().unwrap();
            let last = if closes_last {
                drop(guard);
                assert_eq!(ran_on.get(), None);
                thread::spawn(move || assert!(group.close()))
            } else {
                group.close();
                assert_eq!(ran_on.get(), None);
                thread::spawn(move || drop(guard))
            };
            let id = last.thread().id();
            last.join().unwrap();
            assert_eq!(ran_on.get(), Some(&id));
        }
    }

    /// Rule 16: before any wait for the drain is over, and `is_drained` is false in it.
    #[test]
    fn it_runs_before_the_group_is_drained() {
        let seen = Arc::new(OnceLock::<TaskGroup>::new());
        let (group_of, log) = (Arc::clone(&seen), Log::default());
        let inside = log.clone();
        let group = TaskGroup::builder()
            .finally(move || {
                let group = group_of.get().unwrap();
                assert!(group.is_closed() && group.is_empty() && !group.is_drained());
                assert!(look(&mut group.drained()).is_pending());
                assert_eq!(group.guard().unwrap_err(), Refused::Closed);
                assert_eq!(group.child().unwrap_err(), Refused::Closed);
                inside.add("finaliser");
            })
            .build();
        seen.set(group.clone()).unwrap();
        let guard = group.guard().unwrap();
        thread::scope(|threads| {
            let (waited, group) = (log.clone(), &group);
            threads.spawn(move || {
                group.join().block();
                waited.add("waiter");
            });
            guard.closed().block();
            drop(guard);
        });
        assert_eq!(log.read(), ["finaliser", "waiter"]);
    }

    /// Rule 16: it runs once, whichever of a close, a join, a leave and a drop comes last.
    #[test]
    fn it_runs_once() {
        let log = Log::default();
        let group = log.at_the_end("end").build();
        let guard = group.guard().unwrap();
        group.close();
        assert!(look(&mut group.join()).is_pending());
        assert!(log.read().is_empty());
        guard.leave().shutdown(pending::<()>()).block();
        assert!(!group.close() && group.cancel());
        group.join().block();
        drop(group);
        assert_eq!(log.read(), ["end"]);
    }

    /// Rule 16: the last handle's drop closes an empty group, and so ends it.
    #[test]
    fn the_last_handle_ends_an_empty_group() {
        let log = Log::default();
        let group = log.at_the_end("end").build();
        let other = group.clone();
        drop(group);
        assert!(log.read().is_empty());
        drop(other);
        assert_eq!(log.read(), ["end"]);
    }

    /// Rules 4, 16: `drained_owned` of the last handle closes the door when it is dropped, and
    /// is ready when a group above has closed it.
    #[test]
    fn the_last_handle_may_be_in_a_wait() {
        let log = Log::default();
        let mut wait = log.at_the_end("dropped").build().drained_owned();
        assert!(look(&mut wait).is_pending());
        drop(wait);
        let scope = CancelScope::new();
        let below = log.at_the_end("cancelled").parent(scope.token()).build();
        let (bell, mut wait) = (Bell::new(), below.drained_owned());
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        scope.cancel();
        assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
        assert_eq!(log.read(), ["dropped", "cancelled"]);
    }

    /// A builder that is dropped, or refused, runs nothing.
    #[test]
    fn it_does_not_run_without_a_group() {
        let log = Log::default();
        drop(log.at_the_end("dropped"));
        let closed = TaskGroup::new();
        closed.close();
        assert!(closed.child_with(log.at_the_end("refused")).is_err());
        assert!(log.read().is_empty());
    }
}

mod links {
    use super::*;

    /// S4.8: the group counts as drained only when what it is linked to is; it touches nothing there.
    #[test]
    fn a_link_waits_and_does_not_follow() {
        let log = Log::default();
        let other = log.at_the_end("other").build();
        let group = log.at_the_end("group").link(&other).build();
        let guard = other.guard().unwrap();
        assert!(group.cancel());
        assert!(!other.is_closed() && !other.token().is_cancelled());
        let unfinished = group.join().until(ready(())).block().unwrap_err();
        assert_eq!((unfinished.left, group.len(), group.is_drained()), (1, 0, false));
        other.close();
        assert!(!group.is_drained());
        drop(guard);
        assert!(group.is_drained());
        assert_eq!(log.read(), ["other", "group"]);
    }

    /// S4.8: an unfinished wait counts tasks and links, whether the door is open or not.
    #[test]
    fn what_is_left_is_tasks_and_links() {
        for builder in [TaskGroup::builder(), TaskGroup::builder().limit(NonZeroUsize::MIN)] {
            let other = TaskGroup::new();
            let group = builder.link(&other).build();
            let left = || group.drained().until(ready(())).block().unwrap_err().left;
            assert_eq!(left(), 1, "the link");
            let guard = group.guard().unwrap();
            assert_eq!(left(), 2);
            group.close();
            assert_eq!(left(), 2);
            drop(guard);
            assert_eq!(left(), 1, "the link");
            other.close();
            assert!(group.is_drained());
        }
    }

    /// S4.8: the other comes first, has no tasks yet, is drained already, or is linked twice.
    #[test]
    fn a_link_may_be_made_at_any_time_of_the_others_life() {
        let other = TaskGroup::new();
        let early = TaskGroup::builder().link(&other).link(&other).build();
        early.close();
        assert!(!early.is_drained());
        let unfinished = early.drained().until(ready(())).block().unwrap_err();
        assert_eq!(unfinished.left, 2);
        let guard = other.guard().unwrap();
        let inside = TaskGroup::builder().link(&other).build();
        other.close();
        let closed = TaskGroup::builder().link(&other).link(&early).build();
        closed.close();
        drop(inside);
        drop(guard);
        assert!(early.is_drained() && closed.is_drained());
        let late = TaskGroup::builder().link(&other).link(&early).build();
        assert!(!late.is_closed() && look(&mut late.join()).is_ready());
    }

    /// A link keeps nothing alive but the wait: the other's last handle may go before or after.
    #[test]
    fn a_link_is_no_handle() {
        let log = Log::default();
        let other = log.at_the_end("other").build();
        let group = log.at_the_end("group").link(&other).build();
        drop(other);
        assert_eq!(log.read(), ["other"], "its last handle closed it");
        drop(group);
        assert_eq!(log.read(), ["other", "group"]);
        let other = log.at_the_end("other").build();
        drop(log.at_the_end("group").link(&other).build());
        assert_eq!(log.read().len(), 2, "nobody has the group, and it waits");
        drop(other);
        assert_eq!(log.read(), ["other", "group", "other", "group"]);
    }

    /// Rule 18: a panic on the way does not stop the waits behind it.
    #[test]
    fn a_link_is_released_by_a_finaliser_that_panics() {
        let log = Log::default();
        let other = TaskGroup::builder().finally(|| panic_quietly("the other")).build();
        let groups = [(); 3].map(|()| log.at_the_end("group").link(&other).build());
        assert!(groups.iter().all(TaskGroup::close));
        assert_eq!(panic_of(|| other.close()), "the other");
        assert!(other.is_drained() && groups.iter().all(TaskGroup::is_drained));
        assert_eq!(log.read(), ["group"; 3]);
    }
}

mod children {
    use super::*;

    /// Rule 17: the parent waits for its subtree; the child touches neither parent nor sibling.
    #[test]
    fn a_child_counts_as_one_task_of_its_parent() {
        let log = Log::default();
        let parent = log.at_the_end("parent").build();
        let child = parent.child_with(log.at_the_end("child")).unwrap();
        let sibling = parent.child().unwrap();
        let guard = child.guard().unwrap();
        assert_eq!((parent.len(), child.len()), (2, 1));
        child.cancel();
        assert!(!parent.is_closed() && !sibling.is_closed() && !sibling.token().is_cancelled());
        assert_eq!(parent.len(), 2, "one is inside the child");
        drop(guard);
        assert_eq!((parent.len(), log.read()), (1, vec!["child"]));
        drop(sibling);
        assert!(parent.is_empty());
        parent.join().block();
        assert_eq!(log.read(), ["child", "parent"]);
    }

    /// Rule 17: levels go down at once, to be asked and to be waited for.
    #[test]
    fn levels_of_a_parent_are_those_of_its_children() {
        let parent = TaskGroup::new();
        let child = parent.child().unwrap();
        let grandchild = child.child().unwrap();
        let guard = grandchild.guard().unwrap();
        let (bell, stop) = (Bell::new(), Bell::new());
        let (mut closed, mut cancelled) = (guard.closed(), guard.token().cancelled());
        assert!(poll(&mut closed, &bell.waker()).is_pending());
        assert!(poll(&mut cancelled, &stop.waker()).is_pending());
        assert!(parent.close());
        assert!(child.is_closed() && grandchild.is_closed());
        assert!(!child.close() && !grandchild.close(), "closed already, from above");
        assert_eq!(grandchild.guard().unwrap_err(), Refused::Closed);
        assert_eq!((bell.rings(), stop.rings()), (1, 0));
        parent.cancel_with("the parent").unwrap();
        assert_eq!(stop.rings(), 1);
        assert_eq!(grandchild.token().reason().unwrap().to_string(), "the parent");
        assert!(!parent.is_drained());
        drop((closed, cancelled));
        drop(guard);
        assert!(grandchild.is_drained() && child.is_drained() && parent.is_drained());
    }

    /// Rule 17: idle children drain by their parent's close, handles alive or not.
    #[test]
    fn an_idle_child_does_not_hold_a_closed_parent_up() {
        let parent = TaskGroup::new();
        let kept = [(); 3].map(|()| parent.child().unwrap());
        let with_tasks = parent.child().unwrap();
        let guard = with_tasks.guard().unwrap();
        drop(with_tasks);
        assert_eq!(parent.len(), 4);
        parent.close();
        assert!(kept.iter().all(TaskGroup::is_drained));
        assert_eq!(parent.len(), 1);
        drop(guard);
        assert!(parent.is_drained());
    }

    /// Rule 17: a handle of the parent is not needed, and the child's is one of its own.
    #[test]
    fn a_child_outlives_the_handles_of_its_parent() {
        let log = Log::default();
        let parent = log.at_the_end("parent").build();
        let child = parent.child_with(log.at_the_end("child")).unwrap();
        let guard = child.guard().unwrap();
        drop(parent);
        assert!(child.is_closed(), "the parent's last handle closed the door above");
        drop(child);
        assert!(log.read().is_empty());
        drop(guard);
        assert_eq!(log.read(), ["child", "parent"]);
    }

    /// API: neither a link nor a parent token for a child, so that nobody can write a cycle.
    #[test]
    fn a_child_has_one_parent_and_no_links() {
        let (parent, other) = (TaskGroup::new(), TaskGroup::new());
        let linked = TaskGroup::builder().link(&other);
        let below = TaskGroup::builder().parent(other.token());
        for builder in [linked, below] {
            assert_eq!(parent.child_with(builder).unwrap_err(), ChildError::NotARoot);
        }
        assert!(parent.is_empty());
    }
}

mod below_a_token {
    use super::*;

    /// S4.1, S1.1: a signal given at creation closes, cancels and drains the group.
    #[test]
    fn a_group_follows_its_token() {
        let scope = CancelScope::new();
        let log = Log::default();
        let group = log.at_the_end("end").parent(scope.token()).build();
        let idle = log.at_the_end("idle").parent(scope.token()).build();
        let guard = group.guard().unwrap();
        scope.cancel_with("the user").unwrap();
        assert!(group.is_closed() && idle.is_drained());
        assert_eq!(guard.token().reason().unwrap().to_string(), "the user");
        assert_eq!(group.cancel_with("late").unwrap_err().to_string(), "late");
        drop(guard);
        assert_eq!(log.read(), ["idle", "end"]);
        assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Forced);
    }

    /// API 5.7: closed and cancelled from birth; the finaliser runs at once.
    #[test]
    fn a_group_under_a_cancelled_token_ends_at_birth() {
        let scope = CancelScope::new();
        scope.cancel_with("before").unwrap();
        let log = Log::default();
        for token in [scope.token(), scope.token().child().token()] {
            let group = log.at_the_end("end").parent(token).build();
            assert!(group.is_closed() && group.is_drained());
            assert!(group.guard().is_err() && !group.close());
            assert_eq!(group.token().reason().unwrap().to_string(), "before");
        }
        assert_eq!(log.read(), ["end"; 2]);
        let never = TaskGroup::builder().parent(&CancelToken::never()).build();
        assert!(never.guard().is_ok() && !never.is_closed());
        let shielded = TaskGroup::builder().parent(&scope.token().shielded()).build();
        assert!(shielded.guard().is_ok());
    }

    /// Dropping the scope cancels the group.
    #[test]
    fn a_group_ends_with_its_scope() {
        let scope = CancelScope::new();
        let group = TaskGroup::builder().parent(scope.token()).build();
        let guard = group.guard().unwrap();
        drop(scope);
        assert!(matches!(guard.token().reason(), Some(Reason::Dropped)));
    }

    /// On a busy machine some are born too late, and cancelled. Later nobody reads a clock.
    fn open_for_a_moment(root: &CancelScope) -> (CancelScope, Expiry<Pending<()>>) {
        loop {
            let at = Instant::now() + Duration::from_millis(1);
            let (scope, expiry) = root.token().child_until(at, pending::<()>());
            if !scope.token().is_cancelled() {
                return (scope, expiry);
            }
        }
    }

    /// The same for a wait for a place.
    #[test]
    fn a_blocking_wait_for_a_place_fires_the_deadline_above_it() {
        let root = CancelScope::new();
        let (scope, _expiry) = open_for_a_moment(&root);
        let group = TaskGroup::builder().parent(scope.token()).limit(NonZeroUsize::MIN).build();
        let _guard = group.guard().unwrap();
        assert!(group.guard_when_room().block().is_err());
        assert!(matches!(group.token().reason(), Some(Reason::Deadline)));
    }

    /// `docs/design.md`, The cancellation tree: a blocking wait on a group fires the deadline above it.
    #[test]
    fn a_blocking_wait_on_a_group_fires_the_deadline_above_it() {
        let root = CancelScope::new();
        let (scope, _expiry) = open_for_a_moment(&root);
        let group = TaskGroup::builder().parent(scope.token()).build();
        let child = group.child().unwrap();
        let guard = child.guard().unwrap();
        guard.closed().block();
        assert!(matches!(child.token().reason(), Some(Reason::Deadline)));
        let thread = thread::spawn(move || drop(guard));
        assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Forced);
        thread.join().unwrap();
        assert!(!root.token().is_cancelled());
    }
}
