//! Entering and leaving a group, and asking whether it is over.

use std::future::Future;
use std::hint::black_box;
use std::mem;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::{Context, Waker};

use winddown::{
    CancelScope, CancelToken, Canceller, ErrGroup, Refused, Signal, TaskGroup, WaitGroup,
};

use crate::subjects::leak;
use crate::{OPS, Table};

pub(crate) fn rows(table: &Table) {
    let group = leak(WaitGroup::new());
    guards(table, "WaitGroup", || group.guard());
    table.again("WaitGroup: add and done", WaitGroup::new, |group| {
        group.add(1).expect("room");
        group.done().expect("one piece of work");
    });

    let group = leak(TaskGroup::new());
    guards(table, "TaskGroup", || group.guard());
    let child = leak(group.child().expect("an open group"));
    guards(table, "TaskGroup, a child", || child.guard());
    let limit = NonZeroUsize::new(10 * OPS).expect("not zero");
    let limited = leak(TaskGroup::builder().limit(limit).build());
    guards(table, "TaskGroup, limited", || limited.guard());
    tracked(table, "TaskGroup", || group.track(async { black_box(()) }));
    let errors = leak(ErrGroup::<()>::new());
    tracked(table, "ErrGroup", || errors.try_track(async { black_box(Ok(())) }));
    table.again("TaskGroup: make and drop", || (), |()| drop(black_box(TaskGroup::new())));
    let make_child = |group: &&TaskGroup| drop(black_box(group.child()));
    table.again("TaskGroup: make and drop a child", || group, make_child);

    table.again("Signal: ask", Signal::new, |signal| {
        black_box(signal.is_closed());
    });
    for depth in [0, 1, 3, 10] {
        let name = format!("CancelToken, depth {depth}: ask");
        table.again(
            &name,
            || chain(depth),
            |token| {
                black_box(token.is_cancelled());
            },
        );
    }
}

/// Entering and leaving, apart and together.
fn guards<G>(table: &Table, group: &str, guard: impl Fn() -> G) {
    table.again(&format!("{group}: enter"), || (), |()| mem::forget(black_box(guard())));
    table.drops(&format!("{group}: leave"), OPS, &guard);
    table.again(&format!("{group}: enter and leave"), || (), |()| drop(black_box(guard())));
}

/// A task that is over at its first poll, as an executor handles it but for the allocation.
fn tracked<F: Future<Output = ()>>(
    table: &Table,
    group: &str,
    track: impl Fn() -> Result<F, Refused>,
) {
    let mut cx = Context::from_waker(Waker::noop());
    table.again(
        &format!("{group}: track, poll to the end, drop"),
        || (),
        |()| {
            let task = pin!(track().expect("an open group"));
            assert!(black_box(task).poll(&mut cx).is_ready());
        },
    );
}

/// The token of a scope below `depth` others.
fn chain(depth: usize) -> CancelToken {
    let child = |scope: Canceller, _| scope.token().child().detach();
    (0..depth).fold(CancelScope::new().detach(), child).token().clone()
}
