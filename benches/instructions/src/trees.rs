//! Scopes below one another.

use std::hint::black_box;
use std::mem;

use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller};

use crate::subjects::{leak, poll};
use crate::{CROWD, OPS, Table};

pub(crate) fn rows(table: &Table) {
    let root = leak(CancelScope::new().detach());
    table.again("child: make", || root, |root| mem::forget(black_box(child(root))));
    table.drops("child: drop", OPS, || child(root));
    table.again("child: make and drop", || root, |root| drop(black_box(child(root))));

    table.row("child: first wait, each of 1,000", CROWD, children, |(_, children)| {
        for child in children {
            assert!(poll(&mut black_box(child).wait).is_pending());
        }
    });
    let parked = || {
        let (root, mut children) = children();
        assert!(children.iter_mut().all(|child| poll(&mut child.wait).is_pending()));
        (root, children)
    };
    table.row("child: cancel, for each of 1,000 with a wait", CROWD, parked, |(root, _)| {
        assert!(root.cancel());
    });
    let row = "child: drop with its wait, each of 1,000";
    table.row(row, CROWD, || parked().1, Vec::clear);
    let cancelled = || {
        let (root, children) = parked();
        assert!(root.cancel());
        children
    };
    let row = "child: drop with its wait, cancelled, each of 1,000";
    table.row(row, CROWD, cancelled, Vec::clear);
}

fn child(parent: &Canceller) -> Canceller {
    parent.token().child().detach()
}

/// The wait is dropped first.
struct Child {
    wait: WaitCancelled<CancelToken>,
    _scope: Canceller,
}

/// A thousand children, and their waits, which nobody has polled.
fn children() -> (&'static Canceller, Vec<Child>) {
    let root = leak(CancelScope::new().detach());
    let child = |_| {
        let scope = child(root);
        Child { wait: scope.token().clone().cancelled_owned(), _scope: scope }
    };
    (root, (0..CROWD).map(child).collect())
}
