//! Rule 9: no recursion over what the crate's objects own for users: each of them owns the next one by a value, a
//! callback, a finaliser, a reason or an error, and the first one is dropped on a small stack.
//!
//! Values of signals, tracked futures and pointers are not among them: they may borrow, so they are dropped where they
//! are, as by an `Option`, and a chain of them needs stack for each link. So does one of wakers that own waits.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::any::Any;
use core::fmt;

use common::{Drops, Fault, look, on_a_small_stack};
use winddown::{CancelScope, CancelToken, ErrGroup, TaskGroup};

const LINKS: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };

/// What is owned: the next object, with a value that counts its drop.
struct Owned {
    _next: Box<dyn Any + Send + Sync>,
    _fault: Fault,
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owned")
    }
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for Owned {}

/// Makes an object that owns another one.
type Owner = fn(Owned) -> Box<dyn Any + Send + Sync>;

const OWNERS: [(&str, Owner); 9] = [
    ("a value of a token", |owned| Box::new(CancelToken::never().with_value(owned))),
    ("a callback that runs", |owned| {
        let scope = CancelScope::new();
        scope.token().on_cancel(move || drop(owned)).detach();
        Box::new(scope)
    }),
    ("a callback that never runs", |owned| {
        let canceller = CancelScope::new().detach();
        canceller.token().on_cancel(move || drop(owned)).detach();
        Box::new(canceller)
    }),
    ("a callback that is taken back", |owned| {
        Box::new(CancelScope::new().detach().token().on_cancel(move || drop(owned)))
    }),
    ("a reason", |owned| {
        let scope = CancelScope::new();
        scope.cancel_with(owned).unwrap();
        Box::new(scope.token().check().unwrap_err())
    }),
    ("a finaliser, by the last handle", |owned| {
        Box::new(TaskGroup::builder().finally(move || drop(owned)).build())
    }),
    ("a finaliser, by the last task", |owned| {
        Box::new(TaskGroup::builder().finally(move || drop(owned)).build().guard().unwrap())
    }),
    ("an error", |owned| {
        let group = ErrGroup::new();
        group.record(owned).unwrap();
        Box::new(group)
    }),
    ("the errors of a group that has ended", |owned| {
        let group = ErrGroup::new();
        group.record(owned).unwrap();
        Box::new(look(&mut group.join()))
    }),
];

/// A chain in which `owner` says by what each object owns the next one.
fn assert_dropped(owner: impl Fn(usize) -> Owner) {
    let drops = Drops::default();
    let first: Box<dyn Any + Send + Sync> = Box::new(());
    let last = (0..LINKS)
        .fold(first, |next, link| owner(link)(Owned { _next: next, _fault: drops.calm() }));
    assert_eq!(drops.count(), 0);
    drop(last);
    drops.assert_all_gone(LINKS);
}

#[test]
fn objects_that_own_each_other_in_one_way_are_dropped() {
    on_a_small_stack(|| {
        for (name, owner) in OWNERS {
            println!("{name}");
            assert_dropped(|_| owner);
        }
    });
}

#[test]
fn objects_that_own_each_other_in_all_ways_are_dropped() {
    on_a_small_stack(|| assert_dropped(|link| OWNERS[link % OWNERS.len()].1));
}
