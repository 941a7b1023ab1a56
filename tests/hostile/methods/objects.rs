//! Wait groups, signals, their guards and values.

use core::fmt::Write as _;
use core::task::Poll;
use winddown::{Signal, WaitGroup};

use super::{Row, poll_by_three, rows};
use crate::common::look;
use crate::hostile::foreign::{IntoTask, Paper, Thing};

pub(super) fn rows() -> Vec<Row> {
    let groups = rows! { "WaitGroup", |w| w.group.get();
        "new" => |it| WaitGroup::new(),
        "default" => |it| WaitGroup::default(),
        "add" => |it| it.add(1),
        "done" => |it| it.done(),
        "count" => |it| it.count(),
        "is_idle" => |it| it.is_idle(),
        "guard" => |it| { let _ = it.done(); it.guard() },
        "guard_in" => |it| WaitGroup::guard_in(w.tally.pointer(&it)),
        "try_guard_in" => |it| WaitGroup::try_guard_in(w.tally.pointer(&it)),
        "wait" => |it| poll_by_three(it.wait()),
        "wait_in" => |it| poll_by_three(WaitGroup::wait_in(w.tally.pointer(&it))),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let guards = rows! { "Guard", |w| w.busy.take();
        "group" => |it| it.group().count(),
        "leave" => |it| it.leave(),
        "track" => |it| poll_by_three(it.track(IntoTask(w.tally.task("a task", 1)))),
        "track" => |it| it.track(IntoTask(w.tally.task("a task", 1))),
        "track_stream" => |it| it.track_stream(w.tally.task("a stream", 1)),
        "clone" => |it| it.clone(),
        "drop" => |it| drop(it),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let signals = rows! { "Signal", |w| w.signal.get();
        "typed" => |it| Signal::<Thing>::typed(),
        "default" => |it| Signal::<Thing>::default(),
        "close_with" => |it| it.close_with(w.tally.thing("a value")),
        "closed" => |it| poll_by_three(it.closed()),
        "closed_in" => |it| poll_by_three(Signal::closed_in(w.tally.pointer(&it))),
        "get" => |it| it.get().is_some(),
        "is_closed" => |it| it.is_closed(),
        "value" => |it| poll_by_three(it.value()),
        "value_in" => |it| poll_by_three(Signal::value_in(w.tally.pointer(&it))),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let flags = rows! { "Signal", |w| w.flag.get();
        "new" => |it| Signal::new(),
        "close" => |it| it.close(),
        "close_with" => |it| it.close_with(()),
    };
    // What takes a signal as its own is called on one that nothing else holds.
    let owned = rows! { "Signal", |w| {
            let it = Signal::typed();
            it.close_with(w.tally.thing("a value")).ok()?;
            Some(it)
        };
        "get_mut" => |it| it.get_mut().is_some(),
        "into_inner" => |it| it.into_inner(),
        "reset" => |it| it.reset(),
        "drop" => |it| drop(it),
    };
    let values = rows! { "Value", |w| {
            let it = w.signal.get()?;
            let _ = it.close_with(w.tally.thing("a value"));
            let mut wait = Signal::value_in(w.tally.pointer(&it));
            let Poll::Ready(value) = look(&mut wait) else { return None };
            Some(value)
        };
        "deref" => |it| core::ptr::from_ref::<Thing>(&it),
        "clone" => |it| it.clone(),
        "fmt" => |it| write!(Paper, "{it:?} {it}"),
    };
    [groups, guards, signals, flags, owned, values].into_iter().flatten().collect()
}
