//! Models of `CancelScope`, `Canceller` and `CancelToken`: looks, reasons, waits and drops in a tree
//! that is being cancelled. Callbacks are in `callbacks.rs`.

#![cfg(loom)]

use core::error::Error;
use core::fmt;
use core::task::Waker;

use loom::alloc::Track;
use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller, Reason};
use winddown_loom_tests::{
    Turns, Wakes, Work, alone_and_in_a_crowd, check, check_within, crowd, lend, poll, unexplored,
};

/// Three scopes, each below the one before, and work that is finished before a cancel.
struct Line {
    scopes: [Canceller; 3],
    work: Work,
    turns: Turns,
}

const ROOT: usize = 0;
const MIDDLE: usize = 1;
const LEAF: usize = 2;

impl Line {
    fn new() -> Self {
        let root = CancelScope::new().detach();
        let middle = below(&root);
        let leaf = below(&middle);
        Self { scopes: [root, middle, leaf], work: Work::default(), turns: Turns::default() }
    }

    fn token(&self, height: usize) -> &CancelToken {
        self.scopes[height].token()
    }

    /// A thread that finishes the work and then cancels the scope at `height`.
    fn canceller(&'static self, height: usize) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            self.work.finish();
            assert!(self.cancel_with(height, Reason::Cancelled));
        })
    }

    /// Takes a turn and cancels; true if it was the first.
    fn cancel_with(&self, height: usize, reason: Reason) -> bool {
        self.turns.take();
        self.scopes[height].cancel_with(reason).is_ok()
    }

    /// Takes a turn and looks.
    fn is_cancelled(&self, height: usize) -> bool {
        self.turns.take();
        self.token(height).is_cancelled()
    }

    /// Takes a turn and asks where the reason is: equal for two who are told the same.
    fn told(&self, height: usize) -> Option<usize> {
        self.turns.take();
        told(self.token(height))
    }

    /// Takes a turn and polls a new wait once; whether it was over by then.
    fn wait(&self, height: usize, waker: &Waker) -> (WaitCancelled<&CancelToken>, bool) {
        self.turns.take();
        let mut wait = self.token(height).cancelled();
        let early = poll(&mut wait, waker).is_ready();
        (wait, early)
    }
}

/// A scope below `parent`, which no drop cancels.
fn below(parent: &Canceller) -> Canceller {
    parent.token().child().detach()
}

fn told(token: &CancelToken) -> Option<usize> {
    token.reason().map(|reason| core::ptr::from_ref(reason).addr())
}

/// Makes a test of a model for each scope of a [`Line`] that may be the one that is cancelled.
macro_rules! from_each_height {
    ($model:ident) => {
        mod $model {
            #[test]
            fn root() {
                super::$model(super::ROOT);
            }

            #[test]
            fn middle() {
                super::$model(super::MIDDLE);
            }

            #[test]
            fn leaf() {
                super::$model(super::LEAF);
            }
        }
    };
}

/// Rule 5: whoever finds a leaf cancelled, by whichever question, sees what came before the cancel.
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

/// Rule 7: the hook of a node stands among others in its parent, and is fired like them.
///
/// Edges: B, C, D, G, L, S.
///
/// Mutants: `child-not-settled`, `hook-up-does-not-announce`, `hook-up-keeps-no-link`.
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

/// Rule 7: whoever hooks a leaf up may stall at any step of it, while another wait, which relies on
/// it, parks and the line is cancelled; both are woken.
///
/// Edges: B, C, D, G.
///
/// Mutants: `hook-up-announces-first`, `hook-up-does-not-deliver`.
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
/// Mutants: `hook-up-announces-first`, `hook-up-does-not-deliver`, `node-step-does-not-release`.
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
/// Mutants: `node-step-does-not-release`.
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

/// Rules 7 and 8: a question fixes the reason of a leaf before the delivery comes; who waits there is
/// still woken by it.
///
/// Edges: B, C, D.
///
/// Mutants: `hook-up-one-step-only`, `node-fix-drops-waiters`, `node-question-settles`,
/// `node-settle-leaves-a-fixed-one`.
#[test]
fn a_question_takes_nobodys_wake() {
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
fn an_error_lives_as_long_as_who_can_read_it() {
    check(|| {
        let root = CancelScope::new().detach();
        let leaf = root.token().child().detach().token().child().detach().token().clone();
        let observer = leaf.clone();
        let turns = Turns::default();
        // SAFETY: the threads are joined below.
        let turns = unsafe { lend(&turns) };
        let canceller = thread::spawn(move || {
            turns.take();
            root.cancel_with(Failure::new()).unwrap();
        });
        let reader = thread::spawn(move || {
            turns.take();
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

/// Rules 9 and 12: a child that waits goes while its parent is cancelled; nothing is left of it, and
/// its sibling is woken.
///
/// Edges: B, C, D, L, S.
///
/// Mutants: `child-not-settled`.
fn a_child_that_goes_takes_nobodys_wake(crowded: bool) {
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

alone_and_in_a_crowd!(a_child_that_goes_takes_nobodys_wake);

/// Rule 9: the last handles of a line go in two threads, one of which cancels it; each scope goes
/// once, and who still waits is woken.
///
/// Edges: B, C, D, G.
///
/// Mutants: `below-never-released`, `hook-leaked-when-run`.
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

/// Rule 12: a wait that is dropped in the slot of a node while the node is cancelled takes nobody's
/// wake, and its waker goes.
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

/// Rule 12: two threads share one handle, and take each other's registrations from it; whoever is
/// pending is woken.
///
/// Edges: B, C, D, T.
///
/// Mutants: `kept-replace-does-not-acquire`, `kept-replace-does-not-release`,
/// `kept-taken-up-by-anybody`.
fn a_handle_may_be_shared(crowded: bool) {
    check(move || {
        let line = Line::new();
        // SAFETY: the threads are joined below.
        let line = unsafe { lend(&line) };
        let _crowd = crowded.then(|| crowd(|| line.token(LEAF).clone().cancelled_owned()));
        let wakes = [Wakes::new(), Wakes::new()];
        let turns = |waker: Waker| {
            let _ = poll(&mut line.token(LEAF).cancelled(), &waker);
            line.wait(LEAF, &waker)
        };
        let other = thread::spawn({
            let waker = wakes[0].waker();
            move || turns(waker)
        });
        let (_mine, early) = turns(wakes[1].waker());
        let (_theirs, other_early) = other.join().unwrap();
        assert!(line.cancel_with(ROOT, Reason::Cancelled));
        assert!(early || wakes[1].count() > 0);
        assert!(other_early || wakes[0].count() > 0);
    });
}

alone_and_in_a_crowd!(a_handle_may_be_shared);

/// Rule 12: giving up the registration that a handle keeps, or the handle with it, while the scope is
/// cancelled, frees it once; a clone has none, and its wait is woken by one of its own.
///
/// Edges: B, C, D, T.
///
/// Mutants: `node-step-does-not-release`, `slot-kept-by-the-dead`.
fn a_kept_registration_goes_while_the_scope_is_cancelled(crowded: bool) {
    check(move || {
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

alone_and_in_a_crowd!(a_kept_registration_goes_while_the_scope_is_cancelled);
