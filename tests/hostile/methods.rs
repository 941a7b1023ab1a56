//! The public methods: a row for each way to call one.

mod combined;
mod groups;
mod objects;
mod tree;
mod waits;

use core::future::Future;
use core::pin::pin;
use std::sync::Arc;

use super::foreign::{calmly, waker_of};
use super::world::World;
use crate::common::poll;

/// One way to call a method.
pub(crate) struct Row {
    /// As in `docs/public-api.txt`: the type and the method.
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Arc<World>),
}

/// The rows of one type. `$handle` is what they are called on; where there is none, they call nothing.
macro_rules! rows {
    ($type:literal, |$world:ident| $handle:expr; $($method:literal => |$it:ident| $call:expr,)+) => {
        vec![$($crate::hostile::methods::Row {
            name: concat!($type, "::", $method),
            run: |$world| {
                let _ = $world;
                #[allow(unused_mut, unused_variables, reason = "some calls need it")]
                if let Some(mut $it) = $crate::hostile::foreign::calmly(|| $handle) {
                    $crate::hostile::methods::done($call);
                }
            },
        },)+]
    };
}
use rows;

/// Rows of methods that only look: the handle is lent to the call, and its drop is no part of the row.
macro_rules! looks {
    ($type:literal, |$world:ident| $handle:expr; $($method:literal => |$it:ident| $call:expr,)+) => {
        vec![$($crate::hostile::methods::Row {
            name: concat!($type, "::", $method),
            run: |$world| {
                let _ = $world;
                let handle = $crate::hostile::foreign::calmly(|| $handle);
                if let Some($it) = handle.as_ref() {
                    $crate::hostile::methods::done(($it, $call));
                }
                $crate::hostile::foreign::calmly(|| drop(handle));
            },
        },)+]
    };
}
use looks;

pub(crate) fn all() -> Vec<Row> {
    [objects::rows(), tree::rows(), groups::rows(), waits::rows(), combined::rows()]
        .into_iter()
        .flatten()
        .collect()
}

/// Drops what a call gives, as a part of the row.
fn done<R>(_: R) {}

/// Polls `future` by three tasks in turn, until it is ready, and drops it.
fn poll_by_three(future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..3 {
        let waker = calmly(|| waker_of("a caller").waker());
        let polled = poll(&mut future, &waker);
        calmly(|| drop(waker));
        if polled.is_ready() {
            break;
        }
    }
}
