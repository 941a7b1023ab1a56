//! Rule 18: in which order an operation does what it has deferred. First what is the crate's own: groups
//! without a finaliser that come to their end, and those that wait for them. Then wakers. Then callbacks, which
//! may wait for what has been woken. Then finalisers, each followed by the drain behind it.

#![cfg(not(loom))]

mod common;

use std::sync::{Arc, Mutex};

use common::{Foreign, look, poll};
use winddown::{CancelScope, TaskGroup, TaskGuard};

/// What foreign code found, in the order in which it ran.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn taken(&self) -> Vec<String> {
        core::mem::take(&mut self.0.lock().unwrap())
    }

    /// A finaliser that says so.
    fn finaliser(&self, name: &'static str) -> impl FnOnce() + Send + use<> {
        let log = self.clone();
        move || log.note(format!("{name} is finalised"))
    }
}

/// Which of two groups, one without a finaliser and one with, are drained.
fn seen(plain: &TaskGroup, finalised: &TaskGroup) -> String {
    format!("plain {}, finalised {}", plain.is_drained(), finalised.is_drained())
}

/// Rules 16, 18: wakers, and callbacks behind them, find a group drained that has no finaliser, and one that has not
/// drained yet; of the finalisers each runs before the waits for its own drain are over.
#[test]
fn own_work_comes_first_and_finalisers_come_last() {
    let (log, scope) = (Log::default(), CancelScope::new());
    let below = || TaskGroup::builder().parent(scope.token());
    let plain = below().build();
    let finalised = below().finally(log.finaliser("the first")).build();
    let second = below().finally(log.finaliser("the second")).build();
    let behind_both = TaskGroup::builder().link(&plain).link(&finalised).build();
    behind_both.close();

    let waker = |name: &'static str| {
        let (log, plain, finalised) = (log.clone(), plain.clone(), finalised.clone());
        let wake = move || log.note(format!("{name}: {}", seen(&plain, &finalised)));
        Foreign::new().on_wake(wake).into_waker()
    };
    let mut cancelled = scope.token().cancelled();
    assert!(poll(&mut cancelled, &waker("waker of the token")).is_pending());
    let mut drains = [&second, &finalised, &plain, &behind_both].map(TaskGroup::drained);
    let names = ["the second drain", "the first drain", "the plain drain", "the linked drain"];
    for (drain, name) in drains.iter_mut().zip(names) {
        assert!(poll(drain, &waker(name)).is_pending());
    }
    let registrations = [scope.token(), plain.token(), finalised.token()].map(|token| {
        let (log, plain, finalised) = (log.clone(), plain.clone(), finalised.clone());
        token.on_cancel(move || log.note(format!("callback: {}", seen(&plain, &finalised))))
    });

    assert!(scope.cancel());
    let log = log.taken();
    let (early, late) = log.split_at(5);
    let all_early = |what: &str, count| {
        let of_it: Vec<_> = early.iter().filter(|it| it.starts_with(what)).collect();
        assert_eq!(of_it.len(), count, "{log:?}");
        assert!(of_it.iter().all(|it| it.ends_with("plain true, finalised false")), "{log:?}");
    };
    assert!(early[2..].iter().all(|it| it.starts_with("callback")), "behind the wakers: {log:?}");
    all_early("callback", 3);
    all_early("waker of the token", 1);
    all_early("the plain drain", 1);
    let late: Vec<_> = late.iter().map(String::as_str).collect();
    assert_eq!(
        late,
        [
            "the first is finalised",
            "the first drain: plain true, finalised true",
            "the linked drain: plain true, finalised true",
            "the second is finalised",
            "the second drain: plain true, finalised true",
        ]
    );
    assert!(drains.iter_mut().all(|drain| look(drain).is_ready()));
    drop(registrations);
}

/// Rules 16, 18: a finaliser finds the groups below drained, and its own and those above not.
#[test]
fn a_finaliser_runs_between_the_drains_below_and_those_above() {
    let log = Log::default();
    let groups: Arc<Mutex<Vec<TaskGroup>>> = Arc::default();
    let builder = || {
        let (log, groups) = (log.clone(), Arc::clone(&groups));
        TaskGroup::builder().finally(move || {
            let groups = groups.lock().unwrap();
            let drained: Vec<_> = groups.iter().map(|it| u8::from(it.is_drained())).collect();
            log.note(format!("{drained:?}"));
        })
    };
    let top = builder().build();
    let middle = top.child_with(builder()).unwrap();
    let bottom = middle.child_with(builder()).unwrap();
    let linked = TaskGroup::builder().link(&top).build();
    linked.close();
    groups.lock().unwrap().extend([bottom, middle, top.clone(), linked]);
    top.close();
    assert_eq!(log.taken(), ["[0, 0, 0, 0]", "[1, 0, 0, 0]", "[1, 1, 0, 0]"]);
    let groups = core::mem::take(&mut *groups.lock().unwrap());
    assert!(groups.iter().all(TaskGroup::is_drained));
}

/// Rules 15, 18: the last task leaves, and that cancels: it has left when callbacks run.
#[test]
fn a_task_has_left_when_its_own_cancel_is_heard() {
    type Leave = fn(TaskGuard);
    let leaves: [(&str, Leave); 3] = [
        ("a drop", |guard| drop(guard.cancel_on_drop())),
        ("a leave", |guard| drop(guard.cancel_on_drop().leave())),
        ("a tracked future", |guard| {
            let task = guard.cancel_on_drop().track(core::future::ready(()));
            assert!(look(&mut Box::pin(task)).is_ready());
        }),
    ];
    for (name, leave) in leaves {
        let (log, group) = (Log::default(), TaskGroup::new());
        let (heard, own) = (log.clone(), group.clone());
        let tell = move || heard.note(format!("{} inside, {}", own.len(), own.is_drained()));
        let _registration = group.token().on_cancel(tell);
        leave(group.guard().unwrap());
        assert_eq!(log.taken(), ["0 inside, true"], "{name}");
    }
    let group = TaskGroup::builder().build_err::<&str>();
    let (log, own) = (Log::default(), group.group().clone());
    let heard = log.clone();
    let tell = move || heard.note(format!("{} inside, {}", own.len(), own.is_drained()));
    let _registration = group.group().token().on_cancel(tell);
    let mut task = group.try_track(core::future::ready(Err("it failed"))).unwrap();
    assert!(look(&mut task).is_ready());
    assert_eq!(log.taken(), ["0 inside, true"], "a task that fails");
}

/// Rule 18: a callback waits for what is below it, and the thread that cancels is the one that waits.
#[cfg(feature = "std")]
mod a_join_in_a_callback {
    use core::num::NonZeroUsize;
    use core::time::Duration;
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::common::never_but_tell;
    use winddown::{CancelToken, ErrGroup};

    /// Comes only if the wait never ends.
    const LONG: Duration = Duration::from_secs(60);

    /// Groups below a scope: the callback waits for the first, and there may be a task in the last.
    type Below = Vec<TaskGroup>;

    fn builder(above: &CancelToken) -> winddown::TaskGroupBuilder {
        TaskGroup::builder().parent(above)
    }

    type Shape = (&'static str, fn(&CancelToken) -> Below);

    const TREES: [Shape; 4] = [
        ("a group", |above| vec![builder(above).build()]),
        ("a group with a limit", |above| vec![builder(above).limit(NonZeroUsize::MIN).build()]),
        ("a child with a limit", |above| {
            let parent = builder(above).build();
            let limit = TaskGroup::builder().limit(NonZeroUsize::MIN);
            let child = parent.child_with(limit).unwrap();
            vec![parent, child]
        }),
        ("a chain of children", |above| {
            let mut chain = vec![builder(above).build()];
            for at in 0..20 {
                let below = chain[at].child().unwrap();
                chain.push(below);
            }
            chain
        }),
    ];

    /// All are below the scope, since a link neither closes nor cancels.
    const LINKS: [Shape; 2] = [
        ("a group that is linked to another", |above| {
            let other = builder(above).build();
            vec![builder(above).link(&other).build(), other]
        }),
        ("a chain of links", |above| {
            let mut chain = vec![builder(above).build()];
            for _ in 0..20 {
                let linked = builder(above).link(&chain[0]).build();
                chain.insert(0, linked);
            }
            chain
        }),
    ];

    /// A task that sleeps until its token is cancelled: its waker is woken by the same delivery, before the
    /// callback that waits for it.
    fn busy(group: &TaskGroup) -> thread::JoinHandle<()> {
        let (guard, (tell, sleeps)) = (group.guard().unwrap(), mpsc::channel());
        let task = thread::spawn(move || {
            let _ = guard.token().cancelled().until(never_but_tell(tell)).block();
        });
        sleeps.recv().unwrap();
        task
    }

    /// Has a callback on `token` wait for the first of `groups`, with a task in the last or without, and
    /// cancels.
    fn assert_joins(
        name: &str,
        groups: &Below,
        token: &CancelToken,
        is_busy: bool,
        end: &Canceller,
    ) {
        let worker = is_busy.then(|| busy(groups.last().unwrap()));
        let (waits, (tell, told)) = (groups[0].clone(), mpsc::channel());
        let _registration = token.on_cancel(move || {
            let was_drained = waits.is_drained();
            let joined = waits.join().block_for(LONG).is_ok();
            tell.send((was_drained, joined)).unwrap();
        });
        end();
        let (was_drained, joined) = told.recv().unwrap();
        assert!(joined, "{name}, busy: {is_busy}");
        assert!(is_busy || was_drained, "{name}: it was idle");
        worker.into_iter().for_each(|it| it.join().unwrap());
    }

    type Canceller<'a> = dyn Fn() -> bool + 'a;

    /// Rule 18: it does not matter whether a task is inside.
    #[test]
    fn of_a_scope_ends_whether_the_groups_below_are_busy_or_idle() {
        for (name, shape) in TREES.into_iter().chain(LINKS) {
            for is_busy in [false, true] {
                let scope = CancelScope::new();
                let groups = shape(scope.token());
                assert_joins(name, &groups, scope.token(), is_busy, &|| scope.cancel());
            }
        }
    }

    /// Rule 18: the same on the token of the group that it waits for, or of the last below that.
    #[test]
    fn of_the_groups_own_token_ends_whether_it_is_busy_or_idle() {
        for (name, shape) in TREES {
            for is_busy in [false, true] {
                for of_last in [false, true] {
                    for from_above in [false, true] {
                        let scope = CancelScope::new();
                        let groups = shape(scope.token());
                        let of = if of_last { groups.last().unwrap() } else { &groups[0] };
                        let end = || if from_above { scope.cancel() } else { groups[0].cancel() };
                        assert_joins(name, &groups, of.token(), is_busy, &end);
                    }
                }
            }
        }
    }

    /// Rules 15, 18: its answer is there as well.
    #[test]
    fn has_the_errors_of_a_group_whether_it_is_busy_or_idle() {
        for is_busy in [false, true] {
            let scope = CancelScope::new();
            let parent = builder(scope.token()).build();
            let root = builder(scope.token()).cancel_on_error(false).build_err();
            let groups: [ErrGroup<&str>; 2] = [root, parent.child_err().unwrap()];
            groups[0].record("before the end").unwrap();
            let workers = groups.each_ref().map(|group| is_busy.then(|| busy(group.group())));
            let ((tell, told), waits) = (mpsc::channel(), groups.clone());
            let _registration = scope.token().on_cancel(move || {
                for group in waits {
                    let answer = group.join().block_for(LONG).expect("it ends");
                    tell.send(answer.err().map(|it| it.first().copied())).unwrap();
                }
            });
            assert!(scope.cancel());
            assert_eq!(told.recv(), Ok(Some(Some("before the end"))));
            assert_eq!(told.recv(), Ok(None));
            workers.into_iter().flatten().for_each(|it| it.join().unwrap());
        }
    }

    /// Rules 17, 18: of a parent, whose cancel reaches its children.
    #[test]
    fn of_a_parents_token_may_wait_for_its_children() {
        for is_busy in [false, true] {
            let parent = TaskGroup::new();
            let children = [(); 3].map(|()| parent.child().unwrap());
            let worker = is_busy.then(|| busy(&children[2]));
            let ((tell, told), waits) = (mpsc::channel(), children.clone());
            let _registration = parent.token().on_cancel(move || {
                let all = waits.iter().all(|it| it.join().block_for(LONG).is_ok());
                tell.send(all).unwrap();
            });
            assert!(parent.cancel());
            assert_eq!(told.recv(), Ok(true), "busy: {is_busy}");
            worker.into_iter().for_each(|it| it.join().unwrap());
            assert!(parent.is_drained());
        }
    }

    /// Rules 10, 18: on a token that is cancelled it runs at once, and finds the same.
    #[test]
    fn that_runs_at_once_finds_idle_groups_drained() {
        let scope = CancelScope::new();
        let (group, child) = (builder(scope.token()).build(), scope.token().child());
        let guard = group.guard().unwrap();
        scope.cancel();
        drop(guard);
        let (tell, told) = mpsc::channel();
        let waits = group.clone();
        let _registration = child.token().on_cancel(move || {
            tell.send(waits.join().block_for(LONG).is_ok()).unwrap();
        });
        assert_eq!(told.recv(), Ok(true));
    }
}
