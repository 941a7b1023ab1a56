//! Which handles may cancel, which scopes a cancellation reaches, and which reason it gives.

#![cfg(not(loom))]

mod common;

use core::error::Error;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::Waker;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Barrier};
use std::thread;

use common::{Bell, look, poll};
use winddown::{CancelScope, CancelToken, Cancelled, Canceller, Reason};

/// An error that can be told from others of its kind.
#[derive(Debug)]
struct Tag(u32);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tag {}", self.0)
    }
}

impl Error for Tag {}

fn text(token: &CancelToken) -> Option<String> {
    token.reason().map(ToString::to_string)
}

mod authority {
    use super::*;

    /// S2.13: the end of a scope's variable cancels what is below.
    #[test]
    fn dropping_a_scope_cancels_it_and_says_so() {
        let scope = CancelScope::new();
        let (token, child) = (scope.token().clone(), scope.token().child());
        drop(scope);
        assert!(token.is_cancelled() && child.token().is_cancelled());
        assert!(matches!(token.reason(), Some(Reason::Dropped)));
        assert!(matches!(child.token().reason(), Some(Reason::Dropped)));
    }

    /// S2.13: also when a panic ends it.
    #[test]
    fn a_scope_that_is_unwound_cancels() {
        let scope = CancelScope::default();
        let token = scope.token().clone();
        let panic = common::panic_of(move || {
            let _scope = scope;
            common::panic_quietly("the owner");
        });
        assert_eq!(panic, "the owner");
        assert!(matches!(token.reason(), Some(Reason::Dropped)));
    }

    #[test]
    fn a_detached_scope_is_not_cancelled_by_any_drop() {
        let scope = CancelScope::new();
        let token = scope.token().clone();
        let canceller = scope.detach();
        assert!(!token.is_cancelled());
        drop((canceller.token().clone(), canceller.clone()));
        assert!(!token.is_cancelled());
        assert!(canceller.cancel());
        drop(canceller);
        assert!(matches!(token.reason(), Some(Reason::Cancelled)));
        let orphan = CancelScope::new().detach().token().clone();
        assert!(!orphan.is_cancelled() && !format!("{orphan:?}").contains("Dropped"));
    }

    /// The way back from `detach`: the same scope, whose drop cancels again.
    #[test]
    fn a_canceller_that_becomes_a_scope_cancels_when_dropped() {
        let scope = CancelScope::new();
        let (token, below) = (scope.token().clone(), scope.token().child());
        let again = scope.detach().into_scope();
        assert_eq!(again.token(), &token);
        assert!(!token.is_cancelled());
        let again = again.detach().into_scope();
        drop(again);
        assert!(matches!(token.reason(), Some(Reason::Dropped)));
        assert!(matches!(below.token().reason(), Some(Reason::Dropped)));
        // One that was cancelled keeps its reason.
        let scope = CancelScope::new();
        let canceller = scope.canceller();
        canceller.cancel_with("enough").unwrap();
        drop((canceller.clone().into_scope(), scope));
        assert_eq!(text(canceller.token()).unwrap(), "enough");
    }

    /// Of several scopes of one node the first that is dropped cancels, with the original or without it; waits
    /// and callbacks hear of it once.
    #[test]
    fn the_first_scope_of_one_node_that_is_dropped_cancels() {
        for first in 0..3 {
            let scope = CancelScope::new();
            let (token, canceller) = (scope.token().clone(), scope.canceller());
            let (ran, bell) = (Arc::new(AtomicUsize::new(0)), Bell::new());
            let counts = Arc::clone(&ran);
            let _callback = token.on_cancel(move || {
                counts.fetch_add(1, Ordering::Relaxed);
            });
            let mut wait = token.cancelled();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            let mut scopes = vec![canceller.clone().into_scope(), scope, canceller.into_scope()];
            drop(scopes.swap_remove(first));
            assert!(matches!(token.reason(), Some(Reason::Dropped)));
            drop(scopes);
            assert_eq!((ran.load(Ordering::Relaxed), bell.rings()), (1, 1));
        }
    }

    #[test]
    fn a_child_of_a_canceller_is_one_of_its_scope() {
        let canceller = CancelScope::new().detach();
        let (child, other) = (canceller.child(), canceller.child());
        assert_ne!(child.token(), canceller.token());
        drop(other);
        assert!(!canceller.token().is_cancelled() && !child.token().is_cancelled());
        canceller.cancel_with("from above").unwrap();
        assert_eq!(text(child.token()).unwrap(), "from above");
        assert!(canceller.child().token().is_cancelled(), "from birth");
    }

    #[test]
    fn cancellers_are_equal_if_they_cancel_the_same_scope() {
        let (scope, other) = (CancelScope::new(), CancelScope::new());
        let canceller = scope.canceller();
        assert_eq!(canceller, canceller.clone());
        assert_eq!(canceller, scope.canceller().into_scope().detach());
        assert_ne!(canceller, other.canceller());
        assert_ne!(canceller, canceller.child().detach());
        #[allow(clippy::mutable_key_type, reason = "the docs promise that it is sound")]
        let mut names = HashMap::from([(canceller.clone(), "scope"), (other.canceller(), "other")]);
        assert!(look(&mut scope.token().cancelled()).is_pending());
        scope.cancel();
        assert_eq!(names.get(&canceller), Some(&"scope"));
        assert_eq!(names.remove(&other.detach()), Some("other"));
        assert_eq!(names.insert(scope.detach(), "again"), Some("scope"));
    }

    #[test]
    fn a_canceller_cancels_when_asked_and_not_when_dropped() {
        let scope = CancelScope::new();
        let canceller = scope.canceller();
        drop(canceller.clone());
        assert!(!scope.token().is_cancelled());
        assert_eq!(canceller.token(), scope.token());
        canceller.cancel_with("enough").unwrap();
        assert_eq!(text(scope.token()).unwrap(), "enough");
        assert!(!scope.cancel(), "the canceller was first");
    }

    #[test]
    fn a_canceller_outlives_its_scope() {
        let scope = CancelScope::new();
        let canceller = scope.canceller();
        drop(scope);
        assert!(!canceller.cancel());
        assert!(matches!(canceller.cancel_with("late"), Err(Reason::Error(_))));
        assert!(matches!(canceller.token().reason(), Some(Reason::Dropped)));
    }

    /// A method of the type itself comes before these.
    trait OnlyIfTheTypeHasNone {
        fn cancel(&self) -> &'static str {
            "nothing to cancel with"
        }

        fn cancel_with(&self, _: &str) -> &'static str {
            "nothing to cancel with"
        }

        fn canceller(&self) -> &'static str {
            "nothing to cancel with"
        }
    }

    impl OnlyIfTheTypeHasNone for CancelToken {}

    /// S2.9: an observer has nothing to cancel with, and whatever it makes or drops cancels
    /// neither what it observes nor anything beside it.
    #[test]
    fn a_token_cannot_cancel() {
        let (a, b) = (CancelScope::new(), CancelScope::new());
        let (token, beside) = (a.token().clone(), a.token().child());
        assert_eq!(token.cancel(), "nothing to cancel with");
        assert_eq!(token.cancel_with("me"), "nothing to cancel with");
        assert_eq!(token.canceller(), "nothing to cancel with");
        let own = token.child();
        assert!(own.cancel());
        drop((token.child(), token.with_value(1), token.shielded(), token.clone(), own));
        let mut wait = token.clone().cancelled_owned();
        assert!(look(&mut wait).is_pending());
        drop((wait, token));
        assert!(!a.token().is_cancelled() && !beside.token().is_cancelled());
        // A may cancel B, to which it holds the scope.
        assert!(b.cancel());
        assert!(!a.token().is_cancelled());
    }

    /// S2.8: from any thread, any number of times; one call was the one.
    #[test]
    fn one_of_many_cancellers_is_the_first() {
        for _ in 0..200 {
            let scope = CancelScope::new();
            let (start, firsts) = (Barrier::new(4), AtomicUsize::new(0));
            thread::scope(|threads| {
                for number in 0..4_u32 {
                    let (scope, start, firsts) = (&scope, &start, &firsts);
                    threads.spawn(move || {
                        start.wait();
                        match scope.cancel_with(Tag(number)) {
                            Ok(()) => assert!(firsts.fetch_add(1, Ordering::Relaxed) < 4),
                            Err(back) => {
                                assert_eq!(back.downcast_ref::<Tag>().unwrap().0, number);
                            }
                        }
                        let won = scope.token().reason().unwrap().downcast_ref::<Tag>();
                        assert!(won.is_some());
                    });
                }
            });
            assert_eq!(firsts.into_inner(), 1);
            assert!(!scope.cancel() && !scope.canceller().cancel());
        }
    }

    /// S2.8: the first cause wins, for ever.
    #[test]
    fn cancel_is_true_once_and_changes_nothing_after_that() {
        let scope = CancelScope::new();
        assert_eq!((scope.token().reason().is_none(), scope.cancel()), (true, true));
        let first = ptr::from_ref(scope.token().reason().unwrap());
        for _ in 0..3 {
            assert!(!scope.cancel());
            scope.cancel_with("another").unwrap_err();
            assert!(ptr::eq(first, scope.token().reason().unwrap()));
        }
        drop(scope);
    }

    /// S2.8: the very box that came in comes out.
    #[test]
    fn a_loser_gets_its_own_reason_back() {
        let scope = CancelScope::new();
        let below = scope.token().child();
        scope.cancel_with(Tag(1)).unwrap();
        for scope in [&scope, &below] {
            let tag = Box::new(Tag(2));
            let at = ptr::from_ref(&*tag);
            let error: Box<dyn Error + Send + Sync> = tag;
            let back = scope.cancel_with(error).unwrap_err();
            assert!(ptr::eq(at, back.downcast_ref::<Tag>().unwrap()));
            assert!(matches!(
                scope.cancel_with(Reason::Message("three")),
                Err(Reason::Message("three"))
            ));
            assert!(matches!(scope.cancel_with(Reason::Cancelled), Err(Reason::Cancelled)));
            assert!(matches!(scope.cancel_with(Reason::Dropped), Err(Reason::Dropped)));
            assert!(matches!(scope.cancel_with(Reason::Deadline), Err(Reason::Deadline)));
            assert!(matches!(scope.cancel_with(Reason::Panicked), Err(Reason::Panicked)));
            assert!(matches!(scope.cancel_with(Reason::Failed), Err(Reason::Failed)));
            assert_eq!(scope.token().reason().unwrap().downcast_ref::<Tag>().unwrap().0, 1);
        }
    }

    #[test]
    fn a_box_that_won_is_lent_to_all_and_dropped_once() {
        let held = Arc::new(());
        #[derive(Debug)]
        struct Holds(#[allow(dead_code, reason = "held")] Arc<()>);
        impl fmt::Display for Holds {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("holds")
            }
        }
        impl Error for Holds {}
        let scope = CancelScope::new();
        let leaf = scope.token().child().detach().token().child();
        scope.cancel_with(Holds(Arc::clone(&held))).unwrap();
        drop(scope.cancel_with(Holds(Arc::clone(&held))));
        assert_eq!(Arc::strong_count(&held), 2);
        let seen = leaf.token().check().unwrap_err();
        drop((scope, leaf));
        assert!(seen.reason().downcast_ref::<Holds>().is_some(), "it holds the tree above");
        assert_eq!(Arc::strong_count(&held), 2);
        drop(seen);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn cancel_like_copies_the_reason() {
        let why = |reason: Reason| {
            let (from, to) = (CancelScope::new(), CancelScope::new());
            from.cancel_with(reason).unwrap();
            let cancelled = from.token().check().unwrap_err();
            assert!(to.canceller().cancel_like(&cancelled));
            assert!(!to.canceller().cancel_like(&cancelled));
            assert_eq!(text(to.token()), text(from.token()));
            drop(cancelled);
            to.token().check().unwrap_err()
        };
        assert!(matches!(why(Reason::Cancelled).reason(), Reason::Cancelled));
        assert!(matches!(why(Reason::Dropped).reason(), Reason::Dropped));
        assert!(matches!(why(Reason::Deadline).reason(), Reason::Deadline));
        assert!(matches!(why(Reason::Panicked).reason(), Reason::Panicked));
        assert!(matches!(why(Reason::Failed).reason(), Reason::Failed));
        assert!(matches!(why(Reason::Message("a text")).reason(), Reason::Message("a text")));
        let copy = why(Reason::from(Tag(3)));
        assert_eq!(copy.to_string(), "tag 3");
        assert!(copy.reason().downcast_ref::<Tag>().is_none(), "of an error only its text");
    }
}

mod reach {
    use super::*;

    /// S2.5, S2.10, rule 8: all below, and nobody else.
    #[test]
    fn a_child_affects_neither_its_parent_nor_its_siblings() {
        let root = CancelScope::new();
        let (left, right) = (root.token().child(), root.token().child());
        let (below_left, below_right) = (left.token().child(), right.token().child());
        assert!(left.cancel());
        assert!(below_left.token().is_cancelled());
        for open in [&root, &right, &below_right] {
            assert!(!open.token().is_cancelled());
            assert!(open.token().reason().is_none());
            assert!(open.token().check().is_ok());
        }
        assert!(root.cancel(), "it was open until now");
        assert!(below_right.token().is_cancelled());
        assert!(!right.cancel(), "the root was first");
    }

    /// S2.11: with the very reason of the parent, whatever is asked first.
    #[test]
    fn a_child_of_a_cancelled_parent_is_born_cancelled() {
        let root = CancelScope::new();
        root.cancel_with(Tag(9)).unwrap();
        let why = ptr::from_ref(root.token().reason().unwrap());
        let born = |make: &dyn Fn(&CancelToken) -> CancelToken| {
            let token = make(root.token());
            assert!(token.is_cancelled());
            assert!(ptr::eq(token.reason().unwrap(), why));
            assert!(look(&mut token.cancelled()).is_ready());
            assert!(token.check().is_err());
        };
        born(&|token| token.child().detach().token().clone());
        born(&|token| token.with_value(1));
        born(&|token| token.child().token().clone());
        born(&|token| token.with_value(1).child().token().with_value(2));
        let child = root.token().child();
        assert!(!child.cancel(), "its parent was first");
        let other = root.token().child();
        let (bell, mut wait) = (Bell::new(), other.token().cancelled());
        assert!(poll(&mut wait, &bell.waker()).is_ready());
        assert_eq!(bell.rings(), 0);
    }

    /// S2.1: before or after, any number of listeners.
    #[test]
    fn every_wait_in_a_tree_is_woken_once() {
        for cancelled in 0..3 {
            let root = CancelScope::new();
            let middle = root.token().child();
            let leaf = middle.token().child();
            let scopes = [&root, &middle, &leaf];
            let bells = [(); 9].map(|()| Bell::new());
            let mut waits: Vec<_> = (0..9).map(|at| scopes[at % 3].token().cancelled()).collect();
            for (wait, bell) in waits.iter_mut().zip(&bells) {
                assert!(poll(wait, &bell.waker()).is_pending());
            }
            assert!(scopes[cancelled].cancel());
            for (at, (wait, bell)) in waits.iter_mut().zip(&bells).enumerate() {
                let reached = at % 3 >= cancelled;
                assert_eq!((bell.rings(), look(wait).is_ready()), (usize::from(reached), reached));
            }
            for (at, scope) in scopes.iter().enumerate() {
                assert_eq!(look(&mut scope.token().cancelled()).is_ready(), at >= cancelled);
            }
        }
    }

    /// S2.18 (WithoutCancel): the values, and neither cancellation nor reason.
    #[test]
    fn a_shielded_token_keeps_values_and_nothing_else() {
        let root = CancelScope::new();
        let token = root.token().with_value("trace").with_value(7_u8);
        let shielded = token.shielded();
        let below = shielded.child();
        let bell = Bell::new();
        let mut waits = [shielded.cancelled(), below.token().cancelled()];
        assert!(waits.iter_mut().all(|wait| poll(wait, &bell.waker()).is_pending()));
        root.cancel_with("stop").unwrap();
        assert!(token.is_cancelled());
        assert!(!shielded.is_cancelled() && !below.token().is_cancelled());
        assert!(shielded.reason().is_none() && bell.rings() == 0);
        assert_eq!((shielded.value(), below.token().value()), (Some(&"trace"), Some(&7_u8)));
        assert!(!token.shielded().is_cancelled(), "also when it is made too late");
        assert!(below.cancel(), "below the shield it is a tree of its own");
        assert!(!shielded.is_cancelled());
        assert_eq!(bell.rings(), 1);
    }

    /// S2.4: the nearest of its type, by type alone.
    #[test]
    fn values_are_found_along_the_chain_by_their_type() {
        #[derive(Debug, PartialEq)]
        struct Id(u32);
        #[derive(Debug, PartialEq)]
        struct Trace(u32);
        let root = CancelScope::new();
        let outer = root.token().with_value(Id(1)).with_value(Trace(2));
        let middle = outer.child();
        let inner = middle.token().with_value(Id(3));
        let leaf = inner.child();
        assert_eq!(leaf.token().value(), Some(&Id(3)));
        assert_eq!(leaf.token().value(), Some(&Trace(2)));
        assert_eq!(middle.token().value(), Some(&Id(1)));
        assert_eq!(outer.value(), Some(&Id(1)), "a child's value stays below");
        assert_eq!(root.token().value::<Id>(), None);
        assert_eq!(leaf.token().value::<u32>(), None, "a type is not what it consists of");
        // The same kind of value as a type of its own, or of another crate.
        let token = root.token().with_value("a").with_value(String::from("b"));
        assert_eq!(
            (token.value::<&str>(), token.value::<String>()),
            (Some(&"a"), Some(&"b".into()))
        );
        root.cancel();
        assert_eq!(leaf.token().value(), Some(&Id(3)), "whether cancelled or not");
    }

    #[test]
    fn a_value_lives_as_long_as_a_token_at_or_below_it() {
        let value = Arc::new(5);
        let root = CancelScope::new();
        let token = root.token().with_value(Arc::clone(&value));
        let (clone, child) = (token.clone(), token.child());
        drop(token);
        drop(clone);
        assert_eq!(**child.token().value::<Arc<i32>>().unwrap(), 5);
        assert_eq!(Arc::strong_count(&value), 2);
        drop(child);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    /// S2.12.
    #[test]
    fn a_token_that_never_fires_is_a_root_for_all() {
        static NEVER: CancelToken = CancelToken::never();
        static ALSO: [CancelToken; 2] = [const { CancelToken::never() }; 2];
        assert!(ALSO.iter().all(|also| *also == NEVER));
        assert_eq!(NEVER, NEVER.clone());
        assert!(!NEVER.is_cancelled() && NEVER.reason().is_none() && NEVER.check().is_ok());
        assert_eq!(NEVER.value::<u8>(), None);
        let bell = Bell::new();
        let mut wait = NEVER.cancelled();
        for _ in 0..3 {
            assert!(poll(&mut wait, &bell.waker()).is_pending());
        }
        drop(wait);
        assert_eq!(Arc::strong_count(&bell), 1, "nothing can wake it, so nothing is kept");
        NEVER.forget_wait();
        drop(NEVER.on_cancel(|| unreachable!("it never fires")));
        let (scope, other) = (NEVER.child(), NEVER.child());
        assert_eq!(NEVER.with_value(4).value(), Some(&4));
        assert_eq!(NEVER.with_value(4).shielded().value(), Some(&4));
        assert!(scope.cancel());
        assert!(!NEVER.is_cancelled() && !other.token().is_cancelled());
    }

    #[test]
    fn tokens_are_equal_if_they_observe_the_same_scope() {
        let scope = CancelScope::new();
        let token = scope.token().clone();
        assert_eq!(&token, scope.token());
        assert_eq!(&token, scope.canceller().token());
        assert_ne!(token, token.with_value(1));
        assert_ne!(token, token.shielded());
        assert_ne!(&token, token.child().token());
        assert_ne!(token, CancelToken::never());
        assert_ne!(token, CancelScope::new().token().clone());
        // The scope alone counts: not the state, not what a handle keeps.
        #[allow(clippy::mutable_key_type, reason = "the docs promise that it is sound")]
        let mut names = HashMap::from([(token.clone(), "scope"), (CancelToken::never(), "never")]);
        assert!(look(&mut token.cancelled()).is_pending());
        scope.cancel();
        assert_eq!(names.get(&token), Some(&"scope"));
        assert_eq!(names.get(&CancelToken::never()), Some(&"never"));
        assert_eq!(names.insert(scope.token().clone(), "again"), Some("scope"));
        #[allow(clippy::mutable_key_type, reason = "the docs promise that it is sound")]
        let set: HashSet<_> = [CancelToken::never(), CancelToken::never(), token.clone()].into();
        assert_eq!(set.len(), 2);
        let hash = |token: &CancelToken| {
            let mut hasher = DefaultHasher::new();
            token.hash(&mut hasher);
            hasher.finish()
        };
        assert_ne!(hash(&token), hash(&CancelToken::never()));
    }
}

mod reasons {
    use super::*;

    const ROOT: usize = 0;
    const MIDDLE: usize = 1;
    const LEAF: usize = 2;

    /// The order of three cancels, and whose reason root, middle and leaf have in the end.
    ///
    /// By rule 8: a cancel that finds an ancestor cancelled adopts the ancestor's reason; one that
    /// finds none is the reason of its node, and of what is below and still open.
    const TABLE: [([usize; 3], [usize; 3]); 6] = [
        ([ROOT, MIDDLE, LEAF], [ROOT, ROOT, ROOT]),
        ([ROOT, LEAF, MIDDLE], [ROOT, ROOT, ROOT]),
        ([MIDDLE, ROOT, LEAF], [ROOT, MIDDLE, MIDDLE]),
        ([MIDDLE, LEAF, ROOT], [ROOT, MIDDLE, MIDDLE]),
        ([LEAF, ROOT, MIDDLE], [ROOT, ROOT, LEAF]),
        ([LEAF, MIDDLE, ROOT], [ROOT, MIDDLE, LEAF]),
    ];

    /// What each of the three says in the case at hand: by itself, or with a reason.
    fn said(by: usize, reasons: usize) -> &'static str {
        if reasons >> by & 1 == 0 { "cancelled" } else { ["root", "middle", "leaf"][by] }
    }

    fn cancel(scope: &CancelScope, by: usize, reasons: usize) -> bool {
        if reasons >> by & 1 == 0 {
            scope.cancel()
        } else {
            scope.cancel_with(said(by, reasons)).is_ok()
        }
    }

    /// The whole of one case: `asked` are asked after each step, `waited` have a wait.
    fn case(order: [usize; 3], expected: [usize; 3], reasons: usize, asked: usize, waited: usize) {
        let root = CancelScope::new();
        let middle = root.token().child();
        let leaf = middle.token().child();
        let scopes = [root, middle, leaf];
        let bells = [(); 3].map(|()| Bell::new());
        let mut waits: Vec<_> = scopes.iter().map(|scope| scope.token().cancelled()).collect();
        for at in (0..3).filter(|at| waited >> at & 1 == 1) {
            assert!(poll(&mut waits[at], &bells[at].waker()).is_pending());
        }
        let context = || format!("{order:?} reasons {reasons:b} asked {asked:b} waited {waited:b}");
        let mut known: [Option<*const Reason>; 3] = [None; 3];
        for by in order {
            let first = cancel(&scopes[by], by, reasons);
            assert_eq!(first, expected[by] == by, "{}", context());
            for at in (0..3).filter(|at| asked >> at & 1 == 1) {
                let now = scopes[at].token().reason().map(ptr::from_ref);
                assert!(known[at].is_none() || known[at] == now, "{}", context());
                known[at] = now;
            }
        }
        for at in 0..3 {
            let reason = scopes[at].token().reason().unwrap();
            assert_eq!(reason.to_string(), said(expected[at], reasons), "{}", context());
            assert!(known[at].is_none_or(|known| ptr::eq(known, reason)), "{}", context());
            assert_eq!(bells[at].rings(), waited >> at & 1, "{}", context());
            assert!(look(&mut waits[at]).is_ready(), "{}", context());
        }
    }

    /// Rule 8, S2.2, S2.8: with and without reasons, asked before and after, waited on or not.
    #[test]
    fn the_reason_of_each_node_follows_the_order_of_the_cancels() {
        for (order, expected) in TABLE {
            for reasons in 0..8 {
                for asked in 0..8 {
                    for waited in 0..8 {
                        case(order, expected, reasons, asked, waited);
                    }
                }
            }
        }
    }

    /// Errors of one scope are equal, whatever both say.
    #[test]
    fn an_error_is_equal_to_those_of_its_scope() {
        let (one, other) = (CancelScope::new(), CancelScope::new());
        let error = |scope: &CancelScope| {
            scope.cancel();
            scope.token().check().unwrap_err()
        };
        assert_eq!(error(&one), error(&one));
        assert_ne!(error(&one), error(&other));
    }

    /// S2.2: none while it is open; then one for ever.
    #[test]
    fn a_reason_says_what_happened() {
        let why = |reason: Reason| {
            let scope = CancelScope::new();
            assert!(scope.token().reason().is_none());
            scope.cancel_with(reason).unwrap();
            text(scope.token()).unwrap()
        };
        assert_eq!(why(Reason::Cancelled), "cancelled");
        assert_eq!(why(Reason::Deadline), "deadline exceeded");
        assert_eq!(why(Reason::Dropped), "its owner was dropped");
        assert_eq!(why(Reason::Panicked), "a task panicked");
        assert_eq!(why(Reason::Failed), "a task failed");
        assert_eq!(why(Reason::Message("a message")), "a message");
        assert_eq!(why("a text".into()), "a text");
        assert_eq!(why(String::from("a string").into()), "a string");
        assert_eq!(why(Tag(4).into()), "tag 4");
        let scope = CancelScope::new();
        assert!(scope.cancel());
        assert!(matches!(scope.token().reason(), Some(Reason::Cancelled)));
    }

    #[test]
    fn debug_names_the_variant_of_a_reason() {
        for (reason, name) in [
            (Reason::Cancelled, "Cancelled"),
            (Reason::Dropped, "Dropped"),
            (Reason::Deadline, "Deadline"),
            (Reason::Panicked, "Panicked"),
            (Reason::Failed, "Failed"),
            (Reason::Closed, "Closed"),
            (Reason::Message("x"), r#"Message("x")"#),
            (Tag(4).into(), "Error(Tag(4))"),
        ] {
            assert_eq!(format!("{reason:?}"), name);
        }
    }

    /// S2.18 (cause).
    #[test]
    fn an_error_is_read_back_as_what_it_was() {
        let scope = CancelScope::new();
        scope.cancel_with(Tag(5)).unwrap();
        let leaf = scope.token().child();
        let reason = leaf.token().reason().unwrap();
        assert_eq!(reason.downcast_ref::<Tag>().unwrap().0, 5);
        assert!(reason.downcast_ref::<fmt::Error>().is_none());
        assert!(Reason::Cancelled.downcast_ref::<Tag>().is_none());
        assert!(Reason::Message("x").downcast_ref::<Tag>().is_none());
    }

    #[test]
    fn cancelled_is_an_error_with_its_source() {
        fn work(token: &CancelToken) -> Result<(), Box<dyn Error>> {
            token.check()?;
            Ok(())
        }
        let scope = CancelScope::new();
        work(scope.token()).unwrap();
        scope.cancel_with(Tag(6)).unwrap();
        let error = work(scope.token()).unwrap_err();
        let cancelled = error.downcast_ref::<Cancelled>().unwrap().clone();
        assert_eq!(error.to_string(), "tag 6");
        assert!(error.source().unwrap().is::<Tag>());
        assert_eq!(cancelled.to_string(), "tag 6");
        assert_eq!(format!("{cancelled:?}"), "Cancelled(Error(Tag(6)))");
        assert!(ptr::eq(cancelled.reason(), scope.token().reason().unwrap()));
        for reason in [Reason::Cancelled, Reason::Message("x")] {
            let scope = CancelScope::new();
            scope.cancel_with(reason).unwrap();
            assert!(scope.token().check().unwrap_err().source().is_none());
        }
    }

    #[test]
    fn a_cancelled_keeps_answering_when_all_else_is_gone() {
        let root = CancelScope::new();
        let leaf = root.token().with_value(1).child();
        root.cancel_with(Tag(8)).unwrap();
        let cancelled = leaf.token().check().unwrap_err();
        drop((root, leaf));
        assert_eq!(cancelled.reason().downcast_ref::<Tag>().unwrap().0, 8);
    }
}

/// Several threads at once: what holds between any two of them.
mod instant {
    use super::*;

    const ROUNDS: usize = 400;

    /// A root, and below it the four kinds of nodes, each below the one before.
    fn tree() -> (CancelScope, Vec<Canceller>, Vec<CancelToken>) {
        let root = CancelScope::new();
        let (mut owners, mut line) = (Vec::new(), vec![root.token().clone()]);
        for level in 0..6 {
            let above = line.last().unwrap();
            if level % 3 == 2 {
                line.push(above.with_value(level));
            } else {
                let child = above.child().detach();
                line.push(child.token().clone());
                owners.push(child);
            }
        }
        (root, owners, line)
    }

    /// Rule 8: what one thread has seen holds for all questions that happen after that, of any
    /// thread; waits, hooks and births in between.
    #[test]
    fn once_an_ancestor_was_seen_cancelled_all_below_are() {
        for round in 0..ROUNDS {
            let (root, owners, line) = tree();
            let cancelled = round % owners.len();
            // The highest that a reader has seen cancelled; the length if none.
            let seen = AtomicUsize::new(line.len());
            let done = AtomicBool::new(false);
            let start = Barrier::new(4);
            thread::scope(|threads| {
                for reader in 0..2 {
                    let (line, seen, done, start) = (&line, &seen, &done, &start);
                    threads.spawn(move || {
                        start.wait();
                        while !done.load(Ordering::Acquire) {
                            read(line, seen, reader);
                        }
                        read(line, seen, reader);
                    });
                }
                threads.spawn(|| {
                    start.wait();
                    // Hooks part of the line up while it is being cancelled.
                    let at = line.len() - 1 - round % 3;
                    let mut wait = line[at].cancelled();
                    while look(&mut wait).is_pending() {}
                    assert!(line[at..].iter().all(CancelToken::is_cancelled));
                    done.store(true, Ordering::Release);
                });
                start.wait();
                if round % 2 == 0 {
                    drop(root);
                } else {
                    owners[cancelled].cancel();
                    drop(root);
                }
            });
        }
    }

    fn read(line: &[CancelToken], seen: &AtomicUsize, reader: usize) {
        let before = seen.load(Ordering::Acquire);
        for token in &line[before..] {
            assert!(token.is_cancelled());
            assert!(look(&mut token.cancelled()).is_ready());
            assert!(token.child().token().is_cancelled(), "born cancelled");
            assert!(token.check().is_err() && token.reason().is_some());
        }
        let found = (0..line.len()).find(|at| line[*at].is_cancelled());
        if let Some(found) = found {
            assert!(line[found..].iter().all(CancelToken::is_cancelled));
            if reader == 0 {
                let _ = line[line.len() - 1].reason();
            }
            seen.fetch_min(found, Ordering::AcqRel);
        }
    }

    /// Rule 8: two cancellers and two observers; each node has one reason, the same to all.
    #[test]
    fn the_reason_of_a_node_is_the_same_to_all() {
        for round in 0..ROUNDS {
            let root = CancelScope::new();
            let middle = root.token().child();
            let leaf = middle.token().with_value(0).child();
            let tokens = [root.token(), middle.token(), leaf.token()];
            let start = Barrier::new(4);
            let (root, middle, start) = (&root, &middle, &start);
            let answers: Vec<_> = thread::scope(|threads| {
                if round % 2 == 0 {
                    let mut wait = leaf.token().cancelled();
                    assert!(poll(&mut wait, Waker::noop()).is_pending());
                }
                let cancellers = [(root, "root"), (middle, "middle")].map(|(scope, text)| {
                    threads.spawn(move || {
                        start.wait();
                        scope.cancel_with(text).is_ok()
                    })
                });
                let observers = [(), ()].map(|()| {
                    threads.spawn(move || {
                        start.wait();
                        tokens.map(|token| {
                            loop {
                                if let Some(reason) = token.reason() {
                                    break ptr::from_ref(reason).addr();
                                }
                            }
                        })
                    })
                });
                let won = cancellers.map(|canceller| canceller.join().unwrap());
                assert!(won[0], "nobody is above the root");
                if !won[1] {
                    assert!(ptr::eq(tokens[1].reason().unwrap(), tokens[0].reason().unwrap()));
                } else {
                    assert_eq!(text(tokens[1]).unwrap(), "middle");
                }
                observers.into_iter().map(|observer| observer.join().unwrap()).collect()
            });
            let now = tokens.map(|token| ptr::from_ref(token.reason().unwrap()).addr());
            assert!(answers.iter().all(|answer| *answer == now), "{answers:?} {now:?}");
            assert_eq!(text(tokens[0]).unwrap(), "root");
        }
    }

    /// Rule 5: a thread that observes a cancel sees what was written before it.
    #[test]
    fn what_came_before_a_cancel_is_seen_below() {
        for _ in 0..ROUNDS {
            let root = CancelScope::new();
            let leaf = root.token().child().detach().token().with_value(1);
            let written = AtomicUsize::new(0);
            thread::scope(|threads| {
                threads.spawn(|| {
                    while !leaf.is_cancelled() {}
                    assert_eq!(written.load(Ordering::Relaxed), 1);
                });
                threads.spawn(|| {
                    written.store(1, Ordering::Relaxed);
                    root.cancel();
                });
            });
        }
    }

    /// S2.16: every method of every type, from several threads at once.
    #[test]
    fn every_method_may_be_called_from_anywhere() {
        for _ in 0..ROUNDS / 4 {
            let root = CancelScope::new();
            let calls = Arc::new(AtomicUsize::new(0));
            let registered = AtomicUsize::new(0);
            thread::scope(|threads| {
                for _ in 0..3 {
                    threads.spawn(|| {
                        let token = root.token();
                        for _ in 0..20 {
                            registered.fetch_add(1, Ordering::Relaxed);
                            let calls = Arc::clone(&calls);
                            let registration = token.on_cancel(move || {
                                calls.fetch_add(1, Ordering::Relaxed);
                            });
                            let child = token.with_value(1).shielded().child();
                            let below = token.child();
                            let mut waits = [token.cancelled(), below.token().cancelled()];
                            for wait in &mut waits {
                                let _ = look(wait);
                            }
                            assert!(child.cancel());
                            let _ = (token.is_cancelled(), token.reason(), token.check());
                            assert!(!format!("{token:?} {below:?} {registration:?}").is_empty());
                            if registration.deregister() {
                                registered.fetch_sub(1, Ordering::Relaxed);
                            }
                            token.forget_wait();
                        }
                    });
                }
                threads.spawn(|| root.canceller().cancel_with("one of all"));
            });
            assert_eq!(text(root.token()).unwrap(), "one of all");
            assert_eq!(calls.load(Ordering::Relaxed), registered.into_inner());
        }
    }
}
