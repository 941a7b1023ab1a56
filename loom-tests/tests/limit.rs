//! Models of groups with a limit: places, those who wait for one, and those who give up.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::task::{Poll, Waker};

use loom::future::block_on;
use loom::thread;
use winddown::future::WaitRoom;
use winddown::{Refused, TaskGroup};
use winddown_loom_tests::{
    Finale, Turns, Wakes, Work, check, check_within, lend, poll, unexplored,
};

fn limited(limit: usize) -> TaskGroup {
    TaskGroup::builder().limit(NonZeroUsize::new(limit).unwrap()).build()
}

/// A wait that sits in the queue of a full group.
fn queued(group: &TaskGroup) -> WaitRoom<'_> {
    let mut wait = group.guard_when_room();
    assert!(poll(&mut wait, Waker::noop()).is_pending(), "there is room");
    wait
}

/// Has one sit in the queue of a full group and give up, which leaves its mark in the word.
fn leave_a_mark(group: &TaskGroup) {
    unexplored(|| drop(queued(group)));
}

/// Who waits for room gets it, whether he sits down before or after somebody leaves.
///
/// Edges: B, C.
///
/// Mutants: `limit-announce-without-a-look`, `limit-queued-not-set`,
/// `limit-serve-does-not-acquire`, `limit-step-does-not-release`.
#[test]
fn who_leaves_lets_one_in() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let leaver = thread::spawn(move || drop(guard));
        let guard = block_on(group.guard_when_room()).unwrap();
        assert_eq!(group.guard().err(), Some(Refused::Full));
        leaver.join().unwrap();
        drop(guard);
        assert!(group.guard().is_ok());
    });
}

/// As above, where the word says already that somebody waits: who serves and finds nobody looks again,
/// if somebody sat down meanwhile.
///
/// Edges: B, C.
///
/// Mutants: `limit-fresh-cleared-late`, `limit-fresh-not-set`, `limit-queued-cleared-early`,
/// `limit-queued-not-cleared`.
#[test]
fn who_sits_down_late_is_found() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        leave_a_mark(group);
        let leaver = thread::spawn(move || drop(guard));
        drop(block_on(group.guard_when_room()).unwrap());
        leaver.join().unwrap();
        assert!(group.guard().is_ok());
    });
}

/// Two sit down at once while a third leaves: both get in, one after the other.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-step-does-not-release`.
#[test]
fn two_who_sit_down_at_once_get_in() {
    check_within(1, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let other = thread::spawn(move || drop(block_on(group.guard_when_room()).unwrap()));
        let wait = queued(group);
        drop(guard);
        drop(block_on(wait).unwrap());
        other.join().unwrap();
        assert!(group.guard().is_ok());
    });
}

/// First come, first served: a place that gets free goes to the first who waits, and neither to the one
/// behind him nor to a newcomer.
///
/// Edges: C.
///
/// Mutants: `limit-newcomer-overtakes`, `notify-one-takes-the-last`.
#[test]
fn a_place_goes_to_the_first_who_waits() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let (guard, turns) = (group.guard().unwrap(), Turns::default());
        // SAFETY: as above.
        let turns = unsafe { lend(&turns) };
        let [first, mut second] = unexplored(|| [(); 2].map(|()| queued(group)));
        let leaver = thread::spawn(move || {
            turns.take();
            drop(guard);
        });
        turns.take();
        assert_eq!(group.guard().err(), Some(Refused::Full));
        assert!(poll(&mut second, Waker::noop()).is_pending());
        let guard = block_on(first).unwrap();
        assert!(poll(&mut second, Waker::noop()).is_pending());
        leaver.join().unwrap();
        drop(guard);
        drop(block_on(second).unwrap());
    });
}

/// Nobody overtakes a wait that found room and passed it on to one who had sat down before.
///
/// Edges: B.
///
/// Mutants: `limit-passed-on-once`.
#[test]
fn nobody_overtakes_a_wait_that_passed_room_on() {
    check_within(2, || {
        let group = limited(2);
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let [one, other] = [(), ()].map(|()| group.guard().unwrap());
        let arrive = move || {
            let mut wait = group.guard_when_room();
            poll(&mut wait, Waker::noop()).is_pending().then_some(wait)
        };
        let waits = [(); 2].map(|()| thread::spawn(arrive));
        drop(one);
        let [before, behind] = waits.map(|wait| wait.join().unwrap());
        drop(before);
        if let Some(mut behind) = behind {
            drop(other);
            let overtakes = group.guard().is_ok();
            assert!(!overtakes || poll(&mut behind, Waker::noop()).is_ready());
        }
    });
}

/// Rule 12: a place that was granted to a wait that gives up goes to the next.
///
/// Edges: C, N.
///
/// Mutants: `limit-place-given-to-who-gave-up`, `limit-place-not-given-back`.
#[test]
fn a_wait_that_gives_up_keeps_no_place() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let [first, second] = unexplored(|| [(); 2].map(|()| queued(group)));
        let leaver = thread::spawn(move || drop(guard));
        drop(first);
        drop(block_on(second).unwrap());
        leaver.join().unwrap();
        assert!(group.guard().is_ok());
    });
}

/// Rule 12: as above, where the one who gives up is the last: the place is free again.
///
/// Edges: B, C.
///
/// Mutants: `limit-place-not-given-back`, `limit-queued-not-cleared`.
#[test]
fn a_place_that_nobody_wants_is_free_again() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let wait = unexplored(|| queued(group));
        let leaver = thread::spawn(move || drop(guard));
        drop(wait);
        leaver.join().unwrap();
        assert!(group.guard().is_ok());
        assert!(group.is_empty());
    });
}

/// Of two who leave at once one may serve for both: nobody's place is lost, and none is given twice.
///
/// Edges: C, N.
///
/// Mutants: `limit-places-not-handed-over`, `limit-two-serve-at-once`.
#[test]
fn two_who_leave_at_once_let_two_in() {
    check_within(1, || {
        let group = limited(2);
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let guards = [(); 2].map(|()| group.guard().unwrap());
        let waits = unexplored(|| [(); 3].map(|()| queued(group)));
        let leavers = guards.map(|guard| thread::spawn(move || drop(guard)));
        let [first, second, mut third] = waits;
        let guards = [first, second].map(|wait| block_on(wait).unwrap());
        assert_eq!(group.len(), 2);
        assert!(poll(&mut third, Waker::noop()).is_pending());
        leavers.into_iter().for_each(|leaver| leaver.join().unwrap());
        drop(guards);
        drop(block_on(third).unwrap());
        assert!(group.is_empty());
    });
}

/// Rules 4, 7 and 16: a close that meets a grant, on another thread or behind it on the same: the wait
/// gets in or is refused, and either way the group drains.
///
/// Edges: A, C, D.
fn a_close_meets_a_grant(on_one_thread: bool) {
    check_within(2, move || {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).limit(NonZeroUsize::MIN).build();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let wait = unexplored(|| queued(group));
        let leaver = thread::spawn(move || {
            drop(guard);
            if on_one_thread {
                group.close();
            }
        });
        if !on_one_thread {
            group.close();
        }
        match block_on(wait) {
            Ok(guard) => drop(guard),
            Err(refused) => assert_eq!(refused, Refused::Closed),
        }
        leaver.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Mutants: `limit-place-not-given-back`.
#[test]
fn a_close_behind_a_grant_ends_the_group() {
    a_close_meets_a_grant(true);
}

/// Mutants: `limit-place-not-given-back`.
#[test]
fn a_close_beside_a_grant_ends_the_group() {
    a_close_meets_a_grant(false);
}

/// Rule 7: a close wakes those who wait for room, and they are refused.
///
/// Edges: B, C, D.
///
/// Mutants: `limit-close-dismisses-nobody`, `limit-close-ends-no-wait`.
#[test]
fn a_close_wakes_who_waits_for_room() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _guard = group.guard().unwrap();
        let closer = thread::spawn(move || group.close());
        assert_eq!(block_on(group.guard_when_room()).err(), Some(Refused::Closed));
        closer.join().unwrap();
    });
}

/// Rule 7: so does a close from above.
///
/// Edges: B, C, D.
///
/// Mutants: `follow-does-not-close`, `limit-close-dismisses-nobody`.
#[test]
fn a_close_above_wakes_who_waits_for_room() {
    check_within(2, || {
        let above = TaskGroup::new();
        let full = TaskGroup::builder().limit(NonZeroUsize::MIN);
        let group = unexplored(|| above.child_with(full).unwrap());
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let closer = thread::spawn(move || above.close());
        assert_eq!(block_on(group.guard_when_room()).err(), Some(Refused::Closed));
        closer.join().unwrap();
        drop(guard);
        assert!(group.is_drained());
    });
}

/// Rules 4, 7 and 12: a close that dismisses a queue while somebody serves it: whichever of them comes
/// to a seat, all are decided, and no place is lost.
///
/// Edges: C, F, L, N.
///
/// Mutants: `limit-dismissed-has-a-place`, `limit-server-drops-the-dismissed`.
#[test]
fn a_close_and_a_grant_share_the_queue() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let wakes = [Wakes::new(), Wakes::new(), Wakes::new()];
        let mut waits = unexplored(|| {
            wakes.each_ref().map(|wakes| {
                let mut wait = group.guard_when_room();
                assert!(poll(&mut wait, &wakes.waker()).is_pending());
                wait
            })
        });
        let leaver = thread::spawn(move || drop(guard));
        group.close();
        leaver.join().unwrap();
        assert_eq!(wakes.map(|wakes| wakes.count()), [1; 3]);
        for wait in &mut waits {
            match poll(wait, Waker::noop()) {
                Poll::Ready(outcome) => assert_eq!(outcome.err(), Some(Refused::Closed)),
                Poll::Pending => panic!("a wait was passed by"),
            }
        }
        assert!(group.is_drained() && group.is_empty());
    });
}

/// Rule 5: who ends a group with a limit sees what was done inside.
///
/// Edges: A.
///
/// Mutants: `limit-leave-relaxed`.
#[test]
fn the_last_guard_of_a_full_group_publishes_its_work() {
    check(|| {
        let (work, finale) = (Arc::new(Work::default()), Arc::new(Finale::default()));
        let inside = Arc::clone(&work);
        let builder = finale.builder(move || inside.assert_finished());
        let group = builder.limit(NonZeroUsize::MIN).build();
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            work.finish();
            drop(guard);
        });
        group.close();
        worker.join().unwrap();
        finale.assert_over();
    });
}

/// Rule 4: one who would pass a place on and finds nobody, at a door that was closed meanwhile, ends the
/// group.
///
/// Edges: A.
///
/// Mutants: `limit-end-forgotten`.
#[test]
fn a_place_given_back_at_a_closed_door_ends_the_group() {
    check(|| {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).limit(NonZeroUsize::MIN).build();
        let guard = group.guard().unwrap();
        leave_a_mark(&group);
        let leaver = thread::spawn(move || drop(guard));
        group.close();
        leaver.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 4: a wait that comes to a closed door gives back the place that somebody granted it all the same.
///
/// Edges: A, D.
///
/// Mutants: `limit-end-forgotten`, `limit-end-while-queueing-forgotten`,
/// `limit-place-not-given-back`.
#[test]
fn a_wait_that_comes_to_a_closed_door_keeps_no_place() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        leave_a_mark(group);
        let other = thread::spawn(move || {
            drop(guard);
            group.close();
        });
        if let Poll::Ready(Err(refused)) = poll(&mut group.guard_when_room(), Waker::noop()) {
            assert_eq!(refused, Refused::Closed);
        }
        other.join().unwrap();
        assert!(group.is_drained());
    });
}
