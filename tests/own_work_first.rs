//! Rule 18: own work comes before foreign code, and none of it is lost.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use common::{look, panic_quietly};
use winddown::{CancelScope, TaskGroup};

/// A time that is up at once, and whose drop looks whether a group is drained.
struct Grace {
    group: TaskGroup,
    was_drained: Arc<AtomicBool>,
}

impl Future for Grace {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        let drained = self.group.drained().block_for(Duration::ZERO);
        self.was_drained.store(drained.is_ok(), Ordering::Relaxed);
    }
}

/// Rule 18.
#[test]
fn the_drop_of_a_grace_finds_idle_groups_below_drained() {
    let group = TaskGroup::new();
    let _inside = group.guard().unwrap();
    let idle = TaskGroup::builder().parent(group.token()).build();
    let was_drained = Arc::new(AtomicBool::new(false));
    let grace = Grace { group: idle, was_drained: Arc::clone(&was_drained) };
    assert!(look(&mut group.shutdown(grace)).is_pending());
    assert!(was_drained.load(Ordering::Relaxed), "foreign code ran before own work");
}

/// Dropping it runs `last` in a callback that is nested in `depth` others.
fn nested(depth: usize, last: impl FnOnce() + Send + 'static) -> CancelScope {
    let mut scope = CancelScope::new();
    scope.token().on_cancel(last).detach();
    for _ in 0..depth {
        let inner = scope;
        scope = CancelScope::new();
        scope.token().on_cancel(move || drop(inner)).detach();
    }
    scope
}

/// Drops what it holds by the panic that unwinds through its owner.
struct WhileUnwinding(Option<CancelScope>);

impl Drop for WhileUnwinding {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// What a panic carried is dropped where the thread is unwinding already; that drop has work, too.
#[test]
fn what_a_panic_carried_is_not_lost_in_nested_drops() {
    for depth in 0..12 {
        let ran = Arc::new(AtomicBool::new(false));
        let scope = nested(depth, {
            let ran = Arc::clone(&ran);
            move || {
                let carried = nested(0, move || ran.store(true, Ordering::Relaxed));
                resume_unwind(Box::new(carried))
            }
        });
        let unwinding = AssertUnwindSafe(|| {
            let _scope = WhileUnwinding(Some(scope));
            panic_quietly("oops")
        });
        let _: Result<(), _> = catch_unwind(unwinding);
        assert!(ran.load(Ordering::Relaxed), "lost at a depth of {depth}");
    }
}
