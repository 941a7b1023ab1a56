//! What `TaskGroup::len` may say where its count may be spread over shards.
//!
//! Its docs: "a task that enters or leaves during the call may be counted or not. After threads have contended that
//! may hide another task that is inside all the time, and so may a first close". So, at any time, it counts nobody
//! that was not inside during the call; and when nothing else goes on, it is exact.

use super::Event;
use crate::model::Outcome;
use crate::model::group::{Built, Op};

type Group = u8;

/// The first call of `len` that is contradicted by the calls around it.
pub fn contradicted(built: &[Built], events: &[Event<Op>]) -> Option<usize> {
    (0..events.len()).find(|&at| {
        let Event { ref op, ref outcome, .. } = events[at];
        match (op, outcome) {
            (&Op::Len(group), &Outcome::Count(len)) => !may_be(built, events, at, group, len),
            _ => false,
        }
    })
}

fn may_be(built: &[Built], events: &[Event<Op>], at: usize, group: Group, len: usize) -> bool {
    let Event { called, returned, .. } = events[at];
    let count = |of: fn(&Event<Op>) -> Option<Group>, when: &dyn Fn(&Event<Op>) -> bool| {
        events.iter().filter(|event| of(event) == Some(group) && when(event)).count()
    };
    // A child is inside from its birth, before all calls, to its drain, which no call of its own tells.
    let children = built.iter().filter(|built| built.parent == Some(group)).count();
    let begun = count(entered, &|event| event.called < returned) + children;
    let over = count(left, &|event| event.returned < called);
    if len > begun.saturating_sub(over) {
        return false;
    }
    let alone = events.iter().enumerate().all(|(other, event)| {
        other == at || event.returned < called || event.called > returned || event.op.looks()
    });
    !alone || len + children >= begun.saturating_sub(over)
}

/// The group that a call has entered.
fn entered(event: &Event<Op>) -> Option<Group> {
    match (&event.op, &event.outcome) {
        (&Op::Guard(group), Outcome::Ok) | (&Op::CloneGuard(group), _) => Some(group),
        _ => None,
    }
}

/// The group that a call has left.
fn left(event: &Event<Op>) -> Option<Group> {
    match event.op {
        Op::DropGuard(group) | Op::Leave(group) | Op::Fail(group, _) => Some(group),
        _ => None,
    }
}
