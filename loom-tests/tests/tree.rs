//! Models of `CancelScope`, `Canceller` and `CancelToken`: looks, reasons and drops in a tree that is being
//! cancelled. Waits are in `tree_waits.rs`, callbacks in `callbacks.rs`.

#![cfg(loom)]

use core::error::Error;
use core::fmt;
use core::task::Waker;

use loom::alloc::Track;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use winddown::{CancelScope, Reason};
use winddown_loom_tests::line::{LEAF, Line, MIDDLE, ROOT, told};
use winddown_loom_tests::{Turns, Wakes, Work, check, from_each_height, lend, poll, unexplored};

/// Rule 5: a thread that finds a leaf cancelled, by any question, sees what came before the cancel.
///
/// Edges: D.
///
/// Mutants: `node-load-relaxed`, `node-step-does-not-release`.
fn a_look_sees_what_came_before_the_cancel(height: usize) {
    check(move || {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let canceller = line.canceller(height);
        let asker = thread::spawn(move || {
            if line.told(LEAF).is_some() {
                line.work.assert_finished();
            }
        });
        if line.is_cancelled(LEAF) {
            line.work.assert_finished();
        }
        canceller.join().unwrap();
        asker.join().unwrap();
    });
}

from_each_height!(a_look_sees_what_came_before_the_cancel);

/// Rules 7 and 8: a child that is made while its parent is cancelled is born cancelled, with the
/// parent's reason, or is cancelled like the others.
///
/// Edges: B, C, D, G.
///
/// Mutants: `node-step-does-not-release`.
fn a_child_is_born_cancelled_or_is_cancelled_later(height: usize) {
    check(move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let canceller = line.canceller(height);
        let parent_was = line.is_cancelled(LEAF);
        let child = line.token(LEAF).child().detach();
        let wakes = Wakes::new();
        let mut wait = child.token().cancelled();
        let early = poll(&mut wait, &wakes.waker()).is_ready();
        assert!(early || !parent_was);
        canceller.join().unwrap();
        assert!(early || wakes.count() > 0);
        assert!(!child.cancel());
        assert_eq!(told(child.token()), line.told(LEAF));
    });
}

from_each_height!(a_child_is_born_cancelled_or_is_cancelled_later);

/// Rule 8: once one reader has seen a scope cancelled, a reader after it finds everything below
/// cancelled, by every question; and a cancel below comes second.
///
/// Edges: D.
///
/// Mutants: `node-cancel-does-not-look-up`, `node-looks-at-itself-alone`.
fn a_tree_is_cancelled_in_one_instant(height: usize) {
    check(move || {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let seen = AtomicBool::new(false);
        // SAFETY: as above.
        let seen = unsafe { lend(&seen) };
        let canceller = line.canceller(ROOT);
        let reader = thread::spawn(move || {
            if line.is_cancelled(height) {
                seen.store(true, Ordering::Release);
            }
        });
        if seen.load(Ordering::Acquire) {
            let leaf = line.token(LEAF);
            assert!(leaf.is_cancelled());
            assert!(leaf.child().token().is_cancelled());
            assert!(poll(&mut leaf.cancelled(), Waker::noop()).is_ready());
            assert!(!line.cancel_with(LEAF, Reason::Cancelled));
            assert!(leaf.check().is_err());
            assert_eq!(told(leaf), line.told(ROOT));
            line.work.assert_finished();
        }
        canceller.join().unwrap();
        reader.join().unwrap();
    });
}

from_each_height!(a_tree_is_cancelled_in_one_instant);

/// Rule 8: a scope below two that are cancelled one after the other, the nearer first, has the reason of the nearer,
/// whatever asks for it first, and whenever that walks up. `act` returns false if it has cancelled the leaf itself.
fn the_nearest_of_two_cancels_is_found(act: fn(&Line) -> bool) {
    check(move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let canceller = thread::spawn(move || {
            assert!(line.cancel_with(MIDDLE, Reason::Message("the nearer")));
            assert!(line.cancel_with(ROOT, Reason::Message("the farther")));
        });
        let follows = act(line);
        canceller.join().unwrap();
        assert!(!follows || line.told(LEAF) == line.told(MIDDLE));
    });
}

/// Rule 8.
///
/// Edges: D.
///
/// Mutants: `node-nearest-in-one-walk`.
#[test]
fn the_nearest_of_two_cancels_is_found_by_a_question() {
    the_nearest_of_two_cancels_is_found(|line| {
        line.told(LEAF);
        true
    });
}

/// Rule 8.
///
/// Edges: D.
///
/// Mutants: `node-nearest-in-one-walk`.
#[test]
fn the_nearest_of_two_cancels_is_found_by_a_cancel_that_comes_second() {
    the_nearest_of_two_cancels_is_found(|line| !line.cancel_with(LEAF, Reason::Cancelled));
}

/// Rule 8.
///
/// Edges: D.
///
/// Mutants: `node-nearest-in-one-walk`.
#[test]
fn the_nearest_of_two_cancels_is_found_by_a_callback() {
    the_nearest_of_two_cancels_is_found(|line| {
        line.turns.take();
        line.token(LEAF).on_cancel(|| ()).detach();
        true
    });
}

/// Rules 5 and 6: of two cancels one is the first, and the other one sees what came before that.
///
/// Edges: D.
///
/// Mutants: `node-load-relaxed`, `node-step-failure-relaxed`.
fn a_cancel_that_comes_second_sees_what_came_before_the_first(height: usize) {
    check(move || {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let other = thread::spawn(move || {
            line.work.finish();
            line.cancel_with(height, Reason::Cancelled)
        });
        let first = line.cancel_with(LEAF, Reason::Cancelled);
        if !first {
            line.work.assert_finished();
        }
        let other = other.join().unwrap();
        assert!(first || other);
        assert!(height != LEAF || first != other);
    });
}

from_each_height!(a_cancel_that_comes_second_sees_what_came_before_the_first);

/// Rule 8: with two cancellers, what one reader is told is the reason for ever, to the other one too.
///
/// Edges: D.
///
/// Mutants: `node-question-gives-what-it-found`, `node-reason-not-fixed`.
fn a_reason_is_the_same_to_all_for_ever(height: usize) {
    check(move || {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let above = thread::spawn(move || {
            assert!(line.cancel_with(ROOT, Reason::Deadline));
        });
        let here = thread::spawn(move || line.cancel_with(height, Reason::Failed));
        let reader = thread::spawn(move || line.told(LEAF));
        let mine = line.told(LEAF);
        let theirs = reader.join().unwrap();
        above.join().unwrap();
        let was_first = here.join().unwrap();
        let at_last = line.told(LEAF);
        assert!(at_last.is_some());
        assert!(mine.is_none() || mine == at_last);
        assert!(theirs.is_none() || theirs == at_last);
        let failed = matches!(line.token(height).reason(), Some(Reason::Failed));
        assert_eq!(was_first, failed, "the one that was first gave the reason");
    });
}

mod a_reason_is_the_same_to_all_for_ever {
    #[test]
    fn with_a_cancel_of_the_leaf() {
        super::a_reason_is_the_same_to_all_for_ever(super::LEAF);
    }

    #[test]
    fn with_a_cancel_of_the_middle() {
        super::a_reason_is_the_same_to_all_for_ever(super::MIDDLE);
    }
}

/// Rules 7 and 8: two scopes above are cancelled at once, and a wait below is woken; the reason that
/// is asked for meanwhile is the one that the wait gives.
///
/// Edges: B, C, D, G.
///
/// Mutants: `node-fix-drops-waiters`.
fn two_cancels_at_once_wake_a_wait_below(height: usize) {
    check(move || {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let wakes = Wakes::new();
        let mut wait = line.token(LEAF).cancelled();
        unexplored(|| assert!(poll(&mut wait, &wakes.waker()).is_pending()));
        let above = thread::spawn(move || {
            assert!(line.cancel_with(ROOT, Reason::Deadline));
        });
        let here = thread::spawn(move || {
            line.cancel_with(height, Reason::Failed);
        });
        let asked = line.told(LEAF);
        above.join().unwrap();
        here.join().unwrap();
        assert_eq!(wakes.count(), 1);
        let at_last = line.told(LEAF);
        assert!(at_last.is_some());
        assert!(asked.is_none() || asked == at_last);
    });
}

mod two_cancels_at_once_wake_a_wait_below {
    #[test]
    fn with_a_cancel_of_the_leaf() {
        super::two_cancels_at_once_wake_a_wait_below(super::LEAF);
    }

    #[test]
    fn with_a_cancel_of_the_middle() {
        super::two_cancels_at_once_wake_a_wait_below(super::MIDDLE);
    }
}

/// Rules 7 and 8: a question fixes the reason of a leaf before the delivery comes. A wait
/// there is still woken by it.
///
/// Edges: B, C, D.
///
/// Mutants: `hook-up-one-step-only`, `node-fix-drops-waiters`, `node-question-settles`,
/// `node-settle-leaves-a-fixed-one`.
#[test]
fn a_question_takes_no_wake_away() {
    check(|| {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let wakes = Wakes::new();
        let mut wait = line.token(LEAF).cancelled();
        unexplored(|| assert!(poll(&mut wait, &wakes.waker()).is_pending()));
        let canceller = line.canceller(ROOT);
        let asker = thread::spawn(move || line.told(LEAF));
        let mine = line.told(MIDDLE);
        let theirs = asker.join().unwrap();
        canceller.join().unwrap();
        assert_eq!(wakes.count(), 1);
        let reason = line.told(ROOT);
        assert!(mine.is_none() || mine == reason);
        assert!(theirs.is_none() || theirs == reason);
    });
}

/// An error that is a reason. Its drop is a write, which loom compares with every reading.
struct Failure {
    text: Work,
    _leak_check: Track<()>,
}

impl Failure {
    fn new() -> Self {
        let text = Work::default();
        text.finish();
        Self { text, _leak_check: Track::new(()) }
    }
}

impl Drop for Failure {
    fn drop(&mut self) {
        self.text.finish();
    }
}

impl Error for Failure {}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

fn read(reason: &Reason) {
    reason.downcast_ref::<Failure>().unwrap().text.assert_finished();
}

/// Rules 5 and 8: an error that cancelled the root is read by a token below and by what `check` gave,
/// while the other handles go; and it is dropped once, after that.
///
/// Edges: D.
///
/// Mutants: `node-load-relaxed`.
#[test]
fn an_error_lives_as_long_as_its_readers() {
    check(|| {
        let root = CancelScope::new().detach();
        let leaf = root.token().child().detach().token().child().detach().token().clone();
        let observer = leaf.clone();
        let turns = Turns::default();
        // SAFETY: the threads are joined below.
        let turns = unsafe { lend(&turns) };
        let canceller = turns.spawn(move || root.cancel_with(Failure::new()).unwrap());
        let reader = turns.spawn(move || {
            if let Some(reason) = leaf.reason() {
                read(reason);
            }
        });
        turns.take();
        let cancelled = observer.check();
        drop(observer);
        if let Err(cancelled) = cancelled {
            read(cancelled.reason());
        }
        canceller.join().unwrap();
        reader.join().unwrap();
    });
}

/// Rule 8: the error of a cancel that came second goes back to its caller, and the first one's is read.
///
/// Edges: D.
///
/// Mutants: `node-refused-reason-taken-from-above`, `node-settle-overwrites`.
#[test]
fn of_two_errors_the_first_stays_and_the_second_goes_back() {
    check(|| {
        let line = Line::new();
        // SAFETY: the thread is joined below.
        let line = unsafe { lend(&line) };
        let cancel = || match line.scopes[LEAF].cancel_with(Failure::new()) {
            Ok(()) => true,
            Err(mine) => {
                read(&mine);
                false
            }
        };
        let other = thread::spawn(cancel);
        let first = cancel();
        read(line.token(LEAF).reason().unwrap());
        assert_ne!(first, other.join().unwrap());
    });
}

/// Rule 9: the last handles of a line go in two threads, one of which cancels it; each scope goes
/// once, and a wait that is still there is woken.
///
/// Edges: B, C, D, G.
///
/// Mutants: `below-never-released`, `below-settled-without-a-reference`,
/// `delivery-keeps-its-reference`, `due-holds-nothing`.
fn handles_go_while_the_line_is_cancelled(height: usize) {
    check(move || {
        let Line { scopes: [root, middle, leaf], .. } = Line::new();
        let wakes = Wakes::new();
        let mut wait = leaf.token().clone().cancelled_owned();
        unexplored(|| assert!(poll(&mut wait, &wakes.waker()).is_pending()));
        let mut scopes = vec![root, middle, leaf];
        let cancelled = scopes.remove(height);
        let canceller = thread::spawn(move || {
            assert!(cancelled.cancel_with(Failure::new()).is_ok());
            drop(cancelled);
        });
        drop(scopes);
        if poll(&mut wait, &wakes.waker()).is_pending() {
            canceller.join().unwrap();
            assert!(wakes.count() > 0);
        } else {
            drop(wait);
            canceller.join().unwrap();
        }
    });
}

from_each_height!(handles_go_while_the_line_is_cancelled);
