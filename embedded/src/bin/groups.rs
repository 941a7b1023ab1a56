//! As `windows`, for groups of tasks: an interrupt closes, cancels, and drops the last guard, so that the
//! drain and the finaliser run in it; or it passes a place on; or it drops the last handle.
//!
//! `looks` and `ENDS` call what may be called from an interrupt, and the lists of operations are what is
//! interrupted.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::future::{pending, ready};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use winddown::{ErrGroup, Reason, Refused, TaskGroup, TaskGroupBuilder, TaskGuard};
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::interrupt::{Moment, sweep_freeing};
use winddown_embedded::waits::{
    Left, Wait, abandon, all_were_woken, forget_rings, once, park, twice, was_woken,
};
use winddown_embedded::{Slot, image, say, stack};

#[global_allocator]
static HEAP: Heap = Heap;

static FINALISED: AtomicU32 = AtomicU32::new(0);

image!(groups, measuring);

fn groups() {
    heap::start();
    stack::paint();
    for &(name, operation) in OPERATIONS {
        scenario(name, 0, 3, |now, turn| whole(now, operation, turn));
    }
    // Who is held up by the group has a block, which is freed where the group is drained.
    for &(name, operation) in HOLDING_UP {
        scenario(name, 1, 3, |now, turn| whole(now, operation, turn));
    }
    for &(name, operation) in HOLDING_UP_WITH_ERRORS {
        scenario(name, 2, 3, |now, turn| whole(now, operation, turn));
    }
    for &(name, operation) in BESIDE_A_CHILD {
        scenario(name, 2, 3, |now, turn| of_a_child(now, operation, turn));
    }
    for &(name, operation) in FOR_ROOM {
        scenario(name, 0, 2, |now, turn| room(now, operation, turn));
        scenario(&format!("{name}, raised"), 0, 2, |now, turn| raised(now, operation, turn));
    }
    scenario("room, each place once", 0, RAISES.len(), |now, turn| {
        each_place_once(now, RAISES[turn])
    });
    for &(name, operation) in WITHOUT_A_HANDLE {
        scenario(name, 0, 1, |now, _| last_handle(now, operation));
    }
    for &(name, operation) in WITH_ERRORS {
        scenario(name, 0, 1, |now, _| with_errors(now, operation));
    }
    assert_eq!(heap::in_use(), 0);
    say!("ok heap: nothing left; stack {} bytes at most", stack::high_water());
}

/// Sweeps over so many turns of a scenario, each of which drains one group and leaves nothing behind.
fn scenario(name: &str, may_free: usize, turns: usize, strike: impl Fn(&Moment, usize)) {
    let round = |now: &Moment, turn| {
        let before = heap::in_use();
        forget_rings();
        FINALISED.store(0, Relaxed);
        strike(now, turn);
        assert_eq!((heap::in_use(), FINALISED.load(Relaxed)), (before, 1));
    };
    let sweeps = (0..turns).map(|turn| sweep_freeing(may_free, |now| round(now, turn)));
    say!("ok {name}: {} rounds", sweeps.sum::<u32>());
}

fn builder() -> TaskGroupBuilder {
    TaskGroup::builder().finally(|| {
        critical_section::with(|_| FINALISED.store(FINALISED.load(Relaxed) + 1, Relaxed));
    })
}

fn with_limit(limit: usize) -> TaskGroup {
    builder().limit(NonZeroUsize::new(limit).unwrap()).build()
}

struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Begins every interrupt: enters if that may be, and looks.
fn looks(group: &TaskGroup, last: &TaskGuard) {
    drop(group.guard().map(|guard| guard.clone().label("clone")));
    drop(group.track(ready(())));
    drop(group.clone());
    assert!(!group.is_drained() && !group.is_empty());
    assert_ne!((group.len(), last.group().len()), (0, 0));
    // The group of `whole` has this one; those of `of_a_child` and `with_errors` have none.
    assert!(group.limit().is_none_or(|limit| limit.get() == 2));
    assert!(group.is_closed() || !group.token().is_cancelled());
    assert_eq!(last.token().is_cancelled(), group.token().is_cancelled());
    let _ = write!(Nowhere, "{group:?} {last:?}");
}

type End = fn(&TaskGroup, TaskGuard);

/// The interrupts, each of which closes, cancels and drops the last guard.
const ENDS: [End; 3] = [
    |group, last| {
        group.close();
        assert!(group.is_closed() && group.guard().is_err());
        group.cancel();
        assert!(group.token().is_cancelled());
        drop(last);
    },
    |group, last| {
        drop(last.cancel_on_drop());
        assert!(group.is_closed() && group.token().reason().is_some());
    },
    |group, last| {
        drop(last.leave());
        let first = !group.token().is_cancelled();
        assert_eq!(group.cancel_with(Reason::Failed).is_ok(), first);
    },
];

/// Some wait for the door, the token and the drain.
fn crowd(group: &TaskGroup, size: usize) -> Vec<Wait<'_>> {
    let three = |_| {
        let token = group.token().clone();
        [park(group.closed()), park(token.cancelled_owned()), park(group.drained())]
    };
    (0..size).flat_map(three).collect()
}

/// The group has room for the last guard and for one more.
fn whole(now: &Moment, operation: Operation, turn: usize) {
    let group = with_limit(2);
    let last = Slot::new(group.guard().ok());
    // Alone; behind one in the slot; and behind one who listens too.
    let crowd = crowd(&group, turn);
    let end = || {
        let Some(last) = last.take() else { return };
        looks(&group, &last);
        ENDS[turn](&group, last);
    };
    let left = now.strike(end, || operation(&group));
    was_woken(left);
    assert!(group.is_drained());
    all_were_woken(crowd);
}

/// The last guard is one of a child, whose drain is the group's.
fn of_a_child(now: &Moment, operation: Operation, turn: usize) {
    let group = builder().build();
    let child = group.child().unwrap();
    let last = Slot::new(child.guard().ok());
    let crowd = crowd(&group, turn);
    let end = || {
        let Some(last) = last.take() else { return };
        looks(&child, &last);
        group.close();
        assert!(child.is_closed() && child.guard().is_err());
        group.cancel();
        assert!(last.token().is_cancelled());
        drop(last);
        let _ = child.is_drained();
    };
    let left = now.strike(end, || operation(&group));
    was_woken(left);
    assert!(group.is_drained());
    all_were_woken(crowd);
}

/// The interrupt leaves the one place that there is to who waits for it.
fn room(now: &Moment, operation: Operation, waiting: usize) {
    let group = with_limit(1);
    let last = Slot::new(group.guard().ok());
    let ahead: Vec<_> = (0..waiting).map(|_| park(group.guard_when_room())).collect();
    let left = now.strike(|| drop(last.take()), || operation(&group));
    // Each has the place for a moment, and then the next.
    all_were_woken(ahead);
    was_woken(left);
    assert!(group.is_empty() && group.guard().is_ok());
}

/// The interrupt makes room for one more.
fn raised(now: &Moment, operation: Operation, waiting: usize) {
    let group = with_limit(1);
    let inside = group.guard();
    let ahead: Vec<_> = (0..waiting).map(|_| park(group.guard_when_room())).collect();
    let raise = || {
        assert_eq!(group.limit(), NonZeroUsize::new(1));
        group.set_limit(NonZeroUsize::new(2).unwrap()).unwrap();
        assert_eq!(group.limit(), NonZeroUsize::new(2));
    };
    let left = now.strike(raise, || operation(&group));
    // As above.
    all_were_woken(ahead);
    was_woken(left);
    assert_eq!((group.len(), group.limit()), (1, NonZeroUsize::new(2)));
    assert!(group.guard().is_ok());
    drop(inside);
}

/// How many wait already, and the limit that the interrupt sets: a place for each wait, or one that nobody wants.
const RAISES: [(usize, usize); 4] = [(0, 2), (0, 3), (1, 3), (1, 4)];

/// The interrupt raises the limit while the main thread asks for a place. Who gets one keeps it: none is lost, or given
/// twice.
fn each_place_once(now: &Moment, (waiting, limit): (usize, usize)) {
    let group = with_limit(1);
    let inside = group.guard().unwrap();
    let places = [const { Slot::new(None) }; 2];
    let enter = |place: usize| {
        let (group, place) = (&group, &places[place]);
        async move { place.set(group.guard_when_room().await.ok()) }
    };
    let ahead: Vec<_> = (0..waiting).map(|at| park(enter(at))).collect();
    let raise = || group.set_limit(NonZeroUsize::new(limit).unwrap()).unwrap();
    let left = now.strike(raise, || once(enter(waiting)));
    all_were_woken(ahead);
    was_woken(left);
    let kept: Vec<_> = places.iter().filter_map(Slot::take).collect();
    assert_eq!((kept.len(), group.len()), (waiting + 1, waiting + 2));
    // What nobody wanted is free.
    let rest: Vec<_> = (waiting + 2..limit).map(|_| group.guard().unwrap()).collect();
    assert_eq!(group.guard().err(), Some(Refused::Full));
    drop((inside, kept, rest));
}

/// The interrupt drops the last handle, while somebody is inside.
fn last_handle(now: &Moment, operation: OfGuard) {
    let group = builder().build();
    let inside = group.guard().unwrap();
    let crowd = [park(inside.closed())].into();
    let handle = Slot::new(Some(group));
    let left = now.strike(|| drop(handle.take()), || operation(&inside));
    was_woken(left);
    all_were_woken(crowd);
    assert_eq!(inside.group().len(), 1);
}

/// The drain of a group in which errors were recorded takes memory: it is the main thread's.
fn with_errors(now: &Moment, operation: OfErrors) {
    let errors = builder().keep_errors(2).build_err();
    let group = errors.group();
    let inside = group.guard().unwrap();
    let crowd = crowd(group, 1);
    let end = || {
        looks(group, &inside);
        drop(errors.try_track(ready(Ok(()))));
        group.close();
        group.cancel();
        assert!(errors.try_track(ready(Err(1))).is_err());
    };
    let left = now.strike(end, || operation(&errors));
    drop(inside);
    was_woken(left);
    all_were_woken(crowd);
}

type Operation = for<'a> fn(&'a TaskGroup) -> Left<'a>;
type OfGuard = for<'a> fn(&'a TaskGuard) -> Left<'a>;
type OfErrors = for<'a> fn(&'a ErrGroup<u8>) -> Left<'a>;

const OPERATIONS: &[(&str, Operation)] = &[
    ("guard, clone, drop", |group| {
        if let Ok(guard) = group.guard() {
            drop((guard.clone().label("clone"), guard));
        }
        None
    }),
    ("guard that cancels", |group| {
        drop(group.guard().map(TaskGuard::cancel_on_drop));
        None
    }),
    ("guard, leave", |group| {
        drop(group.guard().map(TaskGuard::leave));
        None
    }),
    ("handle, drop", |group| {
        drop(group.clone());
        None
    }),
    ("track", |group| match group.track(ready(7)) {
        Ok(task) => once(task),
        Err(_) => None,
    }),
    ("close", |group| {
        group.close();
        None
    }),
    ("cancel", |group| {
        group.cancel();
        None
    }),
    ("cancel with a text", |group| {
        drop(group.cancel_with("enough"));
        None
    }),
    ("closed", |group| once(group.closed())),
    ("closed, another task", |group| twice(group.closing().clone().cancelled_owned())),
    ("closed, drop", |group| abandon(group.closed())),
    ("drained", |group| once(group.drained())),
    ("drained, another task", |group| twice(group.clone().drained_owned())),
    ("drained, drop", |group| abandon(group.drained())),
    ("join", |group| once(group.join())),
    ("join, drop", |group| abandon(group.join())),
    ("join with a limit", |group| once(group.join().until(pending::<()>()))),
    ("shutdown", |group| once(group.shutdown(pending::<()>()))),
    ("shutdown without grace", |group| once(group.shutdown(ready(())))),
    ("guard when room", |group| once(group.guard_when_room())),
    ("guard when room, in a queue", |group| {
        let Ok(guard) = group.guard() else { return None };
        let left = once(group.guard_when_room());
        drop(guard);
        left
    }),
    ("looks", |group| {
        let was_closed = group.is_closed();
        let _ = write!(Nowhere, "{group:?}");
        assert!(!group.token().is_cancelled() || group.is_closed());
        assert!(!was_closed || group.guard().is_err());
        assert!(!group.is_drained() || group.is_empty());
        None
    }),
];

const HOLDING_UP: &[(&str, Operation)] = &[
    ("child", |group| {
        let Ok(child) = group.child() else { return None };
        drop(child.guard());
        once(child.drained_owned())
    }),
    ("child, close, join", |group| {
        let Ok(child) = group.child() else { return None };
        once(async move { child.join().await })
    }),
    ("child with a limit", |group| {
        let limit = NonZeroUsize::MIN;
        let Ok(child) = group.child_with(TaskGroup::builder().limit(limit)) else { return None };
        let left = once(child.guard_when_room());
        was_woken(left);
        once(child.drained_owned())
    }),
    ("link", |group| {
        let last = TaskGroup::builder().link(group).build();
        once(async move { last.join().await })
    }),
    ("below the token", |group| {
        let below = TaskGroup::builder().parent(group.token()).build();
        once(below.drained_owned())
    }),
];

/// The drain of one that no error was recorded in takes no memory, and frees its finaliser.
const HOLDING_UP_WITH_ERRORS: &[(&str, Operation)] = &[("child with errors", |group| {
    let Ok(child) = group.child_err::<u8>() else { return None };
    drop(child.try_track(ready(Ok(()))));
    once(async move { child.join().await.expect("nothing failed") })
})];

const BESIDE_A_CHILD: &[(&str, Operation)] = &[
    ("child that is left, drained", |group| once(group.drained())),
    ("child that is left, close", |group| {
        group.close();
        None
    }),
    ("child that is left, another child", |group| {
        let Ok(child) = group.child() else { return None };
        once(child.drained_owned())
    }),
];

const FOR_ROOM: &[(&str, Operation)] = &[
    ("room", |group| once(group.guard_when_room())),
    ("room, another task", |group| twice(group.guard_when_room())),
    ("room, drop", |group| abandon(group.guard_when_room())),
    ("room, two in a queue", |group| {
        let first = once(group.guard_when_room());
        let second = once(group.guard_when_room());
        drop(first);
        second
    }),
    ("room, a guard", |group| {
        drop(group.guard());
        None
    }),
];

const WITHOUT_A_HANDLE: &[(&str, OfGuard)] = &[
    ("last handle, clone of a guard", |inside| {
        drop(inside.clone());
        None
    }),
    ("last handle, leave", |inside| {
        let group = inside.clone().leave();
        assert!(!group.is_empty());
        None
    }),
    ("last handle, closed", |inside| once(inside.closed())),
    ("last handle, join", |inside| {
        let handle = inside.group().clone();
        abandon(handle.join());
        None
    }),
];

const WITH_ERRORS: &[(&str, OfErrors)] = &[
    ("error of a task", |errors| match errors.try_track(ready(Err(1))) {
        Ok(task) => once(task),
        Err(_) => None,
    }),
    ("error, recorded", |errors| {
        (0..3).for_each(|error| errors.record(error).unwrap());
        None
    }),
    ("errors, join", |errors| once(errors.join())),
    ("errors, join, drop", |errors| abandon(errors.join())),
];
