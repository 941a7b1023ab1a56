//! The cancellation tree.

use core::error::Error as _;
use core::fmt::Write as _;
use core::future::IntoFuture as _;
use core::hash::{BuildHasher as _, BuildHasherDefault};
use std::collections::hash_map::DefaultHasher;

use winddown::{CancelScope, CancelToken, Cancelled, Reason};

use super::{Row, looks, poll_by_three, rows};
use crate::hostile::foreign::{Becomes, IntoTask, Paper, Thing, calmly};
use crate::hostile::world::World;

fn reason(world: &World) -> Becomes {
    Becomes(world.tally.thing("a reason"))
}

fn hash(it: impl core::hash::Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(it)
}

/// A closure that calls out when it is run and when it is dropped.
fn callback(world: &World) -> impl FnOnce() + Send + use<> {
    let callback = world.tally.thing("a callback");
    move || callback.call("run")
}

/// What a scope was cancelled for, by an error of the user's.
fn cancelled(world: &World) -> Option<Cancelled> {
    let scope = CancelScope::new();
    scope.cancel_with(reason(world)).ok()?;
    scope.token().check().err()
}

pub(super) fn rows() -> Vec<Row> {
    [scopes(), cancellers(), tokens(), more_tokens(), reasons()].into_iter().flatten().collect()
}

fn scopes() -> Vec<Row> {
    let scopes = rows! { "CancelScope", |w| w.scope.take();
        "new" => |it| CancelScope::new(),
        "default" => |it| CancelScope::default(),
        "cancel" => |it| it.cancel(),
        "cancel_with" => |it| it.cancel_with(reason(w)),
        "cancel_after" => |it| poll_by_three(it.cancel_after(IntoTask(w.tally.task("a timer", 1)))),
        "detach" => |it| it.detach().cancel(),
        "drop" => |it| drop(it),
    };
    let looks = looks! { "CancelScope", |w| w.scope.take();
        "canceller" => |it| it.canceller(),
        "token" => |it| it.token().is_cancelled(),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    let registrations = rows! { "Registration", |w| w.registration.take();
        "deregister" => |it| it.deregister(),
        "detach" => |it| it.detach(),
        "drop" => |it| drop(it),
        "fmt" => |it| write!(Paper, "{it:?}"),
    };
    [scopes, looks, registrations].into_iter().flatten().collect()
}

fn cancellers() -> Vec<Row> {
    rows! { "Canceller", |w| w.canceller.get();
        "cancel" => |it| it.cancel(),
        "cancel_with" => |it| it.cancel_with(reason(w)),
        "cancel_like" => |it| cancelled(w).map(|like| it.cancel_like(&like)),
        "child" => |it| it.child(),
        "into_scope" => |it| it.into_scope(),
        "token" => |it| it.token().is_cancelled(),
        "clone" => |it| it.clone(),
        "eq" => |it| it == calmly(|| it.clone()),
        "hash" => |it| hash(&it),
        "fmt" => |it| write!(Paper, "{it:?}"),
    }
}

fn tokens() -> Vec<Row> {
    let looks = looks! { "CancelToken", |w| w.token.take();
        "check" => |it| it.check(),
        "clone" => |it| it.clone(),
        "eq" => |it| *it == calmly(|| it.clone()),
        "fmt" => |it| write!(Paper, "{it:?}"),
        "hash" => |it| hash(it),
        "is_cancelled" => |it| it.is_cancelled(),
        "never" => |it| CancelToken::never(),
        "reason" => |it| it.reason().is_some(),
        "shielded" => |it| it.shielded(),
        "value" => |it| it.value::<Thing>().is_some(),
    };
    let rows = rows! { "CancelToken", |w| w.token.take();
        "any" => |it| poll_by_three(CancelToken::any([&it, &it])),
        "cancelled" => |it| poll_by_three(it.cancelled()),
        "cancelled_owned" => |it| poll_by_three(it.cancelled_owned()),
        "child" => |it| it.child(),
        "forget_wait" => |it| it.forget_wait(),
        "into_future" => |it| poll_by_three((&it).into_future()),
        "into_future" => |it| poll_by_three(it.into_future()),
        "on_cancel" => |it| it.on_cancel(callback(w)),
        "on_cancel" => |it| it.on_cancel(callback(w)).detach(),
        "run_until_cancelled" => |it| {
            poll_by_three(it.run_until_cancelled(IntoTask(w.tally.task("a task", 1))));
        },
        "with_value" => |it| it.with_value(w.tally.thing("a value of a token")),
    };
    looks.into_iter().chain(rows).collect()
}

/// Tokens below a deadline that is past, which the call is the first to notice.
#[cfg(feature = "std")]
fn more_tokens() -> Vec<Row> {
    use core::time::Duration;
    use std::time::Instant;

    let looks = looks! { "CancelToken", |w| w.late.take();
        "deadline" => |it| it.0.token().deadline(),
    };
    let rows = rows! { "CancelToken", |w| w.late.take();
        "child" => |it| it.0.token().child(),
        "child_until" => |it| {
            let timer = IntoTask(w.tally.task("a timer", 1));
            it.0.token().child_until(Instant::now(), timer)
        },
        "child_until" => |it| {
            let (scope, expiry) = it.0.token().shielded().child_until(
                Instant::now() + Duration::from_secs(3600),
                w.tally.task("a timer", 1),
            );
            poll_by_three(expiry);
            scope
        },
        "cancelled" => |it| it.0.token().cancelled().block(),
        "into_future" => |it| it.0.token().clone().into_future().block_for(Duration::ZERO),
    };
    looks.into_iter().chain(rows).collect()
}

#[cfg(not(feature = "std"))]
fn more_tokens() -> Vec<Row> {
    Vec::new()
}

fn reasons() -> Vec<Row> {
    let cancelled = rows! { "Cancelled", |w| cancelled(w);
        "reason" => |it| it.reason().downcast_ref::<Thing>().is_some(),
        "clone" => |it| it.clone(),
        "eq" => |it| it == calmly(|| it.clone()),
        "source" => |it| it.source().and_then(|it| it.source()).is_some(),
        "fmt" => |it| write!(Paper, "{it:?} {it}"),
    };
    let reasons = rows! { "Reason", |w| Some(reason(w));
        "from" => |it| Reason::from(it),
        "downcast_ref" => |it| Reason::from(it).downcast_ref::<Thing>().is_some(),
        "fmt" => |it| { let it = Reason::from(it); write!(Paper, "{it:?} {it}") },
    };
    cancelled.into_iter().chain(reasons).collect()
}
