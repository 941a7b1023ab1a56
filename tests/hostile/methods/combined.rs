//! Futures and streams of users, with a guard or a limit around them.

use core::fmt::Write as _;
use core::pin::pin;
use core::task::Context;

use futures_core::{FusedFuture as _, FusedStream, Stream};
use winddown::{CancelScope, FutureUntil, StreamUntil};

use super::{Row, poll_by_three, rows};
use crate::hostile::foreign::{IntoTask, Paper, calmly, waker_of};
use crate::hostile::world::World;

/// As [`poll_by_three`], for a stream.
fn next_by_three(stream: impl Stream) {
    let mut stream = pin!(stream);
    for _ in 0..3 {
        let waker = calmly(|| waker_of("a caller").waker());
        let _ = stream.as_mut().poll_next(&mut Context::from_waker(&waker));
        calmly(|| drop(waker));
    }
}

pub(super) fn rows() -> Vec<Row> {
    [tracked(), limited(), timers()].into_iter().flatten().collect()
}

fn tracked() -> Vec<Row> {
    let futures = rows! { "Tracked", |w| Some(w.busy.take()?.track(w.tally.task("a task", 1)));
        "poll" => |it| poll_by_three(it),
        "is_terminated" => |it| it.is_terminated(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let tasks = rows! { "Tracked", |w| Some(w.guard.take()?.track(w.tally.task("a task", 1)));
        "poll" => |it| poll_by_three(it),
    };
    let streams = rows! { "TrackedStream", |w| {
            Some(w.guard.take()?.track_stream(w.tally.task("a stream", 1)))
        };
        "poll_next" => |it| next_by_three(it),
        "size_hint" => |it| it.size_hint(),
        "is_terminated" => |it| it.is_terminated(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let errors = rows! { "TrackedErr", |w| {
            w.errors.get()?.try_track(w.tally.task("a task", 1).failing()).ok()
        };
        "poll" => |it| poll_by_three(it),
        "is_terminated" => |it| it.is_terminated(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    [futures, tasks, streams, errors].into_iter().flatten().collect()
}

fn limit(world: &World) -> IntoTask {
    IntoTask(world.tally.task("a limit", 1))
}

fn limited() -> Vec<Row> {
    let until = rows! { "FutureUntil", |w| Some(w.tally.task("a task", 2));
        "until" => |it| poll_by_three(FutureUntil::until(it, limit(w))),
        "until" => |it| w.token.take().map(|token| poll_by_three(FutureUntil::until(it, &token))),
    };
    let futures = rows! { "Until", |w| {
            Some(FutureUntil::until(w.tally.task("a task", 1), limit(w)))
        };
        "poll" => |it| poll_by_three(it),
        "work_first" => |it| poll_by_three(it.work_first()),
        "is_terminated" => |it| it.is_terminated(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let until_streams = rows! { "StreamUntil", |w| Some(w.tally.task("a stream", 2));
        "until" => |it| next_by_three(StreamUntil::until(it, limit(w))),
    };
    let streams = rows! { "UntilStream", |w| {
            let token = w.token.take()?;
            Some(StreamUntil::until(w.tally.task("a stream", 1), token))
        };
        "poll_next" => |it| next_by_three(it),
        "is_terminated" => |it| it.is_terminated(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    [until, futures, until_streams, streams].into_iter().flatten().collect()
}

fn timers() -> Vec<Row> {
    rows! { "Expiry", |w| {
            let scope = CancelScope::new();
            scope.token().on_cancel({
                let callback = w.tally.thing("a callback");
                move || callback.call("run")
            }).detach();
            let expiry = scope.cancel_after(w.tally.task("a timer", 1));
            Some((expiry, scope))
        };
        "poll" => |it| poll_by_three(it.0),
        "is_terminated" => |it| it.0.is_terminated(),
        "fmt" => |it| write!(Paper, "{:?}", it.0),
    }
}
