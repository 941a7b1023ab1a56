//! All waits, in all their forms.

use core::fmt::Write as _;
use core::future::{Future, IntoFuture as _};
use core::pin::pin;
#[cfg(feature = "std")]
use std::sync::Arc;

use futures_core::FusedFuture as _;
use winddown::future::WaitRoom;
use winddown::{CancelToken, Signal, TaskGroup, WaitGroup};

use super::{Row, poll_by_three, rows};
use crate::common::poll;
use crate::hostile::foreign::{IntoTask, Paper, calmly, waker_of};
use crate::hostile::world::World;

/// Parks, and polls again when everything has ended, by another task.
fn poll_at_the_end(world: &World, wait: impl Future) {
    let (first, second) = (waker_of("a caller").waker(), waker_of("a caller").waker());
    let mut wait = pin!(wait);
    let parked = calmly(|| {
        let parked = poll(&mut wait, &first).is_pending();
        world.end();
        parked
    });
    if parked {
        let _ = poll(&mut wait, &second);
    }
    calmly(|| drop((first, second)));
}

/// The rows of one wait, which is made from a handle.
macro_rules! forms {
    ($type:literal, |$world:ident| $handle:expr, |$it:ident| $wait:expr) => {{
        let rows = rows! { $type, |$world| $handle;
            "poll" => |$it| poll_by_three($wait),
            "poll" => |$it| poll_at_the_end($world, $wait),
            "until" => |$it| poll_by_three($wait.until(IntoTask($world.tally.task("a limit", 1)))),
            "is_terminated" => |$it| $wait.is_terminated(),
            "fmt" => |$it| write!(Paper, "{:?}", $wait),
        };
        rows.into_iter().chain(blocking!($type, |$world| $handle, |$it| $wait))
    }};
}

#[cfg(feature = "std")]
macro_rules! blocking {
    ($type:literal, |$world:ident| $handle:expr, |$it:ident| $wait:expr) => {
        rows! { $type, |$world| $handle;
            "block" => |$it| {
                let wait = $wait;
                calmly(|| $world.end());
                wait.block()
            },
            "block_for" => |$it| $wait.block_for(core::time::Duration::ZERO),
            "block_slice" => |$it| {
                let mut wait = $wait;
                let outcome = wait.block_slice(core::time::Duration::ZERO);
                // Not by the end of the block: that would leak the outcome if this panics.
                drop(wait);
                outcome
            },
            "block_until" => |$it| $wait.block_until(std::time::Instant::now()),
            // The thread is about to park when everything ends.
            "until" => |$it| {
                let world = Arc::clone($world);
                let limit = $world.tally.task("a limit", 1).on_poll(move || world.end());
                $wait.until(limit).block()
            },
        }
    };
}

#[cfg(not(feature = "std"))]
macro_rules! blocking {
    ($type:literal, |$world:ident| $handle:expr, |$it:ident| $wait:expr) => {
        Vec::new()
    };
}

pub(super) fn rows() -> Vec<Row> {
    let counts = forms!("Wait", |w| w.group.get(), |it| WaitGroup::wait_in(w.tally.pointer(&it)));
    let rows = counts
        .chain(forms!("WaitClosed", |w| w.signal.get(), |it| {
            Signal::closed_in(w.tally.pointer(&it))
        }))
        .chain(forms!("WaitValueIn", |w| w.signal.get(), |it| {
            Signal::value_in(w.tally.pointer(&it))
        }))
        .chain(forms!("WaitValue", |w| w.signal.get(), |it| it.value()))
        .chain(forms!("WaitCancelled", |w| w.token.take(), |it| it.cancelled()))
        .chain(forms!("WaitReason", |w| w.token.take(), |it| (&it).into_future()))
        .chain(forms!("WaitAny", |w| w.token.take(), |it| CancelToken::any([&it, &it])))
        .chain(forms!("WaitDrained", |w| w.tasks.get(), |it| it.drained()))
        .chain(forms!("WaitErrors", |w| w.errors.get(), |it| it.join()))
        .chain(forms!("WaitRoom", |w| w.tasks.get(), |it| it.guard_when_room()))
        .chain(forms!("WaitShutdown", |w| w.tasks.get(), |it| {
            it.shutdown(w.tally.task("a grace", 9))
        }))
        .chain(forms!("WaitUntil", |w| w.flag.get(), |it| {
            it.closed().until(w.tally.task("another limit", 9))
        }));
    rows.chain(clones()).collect()
}

/// A wait in the queue, if the group is open.
fn queued(group: &TaskGroup) -> Option<WaitRoom<&TaskGroup>> {
    let mut wait = group.guard_when_room();
    poll(&mut wait, &waker_of("a caller").waker()).is_pending().then_some(wait)
}

/// A wait that has been given a place, if the group is open.
fn granted<'a>(world: &World, group: &'a TaskGroup) -> Option<WaitRoom<&'a TaskGroup>> {
    world.drop_waits();
    let wait = queued(group)?;
    drop(world.guard.take());
    Some(wait)
}

fn clones() -> impl Iterator<Item = Row> {
    let counts = rows! { "Wait", |w| w.group.get();
        "clone" => |it| WaitGroup::wait_in(w.tally.pointer(&it)).clone(),
    };
    let signals = rows! { "WaitClosed", |w| w.signal.get();
        "clone" => |it| Signal::closed_in(w.tally.pointer(&it)).clone(),
    };
    let values = rows! { "WaitValueIn", |w| w.signal.get();
        "clone" => |it| Signal::value_in(w.tally.pointer(&it)).clone(),
    };
    let borrowed = rows! { "WaitValue", |w| w.signal.get();
        "clone" => |it| it.value().clone(),
    };
    let tokens = rows! { "WaitCancelled", |w| w.token.take();
        "clone" => |it| it.cancelled().clone(),
        "drop" => |it| calmly(|| {
            let mut wait = it.cancelled_owned();
            let _ = poll(&mut wait, &waker_of("a caller").waker());
            wait
        }),
    };
    let reasons = rows! { "WaitReason", |w| w.token.take();
        "clone" => |it| (&it).into_future().clone(),
    };
    let any = rows! { "WaitAny", |w| w.token.take();
        "clone" => |it| CancelToken::any([&it, &it]).clone(),
    };
    let drains = rows! { "WaitDrained", |w| w.tasks.get();
        "clone" => |it| it.drained().clone(),
    };
    let errors = rows! { "WaitErrors", |w| w.errors.get();
        "clone" => |it| it.join().clone(),
    };
    // In the queue, and granted.
    let rooms = rows! { "WaitRoom", |w| w.tasks.get();
        "clone" => |it| it.guard_when_room().clone(),
        "drop" => |it| drop(calmly(|| queued(&it))),
        "drop" => |it| drop(calmly(|| granted(w, &it))),
        "poll" => |it| calmly(|| granted(w, &it)).map(poll_by_three),
        "until" => |it| calmly(|| granted(w, &it))
            .map(|wait| poll_by_three(wait.until(w.tally.task("a limit", 9)))),
    };
    #[cfg(feature = "std")]
    let rooms = rooms.into_iter().chain(rows! { "WaitRoom", |w| w.tasks.get();
        "block" => |it| calmly(|| granted(w, &it))
            .map(|wait| wait.until(w.tally.task("a limit", 9)).block()),
    });
    let rows = [counts, signals, values, borrowed, tokens, reasons, any, drains, errors];
    rows.into_iter().flatten().chain(rooms)
}
