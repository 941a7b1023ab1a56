//! Rules 11, 12, 18 and 19: foreign code may do what it wants, wherever it is called.
//!
//! The cells are made by loops: each row of `hostile/methods.rs` is run once to see which foreign code it calls, and
//! then once for each such call and each behaviour of `hostile/behaviours.rs`, in a world of its own.

#![cfg(not(loom))]

mod common;
#[path = "common/heap.rs"]
mod heap;
mod hostile;

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

#[cfg(feature = "std")]
use core::task::Poll;
#[cfg(feature = "std")]
use winddown::WaitGroup;

use common::panic_quietly;
use hostile::behaviours::{BEHAVIOURS, Behaviour, begin, blocks, enter};
use hostile::foreign::{Act, Call, PANICS, Seen, observe};
use hostile::listing;
use hostile::methods::{self, Row};
use hostile::world::World;

/// Makes objects in some state.
type State = fn() -> Arc<World>;

/// Where nobody waits: elsewhere a wait that is woken first, and one that is woken last, are not the same.
const ENDED: &str = "ended";

const STATES: [(&str, State, Place); 3] = [
    ("in use", World::new, Place::Calm),
    ("in use, while a panic unwinds", World::new, Place::Unwinding),
    (ENDED, World::ended, Place::Calm),
];

/// Where a row runs: where nothing has panicked, or in a drop that a panic runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Calm,
    Unwinding,
}

/// Runs `row` in a world of its own, and checks that world to its end.
fn run(row: &Row, world: State, place: Place, plan: Option<(usize, Act)>) -> Seen {
    let before = blocks();
    let world = world();
    enter(Some(Arc::clone(&world)));
    let method = || observe(plan, || (row.run)(&world));
    let seen = if place == Place::Calm { method() } else { while_unwinding(method) };
    world.check();
    world.use_everything();
    world.end();
    world.check_ended();
    enter(None);
    let tally = world.tally.clone();
    drop(world);
    assert_eq!(tally.alive(), 0, "things were not dropped, or dropped twice");
    drop(tally);
    let left = blocks() - before - isize::from(seen.calls.capacity() > 0);
    assert_eq!(left, 0, "blocks of memory were not given back");
    seen
}

/// Calls `method` in a drop that a panic runs.
fn while_unwinding<R>(method: impl FnOnce() -> R) -> R {
    struct Dropped<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Dropped<F> {
        fn drop(&mut self) {
            assert!(thread::panicking());
            (self.0)();
        }
    }
    let (mut method, mut result) = (Some(method), None);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _dropped = Dropped(|| result = method.take().map(|method| method()));
        panic_quietly("unwinds");
    }));
    assert!(outcome.is_err());
    result.expect("the drop has run")
}

/// The first call of each kind, and the last one where `with_last` says so.
fn of_each_kind(calls: &[Call], with_last: bool) -> BTreeSet<usize> {
    let mut kinds = BTreeMap::new();
    for (number, call) in calls.iter().enumerate() {
        let (_, last) = kinds.entry(call).or_insert((number, number));
        *last = if with_last { number } else { *last };
    }
    kinds.into_values().flat_map(|(first, last)| [first, last]).collect()
}

/// One call of foreign code that misbehaves.
fn cell(row: &Row, world: State, place: Place, at: usize, behaviour: &Behaviour) {
    let seen = run(row, world, place, Some((at, behaviour.act)));
    assert!(seen.misbehaved, "the call was not made again");
    let expected = behaviour.name.starts_with(PANICS).then_some(PANICS);
    // A panic that would meet another one may be kept in, since that would abort.
    if seen.panic.is_some() || place == Place::Calm {
        assert_eq!(seen.panic, expected, "what the method panics with");
    }
}

/// Runs the cells of each row for which `is_mine` says so.
fn matrix(is_mine: fn(usize) -> bool) {
    begin();
    let (mut cells, mut failures) = (0, Vec::new());
    for (_, row) in methods::all().iter().enumerate().filter(|(at, _)| is_mine(*at)) {
        for (state, world, place) in STATES {
            // The first run also makes what a thread makes once.
            let name = row.name;
            let first = catch_unwind(|| drop(run(row, world, place, None)));
            assert!(first.is_ok(), "{name}, {state}, where foreign code is calm");
            let calls = run(row, world, place, None).calls;
            for at in of_each_kind(&calls, state != ENDED) {
                for behaviour in BEHAVIOURS {
                    cells += 1;
                    if catch_unwind(|| cell(row, world, place, at, behaviour)).is_err() {
                        enter(None);
                        let (Call { what, of }, act) = (calls[at], behaviour.name);
                        failures.push(format!("{name}, {state}: {what} of {of} {act}"));
                    }
                }
            }
        }
    }
    println!("{cells} cells");
    assert!(failures.is_empty(), "{} of {cells} cells:\n{}", failures.len(), failures.join("\n"));
}

/// See the file. Half of the rows, so that two threads share the work.
#[test]
fn foreign_code_may_do_anything_in_every_second_method() {
    matrix(|row| row % 2 == 0);
}

/// The other half.
#[test]
fn foreign_code_may_do_anything_in_every_other_method() {
    matrix(|row| row % 2 == 1);
}

/// Parks the thread until a limit unparks it.
#[cfg(feature = "std")]
fn blocks_for_a_moment() {
    let (group, mut polls) = (WaitGroup::new(), 0);
    let _guard = group.guard();
    let limit = core::future::poll_fn(move |cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
    });
    assert!(group.wait().until(limit).block().is_err());
}

/// The destructors of a thread's locals run when the thread ends, before or after those of other locals, whatever order
/// the system has. Every type works in them, whether the thread has used the crate before or not.
#[test]
fn a_thread_that_ends_may_use_every_type() {
    /// Uses everything when its thread ends.
    struct AtTheEnd(Cell<Option<Sender<()>>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let world = World::new();
            world.use_everything();
            #[cfg(feature = "std")]
            blocks_for_a_moment();
            world.end();
            world.check_ended();
            world.drop_handles();
            self.0.take().expect("once").send(()).unwrap();
        }
    }
    thread_local! {
        static FIRST: AtTheEnd = const { AtTheEnd(Cell::new(None)) };
        static LAST: AtTheEnd = const { AtTheEnd(Cell::new(None)) };
    }
    for uses_it_before in [false, true] {
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            FIRST.with(|it| it.0.set(Some(tell.clone())));
            if uses_it_before {
                World::new().end();
            }
            LAST.with(|it| it.0.set(Some(tell)));
        });
        thread.join().unwrap();
        assert_eq!(told.iter().count(), 2);
    }
}

/// Rule 18: a query never runs foreign code. What `hostile/listing.rs` calls quiet is quiet in each state, and all
/// that is not listed there calls something in one of them: its row shows something.
#[test]
fn only_quiet_methods_call_no_foreign_code() {
    let mut calls = BTreeMap::new();
    for row in methods::all() {
        let made =
            STATES.iter().map(|(_, world, place)| run(&row, *world, *place, None).calls.len());
        *calls.entry(row.name.to_owned()).or_insert(0) += made.sum::<usize>();
    }
    let listed = listing::quiet();
    let (quiet, loud): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(_, made)| *made == 0);
    let unlisted: Vec<_> = quiet.iter().filter(|(name, _)| !listed.contains(name)).collect();
    assert!(unlisted.is_empty(), "these call nothing, and are not listed as quiet: {unlisted:?}");
    let broken: Vec<_> = loud.iter().filter(|(name, _)| listed.contains(name)).collect();
    assert!(broken.is_empty(), "these are listed as quiet, and call something: {broken:?}");
}

/// A method that is new in `docs/public-api.txt` has a row in `hostile/methods/`, or a reason why it has none.
#[test]
fn every_public_method_has_a_row() {
    let rows: BTreeSet<_> = methods::all().iter().map(|row| row.name.to_owned()).collect();
    let listed = listing::methods();
    let has_a_reason = |name: &&String| {
        let mut patterns = listing::WITHOUT_A_ROW.iter().flat_map(|(_, names)| *names);
        patterns.any(|it| name.starts_with(it))
    };
    let missing: Vec<_> = listed.difference(&rows).filter(|it| !has_a_reason(it)).collect();
    assert!(missing.is_empty(), "no row in tests/hostile/methods/ for {missing:#?}");
    let gone: Vec<_> = rows.difference(&listed).collect();
    assert!(gone.is_empty(), "not in docs/public-api.txt: {gone:#?}");
}
