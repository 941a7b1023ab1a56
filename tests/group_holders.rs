//! Which tasks hold a group up: feature `holders`. Without it the same calls cost nothing.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use std::borrow::Cow;
#[cfg(not(feature = "holders"))]
use std::sync::Arc;

use winddown::TaskGroup;

/// A label that is foreign code on its way to become one.
struct Name<F>(F);

impl<F: FnOnce() -> String> From<Name<F>> for Cow<'static, str> {
    fn from(name: Name<F>) -> Self {
        name.0().into()
    }
}

/// The calls are there with and without the feature.
#[test]
fn labels_change_nothing_else() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap().label("first").label("second").cancel_on_drop();
    assert_eq!(group.len(), 1);
    drop(guard);
    assert!(group.token().is_cancelled() && group.is_drained());
}

#[cfg(not(feature = "holders"))]
#[test]
fn without_the_feature_a_guard_is_one_word() {
    assert_eq!(size_of::<winddown::TaskGuard>(), size_of::<usize>());
}

/// What a closure captured is dropped all the same.
#[cfg(not(feature = "holders"))]
#[test]
fn without_the_feature_no_label_is_made() {
    let group = TaskGroup::new();
    let captured = Arc::new(());
    let kept = Arc::clone(&captured);
    let guard = group.guard().unwrap().label_with(move || -> String {
        drop(kept);
        unreachable!("nobody asks for it")
    });
    let guard = guard.label(Name(|| unreachable!("nobody asks for it")));
    assert_eq!((Arc::strong_count(&captured), group.len()), (1, 1));
    drop(guard.label(String::from("made by the caller")));
    assert!(group.is_empty());
}

#[cfg(feature = "holders")]
mod with_the_feature {
    use core::num::NonZeroUsize;
    use core::panic::Location;
    use core::sync::atomic::{AtomicBool, Ordering};
    use core::time::Duration;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::common::{look, panic_of};
    use winddown::{ErrGroup, Holder, Holders, Refused, TaskGuard};

    fn labels(group: &TaskGroup) -> Vec<Cow<'static, str>> {
        group.holders().into_iter().map(|holder| holder.label).collect()
    }

    /// Label, place of the caller, number and time, oldest first.
    #[test]
    fn a_holder_has_a_label_a_place_and_a_time() {
        let group = TaskGroup::new();
        let before = Instant::now();
        let (here, first) = (Location::caller().line(), group.guard().unwrap().label("reader"));
        let second = group.guard().unwrap();
        let holders = group.holders();
        assert_eq!(labels(&group), ["reader", ""]);
        let [one, two] = holders.as_ref() else { panic!("{holders}") };
        assert_eq!([one.location.file(), two.location.file()], [file!(); 2]);
        assert_eq!([one.location.line(), two.location.line()], [here, here + 1]);
        assert_eq!([one.id, two.id], [0, 1]);
        assert!(holders.iter().all(|holder| holder.since.is_some_and(|at| at >= before)));
        drop(first);
        assert_eq!((group.holders().len(), holders.len()), (1, 2), "data, not a view");
        drop(second.label("writer"));
        assert!(group.holders().is_empty());
        drop(group.guard().unwrap());
        let last = group.guard().unwrap();
        assert_eq!(group.holders().into_iter().map(|it: Holder| it.id).collect::<Vec<_>>(), [3]);
        drop(last);
    }

    /// Oldest first, whichever way the list is read; a guard that is labelled anew keeps its place.
    #[test]
    fn a_list_is_read_oldest_first_in_every_way() {
        fn id(holder: &Holder) -> u64 {
            holder.id
        }
        let group = TaskGroup::new();
        let [first, second, third] = [(); 3].map(|()| group.guard().unwrap());
        drop(first);
        let guards = [third, second.label("anew")];
        let holders = group.holders();
        assert_eq!(holders.first().map(id), Some(1));
        assert_eq!((holders.len(), holders.iter().len(), holders.is_empty()), (2, 2, false));
        assert!(holders.iter().map(id).eq([1, 2]) && holders.iter().rev().map(id).eq([2, 1]));
        assert!((&holders).into_iter().map(id).eq([1, 2]));
        assert!(matches!(holders.as_ref(), [one, two] if (one.id, two.id) == (1, 2)));
        assert!(holders.into_iter().rev().map(|holder| holder.id).eq([2, 1]));
        drop(guards);
        for none in [group.holders(), Holders::default()] {
            assert!(none.first().is_none() && none.iter().next().is_none() && none.is_empty());
            assert_eq!((none.len(), none.as_ref().len(), none.into_iter().count()), (0, 0, 0));
        }
    }

    /// A label may be made at run time, and the last one counts.
    #[test]
    fn a_label_may_be_a_text_of_its_own() {
        let group = TaskGroup::new();
        let first = group.guard().unwrap().label(format!("connection {}", 1));
        let second = group.guard().unwrap().label_with(|| format!("connection {}", 2));
        let third = group.guard().unwrap().label("first").label_with(|| "second");
        let fourth =
            group.guard().unwrap().label(Name(|| "from".into())).label_with(|| Cow::from("cow"));
        assert_eq!(labels(&group), ["connection 1", "connection 2", "second", "cow"]);
        let before = group.holders();
        drop(first.label("renamed"));
        assert_eq!(labels(&group), ["connection 2", "second", "cow"]);
        assert_eq!(before.first().unwrap().label, "connection 1", "data, not a view");
        drop((second, third, fourth));
        assert!(group.holders().is_empty());
    }

    /// A task finds its own line by its number, whichever way it came in.
    #[test]
    fn a_guard_has_the_number_of_its_holder() {
        let limit = NonZeroUsize::new(100).unwrap();
        let group = TaskGroup::builder().limit(limit).build();
        let first = group.guard().unwrap().label("first");
        let (second, third) = (first.clone(), group.guard_when_room().block().unwrap());
        let guards = [first, second, third.cancel_on_drop()];
        let numbers = guards.each_ref().map(TaskGuard::id);
        assert_eq!(numbers, [0, 1, 2]);
        assert!(group.holders().iter().map(|holder| holder.id).eq(numbers));
        drop(guards);
        assert_eq!(TaskGroup::new().guard().unwrap().id(), 0, "of each group");
    }

    /// No foreign code runs under the lock: neither the closure nor a conversion.
    #[test]
    fn a_label_may_ask_for_the_holders_and_enter() {
        let group = TaskGroup::new();
        let busy = || {
            let inside = group.holders().len();
            let _another = group.guard().unwrap().label_with(|| group.holders().to_string());
            format!("{inside} before, {} meanwhile", group.holders().len())
        };
        let guard = group.guard().unwrap().label_with(busy);
        assert_eq!(labels(&group), ["1 before, 2 meanwhile"]);
        let guard = guard.label(Name(busy));
        assert_eq!(labels(&group), ["1 before, 2 meanwhile"]);
        drop(guard);
    }

    /// The guard is dropped by the panic, as by any other panic of its task, and the list is whole.
    #[test]
    fn a_label_that_panics_counts_the_task_out() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap().label("before").cancel_on_panic();
        let text = panic_of(|| guard.label_with(|| -> String { common::panic_quietly("no name") }));
        assert_eq!((text.as_str(), group.len(), group.panics()), ("no name", 0, 1));
        assert!(group.token().is_cancelled() && group.holders().is_empty());
    }

    /// One readable report.
    #[test]
    fn a_report_has_a_line_for_each() {
        let group = TaskGroup::new();
        assert_eq!(group.holders().to_string(), "0 inside");
        let _guards = [group.guard().unwrap().label("reader"), group.guard().unwrap()];
        let report = group.holders().to_string();
        let lines: Vec<_> = report.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "2 inside"));
        assert!(lines[1].contains("#0 reader, from ") && lines[1].contains(file!()));
        assert!(lines[2].contains("#1 (no label), from ") && lines[2].contains(", for "));
        assert!(format!("{:?}", group.holders()).contains("reader"));
    }

    /// Every way in names the caller, not a place of this crate.
    #[test]
    fn every_way_in_names_its_caller() {
        let limit = NonZeroUsize::new(100).unwrap();
        let group = TaskGroup::builder().limit(limit).build();
        let errors: ErrGroup<u8> = TaskGroup::builder().build_err();
        let guard = group.guard().unwrap();
        let tracked = group.track(async {}).unwrap();
        let room = group.guard_when_room().block().unwrap();
        let awaited = pollster::block_on(group.guard_when_room()).unwrap();
        let clone = guard.clone();
        let children = (group.child().unwrap(), group.child_err::<u8>().unwrap());
        let with = group.child_with(TaskGroup::builder()).unwrap();
        let linked = TaskGroup::builder().link(&group).build();
        let task = errors.try_track(async { Ok(()) }).unwrap();
        for (of, count) in [(&group, 8), (&linked, 1), (errors.group(), 1)] {
            let holders = of.holders();
            assert_eq!(holders.len(), count);
            let files = holders.iter().map(|holder| holder.location.file());
            assert!(files.clone().all(|file| file == file!()), "{holders}");
            let mut lines: Vec<_> = holders.iter().map(|it| it.location.line()).collect();
            lines.dedup();
            assert!(lines.len() >= count - 1, "{holders}");
        }
        assert_eq!(labels(&group)[5..], ["a child group"; 3]);
        assert_eq!(labels(&linked), ["a linked group"]);
        drop((guard, tracked, room, awaited, clone, children, with, task));
        assert!(group.holders().is_empty() && errors.group().holders().is_empty());
        group.close();
        assert!(linked.holders().is_empty());
    }

    /// A wait for room is no holder before it is in; one that gives up leaves nothing in the list.
    #[test]
    fn a_task_that_waits_for_room_is_not_inside() {
        let group = TaskGroup::builder().limit(NonZeroUsize::MIN).build();
        let guard = group.guard().unwrap().label("inside");
        let mut waits = [group.guard_when_room(), group.guard_when_room()];
        assert!(waits.iter_mut().all(|wait| look(wait).is_pending()));
        assert_eq!(group.guard().unwrap_err(), Refused::Full);
        assert_eq!(labels(&group), ["inside"]);
        drop(guard);
        let [first, mut second] = waits;
        drop(first);
        let core::task::Poll::Ready(Ok(guard)) = look(&mut second) else { panic!("its turn") };
        assert_eq!(labels(&group), [""]);
        drop(guard);
        assert!(group.holders().is_empty());
    }

    /// Every way out takes the name off the list: panics, `leave`, forgotten ones stay.
    #[test]
    fn every_way_out_takes_the_holder_off() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let text = panic_of(|| {
            let _guard = guard;
            common::panic_quietly("oops")
        });
        assert_eq!(text, "oops");
        let _handle = group.guard().unwrap().leave();
        assert!(group.holders().is_empty());
        core::mem::forget(group.guard().unwrap().label("forgotten"));
        assert_eq!(labels(&group), ["forgotten"]);
        let unfinished = group.join().block_for(Duration::from_millis(1)).unwrap_err();
        assert_eq!(unfinished.left, group.holders().len());
    }

    /// Whatever thread they enter on: one list.
    #[test]
    fn a_group_knows_the_holders_of_all_threads() {
        let group = TaskGroup::new();
        let guards: Vec<TaskGuard> = (0..4)
            .map(|_| {
                let group = group.clone();
                thread::spawn(move || group.guard().unwrap().label("thread")).join().unwrap()
            })
            .collect();
        assert_eq!(labels(&group), ["thread"; 4]);
        drop(guards);
        assert!(group.holders().is_empty());
    }

    /// S4.15: a watchdog looks while tasks come and go; what it sees was there.
    #[test]
    fn a_watchdog_looks_while_tasks_run() {
        let group = TaskGroup::new();
        let stays = group.guard().unwrap().label("stays");
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    for _ in 0..2000 {
                        drop(group.guard().unwrap().label("comes and goes").clone());
                    }
                    over.store(true, Ordering::Relaxed);
                });
            }
            while !over.load(Ordering::Relaxed) {
                let holders = group.holders();
                assert!((1..=5).contains(&holders.len()));
                assert_eq!(holders.first().unwrap().label, "stays", "the oldest comes first");
                assert!(holders.iter().is_sorted_by(|one, next| one.id < next.id));
            }
        });
        drop(stays);
        assert!(group.holders().is_empty());
    }
}
