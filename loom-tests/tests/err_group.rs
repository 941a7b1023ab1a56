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

/// Rule 15: an error that is recorded by one who is not inside, while the group drains, is in the answer
/// or comes back; the answer is the same to all who ask.
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

/// Mutants: `err-refused-error-lost`, `pile-push-relaxed`, `pile-seal-does-not-acquire`,
/// `pile-seal-in-two-steps`.
#[test]
fn a_record_is_kept_or_comes_back() {
    a_record_meets_the_drain(1);
}

/// Mutants: `err-sealed-not-looked-at`, `err-tickets-not-sealed`.
#[test]
fn a_record_beyond_the_bound_is_counted_or_comes_back() {
    a_record_meets_the_drain(0);
}

/// Rule 15: of two errors that are recorded at once while the group drains, one beyond the bound, each
/// is in the answer, kept or counted, or comes back.
///
/// Edges: Q.
///
/// Mutants: `pile-seal-in-two-steps`.
#[test]
fn two_records_meet_the_drain() {
    check(|| {
        let group = TaskGroup::builder().keep_errors(1).cancel_on_error(false).build_err();
        // SAFETY: the thread is joined below.
        let group: &'static ErrGroup<Failure> = unsafe { lend(&group) };
        let guard = group.group().guard().unwrap();
        group.group().close();
        let other = thread::spawn(move || {
            let recorded = group.record(Failure::new()).is_ok();
            drop(guard);
            usize::from(recorded)
        });
        let recorded = usize::from(group.record(Failure::new()).is_ok());
        let (kept, dropped) = answer(group);
        let recorded = recorded + other.join().unwrap();
        assert_eq!(kept + dropped, recorded);
        assert!(recorded > 0, "who is inside is refused");
    });
}

/// Rule 15: two who are inside record at once: one error is kept, and the one beyond the bound counted.
///
/// Mutants: `err-ticket-in-two-steps`.
#[test]
fn two_records_take_two_tickets() {
    check(|| {
        let group = TaskGroup::builder().keep_errors(1).cancel_on_error(false).build_err();
        // SAFETY: the thread is joined below.
        let group: &'static ErrGroup<Failure> = unsafe { lend(&group) };
        let guard = group.group().guard().unwrap();
        let other = thread::spawn(move || {
            assert!(group.record(Failure::new()).is_ok());
            drop(guard);
        });
        assert!(group.record(Failure::new()).is_ok());
        assert_eq!(answer(group), (1, 1));
        other.join().unwrap();
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
