//! `ErrGroup`: the errors of its tasks, which are the same for all that join.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::error::Error;
use core::fmt;
use core::future::{pending, ready};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;

use common::{Bell, look, panic_of, panic_quietly, poll};
use futures_util::future::FusedFuture as _;
use winddown::future::TrackedErr;
use winddown::{ErrGroup, Errors, Reason, Refused, TaskGroup};

const ROUNDS: usize = if cfg!(debug_assertions) { 500 } else { 5000 };

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault(u32);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {}", self.0)
    }
}

impl Error for Fault {}

/// A task that is ready with `outcome` at once.
fn run(group: &ErrGroup<Fault>, outcome: Result<(), Fault>) {
    assert!(look(&mut group.try_track(ready(outcome)).unwrap()).is_ready());
}

fn numbers(errors: &Errors<Fault>) -> Vec<u32> {
    errors.iter().map(|fault| fault.0).collect()
}

/// S4.4: counted, run, with the group's signal at hand, its error recorded.
#[test]
fn a_task_is_counted_and_its_error_recorded() {
    let group = ErrGroup::<Fault>::new();
    let token = group.group().token().clone();
    let mut task = Box::pin(
        group
            .try_track(async move {
                token.cancelled().await;
                Err(Fault(1))
            })
            .unwrap(),
    );
    assert!(look(&mut task).is_pending());
    assert_eq!(group.group().len(), 1);
    group.group().cancel();
    assert!(look(&mut task).is_ready());
    assert_eq!(group.group().len(), 0);
    assert_eq!(numbers(&group.join().block().unwrap_err()), [1]);
}

/// Rule 15: the first error cancels the rest and closes the door; the reason says so.
#[test]
fn the_first_error_cancels_the_rest() {
    let group = ErrGroup::new();
    let mut sibling = group.try_track(pending::<Result<(), Fault>>()).unwrap();
    run(&group, Ok(()));
    assert!(!group.group().is_closed());
    run(&group, Err(Fault(1)));
    assert!(matches!(group.group().token().reason(), Some(Reason::Failed)));
    assert_eq!(group.try_track(ready(Ok(()))).unwrap_err(), Refused::Closed);
    assert!(look(&mut sibling).is_pending());
    drop(sibling);
    assert_eq!(numbers(&group.join().block().unwrap_err()), [1]);
}

/// Rule 15: unless told not to.
#[test]
fn an_error_may_leave_the_siblings_alone() {
    let group = TaskGroup::builder().cancel_on_error(false).build_err();
    for number in 0..3 {
        run(&group, Err(Fault(number)));
    }
    assert!(!group.group().token().is_cancelled() && !group.group().is_closed());
    let errors = group.join().block().unwrap_err();
    assert_eq!((numbers(&errors), errors.dropped()), (vec![0, 1, 2], 0));
}

/// Rule 15: all are kept up to a bound, the rest is counted; 32 unless said otherwise.
#[test]
fn errors_are_kept_up_to_a_bound() {
    for (most, kept) in [(Some(0), 0), (Some(3), 3), (Some(1000), 40), (None, 32)] {
        let builder = TaskGroup::builder().cancel_on_error(false);
        let builder = match most {
            Some(most) => builder.keep_errors(most),
            None => builder,
        };
        let group = builder.build_err();
        (0..40).for_each(|number| run(&group, Err(Fault(number))));
        let errors = group.join().block().unwrap_err();
        assert_eq!((errors.iter().len(), errors.dropped()), (kept, 40 - kept));
        assert_eq!(numbers(&errors), (0..kept as u32).collect::<Vec<_>>());
        assert_eq!(errors.first().is_some(), kept > 0);
    }
}

/// S4.6, S4.7: repeatable, from many callers, the same answer for ever.
#[test]
fn every_caller_gets_the_same_answer() {
    let group = ErrGroup::new();
    let guard = group.group().guard().unwrap();
    thread::scope(|threads| {
        let waiters: Vec<_> =
            (0..4).map(|_| threads.spawn(|| group.join().block().unwrap_err())).collect();
        group.group().closed().block();
        group.record(Fault(1)).unwrap();
        group.record(Fault(2)).unwrap();
        drop(guard);
        for waiter in waiters {
            assert_eq!(numbers(&waiter.join().unwrap()), [1, 2]);
        }
    });
    assert_eq!(group.record(Fault(3)), Err(Fault(3)), "too late");
    let mut join = group.join();
    for _ in 0..3 {
        let Poll::Ready(Err(errors)) = look(&mut join) else { panic!("ready again") };
        assert_eq!(numbers(&errors), [1, 2]);
        assert_eq!(errors, group.clone().join().block().unwrap_err());
    }
}

/// S4.7: what a child failed with stays its own.
#[test]
fn errors_of_a_child_or_a_link_are_not_adopted() {
    let parent = ErrGroup::<Fault>::new();
    let child = parent.group().child_err::<Fault>().unwrap();
    run(&child, Err(Fault(1)));
    assert!(!parent.group().is_closed());
    let linked = TaskGroup::builder().link(parent.group()).build_err::<Fault>();
    run(&parent, Err(Fault(2)));
    assert_eq!(numbers(&child.join().block().unwrap_err()), [1]);
    assert_eq!(numbers(&parent.join().block().unwrap_err()), [2]);
    assert!(linked.join().block().is_ok());
}

/// Rules 15, 16: the finaliser may still fail, and the answer has it; also where it panics then.
#[test]
fn a_finaliser_may_record() {
    for panics in [false, true] {
        let own = Arc::new(OnceLock::<ErrGroup<Fault>>::new());
        let of = Arc::clone(&own);
        let group = TaskGroup::builder()
            .finally(move || {
                of.get().unwrap().record(Fault(9)).unwrap();
                if panics {
                    panic_quietly("after that");
                }
            })
            .build_err();
        own.set(group.clone()).unwrap();
        let ends = catch_unwind(AssertUnwindSafe(|| group.group().close()));
        assert_eq!(ends.is_err(), panics);
        assert_eq!(numbers(&group.join().block().unwrap_err()), [9]);
        assert_eq!(group.record(Fault(1)), Err(Fault(1)));
    }
}

/// Rule 15: a panic is noticed, not caught, and is an answer by itself.
#[test]
fn a_task_that_only_panicked_is_an_answer() {
    let group = ErrGroup::<Fault>::new();
    let mut task = Box::pin(group.try_track(async { panic_quietly("oops") }).unwrap());
    assert_eq!(panic_of(|| look(&mut task)), "oops");
    assert!(!group.group().token().is_cancelled());
    assert_eq!(group.group().len(), 0, "counted out while the panic unwound");
    let errors = group.join().block().unwrap_err();
    assert_eq!((errors.first(), errors.panics(), errors.dropped()), (None, 1, 0));
    assert!(errors.to_string().contains("panicked"));
    assert!(panic_of(|| look(&mut task)).contains("polled again"));
}

/// API 5.4: terminated after ready, and not before.
#[test]
fn a_task_is_fused() {
    let group = ErrGroup::<Fault>::new();
    let mut task = group.try_track(ready(Err(Fault(1)))).unwrap();
    assert!(!task.is_terminated());
    assert!(look(&mut task).is_ready() && task.is_terminated());
    assert_eq!(format!("{task:?}"), "TrackedErr { .. }");
}

/// Errors that were kept, errors that were not, and tasks that panicked are told apart.
#[test]
fn the_answer_says_how_much_went_wrong() {
    let answer = |keep, errors, panics| {
        let group = TaskGroup::builder().cancel_on_error(false).keep_errors(keep).build_err();
        (0..errors).for_each(|number| run(&group, Err(Fault(number))));
        for _ in 0..panics {
            let guard = group.group().guard().unwrap();
            let fails = AssertUnwindSafe(|| {
                let _guard = guard;
                panic_quietly("oops")
            });
            assert!(catch_unwind(fails).is_err());
        }
        group.join().block().unwrap_err()
    };
    let rows = [
        (8, 1, 0, "fault 0"),
        (8, 2, 0, "fault 0 (and one more error)"),
        (8, 3, 0, "fault 0 (and 2 more errors)"),
        (1, 3, 1, "fault 0 (and 2 more errors); one task panicked"),
        (0, 1, 0, "one error, not kept"),
        (0, 2, 2, "2 errors, none kept; 2 tasks panicked"),
        (8, 0, 1, "one task panicked"),
        (8, 0, 2, "2 tasks panicked"),
    ];
    let answers = rows.map(|(keep, errors, panics, _)| answer(keep, errors, panics));
    for (at, (one, (.., says))) in answers.iter().zip(rows).enumerate() {
        assert_eq!(one.to_string(), says);
        for (other_at, other) in answers.iter().enumerate() {
            assert_eq!(one == other, at == other_at, "{one} and {other}");
        }
    }
}

/// What a task failed with is recorded although its own drop panics, and the panic is noticed.
#[test]
fn a_task_that_panics_in_its_drop_has_failed_all_the_same() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic_quietly("the drop");
        }
    }
    let group = ErrGroup::new();
    let bad = Bad;
    // The future keeps what it has captured until it is dropped.
    let work = core::future::poll_fn(move |_| {
        let _: &Bad = &bad;
        Poll::Ready(Err(Fault(7)))
    });
    let mut task = group.try_track(work).unwrap();
    assert_eq!(panic_of(|| look(&mut task)), "the drop");
    assert_eq!(group.group().len(), 0, "counted out while the panic unwound");
    let errors = group.join().block().unwrap_err();
    assert_eq!((numbers(&errors), errors.panics()), (vec![7], 1));
}

/// The recipe of `TaskGroup::panics`: a task that catches and carries its panic.
#[test]
fn a_panic_may_be_carried_as_an_error() {
    let group = ErrGroup::<String>::new();
    let caught = |work: fn()| {
        catch_unwind(work).map_err(|panic| (*panic.downcast::<&str>().unwrap()).to_owned())
    };
    let task = group.try_track(async move { caught(|| panic_quietly("carried")) }).unwrap();
    pollster::block_on(task);
    let errors = group.join().block().unwrap_err();
    assert_eq!((errors.first().unwrap().as_str(), errors.panics()), ("carried", 0));
}

/// Rule 5: when a join returns, nothing of the task is left, and its error is there.
#[test]
fn a_task_is_gone_before_its_error_is_recorded() {
    struct Told(ErrGroup<Fault>);
    impl Drop for Told {
        fn drop(&mut self) {
            assert_eq!(self.0.group().len(), 1);
            assert!(!self.0.group().token().is_cancelled());
        }
    }
    let group = ErrGroup::new();
    let told = Told(group.clone());
    let mut task = Box::pin(
        group
            .try_track(async move {
                let _told = told;
                Err(Fault(1))
            })
            .unwrap(),
    );
    assert!(look(&mut task).is_ready());
    assert!(group.join().block().is_err());
}

/// The errors by value, for the last copy when no handle is left: a caller that has joined can rely on it.
#[test]
fn errors_can_be_had_by_value() {
    let group = ErrGroup::new();
    run(&group, Err(Fault(1)));
    let errors = group.join().block().unwrap_err();
    let copy = errors.clone();
    let errors = errors.into_vec().unwrap_err();
    drop(group);
    let errors = errors.into_vec().unwrap_err();
    drop(copy);
    assert_eq!(errors.into_vec().unwrap(), [Fault(1)]);
}

/// The same while the task's own thread is just coming out of it.
#[test]
fn a_task_that_was_counted_out_keeps_no_copy() {
    for _ in 0..ROUNDS {
        let group = ErrGroup::new();
        let start = Barrier::new(3);
        thread::scope(|threads| {
            for number in 0..2 {
                let task = group.try_track(ready(Err(Fault(number)))).unwrap();
                let start = &start;
                threads.spawn(move || {
                    start.wait();
                    pollster::block_on(task);
                });
            }
            start.wait();
            let errors = group.join().block().unwrap_err();
            drop(group);
            assert_eq!(errors.into_vec().map(|all| all.len()), Ok(2), "a copy was left");
        });
    }
}

/// Rule 15: records from many threads, around the end: each is in the answer, or came back.
#[test]
fn a_record_is_in_the_answer_or_refused() {
    for keep in [0, 1, 3, 100] {
        for _ in 0..ROUNDS / 4 {
            let group = TaskGroup::builder().keep_errors(keep).build_err();
            let start = Barrier::new(4);
            let (refused, errors) = thread::scope(|threads| {
                let recorders: Vec<_> = (0..3)
                    .map(|number| {
                        let (group, start) = (&group, &start);
                        threads.spawn(move || {
                            start.wait();
                            (0..2).filter(|_| group.record(Fault(number)).is_err()).count()
                        })
                    })
                    .collect();
                start.wait();
                let answer = group.join().block();
                (recorders.into_iter().map(|it| it.join().unwrap()).sum::<usize>(), answer)
            });
            let there = match &errors {
                Ok(()) => 0,
                Err(errors) => errors.iter().len() + errors.dropped(),
            };
            assert_eq!(there + refused, 6);
            assert!(errors.as_ref().is_err_and(|it| it.iter().len() <= keep) || there == 0);
            assert_eq!(group.join().block(), errors, "the same for ever");
        }
    }
}

/// Rule 15: an error that was accepted is dropped only if as many as the bound are kept. One record from
/// outside meets the end of a group whose last task records one as well: if the one from outside is
/// refused, it has not used up the one place.
#[test]
fn a_refused_record_takes_no_place() {
    const GROUPS: usize = 500;
    for round in 0..ROUNDS / 4 {
        let group = |_| TaskGroup::builder().keep_errors(1).cancel_on_error(false).build_err();
        let groups: Vec<ErrGroup<Fault>> = (0..GROUPS).map(group).collect();
        let gates: Vec<_> = (0..GROUPS).map(|_| AtomicUsize::new(0)).collect();
        let meet = |i: usize| {
            gates[i].fetch_add(1, Ordering::SeqCst);
            while gates[i].load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
        };
        let from_outside = |i: usize| {
            meet(i);
            groups[i].record(Fault(1)).is_ok()
        };
        let from_inside = |i: usize| {
            let guard = groups[i].group().guard().unwrap();
            meet(i);
            (0..(round * 7 + i) % 40).for_each(|_| std::hint::spin_loop());
            groups[i].record(Fault(2)).expect("a task is not refused");
            groups[i].group().close();
            drop(guard);
        };
        let outside = thread::scope(|threads| {
            let outside = threads.spawn(|| (0..GROUPS).map(from_outside).collect::<Vec<_>>());
            (0..GROUPS).for_each(from_inside);
            outside.join().unwrap()
        });
        for (group, accepted) in groups.iter().zip(outside) {
            let errors = group.join().block().unwrap_err();
            assert_eq!((errors.iter().len(), errors.dropped()), (1, usize::from(accepted)));
            assert!(accepted || errors.first() == Some(&Fault(2)));
        }
    }
}

/// An error that is its own text and source; a limit on the join; both printed.
#[test]
fn errors_are_an_error() {
    let group = TaskGroup::builder().cancel_on_error(false).build_err();
    run(&group, Err(Fault(1)));
    assert!(format!("{group:?} {:?}", group.join()).contains("errors: 1"));
    let guard = group.group().guard().unwrap();
    let unfinished = group.join().block_for(Duration::from_millis(1)).unwrap_err();
    assert_eq!(unfinished.left, 1);
    let bell = Bell::new();
    let mut join = group.join();
    assert!(poll(&mut join, &bell.waker()).is_pending());
    run_late(&group);
    drop(guard);
    assert_eq!(bell.rings(), 1);
    let errors = join.block().unwrap_err();
    assert_eq!(errors.to_string(), "fault 1 (and one more error)");
    assert_eq!(errors.source().unwrap().to_string(), "fault 1");
    assert_eq!((&errors).into_iter().count(), 2);
    assert!(format!("{errors:?}").contains("Fault(2)"));
}

/// A record by a task that holds a plain guard, after the door was closed.
fn run_late(group: &ErrGroup<Fault>) {
    assert!(group.try_track(ready(Ok(()))).is_err());
    group.record(Fault(2)).unwrap();
}

/// The futures have names, so that they can be stored.
#[test]
fn futures_can_be_stored() {
    struct Server<'a> {
        tasks: Vec<TrackedErr<core::future::Ready<Result<(), Fault>>, Fault>>,
        join: winddown::future::WaitErrors<'a, Fault>,
    }
    let group = ErrGroup::new();
    let tasks = vec![group.try_track(ready(Err(Fault(1)))).unwrap()];
    let mut server = Server { tasks, join: group.join() };
    assert!(look(&mut server.tasks[0]).is_ready());
    assert!(matches!(look(&mut server.join), Poll::Ready(Err(_))));
}
