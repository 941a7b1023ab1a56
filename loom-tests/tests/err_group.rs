//! Models of a group's errors: which are kept, and one answer for all.

#![cfg(loom)]

use core::future::ready;

use loom::future::block_on;
use loom::thread;
use winddown::{ErrGroup, Reason, TaskGroup};
use winddown_loom_tests::{Work, check, lend};

/// An error that was made by the thread that records it.
struct Failure(Work);

impl Failure {
    fn new() -> Self {
        let work = Work::default();
        work.finish();
        Self(work)
    }
}

/// Waits for the answer, and gives how many errors it has, kept and dropped, each of which is there to
/// be seen.
fn answer(group: &ErrGroup<Failure>) -> (usize, usize) {
    match block_on(group.join()) {
        Ok(()) => (0, 0),
        Err(errors) => {
            errors.iter().for_each(|error| error.0.assert_finished());
            (errors.iter().len(), errors.dropped())
        }
    }
}

/// Rule 15: an error that is recorded from outside while the group drains is in the answer or comes back.
/// Every thread gets the same answer.
///
/// Edges: Q.
fn a_record_meets_the_drain(keep: usize) {
    check(move || {
        let group = TaskGroup::builder().keep_errors(keep).cancel_on_error(false).build_err();
        // SAFETY: the thread is joined below.
        let group: &'static ErrGroup<Failure> = unsafe { lend(&group) };
        let guard = group.group().guard().unwrap();
        group.group().close();
        let leaver = thread::spawn(move || {
            drop(guard);
            answer(group)
        });
        let refused = group.record(Failure::new()).err();
        refused.iter().for_each(|error| error.0.assert_finished());
        let (kept, dropped) = answer(group);
        assert_eq!(kept + dropped, usize::from(refused.is_none()));
        assert_eq!(dropped > 0, keep == 0 && refused.is_none());
        assert_eq!(leaver.join().unwrap(), (kept, dropped));
    });
}

/// Mutants: `err-refused-error-lost`, `sealable-push-relaxed`, `sealable-seal-does-not-acquire`,
/// `sealable-seal-in-two-steps`.
#[test]
fn a_record_is_kept_or_comes_back() {
    a_record_meets_the_drain(1);
}

/// Mutants: `err-dropped-not-sealed`, `err-sealed-not-looked-at`.
#[test]
fn a_record_beyond_the_bound_is_counted_or_comes_back() {
    a_record_meets_the_drain(0);
}

/// Rule 15: the last task records, and leaves, and the group seals, while an error is recorded from
/// outside. The task's is in the answer. The other is there too, or comes back: then it has used up no
/// place, so the task's is kept.
///
/// Edges: A, Q.
///
/// Mutants: `err-landed-before-the-push`, `sealable-seal-in-two-steps`.
#[test]
fn two_records_meet_the_drain() {
    check(|| {
        let group = TaskGroup::builder().keep_errors(1).cancel_on_error(false).build_err();
        // SAFETY: the thread is joined below.
        let group: &'static ErrGroup<Failure> = unsafe { lend(&group) };
        let guard = group.group().guard().unwrap();
        group.group().close();
        let other = thread::spawn(move || {
            assert!(group.record(Failure::new()).is_ok(), "a task is refused");
            drop(guard);
        });
        let accepted = group.record(Failure::new()).is_ok();
        assert_eq!(answer(group), (1, usize::from(accepted)));
        other.join().unwrap();
    });
}

/// Rule 15: two tasks record at once. One error is kept, if one is to be kept, and the others are
/// counted.
fn two_tasks_record_at_once(keep: usize) {
    check(move || {
        let group = TaskGroup::builder().keep_errors(keep).cancel_on_error(false).build_err();
        // SAFETY: the thread is joined below.
        let group: &'static ErrGroup<Failure> = unsafe { lend(&group) };
        let guard = group.group().guard().unwrap();
        let other = thread::spawn(move || {
            assert!(group.record(Failure::new()).is_ok());
            drop(guard);
        });
        assert!(group.record(Failure::new()).is_ok());
        assert_eq!(answer(group), (keep, 2 - keep));
        other.join().unwrap();
    });
}

/// Mutants: `err-bound-forgotten-by-the-seal`, `err-errors-beyond-not-counted`.
#[test]
fn two_errors_at_once_fill_one_place() {
    two_tasks_record_at_once(1);
}

/// Mutants: `err-dropped-in-two-steps`.
#[test]
fn two_errors_at_once_are_both_counted() {
    two_tasks_record_at_once(0);
}

/// Rule 15: a record that comes after a refused one is refused too, though the bound is reached in
/// between, by an error that landed before the end.
///
/// Edges: Q.
///
/// Mutants: `err-landed-before-the-push`, `err-stack-sealed-first`.
#[test]
fn a_refusal_is_final() {
    check(|| {
        let group = TaskGroup::builder().keep_errors(1).cancel_on_error(false).build_err();
        // SAFETY: the threads are joined below.
        let group: &'static ErrGroup<Failure> = unsafe { lend(&group) };
        let end = thread::spawn(move || group.group().close());
        let first = thread::spawn(move || group.record(Failure::new()).is_ok());
        let [before, after] = [(); 2].map(|()| group.record(Failure::new()).is_ok());
        assert!(before || !after, "it was refused before");
        assert!(end.join().unwrap());
        let accepted =
            [before, after, first.join().unwrap()].map(usize::from).iter().sum::<usize>();
        let kept = accepted.min(1);
        assert_eq!(answer(group), (kept, accepted - kept));
    });
}

/// Rules 5 and 15: the first error cancels the rest, with the reason that says so, and is in the answer.
///
/// Edges: A, D, Q.
///
/// Mutants: `err-does-not-cancel`.
#[test]
fn the_first_error_cancels_the_rest() {
    check(|| {
        let group = ErrGroup::<Failure>::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.group().guard().unwrap();
        let task = group.try_track(ready(Err(Failure::new()))).unwrap();
        let failing = thread::spawn(move || block_on(task));
        block_on(guard.token().cancelled());
        assert!(matches!(guard.token().reason(), Some(Reason::Failed)));
        drop(guard);
        assert_eq!(answer(group), (1, 0));
        failing.join().unwrap();
    });
}
