//! Rules 11, 18: what an operation has deferred is run whole, on every path. The case that shows it is a
//! queue for places that a close dismisses: each wait is woken once, though one of the wakers panics.

#![cfg(not(loom))]

mod common;

use core::future::{Ready, pending, ready};
use core::num::NonZeroUsize;
use core::task::Poll;

use common::{Bell, Foreign, look, panic_of, panic_quietly, poll};
use winddown::future::TrackedErr;
use winddown::{CancelScope, ErrGroup, Refused, TaskGroup, TaskGuard};

/// How many wait in the queue.
const QUEUE: usize = 4;

/// Has `QUEUE` waits behind the tasks of `host`'s group, the waker of the one at `bad` panics, and `end`
/// closes the group. Gives the text of the panic that comes out of that.
fn dismiss(path: &str, host: &TaskGuard, bad: usize, end: impl FnOnce()) -> String {
    let hostile = Foreign::new().on_wake(|| panic_quietly("a waker")).share();
    let bells = [(); QUEUE].map(|()| Bell::new());
    let mut waits: Vec<_> = (0..QUEUE)
        .map(|at| {
            let mut wait = host.group().guard_when_room();
            let waker = if at == bad { hostile.waker() } else { bells[at].waker() };
            assert!(poll(&mut wait, &waker).is_pending(), "{path}: there is no room");
            wait
        })
        .collect();
    let text = panic_of(end);
    for (at, bell) in bells.iter().enumerate() {
        let rings = if at == bad { hostile.woken() } else { bell.rings() };
        assert_eq!(rings, 1, "{path}: the wait at {at}, where the one at {bad} panics");
    }
    for wait in &mut waits {
        assert!(matches!(look(wait), Poll::Ready(Err(Refused::Closed))), "{path}");
    }
    text
}

/// A group below a token, with two places and two tasks inside, and whatever can close it.
struct Held {
    scope: Option<CancelScope>,
    group: Option<ErrGroup<&'static str>>,
    guard: Option<TaskGuard>,
    task: TrackedErr<Ready<Result<(), &'static str>>, &'static str>,
}

impl Held {
    /// Beside it, a guard that is inside past the limit, and closes nothing.
    fn new() -> (Self, TaskGuard) {
        let scope = CancelScope::new();
        let limit = NonZeroUsize::new(2).unwrap();
        let group = TaskGroup::builder().limit(limit).parent(scope.token()).build_err();
        let guard = group.group().guard().unwrap();
        let task = group.try_track(ready(Err("the task failed"))).unwrap();
        let host = guard.clone();
        (Self { scope: Some(scope), group: Some(group), guard: Some(guard), task }, host)
    }

    fn group(&self) -> &TaskGroup {
        self.group.as_ref().unwrap().group()
    }

    fn take_guard(&mut self) -> TaskGuard {
        self.guard.take().unwrap()
    }
}

/// Ends the group, and leaves all else in `Held` to be dropped later.
type Path = fn(&mut Held);

/// Rule 18: by its own handles, its guards, its errors, its waits, and from above.
const PATHS: [(&str, Path); 15] = [
    ("close", |held| assert!(held.group().close())),
    ("cancel", |held| assert!(held.group().cancel())),
    ("cancel_with", |held| held.group().cancel_with("enough").unwrap()),
    ("cancel_with an error", |held| {
        let error = "x".parse::<u8>().unwrap_err();
        held.group().cancel_with(error).unwrap();
    }),
    ("the last handle", |held| drop(held.group.take())),
    ("a guard that cancels when it is dropped", |held| drop(held.take_guard().cancel_on_drop())),
    ("a guard that cancels and leaves", |held| drop(held.take_guard().cancel_on_drop().leave())),
    ("a tracked future whose guard cancels", |held| {
        let _ = look(&mut held.take_guard().cancel_on_drop().track(ready(())));
    }),
    ("a poll of a join", |held| assert!(look(&mut held.group().join()).is_pending())),
    ("a poll of a join for errors", |held| {
        let group = held.group.as_ref().unwrap();
        assert!(look(&mut group.join()).is_pending());
    }),
    ("a poll of a shutdown", |held| {
        assert!(look(&mut held.group().shutdown(pending::<()>())).is_pending());
    }),
    ("the token above", |held| assert!(held.scope.as_ref().unwrap().cancel())),
    ("the scope above", |held| drop(held.scope.take())),
    ("a recorded error", |held| held.group.as_ref().unwrap().record("failed").unwrap()),
    ("a task that fails", |held| assert!(look(&mut held.task).is_ready())),
];

/// Rule 18: the panic of the waker goes on afterwards.
#[test]
fn a_dismissed_queue_is_woken_whole_on_every_path() {
    for (name, path) in PATHS {
        for bad in 0..QUEUE {
            let (mut held, host) = Held::new();
            let text = dismiss(name, &host, bad, || path(&mut held));
            assert_eq!(text, "a waker", "{name}");
            drop(host);
        }
    }
}

/// Rule 18: the same while a panic unwinds. That one goes on, and nothing aborts.
#[cfg(feature = "std")]
#[test]
fn a_dismissed_queue_is_woken_whole_while_a_panic_unwinds() {
    /// Takes the path when it is dropped.
    struct OnTheWayOut<'a>(&'a mut Held, Path);
    impl Drop for OnTheWayOut<'_> {
        fn drop(&mut self) {
            (self.1)(self.0);
        }
    }
    for (name, path) in PATHS {
        let (mut held, host) = Held::new();
        let text = dismiss(name, &host, 0, || {
            let _on_the_way_out = OnTheWayOut(&mut held, path);
            panic_quietly("foreign code")
        });
        assert_eq!(text, "foreign code", "{name}");
    }
}

/// Rules 2, 15: a task panics, and its guard cancels the group while that unwinds.
#[cfg(feature = "std")]
#[test]
fn a_task_that_panics_dismisses_the_queue_and_does_not_abort() {
    let ends: [fn(TaskGuard); 4] = [
        |guard| {
            let _guard = guard.cancel_on_panic();
            panic_quietly("the task")
        },
        |guard| {
            let _guard = guard.cancel_on_drop();
            panic_quietly("the task")
        },
        |guard| {
            let _guard = guard.cancel_on_drop().cancel_on_panic();
            panic_quietly("the task")
        },
        |guard| {
            let task = async { panic_quietly("the task") };
            let _ = look(&mut Box::pin(guard.cancel_on_panic().track(task)));
        },
    ];
    for end in ends {
        for bad in 0..QUEUE {
            let (mut held, host) = Held::new();
            let guard = held.take_guard();
            let text = dismiss("a task that panics", &host, bad, || end(guard));
            assert_eq!((text.as_str(), held.group().panics()), ("the task", 1));
        }
    }
}

/// Rules 17, 18: the queue of a child, from all that reaches it from above.
#[test]
fn a_queue_below_is_woken_whole_by_what_ends_the_groups_above() {
    struct Above {
        scope: CancelScope,
        root: Option<TaskGroup>,
        guard: Option<TaskGuard>,
        errors: ErrGroup<u8>,
    }
    type Path = fn(&mut Above);
    let paths: [(&str, Path); 7] = [
        ("close", |above| assert!(above.root.as_ref().unwrap().close())),
        ("cancel", |above| assert!(above.root.as_ref().unwrap().cancel())),
        ("the last handle", |above| drop(above.root.take())),
        ("a guard", |above| drop(above.guard.take().unwrap().cancel_on_drop())),
        ("a shutdown", |above| {
            let root = above.root.as_ref().unwrap();
            let _ = look(&mut root.shutdown(ready(())));
        }),
        ("the token", |above| assert!(above.scope.cancel())),
        ("an error", |above| above.errors.record(1).unwrap()),
    ];
    for (name, path) in paths {
        for bad in 0..QUEUE {
            let scope = CancelScope::new();
            let errors = TaskGroup::builder().parent(scope.token()).build_err();
            let root = errors.group().child().unwrap();
            let middle = root.child().unwrap();
            let builder = TaskGroup::builder().limit(NonZeroUsize::MIN);
            let below = middle.child_with(builder).unwrap();
            let host = below.guard().unwrap();
            let guard = Some(root.guard().unwrap());
            let mut above = Above { scope, root: Some(root), guard, errors };
            let text = dismiss(name, &host, bad, || path(&mut above));
            assert_eq!(text, "a waker", "{name}");
        }
    }
}
