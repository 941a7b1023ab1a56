//! Rules 15, 18, 19: an error whose drop panics, and a future whose drop panics, in every place where an
//! `ErrGroup` drops one. Nothing is lost, nothing is dropped twice, and the group ends.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{Future, poll_fn};
use core::pin::Pin;

use core::task::{Context, Poll};

use common::{Drops, Fault, Foreign, look, panic_of, panic_quietly, poll};
use winddown::{ErrGroup, Reason, TaskGroup};

/// A group that keeps one error.
fn keeps_one() -> ErrGroup<Fault> {
    TaskGroup::builder().keep_errors(1).build_err()
}

/// How many errors the answer has: kept, dropped, and panics of tasks.
fn answer(group: &ErrGroup<Fault>) -> (usize, usize, usize) {
    let errors = group.join().block().unwrap_err();
    (errors.iter().len(), errors.dropped(), errors.panics())
}

/// The thread that records an error beyond the bound drops it: when it has been counted, and the others
/// told.
#[test]
fn an_error_beyond_the_bound_is_dropped_when_it_has_been_recorded() {
    for keep in [0, 1] {
        let (drops, group) = (Drops::default(), TaskGroup::builder().keep_errors(keep).build_err());
        let guard = group.group().guard().unwrap();
        (0..keep).for_each(|_| assert!(group.record(drops.calm()).is_ok()));
        assert_eq!(drops.count(), 0);
        assert_eq!(panic_of(|| group.record(drops.panicking()).is_ok()), "a drop");
        assert!(matches!(guard.token().reason(), Some(Reason::Failed)), "the error cancels");
        assert!(group.record(drops.calm()).is_ok());
        assert_eq!(drops.count(), 2);
        drop(guard);
        assert_eq!(answer(&group), (keep, 2, 0));
        drop(group);
        drops.assert_all_gone(keep + 2);
    }
}

/// Rule 11: it is dropped also if a waker that the cancel runs panics, and its panic does not meet that
/// one.
#[test]
fn a_waker_and_an_errors_drop_may_panic_in_one_record() {
    let (drops, group) = (Drops::default(), TaskGroup::builder().keep_errors(0).build_err());
    let token = group.group().token().clone();
    let mut wait = token.cancelled();
    let waker = Foreign::new().on_wake(|| panic_quietly("a waker")).into_waker();
    assert!(poll(&mut wait, &waker).is_pending());
    let guard = group.group().guard().unwrap();
    assert_eq!(panic_of(|| group.record(drops.panicking()).is_ok()), "a waker");
    drops.assert_all_gone(1);
    drop(guard);
    assert_eq!(answer(&group), (0, 1, 0));
}

/// A record by a drop that runs while its thread unwinds adds no panic.
#[test]
fn a_record_while_a_panic_unwinds_adds_none() {
    struct Records<'a>(&'a ErrGroup<Fault>, &'a Drops);
    impl Drop for Records<'_> {
        fn drop(&mut self) {
            assert!(self.0.record(self.1.panicking()).is_ok());
        }
    }
    let (drops, group) = (Drops::default(), TaskGroup::builder().keep_errors(0).build_err());
    let guard = group.group().guard().unwrap();
    let text = panic_of(|| {
        let _records = Records(&group, &drops);
        panic_quietly("elsewhere")
    });
    assert_eq!(text, "elsewhere");
    drops.assert_all_gone(1);
    drop(guard);
    assert_eq!(answer(&group), (0, 1, 0));
}

/// Rule 15: a task whose error panics in its drop has failed, and has not panicked. It is counted out
/// before the panic goes on.
#[test]
fn a_task_is_counted_out_before_the_panic_of_its_error_goes_on() {
    let (drops, group) = (Drops::default(), TaskGroup::builder().keep_errors(0).build_err());
    let fault = drops.panicking();
    let mut task = Box::pin(group.try_track(async { Err(fault) }).unwrap());
    assert_eq!(panic_of(|| look(&mut task)), "a drop");
    assert!(group.group().is_empty());
    assert_eq!(answer(&group), (0, 1, 0));
    drops.assert_all_gone(1);
}

/// Rule 15: a task whose error cancels the group has not panicked either, if a foreign waker panics.
#[test]
fn a_wakers_panic_is_not_that_of_the_task_that_failed() {
    let (drops, group) = (Drops::default(), keeps_one());
    let token = group.group().token().clone();
    let mut wait = token.cancelled();
    let waker = Foreign::new().on_wake(|| panic_quietly("a waker")).into_waker();
    assert!(poll(&mut wait, &waker).is_pending());
    let fault = drops.calm();
    let mut task = Box::pin(group.try_track(async { Err(fault) }).unwrap());
    assert_eq!(panic_of(|| look(&mut task)), "a waker");
    assert!(group.group().is_empty());
    assert_eq!(answer(&group), (1, 0, 0));
}

/// A future that is ready with an error, and panics in its drop.
struct PanicsInDrop(Option<Fault>);

impl Future for PanicsInDrop {
    type Output = Result<(), Fault>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(self.0.take().map_or(Ok(()), Err))
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic_quietly("a future's drop");
    }
}

/// Rule 15: the error that a future gave is recorded though the future's drop panics; and the task has
/// panicked, too.
#[test]
fn an_error_is_recorded_though_the_futures_drop_panics() {
    for fails in [true, false] {
        let (drops, group) = (Drops::default(), keeps_one());
        let future = PanicsInDrop(fails.then(|| drops.calm()));
        let mut task = Box::pin(group.try_track(future).unwrap());
        assert_eq!(panic_of(|| look(&mut task)), "a future's drop");
        assert!(group.group().is_empty());
        assert_eq!(group.group().token().is_cancelled(), fails);
        assert_eq!(answer(&group), (usize::from(fails), 0, 1));
        drop((task, group));
        drops.assert_all_gone(usize::from(fails));
    }
}

/// The same where the error's drop panics after the future's: the first panic goes on.
#[test]
fn a_future_and_its_error_may_panic_in_their_drops() {
    let (drops, group) = (Drops::default(), TaskGroup::builder().keep_errors(0).build_err());
    let mut task = Box::pin(group.try_track(PanicsInDrop(Some(drops.panicking()))).unwrap());
    assert_eq!(panic_of(|| look(&mut task)), "a future's drop");
    assert_eq!(answer(&group), (0, 1, 1));
    drops.assert_all_gone(1);
}

/// A future that is dropped early, or refused, has no error. Its task is counted out though its drop
/// panics, or was never counted in.
#[test]
fn a_future_that_is_dropped_early_is_counted_out_though_its_drop_panics() {
    let group = keeps_one();
    let task = group.try_track(PanicsInDrop(None)).unwrap();
    assert_eq!(panic_of(|| drop(task)), "a future's drop");
    assert!(group.group().is_empty());
    assert_eq!(answer(&group), (0, 0, 1));
    assert_eq!(panic_of(|| group.try_track(PanicsInDrop(None)).is_err()), "a future's drop");
    assert_eq!(answer(&group), (0, 0, 1));
}

/// The last copy of the answer drops the errors: all of them, as a `Vec` would, though one panics.
#[test]
fn the_last_copy_of_the_answer_drops_every_error() {
    for panicking in 0..3 {
        let (drops, group) = (Drops::default(), ErrGroup::new());
        let guard = group.group().guard().unwrap();
        for place in 0..3 {
            let fault = if place == panicking { drops.panicking() } else { drops.calm() };
            assert!(group.record(fault).is_ok());
        }
        drop(guard);
        let errors = group.join().block().unwrap_err();
        let copy = errors.clone();
        drop((group, copy));
        assert_eq!(drops.count(), 0);
        assert_eq!(panic_of(|| drop(errors)), "a drop");
        drops.assert_all_gone(3);
    }
}

/// So does the end of a group that has no handle left, on the thread of its last task. By then the group
/// has ended for its parent too.
#[test]
fn the_end_of_a_group_without_handles_drops_every_error() {
    let (drops, parent) = (Drops::default(), TaskGroup::new());
    let group = parent.child_err().unwrap();
    let guard = group.group().guard().unwrap();
    for fault in [drops.panicking(), drops.calm(), drops.calm()] {
        assert!(group.record(fault).is_ok());
    }
    drop(group);
    assert_eq!(panic_of(|| drop(guard)), "a drop");
    drops.assert_all_gone(3);
    assert!(parent.is_empty());
    parent.join().block();
}

/// Rule 16: and it does so if the finaliser panics as well, which is the panic that goes on; whether the
/// last handle ends the group, or the last task.
#[test]
fn a_finaliser_and_an_errors_drop_may_panic_at_one_end() {
    for is_busy in [false, true] {
        let drops = Drops::default();
        let group = TaskGroup::builder()
            .cancel_on_error(false)
            .finally(|| panic_quietly("the finaliser"))
            .build_err();
        let guard = is_busy.then(|| group.group().guard().unwrap());
        for fault in [drops.panicking(), drops.calm()] {
            assert!(group.record(fault).is_ok());
        }
        let text = panic_of(|| {
            drop(group);
            drop(guard);
        });
        assert_eq!(text, "the finaliser");
        drops.assert_all_gone(2);
    }
}

/// An error that comes too late goes back whole. Nothing is dropped here.
#[test]
fn a_refused_error_is_not_dropped() {
    let (drops, group) = (Drops::default(), keeps_one());
    group.group().close();
    let back = group.record(drops.panicking()).unwrap_err();
    assert!(group.join().block().is_ok());
    assert_eq!(drops.count(), 0);
    assert_eq!(panic_of(|| drop(back)), "a drop");
    drops.assert_all_gone(1);
}

/// A task that is dropped before its future is ready records nothing.
#[test]
fn a_task_that_is_dropped_early_records_nothing() {
    let (drops, group) = (Drops::default(), keeps_one());
    let mut fault = Some(drops.calm());
    let work = poll_fn(move |_| fault.take().map_or(Poll::Pending, |it| Poll::Ready(Err(it))));
    drop(group.try_track(work).unwrap());
    drops.assert_all_gone(1);
    assert!(group.join().block().is_ok());
}
