//! Models of `on_cancel`: callbacks that are registered, run and taken back while their scope, or one
//! above it, is cancelled.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;

use loom::alloc::Track;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use winddown::{CancelScope, Canceller, Registration};
use winddown_loom_tests::{
    Turns, Work, alone_and_in_a_crowd, check, check_within, crowd, lend, unexplored,
};

/// A root and a scope below it.
struct Pair {
    root: Canceller,
    leaf: Canceller,
    turns: Turns,
}

impl Pair {
    fn new() -> Self {
        let root = CancelScope::new().detach();
        let leaf = root.token().child().detach();
        Self { root, leaf, turns: Turns::default() }
    }

    /// Takes a turn and cancels the root.
    fn cancel(&self) {
        self.turns.take();
        assert!(self.root.cancel());
    }
}

/// What a callback did.
struct Run {
    count: AtomicUsize,
    /// What was written before the callback was registered.
    before: Work,
    _leak_check: Track<()>,
}

impl Run {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            count: AtomicUsize::new(0),
            before: Work::default(),
            _leak_check: Track::new(()),
        })
    }

    fn register(self: &Arc<Self>, scope: &Canceller) -> Registration {
        self.before.finish();
        let this = Arc::clone(self);
        scope.token().on_cancel(move || {
            this.before.assert_finished();
            this.count.fetch_add(1, Ordering::AcqRel);
        })
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

/// Rule 10: a callback runs exactly once, or `deregister` is true exactly if it never does.
///
/// Edges: B, C, D, R, S.
///
/// Mutants: `registration-keeps-the-closure`, `registration-says-in-time-always`,
/// `taken-in-two-steps`.
fn a_callback_runs_once_or_is_taken_back(crowded: bool) {
    check(move || {
        let pair = Pair::new();
        // SAFETY: the thread is joined below.
        let pair = unsafe { lend(&pair) };
        let _crowd = crowded.then(|| crowd(|| pair.leaf.token().clone().cancelled_owned()));
        let run = Run::new();
        let registration = unexplored(|| run.register(&pair.leaf));
        let canceller = thread::spawn(move || pair.cancel());
        pair.turns.take();
        let in_time = registration.deregister();
        canceller.join().unwrap();
        assert_eq!(run.count(), usize::from(!in_time));
        assert_eq!(Arc::strong_count(&run), 1, "what the callback held is gone");
    });
}

alone_and_in_a_crowd!(a_callback_runs_once_or_is_taken_back);

/// Rule 10: a callback that is registered while its scope, or the one above, is cancelled runs exactly
/// once. On any thread, it sees what came before its registration and what came before the cancel.
///
/// Edges: B, C, D, G, R.
///
/// Mutants: `hook-up-does-not-announce`, `register-does-not-run-what-it-missed`.
fn a_callback_that_races_with_the_cancel_runs_once(crowded: bool, above: bool) {
    check(move || {
        let pair = Pair::new();
        // SAFETY: the thread is joined below.
        let pair = unsafe { lend(&pair) };
        let _crowd = crowded.then(|| crowd(|| pair.leaf.token().clone().cancelled_owned()));
        let (run, work) = (Run::new(), Arc::new(Work::default()));
        let canceller = thread::spawn({
            let work = Arc::clone(&work);
            move || {
                work.finish();
                pair.turns.take();
                let scope = if above { &pair.root } else { &pair.leaf };
                assert!(scope.cancel());
            }
        });
        pair.turns.take();
        let registration = run.register(&pair.leaf);
        let _sees = pair.leaf.token().on_cancel(move || work.assert_finished());
        canceller.join().unwrap();
        assert_eq!(run.count(), 1);
        assert!(!registration.deregister());
    });
}

mod a_callback_that_races_with_the_cancel_runs_once {
    #[test]
    fn alone() {
        super::a_callback_that_races_with_the_cancel_runs_once(false, false);
    }

    #[test]
    fn in_a_crowd() {
        super::a_callback_that_races_with_the_cancel_runs_once(true, false);
    }

    #[test]
    fn below() {
        super::a_callback_that_races_with_the_cancel_runs_once(false, true);
    }
}

/// Rule 10: three ways out at once: the cancel runs a callback, its owner takes it back, and another
/// one is registered; each runs once, or not at all if it was taken back in time.
///
/// Edges: B, C, D, R.
///
/// Mutants: `node-step-does-not-release`.
#[test]
fn callbacks_come_and_go_while_the_scope_is_cancelled() {
    check_within(1, || {
        let pair = Pair::new();
        // SAFETY: the threads are joined below.
        let pair = unsafe { lend(&pair) };
        let (going, coming) = (Run::new(), Run::new());
        let registration = unexplored(|| going.register(&pair.leaf));
        let canceller = thread::spawn(move || pair.cancel());
        let other = pair.turns.spawn({
            let coming = Arc::clone(&coming);
            move || coming.register(&pair.leaf).detach()
        });
        pair.turns.take();
        let in_time = registration.deregister();
        canceller.join().unwrap();
        other.join().unwrap();
        assert_eq!(going.count(), usize::from(!in_time));
        assert_eq!(coming.count(), 1);
    });
}

/// Rule 10: callbacks that stay run once, also those that two threads leave behind at the same time,
/// and what they held goes with the scope.
///
/// Edges: B, C, D, R.
///
/// Mutants: `sealable-push-in-two-steps`.
#[test]
fn callbacks_that_stay_run_once() {
    check_within(2, || {
        let scope = CancelScope::new().detach();
        let runs = [Run::new(), Run::new()];
        // Makes the list, and a block for one of the two.
        unexplored(|| drop(Run::new().register(&scope)));
        {
            // SAFETY: the thread is joined below.
            let scope = unsafe { lend(&scope) };
            let other = thread::spawn({
                let run = Arc::clone(&runs[0]);
                move || run.register(scope).detach()
            });
            runs[1].register(scope).detach();
            assert!(scope.cancel());
            other.join().unwrap();
        }
        drop(scope);
        assert_eq!(runs.each_ref().map(|run| run.count()), [1, 1]);
        assert!(runs.iter().all(|run| Arc::strong_count(run) == 1));
    });
}

/// Rule 10: a scope that is dropped runs the callback that another thread has left behind, whether or
/// not that thread's token was dropped first, after which nothing else shows that there is a callback.
///
/// Edges: B, C, D, R.
///
/// Mutants: `node-alone-beside-a-token`, `node-alone-with-a-callback`,
/// `node-alone-without-a-fence`.
#[test]
fn a_scope_that_goes_runs_what_was_left_behind() {
    check(|| {
        let scope = CancelScope::new();
        let (run, turns) = (Run::new(), Turns::default());
        // SAFETY: the thread is joined below.
        let turns = unsafe { lend(&turns) };
        let token = scope.token().clone();
        let other = thread::spawn({
            let run = Arc::clone(&run);
            move || {
                run.before.finish();
                let callback = Arc::clone(&run);
                let registration = token.on_cancel(move || {
                    callback.before.assert_finished();
                    callback.count.fetch_add(1, Ordering::AcqRel);
                });
                registration.detach();
                drop(token);
                turns.take();
            }
        });
        turns.take();
        drop(scope);
        other.join().unwrap();
        assert_eq!(run.count(), 1);
        assert_eq!(Arc::strong_count(&run), 1, "what the callback held is gone");
    });
}

/// Rule 10: callbacks run in the order of their registration, while another one comes.
///
/// Edges: C, F, L, S.
///
/// Mutants: `node-step-does-not-release`, `stack-not-turned`.
#[test]
fn callbacks_run_in_the_order_of_their_registration() {
    check_within(2, || {
        let pair = Pair::new();
        // SAFETY: the thread is joined below.
        let pair = unsafe { lend(&pair) };
        let order = Arc::new(Mutex::new(Vec::new()));
        let register = |place: usize| {
            let order = Arc::clone(&order);
            pair.leaf.token().on_cancel(move || order.lock().unwrap().push(place))
        };
        let early = unexplored(|| [1, 2, 3].map(register));
        let canceller = thread::spawn(move || pair.cancel());
        pair.turns.take();
        let late = register(4);
        canceller.join().unwrap();
        let mut order = order.lock().unwrap();
        assert_eq!(order.len(), 4);
        order.retain(|place| *place != 4);
        assert_eq!(*order, [1, 2, 3]);
        drop((early, late));
    });
}

/// Rule 10: the callbacks of a scope come before those of the scopes below it.
///
/// Edges: C, L, S.
///
/// Mutants: `node-children-before-callbacks`.
#[test]
fn callbacks_of_a_scope_come_before_those_below() {
    check(|| {
        let pair = Pair::new();
        // SAFETY: the thread is joined below.
        let pair = unsafe { lend(&pair) };
        let order = Arc::new(Mutex::new(Vec::new()));
        let register = |scope: &Canceller, place: usize| {
            let order = Arc::clone(&order);
            scope.token().on_cancel(move || order.lock().unwrap().push(place))
        };
        let _registrations = unexplored(|| [register(&pair.leaf, 2), register(&pair.root, 1)]);
        let canceller = thread::spawn(move || pair.cancel());
        pair.turns.take();
        let _ = pair.leaf.token().reason();
        canceller.join().unwrap();
        assert_eq!(*order.lock().unwrap(), [1, 2]);
    });
}

/// Rule 10: a callback runs on the thread whose call delivered the cancellation. A question, or a look,
/// delivers nothing, though it finds the scope above cancelled.
///
/// Edges: B, C, D.
///
/// Mutants: `node-question-delivers`.
#[test]
fn a_question_runs_no_callback() {
    check(|| {
        let pair = Pair::new();
        // SAFETY: the thread is joined below.
        let pair = unsafe { lend(&pair) };
        let asker = thread::current().id();
        let runs = Arc::new(AtomicUsize::new(0));
        let _registration = unexplored(|| {
            let runs = Arc::clone(&runs);
            pair.leaf.token().on_cancel(move || {
                assert_ne!(thread::current().id(), asker);
                runs.fetch_add(1, Ordering::Relaxed);
            })
        });
        let canceller = thread::spawn(move || pair.cancel());
        pair.turns.take();
        let _ = pair.leaf.token().reason();
        canceller.join().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    });
}

/// Rule 18: all scopes are settled before any callback runs: one that cancels a sibling which is
/// cancelled with it finds nothing to deliver there, and does not nest.
///
/// Edges: C, L, S.
///
/// Mutants: `settle-runs-as-it-goes`.
#[test]
fn every_scope_is_settled_before_a_callback_runs() {
    check(|| {
        let pair = Pair::new();
        // SAFETY: the thread is joined below, and the callbacks have run by then.
        let pair = unsafe { lend(&pair) };
        let busy = Arc::new(AtomicBool::new(false));
        let _outer = pair.root.token().on_cancel({
            let busy = Arc::clone(&busy);
            move || {
                busy.store(true, Ordering::Relaxed);
                assert!(!pair.leaf.cancel());
                busy.store(false, Ordering::Relaxed);
            }
        });
        let _inner = pair.leaf.token().on_cancel(move || assert!(!busy.load(Ordering::Relaxed)));
        let canceller = thread::spawn(move || pair.cancel());
        pair.turns.take();
        let _ = pair.leaf.token().reason();
        canceller.join().unwrap();
    });
}

/// Rules 9 and 18: a scope whose last handle goes while the scope above is cancelled is dropped by the
/// delivery only when every scope is settled: what it held may be foreign code.
///
/// Edges: C, L, S.
///
/// Mutants: `below-keeps-nothing`.
#[test]
fn a_scope_that_goes_in_a_delivery_goes_when_all_are_settled() {
    /// Cancels another scope when it is dropped by the thread that cancels.
    struct Cancels {
        scope: Canceller,
        canceller: Arc<Mutex<Option<thread::ThreadId>>>,
        busy: Arc<AtomicBool>,
    }

    impl Drop for Cancels {
        fn drop(&mut self) {
            if *self.canceller.lock().unwrap() == Some(thread::current().id()) {
                self.busy.store(true, Ordering::Relaxed);
                let _ = self.scope.cancel();
                self.busy.store(false, Ordering::Relaxed);
            }
        }
    }

    check(|| {
        let Pair { root, leaf: sibling, .. } = Pair::new();
        let busy = Arc::new(AtomicBool::new(false));
        let canceller = Arc::new(Mutex::new(None));
        let going = root.token().with_value(Cancels {
            scope: sibling.clone(),
            canceller: Arc::clone(&canceller),
            busy: Arc::clone(&busy),
        });
        unexplored(|| going.on_cancel(|| {}).detach());
        let _inner = unexplored(|| {
            sibling.token().on_cancel(move || assert!(!busy.load(Ordering::Relaxed)))
        });
        let delivery = thread::spawn(move || {
            *canceller.lock().unwrap() = Some(thread::current().id());
            assert!(root.cancel());
        });
        drop(going);
        delivery.join().unwrap();
    });
}
