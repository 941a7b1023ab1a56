//! Models of waits for a cancellation in a tree that is being cancelled, and of the registrations that handles
//! keep.

#![cfg(loom)]

use core::task::Waker;

use loom::future::block_on;
use loom::thread;
use winddown::{CancelScope, Reason};
use winddown_loom_tests::line::{LEAF, Line, MIDDLE, ROOT, below};
use winddown_loom_tests::{
    Wakes, alone_and_in_a_crowd, check, check_within, crowd, from_each_height, lend, poll,
    unexplored,
};

/// Rules 5 and 7: the first wait on a leaf hooks the line up while a scope of it is cancelled; it
/// ends, and sees what came before the cancel.
///
/// Edges: B, C, D, G, P.
///
/// Mutants: `node-step-does-not-release`.
fn a_wait_sees_what_came_before_the_cancel(height: usize) {
    check(move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let canceller = line.canceller(height);
        line.turns.take();
        block_on(line.token(LEAF).cancelled());
        line.work.assert_finished();
        canceller.join().unwrap();
    });
}

from_each_height!(a_wait_sees_what_came_before_the_cancel);

/// Rule 7: the seat of a node stands among others in its parent, and is fired like them.
///
/// Edges: B, C, D, G, L, S.
///
/// Mutants: `child-not-settled`, `due-takes-what-is-lent-twice`, `hook-up-does-not-announce`,
/// `hook-up-keeps-no-link`, `own-work-not-noted`.
fn a_wait_below_is_woken(crowded: bool) {
    check(move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let _crowd = crowded.then(|| crowd(|| line.token(ROOT).cancelled()));
        let canceller = line.canceller(ROOT);
        let wakes = Wakes::new();
        let (mut wait, early) = line.wait(MIDDLE, &wakes.waker());
        canceller.join().unwrap();
        assert!(early || wakes.count() > 0);
        assert!(poll(&mut wait, Waker::noop()).is_ready());
    });
}

alone_and_in_a_crowd!(a_wait_below_is_woken);

/// Rule 7: a thread that hooks a leaf up may stall at any step of it, while another wait, which relies on
/// it, parks and the line is cancelled. Both are woken.
///
/// Edges: B, C, D, G.
///
/// Mutants: `fire-front-or-further`, `hook-up-announces-first`, `hook-up-does-not-deliver`.
fn a_wait_may_rely_on_one_that_hooks_up(height: usize) {
    check_within(2, move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let wakes = [Wakes::new(), Wakes::new()];
        let first = thread::spawn({
            let waker = wakes[0].waker();
            move || line.wait(LEAF, &waker)
        });
        let (_second, early) = line.wait(LEAF, &wakes[1].waker());
        assert!(!early);
        assert!(line.cancel_with(height, Reason::Cancelled));
        let (_first, first_early) = first.join().unwrap();
        assert!(first_early || wakes[0].count() > 0, "the first");
        assert!(wakes[1].count() > 0, "the second");
    });
}

from_each_height!(a_wait_may_rely_on_one_that_hooks_up);

/// Rule 7: two first waits on a leaf and a cancel of the root, all at once.
///
/// Edges: B, C, D, G.
///
/// Mutants: `hook-up-announces-first`, `hook-up-claims-nothing`, `hook-up-does-not-deliver`,
/// `node-step-does-not-acquire`, `node-step-does-not-release`.
#[test]
fn two_first_waits_are_both_woken() {
    check_within(2, || {
        let root = CancelScope::new().detach();
        let leaf = below(&root);
        // SAFETY: the threads are joined below.
        let root = unsafe { lend(&root) };
        // SAFETY: as above.
        let leaf = unsafe { lend(&leaf) };
        let wakes = [Wakes::new(), Wakes::new()];
        let park = |waker: Waker| {
            let mut wait = leaf.token().cancelled();
            let early = poll(&mut wait, &waker).is_ready();
            (wait, early)
        };
        let first = thread::spawn({
            let waker = wakes[0].waker();
            move || park(waker)
        });
        let canceller = thread::spawn(move || assert!(root.cancel()));
        let (_second, early) = park(wakes[1].waker());
        canceller.join().unwrap();
        let (_first, first_early) = first.join().unwrap();
        assert!(first_early || wakes[0].count() > 0, "the first");
        assert!(early || wakes[1].count() > 0, "the second");
    });
}

/// Rule 7: a wait on a leaf relies on a wait on the middle for the way to the root, and the other way
/// round.
///
/// Edges: B, C, D, G.
///
/// Mutants: `hook-up-claims-no-parent`, `node-step-does-not-release`.
#[test]
fn waits_at_two_heights_are_both_woken() {
    check_within(2, || {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let wakes = [Wakes::new(), Wakes::new()];
        let upper = thread::spawn({
            let waker = wakes[0].waker();
            move || line.wait(MIDDLE, &waker)
        });
        let canceller = line.canceller(ROOT);
        let (_lower, early) = line.wait(LEAF, &wakes[1].waker());
        canceller.join().unwrap();
        let (_upper, upper_early) = upper.join().unwrap();
        assert!(upper_early || wakes[0].count() > 0, "on the middle");
        assert!(early || wakes[1].count() > 0, "on the leaf");
    });
}

/// Rules 9 and 12: a child that waits goes while its parent is cancelled; nothing is left of it, and
/// its sibling is woken.
///
/// Edges: B, C, D, L, S.
///
/// Mutants: `child-not-settled`.
fn a_child_that_goes_takes_no_wake_away(crowded: bool) {
    check(move || {
        let root = CancelScope::new().detach();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&root) };
        let _crowd = crowded.then(|| crowd(|| root.token().cancelled()));
        let (gone, wakes) = (Wakes::new(), Wakes::new());
        let child = below(&root).token().clone();
        let mut going = child.cancelled_owned();
        let sibling = below(&root);
        let mut wait = sibling.token().cancelled();
        unexplored(|| {
            assert!(poll(&mut going, &gone.waker()).is_pending());
            assert!(poll(&mut wait, &wakes.waker()).is_pending());
        });
        let canceller = thread::spawn(move || assert!(shared.cancel()));
        drop(going);
        canceller.join().unwrap();
        assert_eq!(wakes.count(), 1);
        assert!(gone.count() <= 1);
    });
}

alone_and_in_a_crowd!(a_child_that_goes_takes_no_wake_away);

/// Rule 12: a wait that is dropped in the slot of a node while the node is cancelled takes no other
/// wait's wake, and its waker is dropped.
///
/// Edges: B, C, D, S.
///
/// Mutants: `node-step-does-not-release`.
fn a_dropped_wait_swallows_nothing(crowded: bool) {
    check_within(2, move || {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let _crowd = crowded.then(|| crowd(|| line.token(LEAF).clone().cancelled_owned()));
        let wakes = Wakes::new();
        let mut dropped = line.token(LEAF).clone().cancelled_owned();
        unexplored(|| assert!(poll(&mut dropped, &wakes.waker()).is_pending()));
        let canceller = line.canceller(ROOT);
        let waiter = thread::spawn(move || {
            line.turns.take();
            line.token(LEAF).cancelled().block();
            line.work.assert_finished();
        });
        drop(dropped);
        waiter.join().unwrap();
        canceller.join().unwrap();
    });
}

alone_and_in_a_crowd!(a_dropped_wait_swallows_nothing);

/// Rule 7: a wait takes up the registration of the one before it while the scope is cancelled; it is
/// ready, or is woken.
///
/// Edges: B, C, D, T.
///
/// Mutants: `child-not-settled`.
fn a_registration_that_is_taken_up_is_woken(crowded: bool) {
    check(move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let _crowd = crowded.then(|| crowd(|| line.token(LEAF).clone().cancelled_owned()));
        let token = line.token(LEAF).clone();
        let wakes = Wakes::new();
        let waker = wakes.waker();
        unexplored(|| assert!(poll(&mut token.cancelled(), &waker).is_pending()));
        let canceller = line.canceller(ROOT);
        let _ = poll(&mut token.cancelled(), &waker);
        let mut wait = token.cancelled();
        let early = poll(&mut wait, &waker).is_ready();
        canceller.join().unwrap();
        assert!(early || wakes.count() > 0);
        assert!(poll(&mut wait, &waker).is_ready());
    });
}

alone_and_in_a_crowd!(a_registration_that_is_taken_up_is_woken);

/// Rule 12: two threads share one handle, and take each other's registrations from it. A wait that
/// is pending is woken.
///
/// Edges: B, C, D, T.
///
/// Mutants: `spare-in-two-steps`, `wait-any-waker-will-do`.
fn a_handle_may_be_shared(crowded: bool) {
    check_within(2, move || {
        let scope = CancelScope::new().detach();
        // SAFETY: the threads are joined below.
        let scope = unsafe { lend(&scope) };
        let token = scope.token();
        let _crowd = crowded.then(|| crowd(|| token.clone().cancelled_owned()));
        let wakes = [Wakes::new(), Wakes::new()];
        let kept = wakes[1].waker();
        unexplored(|| assert!(poll(&mut token.cancelled(), &kept).is_pending()));
        let wait = |waker: Waker| {
            let mut wait = token.cancelled();
            assert!(poll(&mut wait, &waker).is_pending());
            wait
        };
        let other = thread::spawn({
            let waker = wakes[0].waker();
            move || wait(waker)
        });
        drop(wait(kept.clone()));
        let _mine = wait(kept);
        let _theirs = other.join().unwrap();
        unexplored(|| assert!(scope.cancel()));
        assert!(wakes.iter().all(|wakes| wakes.count() > 0));
    });
}

alone_and_in_a_crowd!(a_handle_may_be_shared);

/// Rule 12: giving up the registration that a handle keeps, or the handle with it, while the scope is
/// cancelled, frees it once; a clone has none, and its wait is woken by one of its own.
///
/// Edges: B, C, D, T.
///
/// Mutants: `seat-armed-relaxed`.
fn a_spare_registration_goes_while_the_scope_is_cancelled(crowded: bool) {
    check_within(2, move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let _crowd = crowded.then(|| crowd(|| line.token(LEAF).clone().cancelled_owned()));
        let token = line.token(LEAF).clone();
        let dropped = line.token(LEAF).clone();
        let wakes = Wakes::new();
        unexplored(|| {
            for token in [&token, &dropped] {
                assert!(poll(&mut token.cancelled(), &wakes.waker()).is_pending());
            }
        });
        let canceller = line.canceller(ROOT);
        let clone = token.clone();
        token.forget_wait();
        drop(dropped);
        let own = Wakes::new();
        let mut wait = clone.cancelled();
        let early = poll(&mut wait, &own.waker()).is_ready();
        canceller.join().unwrap();
        assert!(early || own.count() == 1);
    });
}

alone_and_in_a_crowd!(a_spare_registration_goes_while_the_scope_is_cancelled);
