//! Rule 15: which panics count as the panic of a task. A task that leaves may run a foreign waker, callback or
//! finaliser. If that panics, the panic comes out of the task's last step, but the task has not panicked. A panic of
//! the task's own code counts from the moment at which the task has its guard.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{IntoFuture, Ready, ready};
use core::num::NonZeroUsize;
use core::task::Waker;

use common::{Foreign, limited, look, panic_of, panic_quietly, poll};
use winddown::{ErrGroup, Reason, Refused, TaskGroup};

fn bad_waker() -> Waker {
    Foreign::new().on_wake(|| panic_quietly("foreign code")).into_waker()
}

/// The only task of a group leaves.
type Leave = Box<dyn FnOnce()>;

/// How a task enters, and how it leaves.
type Way = (&'static str, fn(&ErrGroup<u8>) -> Leave);

const WAYS: [Way; 6] = [
    ("a drop", |group| {
        let guard = group.group().guard().unwrap();
        Box::new(|| drop(guard))
    }),
    ("a drop that would cancel after a panic", |group| {
        let guard = group.group().guard().unwrap().cancel_on_panic();
        Box::new(|| drop(guard))
    }),
    ("a leave", |group| {
        let guard = group.group().guard().unwrap().cancel_on_panic();
        Box::new(|| drop(guard.leave()))
    }),
    ("a tracked future", |group| {
        let mut task = group.group().track(ready(7)).unwrap();
        Box::new(move || assert!(look(&mut task).is_ready()))
    }),
    ("a tracked future that would cancel after a panic", |group| {
        let mut task = group.group().guard().unwrap().cancel_on_panic().track(ready(7));
        Box::new(move || assert!(look(&mut task).is_ready()))
    }),
    ("a task that succeeds", |group| {
        let mut task = group.try_track(ready(Ok(()))).unwrap();
        Box::new(move || assert!(look(&mut task).is_ready()))
    }),
];

/// The same where the end of the task cancels the group.
const CANCELLING_WAYS: [Way; 3] = [
    ("a drop that cancels", |group| {
        let guard = group.group().guard().unwrap().cancel_on_drop().cancel_on_panic();
        Box::new(|| drop(guard))
    }),
    ("a tracked future that cancels", |group| {
        let mut task = group.group().guard().unwrap().cancel_on_drop().track(ready(7));
        Box::new(move || assert!(look(&mut task).is_ready()))
    }),
    ("a task that fails", |group| {
        let mut task = group.try_track(ready(Err(7))).unwrap();
        Box::new(move || assert!(look(&mut task).is_ready()))
    }),
];

/// Foreign code that panics when the task of a group leaves, which is the only one in a group with a limit. Gives
/// the text of the panic.
type Trap = (&'static str, fn(&TaskGroup, &ErrGroup<u8>, Leave) -> String);

const TRAPS: [Trap; 6] = [
    ("a wait for the drain", |_, group, leave| {
        let mut wait = group.group().join();
        assert!(poll(&mut wait, &bad_waker()).is_pending());
        panic_of(leave)
    }),
    ("a wait for the errors", |_, group, leave| {
        let mut wait = group.join();
        assert!(poll(&mut wait, &bad_waker()).is_pending());
        panic_of(leave)
    }),
    ("a finaliser behind a link", |_, group, leave| {
        let finaliser = || panic_quietly("foreign code");
        let linked = TaskGroup::builder().link(group.group()).finally(finaliser).build();
        assert!(linked.close() && group.group().close());
        panic_of(leave)
    }),
    ("a wait behind a link", |_, group, leave| {
        let linked = TaskGroup::builder().link(group.group()).build();
        let mut wait = linked.join();
        assert!(poll(&mut wait, &bad_waker()).is_pending());
        group.group().close();
        panic_of(leave)
    }),
    ("a wait for the drain above", |above, _, leave| {
        let mut wait = above.join();
        assert!(poll(&mut wait, &bad_waker()).is_pending());
        panic_of(leave)
    }),
    ("a wait for a place above", |above, group, leave| {
        let mut wait = above.guard_when_room();
        assert!(poll(&mut wait, &bad_waker()).is_pending());
        group.group().close();
        panic_of(leave)
    }),
];

/// Those that wait for a cancel alone.
const CANCEL_TRAPS: [Trap; 3] = [
    ("a wait for the cancel", |_, group, leave| {
        let mut wait = group.group().token().cancelled();
        assert!(poll(&mut wait, &bad_waker()).is_pending());
        panic_of(leave)
    }),
    ("a callback", |_, group, leave| {
        let callback = || panic_quietly("foreign code");
        let _registration = group.group().token().on_cancel(callback);
        panic_of(leave)
    }),
    ("a callback below", |_, group, leave| {
        let below = group.group().token().child();
        let _registration = below.token().on_cancel(|| panic_quietly("foreign code"));
        panic_of(leave)
    }),
];

fn assert_foreign(ways: &[Way], traps: &[Trap]) {
    for ((way, enter), (name, trap)) in
        ways.iter().flat_map(|way| traps.iter().map(move |it| (way, it)))
    {
        let above = limited(1);
        let group = above.child_err().unwrap();
        let leave = enter(&group);
        assert_eq!(trap(&above, &group, leave), "foreign code", "{way}, {name}");
        assert!(group.group().is_empty(), "{way}, {name}: it has left");
        assert_eq!((group.group().panics(), above.panics()), (0, 0), "{way}, {name}");
        let why = group.group().token().reason();
        assert!(!matches!(why, Some(Reason::Panicked)), "{way}, {name}");
        let errors = group.join().block();
        let failed = *way == "a task that fails";
        assert_eq!(errors.err().and_then(|it| it.first().copied()), failed.then_some(7));
    }
}

#[test]
fn a_foreign_panic_that_comes_of_a_leave_is_not_the_tasks() {
    assert_foreign(&WAYS, &TRAPS);
    assert_foreign(&CANCELLING_WAYS, &TRAPS);
}

#[test]
fn a_foreign_panic_that_comes_of_a_cancel_is_not_the_tasks() {
    assert_foreign(&CANCELLING_WAYS, &CANCEL_TRAPS);
}

/// A place in the task's own group is passed on by its leave.
#[test]
fn a_foreign_panic_in_the_queue_is_not_the_tasks() {
    for (name, enter) in WAYS.iter().chain(&CANCELLING_WAYS) {
        let group = TaskGroup::builder().limit(NonZeroUsize::MIN).build_err();
        let leave = enter(&group);
        let mut wait = group.group().guard_when_room();
        assert!(poll(&mut wait, &bad_waker()).is_pending());
        assert_eq!(panic_of(leave), "foreign code", "{name}");
        assert_eq!(group.group().panics(), 0, "{name}");
        drop(wait);
        assert!(group.group().is_empty());
    }
}

/// A future that panics as it is made.
struct Unmade;

impl IntoFuture for Unmade {
    type Output = Result<(), u8>;
    type IntoFuture = Ready<Result<(), u8>>;

    fn into_future(self) -> Self::IntoFuture {
        panic_quietly("it is not to be made")
    }
}

/// A task is let in, and then made. If that panics, the task has panicked: its guard is dropped by the panic.
#[test]
fn a_task_that_panics_as_it_is_made_has_panicked() {
    let makes: [fn(&ErrGroup<u8>); 4] = [
        |group| drop(group.group().track(Unmade)),
        |group| drop(group.group().guard().unwrap().track(Unmade)),
        |group| drop(group.group().guard().unwrap().cancel_on_panic().track(Unmade)),
        |group| drop(group.try_track(Unmade)),
    ];
    for (at, make) in makes.into_iter().enumerate() {
        let group = ErrGroup::new();
        assert_eq!(panic_of(|| make(&group)), "it is not to be made");
        assert_eq!((group.group().panics(), group.group().len()), (1, 0));
        let why = group.group().token().reason();
        assert_eq!(matches!(why, Some(Reason::Panicked)), at == 2);
        let errors = group.join().block().unwrap_err();
        assert_eq!((errors.first(), errors.panics()), (None, 1));
    }
}

/// A task that is refused is not made.
#[test]
fn a_task_that_is_refused_is_not_made_and_has_not_panicked() {
    let group = ErrGroup::<u8>::new();
    group.group().close();
    assert_eq!(group.group().track(Unmade).unwrap_err(), Refused::Closed);
    assert_eq!(group.try_track(Unmade).unwrap_err(), Refused::Closed);
    assert_eq!(group.group().panics(), 0);
}
