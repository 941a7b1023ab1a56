//! What a cancellation tree allocates, what it keeps, and that all of it is freed.
//!
//! The flat heap is shown over ten million turns in all; in a build without optimisation over one
//! million: `cargo test --release --test token_allocation` turns them all.

#![cfg(all(feature = "std", not(loom)))]

mod common;
#[path = "common/heap.rs"]
mod heap;

use core::future::{pending, ready};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use common::{Bell, Foreign, look, panic_of, panic_quietly, poll};
use heap::{Heap, allocations, leaked};
use winddown::{CancelScope, CancelToken, FutureUntil as _, Reason};

/// All tests together.
const TURNS: usize = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };
const TESTS: usize = 6;

/// The counter counts: otherwise every test below would pass.
#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| Box::new(1)), 1);
    assert_eq!(leaked(|| drop(Box::new([0_u8; 100]))), (0, 0));
    assert_eq!(allocations(|| drop(CancelScope::new())), 1);
}

mod nothing_is_paid {
    use super::*;

    /// Rule 13, for every path of a tree without waits.
    #[test]
    fn a_tree_without_waiters_allocates_its_nodes_alone() {
        let count = allocations(|| {
            let root = CancelScope::new();
            let child = root.token().child();
            let (token, canceller) = (child.token().clone(), child.canceller());
            assert!(!token.is_cancelled() && token.reason().is_none() && token.check().is_ok());
            assert_eq!((token.deadline(), token.value::<u8>()), (None, None));
            assert_eq!((&token, &canceller), (&token.clone(), &child.canceller()));
            let _ = child.canceller().into_scope().detach();
            drop((token.cancelled(), token.clone().cancelled_owned(), (&token).into_future()));
            drop(token.into_future());
            let token = child.token();
            token.forget_wait();
            assert!(canceller.cancel() && !root.token().is_cancelled());
            assert!(token.is_cancelled() && token.reason().is_some());
            let cancelled = token.check().unwrap_err();
            assert!(matches!(cancelled.clone().reason(), Reason::Cancelled));
            assert!(root.canceller().cancel_like(&cancelled));
            assert!(look(&mut token.cancelled()).is_ready());
            assert!(look(&mut token.clone().cancelled_owned()).is_ready());
            assert!(look(&mut token.run_until_cancelled(ready(1))).is_ready());
            assert!(look(&mut CancelToken::any([token, root.token()])).is_ready());
            token.cancelled().block();
            token.cancelled().block_for(Duration::ZERO).unwrap();
            drop(root.detach());
        });
        assert_eq!(count, 2);
    }

    /// Rule 12: a callback that has run is not kept by its node.
    #[test]
    fn a_callback_detached_from_a_cancelled_token_leaves_nothing_behind() {
        let scope = CancelScope::new();
        scope.cancel();
        scope.token().on_cancel(|| {}).detach();
        let detach = || scope.token().on_cancel(|| {}).detach();
        assert_eq!(leaked(|| (0..1000).for_each(|_| detach())), (0, 0));
    }

    /// Rules 11, 12: a value whose drop panics leaves everything else intact.
    #[test]
    fn a_value_may_panic_in_its_drop() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic_quietly("the drop");
            }
        }
        let leak = leaked(|| {
            let root = CancelScope::new();
            let leaf = root.token().with_value(Bad).with_value(1).child().detach();
            leaf.cancel_with("x").unwrap();
            assert_eq!(panic_of(|| drop(leaf)), "the drop");
            let own = root.token().with_value(Bad);
            assert_eq!(panic_of(|| drop(own)), "the drop");
        });
        assert_eq!(leak, (0, 0));
    }

    /// S2.12.
    #[test]
    fn a_token_that_never_fires_allocates_nothing() {
        let count = allocations(|| {
            let token = CancelToken::never();
            let bell = Waker::noop();
            assert!(poll(&mut token.cancelled(), bell).is_pending());
            assert!(poll(&mut token.clone().cancelled_owned(), bell).is_pending());
            assert!(poll(&mut CancelToken::any([&token, &token]), bell).is_pending());
            assert!(poll(&mut CancelToken::any([]), bell).is_pending());
            assert_eq!(poll(&mut ready(1).until(&token), bell).map(Result::unwrap), Poll::Ready(1));
        });
        assert_eq!(count, 0);
    }

    /// An interrupt may cancel, with any waits there, and however many nodes are reached.
    #[test]
    fn a_plain_cancel_allocates_nothing() {
        for waiters in [0, 1, 2, 20] {
            let root = CancelScope::new();
            let children: Vec<_> = (0..10).map(|_| root.token().child()).collect();
            let mut waits: Vec<_> = children
                .iter()
                .flat_map(|child| (0..waiters).map(|_| child.token().cancelled()))
                .collect();
            assert!(waits.iter_mut().all(|wait| look(wait).is_pending()));
            let _kept: Vec<_> = (0..waiters).map(|_| root.token().on_cancel(|| {})).collect();
            assert_eq!(allocations(|| assert!(root.cancel())), 0, "{waiters}");
            let ready = || assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
            assert_eq!(allocations(ready), 0, "{waiters}");
        }
    }

    #[test]
    fn reasons_without_content_allocate_nothing() {
        let reasons = || {
            [Reason::Cancelled, Reason::Dropped, Reason::Deadline, Reason::Panicked, Reason::Failed]
        };
        for reason in reasons() {
            let scope = CancelScope::new();
            assert_eq!(allocations(|| scope.cancel_with(reason).unwrap()), 0);
            for late in reasons() {
                assert_eq!(allocations(|| scope.cancel_with(late).unwrap_err()), 0);
            }
        }
        let scope = CancelScope::new();
        let message = || scope.cancel_with(Reason::Message("x")).unwrap();
        assert_eq!(allocations(message), 1, "a message takes one box");
    }

    /// Rule 13: a wait that is parked and polled again costs nothing more.
    #[test]
    fn polling_a_parked_wait_again_allocates_nothing() {
        let root = CancelScope::new();
        let child = root.token().child();
        let bell = Bell::new().waker();
        let mut waits = [child.token().cancelled(), child.token().cancelled()];
        let mut any = CancelToken::any([root.token(), child.token()]);
        let mut turn = || {
            assert!(waits.iter_mut().all(|wait| poll(wait, &bell.clone()).is_pending()));
            assert!(poll(&mut any, &bell).is_pending());
        };
        turn();
        assert_eq!(allocations(|| (0..100).for_each(|_| turn())), 0);
    }
}

/// Rule 12: when a registration is reused (`docs/design.md`, Kept registrations), case by case.
mod kept_registrations {
    use super::*;

    /// A turn of a `select!` loop: a wait made anew, polled once, given up.
    fn turn(token: &CancelToken, waker: &Waker) {
        assert!(poll(&mut token.cancelled(), waker).is_pending());
    }

    #[test]
    fn a_wait_made_anew_in_each_turn_allocates_in_the_first_turn_at_most() {
        let root = CancelScope::new();
        let child = root.token().child();
        let bell = Bell::new();
        for token in [root.token().clone(), child.token().clone(), child.token().with_value(1)] {
            let waker = bell.waker();
            turn(&token, &waker);
            let count = allocations(|| (0..1000).for_each(|_| turn(&token, &waker)));
            assert_eq!(count, 0);
            let limited = || {
                let mut work = pending::<()>().until(&token);
                assert!(poll(&mut work, &waker).is_pending());
                let mut wait = token.cancelled().until(pending::<()>());
                drop(work);
                assert!(poll(&mut wait, &waker).is_pending());
            };
            assert_eq!(allocations(limited), 0, "as a limit, and with one");
        }
    }

    /// A token for each task: also while others wait for the same scope.
    #[test]
    fn tasks_with_a_token_each_do_not_disturb_each_other() {
        let scope = CancelScope::new();
        let tokens: Vec<_> = (0..10).map(|_| scope.token().clone()).collect();
        let wakers: Vec<_> = (0..10).map(|_| Bell::new().waker()).collect();
        let turns = || tokens.iter().zip(&wakers).for_each(|(token, waker)| turn(token, waker));
        turns();
        assert_eq!(allocations(|| (0..100).for_each(|_| turns())), 0);
        thread::scope(|threads| {
            for (token, waker) in tokens.iter().zip(&wakers) {
                threads.spawn(|| {
                    assert_eq!(allocations(|| (0..1000).for_each(|_| turn(token, waker))), 0);
                });
            }
        });
    }

    #[test]
    fn what_was_kept_still_wakes_its_task() {
        for turns in 1..4 {
            for below in [false, true] {
                let root = CancelScope::new();
                let child = root.token().child();
                let token = if below { child.token() } else { root.token() };
                let bell = Bell::new();
                (0..turns).for_each(|_| turn(token, &bell.waker()));
                let mut wait = token.cancelled();
                assert!(poll(&mut wait, &bell.waker()).is_pending());
                assert!(poll(&mut wait, &bell.waker()).is_pending());
                root.cancel();
                assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
            }
        }
    }

    #[test]
    fn a_clone_starts_empty() {
        let scope = CancelScope::new();
        let waker = Foreign::new().share();
        let own = waker.waker();
        turn(scope.token(), &own);
        assert_eq!(waker.alive(), 2, "one is kept");
        let clone = scope.token().clone();
        assert_eq!(waker.alive(), 2);
        assert!(allocations(|| turn(&clone, &own)) > 0);
        assert_eq!(waker.alive(), 3);
        drop(clone);
        assert_eq!(waker.alive(), 2);
    }

    #[test]
    fn a_handle_keeps_one_waker_until_it_goes() {
        let scope = CancelScope::new();
        let waker = Foreign::new().share();
        let token = scope.token().clone();
        for _ in 0..5 {
            turn(&token, &waker.waker());
            assert_eq!(waker.alive(), 1);
        }
        drop(token);
        assert_eq!(waker.alive(), 0);
        turn(scope.token(), &waker.waker());
        scope.token().forget_wait();
        assert_eq!(waker.alive(), 0);
        scope.token().forget_wait();
        turn(scope.token(), &waker.waker());
        drop(scope);
        assert_eq!((waker.alive(), waker.woken()), (0, 0), "no wait is left");
    }

    /// Several waits of one handle at once: one of them is kept.
    #[test]
    fn of_many_waits_one_is_kept() {
        let scope = CancelScope::new();
        let waker = Foreign::new().share();
        let own = waker.waker();
        let mut waits = [(); 5].map(|()| scope.token().cancelled());
        assert!(waits.iter_mut().all(|wait| poll(wait, &own).is_pending()));
        assert_eq!(waker.alive(), 6);
        drop(waits);
        assert_eq!(waker.alive(), 2);
        let bell = Bell::new();
        let mut wait = scope.token().cancelled();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        assert_eq!(waker.alive(), 1, "another task replaces it");
        scope.cancel();
        assert_eq!((waker.woken(), bell.rings()), (0, 1));
    }

    #[test]
    fn an_owned_wait_frees_what_it_took() {
        let scope = CancelScope::new();
        let waker = Foreign::new().share();
        let token = scope.token().clone();
        turn(&token, &waker.waker());
        let mut wait = token.cancelled_owned();
        assert!(poll(&mut wait, &waker.waker()).is_pending());
        assert_eq!(waker.alive(), 1);
        drop(wait);
        assert_eq!(waker.alive(), 0);
        let mut limit = scope.token().clone().into_future();
        assert!(poll(&mut limit, &waker.waker()).is_pending());
        drop(limit);
        assert_eq!(waker.alive(), 0);
    }

    /// It was fired between two waits: the next wait finds the scope cancelled.
    #[test]
    fn a_kept_registration_that_was_fired_is_not_taken_up_again() {
        for below in [false, true] {
            let root = CancelScope::new();
            let child = root.token().child();
            let token = if below { child.token() } else { root.token() };
            let bell = Bell::new();
            turn(token, &bell.waker());
            root.cancel();
            for _ in 0..3 {
                assert!(poll(&mut token.cancelled(), &bell.waker()).is_ready());
            }
            token.forget_wait();
            assert_eq!((bell.rings(), Arc::strong_count(&bell)), (1, 1));
        }
    }

    /// Two tasks that share one handle pay for each change, and none of them is lost.
    #[test]
    fn tasks_that_share_a_handle_are_all_woken() {
        let scope = CancelScope::new();
        let bells = [(); 3].map(|()| Bell::new());
        for _ in 0..10 {
            bells.iter().for_each(|bell| turn(scope.token(), &bell.waker()));
        }
        let mut waits = bells.each_ref().map(|bell| {
            let mut wait = scope.token().cancelled();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            wait
        });
        drop(scope.token().cancelled());
        scope.cancel();
        assert_eq!(bells.each_ref().map(|bell| bell.rings()), [1, 1, 1]);
        assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
    }

    /// The same against each other, on threads, and against a cancel.
    #[test]
    fn a_shared_handle_loses_no_wake_to_another_thread() {
        for round in 0..300 {
            let root = CancelScope::new();
            let child = root.token().child();
            let token = if round % 2 == 0 { root.token() } else { child.token() };
            thread::scope(|threads| {
                for _ in 0..3 {
                    threads.spawn(|| {
                        let bell = Bell::new();
                        let waker = bell.waker();
                        for _ in 0..round {
                            let _ = poll(&mut token.cancelled(), &waker);
                        }
                        token.cancelled().block();
                        assert!(token.is_cancelled());
                    });
                }
                threads.spawn(|| root.cancel());
            });
        }
    }

    /// Rule 12: a wait inside an `any` gives its registration back to its own handle.
    #[test]
    fn a_wait_for_several_tokens_reuses_the_registration_of_each() {
        let scopes = [(); 3].map(|()| CancelScope::new());
        let bell = Bell::new();
        let waker = bell.waker();
        let turn = || {
            let mut any = CancelToken::any(scopes.each_ref().map(CancelScope::token));
            assert!(poll(&mut any, &waker).is_pending());
        };
        turn();
        assert_eq!(allocations(|| (0..100).for_each(|_| turn())), 0);
        drop(waker);
        assert_eq!(Arc::strong_count(&bell), 4);
        scopes.iter().for_each(|scope| scope.token().forget_wait());
        assert_eq!(Arc::strong_count(&bell), 1, "nothing is left behind");
    }
}

mod everything_is_freed {
    use super::*;

    /// The heap is the same, to the byte, after each turn.
    fn flat(mut turn: impl FnMut(usize)) {
        (0..100).for_each(&mut turn);
        let before = Heap::now();
        (0..TURNS / TESTS).for_each(&mut turn);
        let after = Heap::now();
        assert_eq!((before.bytes, before.blocks), (after.bytes, after.blocks));
    }

    /// Rule 12.
    #[test]
    fn abandoned_waits_leave_the_heap_flat() {
        let root = CancelScope::new();
        let child = root.token().child();
        let (bell, other) = (Bell::new().waker(), Bell::new().waker());
        let mut beside = child.token().cancelled();
        assert!(look(&mut beside).is_pending());
        flat(|at| {
            let token = if at % 2 == 0 { root.token() } else { child.token() };
            let mut wait = token.cancelled();
            assert!(poll(&mut wait, &bell).is_pending());
            if at % 4 == 0 {
                assert!(poll(&mut wait, &other).is_pending());
            }
        });
        flat(|_| assert!(poll(&mut child.token().clone().cancelled_owned(), &bell).is_pending()));
        root.cancel();
        assert!(look(&mut beside).is_ready());
    }

    /// Rule 9: idle, waited on, with a callback, or cancelled, below a parent that stays.
    #[test]
    fn children_that_are_dropped_leave_nothing_in_their_parent() {
        let root = CancelScope::new();
        let _older = root.token().child();
        let bell = Bell::new().waker();
        flat(|at| {
            let child = root.token().child();
            match at % 5 {
                0 => {}
                1 => assert!(poll(&mut child.token().cancelled(), &bell).is_pending()),
                2 => child.token().on_cancel(|| {}).detach(),
                3 => {
                    let below = child.token().with_value(at).child();
                    assert!(poll(&mut below.token().clone().cancelled_owned(), &bell).is_pending());
                    drop(child.detach());
                }
                _ => assert!(child.cancel_with("enough").is_ok()),
            }
        });
    }

    /// Rule 9: the same while others of its children live on, and many at once.
    #[test]
    fn children_among_others_leave_nothing_in_their_parent() {
        let root = CancelScope::new();
        let bell = Bell::new().waker();
        let child = || {
            let child = root.token().child().detach();
            let mut wait = child.token().clone().cancelled_owned();
            assert!(poll(&mut wait, &bell).is_pending());
            (child, wait)
        };
        let mut crowd: Vec<_> = (0..100).map(|_| child()).collect();
        flat(|at| crowd[at * 31 % 100] = child());
        assert!(root.cancel());
        assert!(crowd.iter_mut().all(|(_, wait)| look(wait).is_ready()));
    }

    /// Rule 12: registrations come and go.
    #[test]
    fn callbacks_that_are_taken_back_leave_the_heap_flat() {
        let root = CancelScope::new();
        let child = root.token().child();
        let held = child.token().on_cancel(|| {});
        flat(|at| {
            let block = Box::new(at);
            let registration = child.token().on_cancel(move || drop(block));
            if at % 2 == 0 {
                assert!(registration.deregister());
            }
        });
        assert!(held.deregister());
    }

    /// Rule 12: a whole tree for each, cancelled at every place.
    #[test]
    fn trees_leave_the_heap_flat() {
        flat(|at| {
            let root = CancelScope::new();
            let middle = root.token().with_value(at).child();
            let leaf = middle.token().shielded().child();
            let mut waits = [&root, &middle, &leaf].map(|it| it.token().clone().cancelled_owned());
            if at % 3 == 0 {
                assert!(waits.iter_mut().all(|wait| look(wait).is_pending()));
            }
            let reason = Reason::Message("enough");
            [&root, &middle, &leaf][at % 3].cancel_with(reason).unwrap();
            drop(if at % 2 == 0 { (root, leaf) } else { (leaf, root) });
        });
    }

    #[test]
    fn nothing_is_left_of_any_tree() {
        for waits in 0..4 {
            for cancelled in 0..4 {
                let leak = leaked(|| {
                    let root = CancelScope::new();
                    let (middle, beside) = (root.token().child(), root.token().child());
                    let leaf = middle.token().child();
                    let scopes = [root, middle, beside, leaf];
                    let owned = |scope: &CancelScope| {
                        let mut wait = scope.token().clone().cancelled_owned();
                        assert!(poll(&mut wait, &Bell::new().waker()).is_pending());
                        wait
                    };
                    let waits: Vec<_> = scopes[4 - waits..].iter().map(owned).collect();
                    scopes[cancelled].cancel_with("over").unwrap();
                    let why = scopes[cancelled].token().check().unwrap_err();
                    for scope in &scopes {
                        scope.token().on_cancel(|| {}).detach();
                    }
                    drop(scopes);
                    (waits, why)
                });
                assert_eq!(leak, (0, 0), "{waits} {cancelled}");
            }
        }
    }

    /// Cancelling what is above *with* a `Cancelled` would be a cycle; `cancel_like` is none.
    #[test]
    fn cancelling_like_a_descendant_is_no_cycle() {
        let leak = leaked(|| {
            let root = CancelScope::new();
            let leaf = root.token().child().detach();
            leaf.cancel_with("the leaf failed").unwrap();
            let why = leaf.token().check().unwrap_err();
            assert!(root.canceller().cancel_like(&why));
            assert_eq!(root.token().reason().unwrap().to_string(), "the leaf failed");
        });
        assert_eq!(leak, (0, 0));
        // Of another tree it is none either way, and the error itself may go over.
        let leak = leaked(|| {
            let (one, other) = (CancelScope::new(), CancelScope::new());
            one.cancel_with("one failed").unwrap();
            other.cancel_with(one.token().check().unwrap_err()).unwrap();
            let why = other.token().check().unwrap_err();
            assert_eq!(why.to_string(), "one failed");
            assert!(why.reason().downcast_ref::<winddown::Cancelled>().is_some());
        });
        assert_eq!(leak, (0, 0));
    }

    /// Rule 12: blocking gives back what it took.
    #[test]
    fn blocking_waits_free_what_they_took() {
        let root = CancelScope::new();
        let child = root.token().child();
        let short = Duration::from_micros(10);
        let block = || {
            child.token().cancelled().block_for(short).unwrap_err();
            child.token().cancelled().block_until(Instant::now() + short).unwrap_err();
            child.token().clone().cancelled_owned().block_for(short).unwrap_err();
            CancelToken::any([root.token(), child.token()]).block_for(short).unwrap_err();
            child.token().cancelled().until(ready(())).block().unwrap_err();
            root.token().forget_wait();
            child.token().forget_wait();
        };
        block();
        assert_eq!(leaked(block), (0, 0));
    }

    /// S2.13: timer and link go with the scope.
    #[test]
    fn a_scope_with_a_deadline_leaves_nothing_behind() {
        let root = CancelScope::new();
        let far = Instant::now() + Duration::from_secs(3600);
        let once = || {
            let (scope, mut expiry) = root.token().child_until(far, pending::<()>());
            assert!(look(&mut expiry).is_pending());
            let mut work = pending::<()>().until(expiry);
            assert!(look(&mut work).is_pending());
            drop(scope);
            assert!(look(&mut work).is_ready());
        };
        once();
        assert_eq!(leaked(|| (0..100).for_each(|_| once())), (0, 0));
    }

    /// Rule 11: a panic of a waker or of a callback leaves nothing behind.
    #[test]
    fn a_panicking_delivery_is_freed() {
        for by_waker in [false, true] {
            let leak = leaked(|| {
                let (root, bell) = (CancelScope::new(), Bell::new());
                let child = root.token().child();
                let bad = Foreign::new().on_wake(move || {
                    if by_waker {
                        panic_quietly("the waker");
                    }
                });
                let mut waits = [root.token(), child.token()].map(CancelToken::cancelled);
                assert!(poll(&mut waits[0], &bad.into_waker()).is_pending());
                assert!(poll(&mut waits[1], &bell.waker()).is_pending());
                let callback = move || {
                    if !by_waker {
                        panic_quietly("the callback");
                    }
                };
                child.token().on_cancel(callback).detach();
                let text = panic_of(|| root.cancel());
                assert_eq!(text, if by_waker { "the waker" } else { "the callback" });
                assert_eq!(bell.rings(), 1);
            });
            assert_eq!(leak, (0, 0));
        }
    }
}
