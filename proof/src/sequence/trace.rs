//! What a sequence has called, for its report.

use std::cell::RefCell;
use std::fmt::Debug;

use crate::model::Outcome;

std::thread_local! {
    static CALLS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Notes a call, if somebody listens.
pub(super) fn note(op: &impl Debug, outcome: &Outcome) {
    CALLS.with_borrow_mut(|calls| {
        if let Some(calls) = calls {
            calls.push(match outcome {
                Outcome::Unit => format!("{op:?}"),
                other => format!("{op:?} -> {other:?}"),
            });
        }
    });
}

/// The calls that `f` makes.
pub(super) fn calls(f: impl FnOnce()) -> Vec<String> {
    CALLS.with_borrow_mut(|calls| *calls = Some(Vec::new()));
    f();
    CALLS.take().unwrap_or_default()
}
