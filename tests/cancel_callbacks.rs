//! Callbacks of `on_cancel`: they run once, in order, on the thread that delivers, and under no lock.

#![cfg(not(loom))]

mod common;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use common::{Bell, look, poll};
#[cfg(feature = "std")]
use common::{panic_of, panic_quietly};
use winddown::{CancelScope, CancelToken, Registration};

/// What callbacks wrote, in the order in which they ran.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    fn note(&self, number: u32) -> impl FnOnce() + Send + use<> {
        let log = Arc::clone(&self.0);
        move || log.lock().unwrap().push(number)
    }

    fn taken(&self) -> Vec<u32> {
        core::mem::take(&mut self.0.lock().unwrap())
    }

    /// How many callbacks still hold it.
    fn holders(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// A place for a registration that callbacks may take it from.
type Place = Arc<Mutex<Option<Registration>>>;

fn take(place: &Place) -> Option<Registration> {
    place.lock().unwrap().take()
}

/// Rule 10, S2.18 (AfterFunc).
#[test]
fn callbacks_run_once_in_the_order_of_registration() {
    for count in [1, 2, 3, 50] {
        let (scope, log) = (CancelScope::new(), Log::default());
        let kept: Vec<_> = (0..count).map(|at| scope.token().on_cancel(log.note(at))).collect();
        assert_eq!(log.taken(), []);
        assert!(scope.cancel());
        assert!(log.taken().into_iter().eq(0..count));
        assert!(!scope.cancel());
        assert!(kept.into_iter().all(|registration| !registration.deregister()));
        assert_eq!((log.taken(), log.holders()), (vec![], 0));
    }
}

/// Rule 10: also with gaps, with waits between them, and where the first place became free.
#[test]
fn the_order_holds_whatever_is_taken_back_in_between() {
    for gone in 0..6 {
        let (scope, log) = (CancelScope::new(), Log::default());
        let token = scope.token();
        let bell = Bell::new();
        let mut wait = token.cancelled();
        let mut kept = Vec::new();
        for at in 0..4 {
            if at == 2 {
                assert!(poll(&mut wait, &bell.waker()).is_pending());
            }
            kept.push(Some(token.on_cancel(log.note(at))));
        }
        if gone < 4 {
            assert!(kept[gone].take().unwrap().deregister());
        }
        kept.push(Some(token.on_cancel(log.note(4))));
        kept.push(Some(token.clone().on_cancel(log.note(5))));
        if gone >= 4 {
            drop(kept[gone].take());
        }
        kept.push(Some(token.on_cancel(log.note(6))));
        scope.cancel();
        let expected: Vec<_> = (0..7).filter(|at| *at != gone as u32).collect();
        assert_eq!((log.taken(), bell.rings()), (expected, 1));
    }
}

/// Rule 10: at once, in this call.
#[test]
fn a_callback_on_a_cancelled_token_runs_here_and_now() {
    let (scope, log) = (CancelScope::new(), Log::default());
    let below = scope.token().child().detach().token().with_value(1);
    scope.cancel();
    for (at, token) in [scope.token(), &below, &below.shielded()].into_iter().enumerate() {
        let registration = token.on_cancel(log.note(7));
        if at < 2 {
            assert_eq!((log.taken(), log.holders()), (vec![7], 0));
            assert!(!registration.deregister());
        } else {
            assert_eq!(log.taken(), [], "a shield keeps it off");
            assert!(registration.deregister());
        }
    }
    scope.token().on_cancel(log.note(8)).detach();
    assert_eq!(log.taken(), [8]);
}

/// Rule 10: on the thread whose call delivers.
#[test]
fn a_callback_runs_on_the_cancellers_thread() {
    let scope = CancelScope::new();
    let (send, ran_on) = mpsc::channel();
    let _registrations = [scope.token().clone(), scope.token().child().detach().token().clone()]
        .map(|token| {
            let send = send.clone();
            token.on_cancel(move || send.send(thread::current().id()).unwrap())
        });
    let canceller = scope.canceller();
    let thread = thread::spawn(move || {
        canceller.cancel();
        thread::current().id()
    });
    let id = thread.join().unwrap();
    assert_eq!([ran_on.recv(), ran_on.recv()], [Ok(id), Ok(id)]);
    let late = scope.token().on_cancel(move || send.send(thread::current().id()).unwrap());
    assert_eq!(ran_on.recv(), Ok(thread::current().id()));
    drop(late);
}

/// Rule 10: a callback belongs to its node, and the whole tree is done by one call.
#[test]
fn a_cancellation_runs_the_callbacks_of_all_below() {
    let (root, log) = (CancelScope::new(), Log::default());
    let middle = root.token().child();
    let leaf = middle.token().child();
    let beside = root.token().child();
    let _kept = [
        leaf.token().on_cancel(log.note(3)),
        middle.token().on_cancel(log.note(2)),
        root.token().on_cancel(log.note(1)),
        beside.token().on_cancel(log.note(4)),
    ];
    middle.cancel();
    let mut ran = log.taken();
    ran.sort_unstable();
    assert_eq!(ran, [2, 3]);
    root.cancel();
    let mut ran = log.taken();
    ran.sort_unstable();
    assert_eq!(ran, [1, 4]);
}

/// Rule 8: the whole tree is cancelled before the first callback runs.
#[test]
fn a_callback_sees_the_whole_tree_cancelled() {
    let root = CancelScope::new();
    let nodes: Vec<_> = (0..20)
        .scan(root.token().clone(), |above, _| {
            let child = above.child().detach();
            *above = child.token().clone();
            Some(above.clone())
        })
        .collect();
    let ran = Arc::new(AtomicUsize::new(0));
    let _registrations: Vec<_> = [root.token()]
        .into_iter()
        .chain(&nodes)
        .map(|token| {
            let (nodes, ran) = (nodes.clone(), Arc::clone(&ran));
            token.on_cancel(move || {
                assert!(nodes.iter().all(CancelToken::is_cancelled));
                ran.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    root.cancel();
    assert_eq!(ran.load(Ordering::Relaxed), 21);
}

mod taking_back {
    use super::*;

    /// Rule 10: in time, and what was captured is free at once.
    #[test]
    fn before_the_cancel_is_in_time() {
        for others in [0, 1, 3] {
            let (scope, log) = (CancelScope::new(), Log::default());
            let _others: Vec<_> = (0..others).map(|_| scope.token().on_cancel(|| {})).collect();
            let registration = scope.token().on_cancel(log.note(1));
            assert_eq!(log.holders(), 1);
            assert!(registration.deregister());
            assert_eq!(log.holders(), 0);
            drop(scope.token().on_cancel(log.note(2)));
            assert_eq!(log.holders(), 0, "dropping is the same, without an answer");
            scope.cancel();
            assert_eq!(log.taken(), []);
        }
    }

    /// What can never run is freed at once.
    #[test]
    fn a_callback_on_a_token_that_never_fires_is_not_kept() {
        let log = Log::default();
        let registration = CancelToken::never().on_cancel(log.note(1));
        assert_eq!(log.holders(), 0);
        assert!(registration.deregister(), "it has not begun and never will");
        CancelToken::never().on_cancel(log.note(2)).detach();
        assert_eq!((log.taken(), log.holders()), (vec![], 0));
    }

    /// Rule 10: it has begun.
    #[test]
    fn inside_the_callback_itself_is_too_late() {
        for (before, after) in [(0, 0), (1, 0), (0, 1), (2, 2)] {
            let (scope, log, place) = (CancelScope::new(), Log::default(), Place::default());
            let others =
                |count| (0..count).map(|_| scope.token().on_cancel(|| {})).collect::<Vec<_>>();
            let _before = others(before);
            let (told, answer) = mpsc::channel();
            let (own, note) = (Arc::clone(&place), log.note(1));
            let registration = scope.token().on_cancel(move || {
                note();
                told.send(take(&own).unwrap().deregister()).unwrap();
            });
            *place.lock().unwrap() = Some(registration);
            let _after = others(after);
            scope.cancel();
            assert_eq!((answer.recv(), log.taken(), log.holders()), (Ok(false), vec![1], 0));
        }
    }

    /// Rule 10: a drop inside is as good as one outside.
    #[test]
    fn a_callback_may_drop_its_own_registration() {
        let (scope, log, place) = (CancelScope::new(), Log::default(), Place::default());
        let (own, note) = (Arc::clone(&place), log.note(1));
        let registration = scope.token().on_cancel(move || {
            drop(take(&own));
            note();
        });
        *place.lock().unwrap() = Some(registration);
        scope.cancel();
        assert_eq!((log.taken(), log.holders(), Arc::strong_count(&place)), (vec![1], 0, 1));
    }

    /// Rule 10: even if it is already collected for delivery.
    #[test]
    fn by_another_callback_of_the_same_delivery_is_in_time_if_that_runs_first() {
        for distance in [1, 2, 5] {
            for below in [false, true] {
                let (scope, log, place) = (CancelScope::new(), Log::default(), Place::default());
                let child = scope.token().child();
                let token = if below { child.token() } else { scope.token() };
                let (told, answers) = mpsc::channel();
                let taker = || {
                    let (place, told) = (Arc::clone(&place), told.clone());
                    move || {
                        if let Some(registration) = take(&place) {
                            told.send(registration.deregister()).unwrap();
                        }
                    }
                };
                let _first = scope.token().on_cancel(taker());
                let _between: Vec<_> =
                    (1..distance).map(|_| scope.token().on_cancel(|| {})).collect();
                *place.lock().unwrap() = Some(token.on_cancel(log.note(1)));
                scope.cancel();
                assert_eq!((answers.recv(), log.taken()), (Ok(true), vec![]), "never runs");
                assert_eq!(log.holders(), 0);
                // The other way round: it has run when it is taken back.
                let scope = CancelScope::new();
                *place.lock().unwrap() = Some(scope.token().on_cancel(log.note(2)));
                let _last = scope.token().on_cancel(taker());
                scope.cancel();
                assert_eq!((answers.recv(), log.taken()), (Ok(false), vec![2]));
            }
        }
    }

    /// Rule 10: it does not wait for the callback.
    #[test]
    fn while_it_runs_elsewhere_is_too_late_and_does_not_wait() {
        let scope = CancelScope::new();
        let (began, has_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let registration = scope.token().on_cancel(move || {
            began.send(()).unwrap();
            may_go_on.recv().unwrap();
        });
        let canceller = scope.canceller();
        let thread = thread::spawn(move || canceller.cancel());
        has_begun.recv().unwrap();
        assert!(!registration.deregister());
        go_on.send(()).unwrap();
        assert!(thread.join().unwrap());
    }

    /// Rule 10: the answer is exact, whichever call comes first.
    #[test]
    fn against_a_cancel_it_says_what_happened() {
        for round in 0..500 {
            let scope = CancelScope::new();
            let token = match round % 3 {
                0 => scope.token().clone(),
                1 => scope.token().child().detach().token().clone(),
                _ => scope.token().with_value(1).with_value(2),
            };
            let log = Log::default();
            let start = Barrier::new(2);
            let in_time = thread::scope(|threads| {
                let registration = token.on_cancel(log.note(1));
                let start = &start;
                let thread = threads.spawn(move || {
                    start.wait();
                    registration.deregister()
                });
                start.wait();
                scope.cancel();
                thread.join().unwrap()
            });
            assert_eq!(log.taken().len(), usize::from(!in_time));
            assert_eq!(log.holders(), 0);
        }
    }

    /// Rule 10: whichever comes first, it runs once.
    #[test]
    fn a_registration_that_races_with_a_cancel_runs_once() {
        for round in 0..500 {
            let scope = CancelScope::new();
            let token = if round % 2 == 0 {
                scope.token().clone()
            } else {
                scope.token().child().detach().token().with_value(1)
            };
            let log = Log::default();
            let start = Barrier::new(3);
            thread::scope(|threads| {
                for number in [1, 2] {
                    let (token, start, log) = (&token, &start, &log);
                    threads.spawn(move || {
                        start.wait();
                        token.on_cancel(log.note(number)).detach();
                    });
                }
                start.wait();
                scope.cancel();
            });
            let mut ran = log.taken();
            ran.sort_unstable();
            assert_eq!((ran, log.holders()), (vec![1, 2], 0));
        }
    }
}

mod captured {
    use super::*;

    #[test]
    fn values_are_freed_when_the_callback_has_run() {
        let (scope, log) = (CancelScope::new(), Log::default());
        let kept = scope.token().on_cancel(log.note(1));
        scope.cancel();
        assert_eq!(log.holders(), 0);
        drop(kept);
    }

    /// No call can run it any more: the last handle and descendant of its node is gone.
    #[test]
    fn values_of_a_detached_callback_are_freed_with_its_node() {
        let (root, log) = (CancelScope::new(), Log::default());
        let scope = root.token().child().detach();
        scope.token().on_cancel(log.note(1)).detach();
        scope.token().on_cancel(log.note(2)).detach();
        let below = scope.token().child();
        drop(scope);
        assert_eq!(log.holders(), 2, "a descendant keeps it");
        drop(below);
        assert_eq!((log.holders(), log.taken()), (0, vec![]));
        root.cancel();
        assert_eq!(log.taken(), []);
    }

    #[test]
    fn a_detached_callback_runs_without_its_registration() {
        let (root, log) = (CancelScope::new(), Log::default());
        let child = root.token().child();
        for at in 0..3 {
            child.token().on_cancel(log.note(at)).detach();
        }
        root.cancel();
        assert_eq!((log.taken(), log.holders()), (vec![0, 1, 2], 0));
    }

    /// The drop of a scope is a cancel like any other.
    #[test]
    fn a_detached_callback_runs_when_its_scope_is_dropped() {
        let log = Log::default();
        let scope = CancelScope::new();
        scope.token().on_cancel(log.note(1)).detach();
        drop(scope);
        assert_eq!((log.taken(), log.holders()), (vec![1], 0));
    }

    /// A registration is a handle of its scope.
    #[test]
    fn a_registration_alone_keeps_its_callback_in_reach() {
        let (root, log) = (CancelScope::new(), Log::default());
        let registration = root.token().with_value(1).on_cancel(log.note(1));
        assert_eq!(log.holders(), 1);
        root.cancel();
        assert_eq!(log.taken(), [1]);
        assert!(!registration.deregister());
    }

    /// Rule 11: what was captured is foreign, and may call back when it is dropped.
    #[test]
    fn values_may_use_the_token_while_they_are_dropped() {
        struct Uses(CancelToken, Log);
        impl Drop for Uses {
            fn drop(&mut self) {
                drop(self.0.on_cancel(self.1.note(9)));
                assert!(self.0.on_cancel(|| {}).deregister() || self.0.is_cancelled());
                let _ = look(&mut self.0.cancelled());
            }
        }
        for others in [0, 2] {
            let (scope, log) = (CancelScope::new(), Log::default());
            let _others: Vec<_> = (0..others).map(|_| scope.token().on_cancel(|| {})).collect();
            let registration = || {
                let uses = Uses(scope.token().clone(), log.clone());
                scope.token().on_cancel(move || drop(uses))
            };
            assert!(registration().deregister());
            drop(registration());
            assert_eq!(log.taken(), []);
            registration().detach();
            scope.cancel();
            assert_eq!(log.taken(), [9], "the callback dropped it, on a cancelled token");
        }
    }
}

#[cfg(feature = "std")]
mod panics {
    use super::*;

    /// Rules 10, 11: the others still run, and then the first panic goes on.
    #[test]
    fn a_panicking_callback_lets_the_others_run() {
        for bad in 0..5 {
            let (scope, log, bell) = (CancelScope::new(), Log::default(), Bell::new());
            let child = scope.token().child();
            let mut wait = child.token().cancelled();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            let kept: Vec<_> = (0..5)
                .map(|at| {
                    let (token, note) =
                        (if at == 3 { child.token() } else { scope.token() }, log.note(at));
                    token.on_cancel(move || {
                        note();
                        if at == bad {
                            panic_quietly("the callback");
                        }
                    })
                })
                .collect();
            assert_eq!(panic_of(|| scope.cancel()), "the callback");
            let mut ran = log.taken();
            ran.sort_unstable();
            assert_eq!((ran, bell.rings(), log.holders()), (vec![0, 1, 2, 3, 4], 1, 0));
            assert!(look(&mut wait).is_ready());
            assert!(!scope.cancel(), "it was cancelled all the same");
            drop(kept);
        }
    }

    /// Rule 11: with `std` a second panic does not abort.
    #[test]
    fn of_many_panics_the_first_goes_on() {
        let (scope, log) = (CancelScope::new(), Log::default());
        let _kept = ["first", "second", "third"].map(|text| {
            let note = log.note(0);
            scope.token().on_cancel(move || {
                note();
                panic_quietly(text);
            })
        });
        assert_eq!(panic_of(|| drop(scope)), "first");
        assert_eq!(log.taken().len(), 3);
    }

    /// Rule 11: the thread unwinds already.
    #[test]
    fn a_scope_that_is_unwound_survives_a_panicking_callback() {
        let (scope, log) = (CancelScope::new(), Log::default());
        let _kept = [1, 2].map(|at| {
            let note = log.note(at);
            scope.token().on_cancel(move || {
                note();
                panic_quietly("the callback");
            })
        });
        let text = panic_of(move || {
            let _scope = scope;
            panic_quietly("the owner");
        });
        assert_eq!((text.as_str(), log.taken()), ("the owner", vec![1, 2]));
    }

    #[test]
    fn a_callback_that_panics_at_once_is_gone() {
        let (scope, log) = (CancelScope::new(), Log::default());
        scope.cancel();
        let note = log.note(1);
        let text = panic_of(|| {
            scope.token().on_cancel(move || {
                note();
                panic_quietly("at once");
            })
        });
        assert_eq!((text.as_str(), log.taken(), log.holders()), ("at once", vec![1], 0));
        drop(scope.token().on_cancel(log.note(2)));
        assert_eq!(log.taken(), [2]);
    }

    /// What was captured panics when it is dropped: in time, and on the way out.
    #[test]
    fn captured_values_may_panic_in_their_drop() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic_quietly("the drop");
            }
        }
        let (scope, log) = (CancelScope::new(), Log::default());
        let bad = || {
            let bad = Bad;
            scope.token().on_cancel(move || drop(bad))
        };
        let kept = scope.token().on_cancel(log.note(1));
        assert_eq!(panic_of(|| bad().deregister()), "the drop");
        assert_eq!(panic_of(|| drop(bad())), "the drop");
        bad().detach();
        assert_eq!(panic_of(|| scope.cancel()), "the drop");
        assert_eq!(log.taken(), [1]);
        drop(kept);
    }
}

/// Rules 10, 11, 18: a callback may call whatever there is, of this tree and of others.
mod reentry {
    use super::*;

    #[test]
    fn a_callback_may_register_others_which_run_at_once() {
        let (scope, log) = (CancelScope::new(), Log::default());
        let (token, inner, note) = (scope.token().clone(), log.note(2), log.note(1));
        scope
            .token()
            .on_cancel(move || {
                token.on_cancel(inner).detach();
                note();
            })
            .detach();
        scope.token().on_cancel(log.note(3)).detach();
        scope.cancel();
        assert_eq!((log.taken(), log.holders()), (vec![2, 1, 3], 0));
    }

    #[test]
    fn a_callback_may_cancel_its_own_tree_and_others() {
        let (root, other, log) = (CancelScope::new(), CancelScope::new(), Log::default());
        let child = root.token().child();
        other.token().on_cancel(log.note(4)).detach();
        child.token().on_cancel(log.note(2)).detach();
        let cancellers = [root.canceller(), child.canceller(), other.canceller()];
        let (told, answers) = mpsc::channel();
        root.token()
            .on_cancel(move || {
                told.send(cancellers.each_ref().map(|it| it.cancel())).unwrap();
            })
            .detach();
        root.token().on_cancel(log.note(3)).detach();
        assert!(root.cancel());
        assert_eq!(answers.recv(), Ok([false, false, true]));
        let mut ran = log.taken();
        assert_eq!(ran.remove(0), 4, "inside the first callback");
        ran.sort_unstable();
        assert_eq!(ran, [2, 3]);
    }

    /// The scope that is being cancelled by its drop, its tokens, and everything below.
    #[test]
    fn a_callback_may_drop_the_last_handle() {
        let log = Log::default();
        let scope = CancelScope::new();
        let value = Arc::new(());
        let below: Vec<_> =
            (0..5).map(|_| scope.token().with_value(Arc::clone(&value)).child()).collect();
        for child in &below {
            child.token().on_cancel(log.note(1)).detach();
        }
        let last = Mutex::new(Some(below));
        let note = log.note(0);
        scope
            .token()
            .on_cancel(move || {
                drop(last.lock().unwrap().take());
                note();
            })
            .detach();
        drop(scope);
        assert_eq!(log.taken().len(), 6, "due is due");
        assert_eq!((log.holders(), Arc::strong_count(&value)), (0, 1));
    }

    /// A canceller that is owned by what it cancels.
    #[test]
    fn a_callback_may_drop_the_scope_that_is_being_cancelled() {
        let log = Log::default();
        let place: Arc<Mutex<Option<CancelScope>>> = Arc::default();
        let scope = CancelScope::new();
        let canceller = scope.canceller();
        let (own, note) = (Arc::clone(&place), log.note(1));
        scope
            .token()
            .on_cancel(move || {
                let scope = own.lock().unwrap().take().unwrap();
                assert!(!scope.cancel());
                drop(scope);
                note();
            })
            .detach();
        *place.lock().unwrap() = Some(scope);
        assert!(canceller.cancel());
        assert_eq!(log.taken(), [1]);
    }

    /// For another thread a lock that is held here is never given back.
    #[test]
    fn another_thread_may_do_all_of_that_while_a_callback_runs() {
        let (scope, log) = (CancelScope::new(), Log::default());
        let child = scope.token().child();
        let mut wait = child.token().cancelled();
        assert!(look(&mut wait).is_pending());
        let (token, note) = (scope.token().clone(), log.note(1));
        scope
            .token()
            .on_cancel(move || {
                thread::spawn(move || {
                    assert!(token.is_cancelled() && token.reason().is_some());
                    drop(token.on_cancel(note));
                    let child = token.child();
                    assert!(!child.cancel());
                    assert!(look(&mut child.token().cancelled()).is_ready());
                })
                .join()
                .unwrap();
            })
            .detach();
        drop(scope);
        assert_eq!(log.taken(), [1]);
        assert!(look(&mut wait).is_ready());
    }
}

/// Rule 19: the last that holds a scope may be the registration of a callback that ran. (An address sanitizer
/// sees what it touches; so does a model.)
#[test]
fn a_registration_may_be_the_last_to_hold_its_scope() {
    for runs in [false, true] {
        let (scope, log) = (CancelScope::new(), Log::default());
        let registration = scope.token().on_cancel(log.note(1));
        let scope = scope.detach();
        if runs {
            scope.cancel();
        }
        drop(scope);
        assert_eq!(registration.deregister(), !runs);
        assert_eq!((log.taken().len(), log.holders()), (usize::from(runs), 0));
    }
}
