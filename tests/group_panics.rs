//! Rules 11, 15, 16, 18: panics of tasks, finalisers, wakers and callbacks, on every path of a group. Without
//! `std` as well, on a host that unwinds; but there a second panic in one delivery may abort.

#![cfg(not(loom))]

mod common;

use core::future::{pending, poll_fn, ready};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use common::{Bell, Drops, Foreign, look, panic_of, panic_quietly, poll};
use winddown::{CancelScope, Stopped, TaskGroup, TaskGroupBuilder, TaskGuard};

/// A group whose finaliser panics.
fn panicking(text: &'static str) -> TaskGroup {
    TaskGroup::builder().finally(move || panic_quietly(text)).build()
}

/// Counts how often its finaliser runs.
fn counting(ran: &Arc<AtomicUsize>) -> TaskGroupBuilder {
    let ran = Arc::clone(ran);
    TaskGroup::builder().finally(move || {
        ran.fetch_add(1, Ordering::Relaxed);
    })
}

/// Rule 2, 15: noticed on every way out, and not caught.
#[cfg(feature = "std")]
#[test]
fn a_task_that_panics_is_counted_out_and_noticed() {
    let group = TaskGroup::new();
    let mut future = Box::pin(group.track(async { panic_quietly("future") }).unwrap());
    assert_eq!(panic_of(|| look(&mut future)), "future");
    assert_eq!((group.len(), group.panics()), (0, 1));
    let guard = group.guard().unwrap();
    let thread = std::thread::spawn(move || {
        let _guard = guard;
        panic_quietly("thread")
    });
    assert!(thread.join().is_err());
    assert_eq!((group.len(), group.panics()), (0, 2));
    assert!(!group.is_closed(), "unless it is told to, a panic cancels nothing");
    drop(group.guard().unwrap());
    assert_eq!(group.panics(), 2);
}

/// Rule 15: a guard that was made while its thread unwinds tells of no new panic.
#[cfg(feature = "std")]
#[test]
fn cleaning_up_after_a_panic_is_none() {
    struct CleansUp<'a>(&'a TaskGroup);
    impl Drop for CleansUp<'_> {
        fn drop(&mut self) {
            let guard = self.0.guard().unwrap().cancel_on_panic();
            drop(guard.clone());
        }
    }
    let group = TaskGroup::new();
    let text = panic_of(|| {
        let _cleans_up = CleansUp(&group);
        panic_quietly("elsewhere")
    });
    assert_eq!((text.as_str(), group.panics()), ("elsewhere", 0));
    assert!(!group.token().is_cancelled() && group.is_empty());
}

/// Rule 16: a finaliser that panics counts as run. Every wait is over, and the panic goes to the caller that
/// ended the group, on each way of ending it.
#[test]
fn a_finaliser_that_panics_has_run() {
    let ends: [fn(TaskGroup, TaskGuard); 8] = [
        |group, guard| {
            drop(guard);
            group.close();
        },
        |group, guard| {
            group.close();
            drop(guard);
        },
        |group, guard| {
            drop(group);
            drop(guard);
        },
        |group, guard| {
            drop(guard);
            drop(group);
        },
        |_, guard| drop(guard.cancel_on_drop()),
        |group, guard| {
            group.cancel();
            drop(guard.leave());
        },
        |group, guard| {
            drop(guard);
            let _ = look(&mut group.join());
        },
        |group, guard| {
            drop(guard);
            let _ = look(&mut group.shutdown(pending::<()>()));
        },
    ];
    for end in ends {
        let group = panicking("at the end");
        let observer = TaskGroup::builder().link(&group).build();
        observer.close();
        let (bell, guard) = (Bell::new(), group.guard().unwrap());
        let token = group.token().clone();
        let callback = Arc::clone(&bell);
        token.on_cancel(move || callback.waker().wake()).detach();
        assert_eq!(panic_of(|| end(group, guard)), "at the end");
        assert!(observer.is_drained(), "a wait behind it goes on");
        assert!(token.is_cancelled());
        assert_eq!(bell.rings(), 1);
    }
}

/// Rule 16: the waits for the drain are woken, and later waits are over at once.
#[test]
fn waits_end_although_the_finaliser_panicked() {
    let group = panicking("at the end");
    let guard = group.guard().unwrap();
    let bells = [(); 3].map(|()| Bell::new());
    let (mut join, mut drained) = (group.join(), group.drained());
    let mut shutdown = group.shutdown(pending::<()>());
    assert!(poll(&mut join, &bells[0].waker()).is_pending());
    assert!(poll(&mut drained, &bells[1].waker()).is_pending());
    assert!(poll(&mut shutdown, &bells[2].waker()).is_pending());
    assert_eq!(panic_of(|| drop(guard)), "at the end");
    assert!(bells.iter().all(|bell| bell.rings() == 1));
    assert!(look(&mut join).is_ready() && look(&mut drained).is_ready());
    assert_eq!(look(&mut shutdown), Poll::Ready(Stopped::Gracefully));
    assert!(!group.close());
}

/// A join whose first poll ends the group panics once, and is over when it is polled again.
#[test]
fn a_join_that_panicked_may_be_polled_again() {
    let group = panicking("at the end");
    let mut join = group.join();
    assert_eq!(panic_of(|| look(&mut join)), "at the end");
    assert!(look(&mut join).is_ready());
}

/// Rule 18: a drop while the thread unwinds adds no second panic, and the group still ends.
#[cfg(feature = "std")]
#[test]
fn a_finaliser_that_panics_during_a_panic_does_not_abort() {
    let group = panicking("second");
    let guard = group.guard().unwrap().cancel_on_panic();
    let text = panic_of(|| {
        let _guard = guard;
        panic_quietly("first")
    });
    assert_eq!((text.as_str(), group.is_drained(), group.panics()), ("first", true, 1));
}

/// Rule 18: a chain of children whose finalisers all panic is drained to its root; one panic goes on.
#[cfg(feature = "std")]
#[test]
fn panics_on_the_way_up_do_not_stop_a_drain() {
    let ran = Arc::new(AtomicUsize::new(0));
    let builder = || {
        let ran = Arc::clone(&ran);
        TaskGroup::builder().finally(move || {
            ran.fetch_add(1, Ordering::Relaxed);
            panic_quietly("one of them")
        })
    };
    let mut chain = vec![builder().build()];
    for _ in 0..10 {
        let below = chain.last().unwrap().child_with(builder()).unwrap();
        chain.push(below);
    }
    let guard = chain.last().unwrap().guard().unwrap();
    let bell = Bell::new();
    let mut wait = chain[0].join();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    assert_eq!(panic_of(|| drop(guard)), "one of them");
    assert_eq!((ran.load(Ordering::Relaxed), bell.rings()), (11, 1));
    assert!(look(&mut wait).is_ready());
}

/// Rule 18: groups below each other, and one that is linked to the first, come to their end by one guard. One
/// finaliser panics, or the waker of one wait.
#[test]
fn a_panic_in_one_drain_leaves_no_group_undrained() {
    for (bad, in_finaliser) in (0..5).flat_map(|bad| [(bad, false), (bad, true)]) {
        let builder = |at| {
            let panics = in_finaliser && at == bad;
            TaskGroup::builder().finally(move || {
                if panics {
                    panic_quietly("one of them")
                }
            })
        };
        let mut groups = vec![builder(0).build()];
        for at in 1..4 {
            let below = groups[at - 1].child_with(builder(at)).unwrap();
            groups.push(below);
        }
        let guard = groups[3].guard().unwrap();
        groups.push(builder(4).link(&groups[0]).build());
        assert!(groups[0].close() && groups[4].close());
        let bell = Bell::new();
        let mut waits: Vec<_> = groups.iter().map(TaskGroup::drained).collect();
        for (at, wait) in waits.iter_mut().enumerate() {
            let hostile = Foreign::new().on_wake(|| panic_quietly("one of them"));
            let panics = !in_finaliser && at == bad;
            let waker = if panics { hostile.into_waker() } else { bell.waker() };
            assert!(poll(wait, &waker).is_pending());
        }
        assert_eq!(panic_of(|| drop(guard)), "one of them");
        assert!(waits.iter_mut().all(|wait| look(wait).is_ready()), "{bad}, {in_finaliser}");
        assert!(groups.iter().all(|it| it.is_drained() && it.is_empty()));
        assert_eq!(bell.rings(), if in_finaliser { 5 } else { 4 });
    }
}

/// Rule 11: a waker that panics does not keep other waits from being woken, at the close, the cancel and the drain.
#[test]
fn a_waker_that_panics_keeps_nobody_from_running() {
    let group = TaskGroup::new();
    let child = group.child().unwrap();
    let mut guard = Some(child.guard().unwrap());
    // Without `std` a second panic in one delivery may abort.
    let bad = if cfg!(feature = "std") { 3 } else { 1 };
    let hostile = Foreign::new().on_wake(|| panic_quietly("a waker")).share();
    let bell = Bell::new();
    for level in 0..3 {
        let mut waits: Vec<_> = (0..6)
            .map(|at| {
                let of = if at % 2 == 0 { &group } else { &child };
                let wait = async move {
                    match level {
                        0 => of.closed().await,
                        1 => of.token().cancelled().await,
                        _ => of.drained().await,
                    }
                };
                Box::pin(wait)
            })
            .collect();
        for (at, wait) in waits.iter_mut().enumerate() {
            let waker = if at < bad { hostile.waker() } else { bell.waker() };
            assert!(poll(wait, &waker).is_pending());
        }
        let text = panic_of(|| match level {
            0 => group.close(),
            1 => group.cancel(),
            _ => guard.take().is_some_and(|guard| guard.leave().is_closed()),
        });
        assert_eq!(text, "a waker");
        assert_eq!((hostile.woken(), bell.rings()), (bad * (level + 1), (6 - bad) * (level + 1)));
        assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
    }
}

/// Rule 11: callbacks on the group's token that panic, from every path that cancels.
#[test]
fn a_callback_that_panics_keeps_the_group_going() {
    let cancels: [fn(&TaskGroup, &CancelScope, TaskGuard); 4] = [
        |group, _, guard| {
            let _guard = guard;
            group.cancel();
        },
        |_, scope, guard| {
            let _guard = guard;
            scope.cancel();
        },
        |_, _, guard| drop(guard.cancel_on_drop()),
        |group, _, guard| {
            let _guard = guard;
            let _ = look(&mut group.shutdown(ready(())));
        },
    ];
    for cancel in cancels {
        let scope = CancelScope::new();
        let group = TaskGroup::builder().parent(scope.token()).build();
        let guard = group.guard().unwrap();
        let bell = Bell::new();
        let callback = Arc::clone(&bell);
        group.token().on_cancel(|| panic_quietly("a callback")).detach();
        group.token().on_cancel(move || callback.waker().wake()).detach();
        assert_eq!(panic_of(|| cancel(&group, &scope, guard)), "a callback");
        assert_eq!(bell.rings(), 1);
        assert!(group.is_drained());
    }
}

/// A builder whose group ends at birth lets the panic out, and leaves nothing half-made.
#[test]
fn a_finaliser_may_panic_at_birth() {
    let scope = CancelScope::new();
    scope.cancel();
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let builder = TaskGroup::builder().parent(scope.token()).finally(move || {
        drop(inside);
        panic_quietly("at birth")
    });
    assert_eq!(panic_of(|| builder.build()), "at birth");
    assert_eq!(Arc::strong_count(&held), 1);
}

/// Rules 16, 19: a builder has the last handles of what it links to, so those groups end while it builds. The
/// new one is whole: it ends as well, once, and behind them.
#[test]
fn a_group_is_built_whole_though_the_groups_that_it_is_linked_to_panic() {
    let sets = [vec![0], vec![1], vec![2], vec![0, 1, 2]];
    let possible = if cfg!(feature = "std") { 4 } else { 3 };
    for (bad, with_errors) in sets[..possible].iter().flat_map(|it| [(it, false), (it, true)]) {
        let (ran, ended) = (Arc::default(), Arc::default());
        let links = [0, 1, 2].map(|at| {
            if bad.contains(&at) { panicking("a link") } else { counting(&ended).build() }
        });
        let builder = links.iter().fold(counting(&ran), TaskGroupBuilder::link);
        drop(links);
        let text = if with_errors {
            panic_of(|| builder.build_err::<u8>())
        } else {
            panic_of(|| builder.build())
        };
        assert_eq!((text.as_str(), ran.load(Ordering::Relaxed)), ("a link", 1), "{bad:?}");
        assert_eq!(ended.load(Ordering::Relaxed), 3 - bad.len());
        assert_eq!((Arc::strong_count(&ran), Arc::strong_count(&ended)), (1, 1), "none is left");
    }
}

/// A grace that panics leaves the shutdown as it was.
#[test]
fn a_grace_that_panics_has_not_ended() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    let mut polls = 0;
    let mut stop = group.shutdown(Box::pin(poll_fn(|_| {
        polls += 1;
        if polls == 1 { panic_quietly("a grace") } else { Poll::Ready(()) }
    })));
    assert!(catch_unwind(AssertUnwindSafe(|| look(&mut stop))).is_err());
    assert!(!group.token().is_cancelled());
    assert!(look(&mut stop).is_pending() && group.token().is_cancelled());
    drop(guard);
    assert_eq!(look(&mut stop), Poll::Ready(Stopped::Forced));
}

/// Rule 18: the end of a grace cancels, and the drop of the grace comes after that.
#[test]
fn a_grace_whose_drop_panics_has_cancelled() {
    let group = TaskGroup::new();
    let (drops, bell) = (Drops::default(), Bell::new());
    let guard = group.guard().unwrap();
    let mut heard = guard.token().cancelled();
    assert!(poll(&mut heard, &bell.waker()).is_pending());
    let fault = drops.panicking();
    let mut stop = group.shutdown(Box::pin(poll_fn(move |_| {
        let _ = &fault;
        Poll::Ready(())
    })));
    assert_eq!(panic_of(|| look(&mut stop)), "a drop");
    drops.assert_all_gone(1);
    assert_eq!((bell.rings(), look(&mut heard).is_ready()), (1, true));
    assert!(poll(&mut stop, &bell.waker()).is_pending(), "the task is inside");
    drop(heard);
    drop(guard);
    assert_eq!((bell.rings(), look(&mut stop)), (2, Poll::Ready(Stopped::Forced)));
}
