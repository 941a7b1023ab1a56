//! Groups of tasks, and of tasks that may fail.

use core::fmt::Write as _;
use core::num::NonZeroUsize;

use winddown::{ErrGroup, Errors, TaskGroup, TaskGroupBuilder};

use super::{Row, looks, poll_by_three, rows};
use crate::common::look;
use crate::hostile::foreign::{Becomes, IntoTask, Paper, Thing, calmly, explain};
use crate::hostile::world::World;

const MORE: NonZeroUsize = NonZeroUsize::new(9).unwrap();

pub(super) fn rows() -> Vec<Row> {
    [groups(), more_groups(), drops(), builders(), guards(), err_groups(), errors(), holders()]
        .into_iter()
        .flatten()
        .collect()
}

/// A builder of a group that is held up, and that hangs below what foreign code may cancel.
fn builder(world: &World) -> Option<TaskGroupBuilder> {
    let finaliser = world.tally.thing("another finaliser");
    let builder = TaskGroup::builder().parent(&world.token.get()?).link(&world.tasks.get()?);
    Some(builder.finally(move || finaliser.call("run")))
}

fn groups() -> Vec<Row> {
    rows! { "TaskGroup", |w| w.tasks.get();
        "builder" => |it| TaskGroup::builder(),
        "new" => |it| TaskGroup::new(),
        "default" => |it| TaskGroup::default(),
        "cancel" => |it| it.cancel(),
        "cancel_with" => |it| it.cancel_with(Becomes(w.tally.thing("a reason"))),
        "close" => |it| it.close(),
        "closed" => |it| poll_by_three(it.closed()),
        "closing" => |it| it.closing().is_cancelled(),
        "drained" => |it| poll_by_three(it.drained()),
        "drained_owned" => |it| poll_by_three(it.drained_owned()),
        "guard" => |it| it.guard(),
        "guard_when_room" => |it| poll_by_three(it.guard_when_room()),
        "guard_when_room_owned" => |it| poll_by_three(it.guard_when_room_owned()),
        "is_cancelled" => |it| it.is_cancelled(),
        "is_closed" => |it| it.is_closed(),
        "is_drained" => |it| it.is_drained(),
        "is_empty" => |it| it.is_empty(),
        "join" => |it| poll_by_three(it.join()),
        "len" => |it| it.len(),
        "limit" => |it| it.limit(),
        "panics" => |it| it.panics(),
        "set_limit" => |it| it.set_limit(MORE),
        "shutdown" => |it| poll_by_three(it.shutdown(IntoTask(w.tally.task("a grace", 1)))),
        "token" => |it| it.token().is_cancelled(),
        "clone" => |it| it.clone(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    }
}

/// Those that make another group, and those that need a place: the group below has no limit.
fn more_groups() -> Vec<Row> {
    rows! { "TaskGroup", |w| w.below.take();
        "child" => |it| it.child(),
        "child_with" => |it| {
            let finaliser = w.tally.thing("another finaliser");
            it.child_with(TaskGroup::builder().finally(move || finaliser.call("run")))
        },
        "child_err" => |it| it.child_err::<Thing>(),
        "child_err_with" => |it| it.child_err_with(TaskGroup::builder(), explain),
        "track" => |it| it.track(IntoTask(w.tally.task("a task", 1))).map(poll_by_three),
    }
}

/// The last handle of a group goes.
fn drops() -> Vec<Row> {
    rows! { "TaskGroup", |w| w.linked.take();
        "drop" => |it| drop(it),
    }
}

fn builders() -> Vec<Row> {
    rows! { "TaskGroupBuilder", |w| builder(w);
        "default" => |it| TaskGroupBuilder::default(),
        "build" => |it| it.build(),
        "build_err" => |it| it.build_err::<Thing>(),
        "build_err_with" => |it| it.build_err_with(explain),
        "finally" => |it| {
            let finaliser = w.tally.thing("another finaliser");
            it.finally(move || finaliser.call("run")).build()
        },
        "limit" => |it| it.limit(MORE),
        "link" => |it| w.linked.get().map(|other| it.link(&other)),
        "parent" => |it| w.canceller.get().map(|root| it.parent(root.token())),
        "cancel_on_error" => |it| it.cancel_on_error(false),
        "keep_errors" => |it| it.keep_errors(0),
        "fmt" => |it| write!(Paper, "{it:?}"),
    }
}

fn guards() -> Vec<Row> {
    let looks = looks! { "TaskGuard", |w| w.guard.take();
        "closing" => |it| it.closing().is_cancelled(),
        "group" => |it| it.group().len(),
        "is_cancelled" => |it| it.is_cancelled(),
        "is_closed" => |it| it.is_closed(),
        "token" => |it| it.token().is_cancelled(),
        "clone" => |it| it.clone(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let guards = rows! { "TaskGuard", |w| w.guard.take();
        "cancel_on_drop" => |it| it.cancel_on_drop(),
        "closed" => |it| poll_by_three(it.closed()),
        "label" => |it| it.label(Becomes(w.tally.thing("a label"))),
        "label_with" => |it| it.label_with(|| Becomes(w.tally.thing("a label"))),
        "leave" => |it| it.leave(),
        "track" => |it| poll_by_three(it.track(IntoTask(w.tally.task("a task", 1)))),
        "track" => |it| it.cancel_on_drop().track(IntoTask(w.tally.task("a task", 1))),
        "track_stream" => |it| it.track_stream(w.tally.task("a stream", 1)),
        "drop" => |it| drop(it),
    };
    #[cfg(feature = "std")]
    let guards = guards.into_iter().chain(rows! { "TaskGuard", |w| w.guard.take();
        "cancel_on_panic" => |it| it.cancel_on_panic().track(w.tally.task("a task", 1)),
    });
    guards.into_iter().chain(looks).collect()
}

fn err_groups() -> Vec<Row> {
    // Its first error is beyond the bound, and cancels.
    let forgetful = rows! { "ErrGroup", |w| {
            let group = TaskGroup::builder().keep_errors(0).build_err_with(explain);
            let callback = w.tally.thing("a callback");
            group.group().token().on_cancel(move || callback.call("run")).detach();
            Some(group)
        };
        "record" => |it| it.record(w.tally.thing("an error")),
    };
    let rows = rows! { "ErrGroup", |w| w.errors.get();
        "new" => |it| ErrGroup::<Thing>::new(),
        "default" => |it| ErrGroup::<Thing>::default(),
        "group" => |it| it.group().len(),
        "record" => |it| it.record(w.tally.thing("an error")),
        "record" => |it| for _ in 0..4 { let _ = it.record(w.tally.thing("an error")); },
        "try_track" => |it| it.try_track(w.tally.task("a task", 1).failing()).map(poll_by_three),
        "try_track" => |it| it.try_track(w.tally.task("a task", 1).failing()),
        "join" => |it| poll_by_three(it.join()),
        "clone" => |it| it.clone(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    forgetful.into_iter().chain(rows).collect()
}

/// The errors of a group that has ended.
fn failed(world: &World) -> Option<Errors<Thing>> {
    let group = ErrGroup::new();
    (0..2).for_each(|_| drop(group.record(world.tally.thing("an error"))));
    match look(&mut group.join()) {
        core::task::Poll::Ready(outcome) => outcome.err(),
        core::task::Poll::Pending => None,
    }
}

fn errors() -> Vec<Row> {
    let looks = looks! { "Errors", |w| failed(w);
        "dropped" => |it| it.dropped(),
        "first" => |it| it.first().is_some(),
        "into_iter" => |it| it.into_iter().count(),
        "iter" => |it| it.iter().count(),
        "panics" => |it| it.panics(),
        "eq" => |it| calmly(|| failed(w)).is_some_and(|other| *it == other),
        "source" => |it| core::error::Error::source(it).is_some(),
        "clone" => |it| it.clone(),
        "fmt" => |it| write!(Paper, "{it:?} {it}"),
    };
    let rows = rows! { "Errors", |w| failed(w);
        "into_vec" => |it| it.into_vec(),
    };
    looks.into_iter().chain(rows).collect()
}

#[cfg(feature = "holders")]
fn holders() -> Vec<Row> {
    let groups = rows! { "TaskGroup", |w| w.tasks.get();
        "holders" => |it| it.holders(),
    };
    let guards = looks! { "TaskGuard", |w| w.guard.take();
        "id" => |it| it.id(),
    };
    let holders = rows! { "Holders", |w| w.tasks.get().map(|it| it.holders());
        "default" => |it| winddown::Holders::default(),
        "as_ref" => |it| it.as_ref().len(),
        "clone" => |it| it.clone(),
        "first" => |it| it.first().is_some(),
        "into_iter" => |it| it.into_iter().count(),
        "is_empty" => |it| it.is_empty(),
        "iter" => |it| it.iter().count(),
        "len" => |it| it.len(),
        "fmt" => |it| write!(Paper, "{it:?} {it}"),
    };
    let holder = rows! { "Holder", |w| w.tasks.get().and_then(|it| it.holders().first().cloned());
        "clone" => |it| it.clone(),
        "fmt" => |it| write!(Paper, "{it:?} {it}"),
    };
    [groups, guards, holders, holder].into_iter().flatten().collect()
}

#[cfg(not(feature = "holders"))]
fn holders() -> Vec<Row> {
    Vec::new()
}
