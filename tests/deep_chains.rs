//! Rule 9: no recursion over what users can chain through the crate's own types: values, callbacks,
//! registrations, finalisers. Beside this file: `deep_trees.rs`, `deep_reasons.rs`, and `deep_orphans.rs`.
//!
//! Each test runs on a thread with a stack of 64 KiB, where one call for each link of a chain would overflow
//! after some hundred. A build without optimisation takes shorter chains, so that the suite stays quick.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::mem::forget;
use std::sync::Arc;
use std::task::Wake;

use common::{Drops, Fault, on_a_small_stack, poll};
use winddown::{CancelScope, CancelToken, Canceller, Signal, TaskGroup};

const LINKS: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };

mod values {
    use super::*;

    #[test]
    fn may_be_tokens_with_values() {
        on_a_small_stack(|| {
            let drops = Drops::default();
            let mut token = CancelScope::new().detach().token().with_value(drops.calm());
            for _ in 0..LINKS {
                token = CancelScope::new().detach().token().with_value(token);
            }
            assert!(token.value::<CancelToken>().is_some());
            assert!(format!("{token:?}").len() < 1000);
            drop(token);
            drops.assert_all_gone(1);
        });
    }

    #[test]
    fn may_be_the_scopes_of_other_values() {
        on_a_small_stack(|| {
            let drops = Drops::default();
            let mut token = CancelToken::never().with_value(drops.calm());
            for _ in 0..LINKS {
                let scope = CancelScope::new();
                token = scope.token().clone().with_value((scope, token));
            }
            drop(token);
            drops.assert_all_gone(1);
        });
    }

    /// A group below a scope that has another group as its value.
    #[test]
    fn may_be_groups_below_other_values() {
        on_a_small_stack(|| {
            let drops = Drops::default();
            let mut token = CancelToken::never().with_value(drops.calm());
            for _ in 0..LINKS {
                let group = TaskGroup::builder().parent(&token).build();
                token = CancelScope::new().detach().token().with_value(group);
            }
            drop(token);
            drops.assert_all_gone(1);
        });
    }
}

mod callbacks {
    use super::*;

    /// Scopes whose callbacks own the one before; the last of them, whose drop `owns` says.
    fn chain(drops: &Drops, owns: fn(CancelScope) -> Box<dyn Send>) -> CancelScope {
        let mut scope = CancelScope::new();
        let fault = drops.calm();
        scope.token().on_cancel(move || drop(fault)).detach();
        for _ in 0..LINKS {
            let next = CancelScope::new();
            let before = owns(scope);
            next.token().on_cancel(move || drop(before)).detach();
            scope = next;
        }
        scope
    }

    /// As a handle that cancels nothing: all go without a run.
    #[test]
    fn that_own_scopes_are_dropped_with_them() {
        on_a_small_stack(|| {
            let drops = Drops::default();
            let canceller: Canceller = chain(&drops, |scope| Box::new(scope.detach())).detach();
            assert!(format!("{canceller:?}").len() < 1000);
            drop(canceller);
            drops.assert_all_gone(1);
        });
    }

    /// As an owner, whose drop cancels: each run leads to the next.
    #[test]
    fn that_own_scopes_run_one_after_the_other() {
        let ends: [fn(CancelScope); 3] =
            [drop, |scope| assert!(scope.cancel()), |scope| drop(scope.detach())];
        on_a_small_stack(move || {
            for end in ends {
                let drops = Drops::default();
                end(chain(&drops, |scope| Box::new(scope)));
                drops.assert_all_gone(1);
            }
        });
    }

    /// A callback that has the registration of another: taken back, or run.
    #[test]
    fn that_own_registrations_are_taken_back_together() {
        on_a_small_stack(|| {
            for takes_back in [true, false] {
                let drops = Drops::default();
                let scopes = [CancelScope::new(), CancelScope::new()];
                let fault = drops.calm();
                let mut registration = scopes[0].token().on_cancel(move || drop(fault));
                for _ in 0..LINKS {
                    registration = scopes[0].token().on_cancel(move || drop(registration));
                }
                if takes_back {
                    assert!(registration.deregister());
                } else {
                    scopes[1].token().on_cancel(move || drop(registration)).detach();
                    assert!(scopes[1].cancel());
                }
                drops.assert_all_gone(1);
                assert!(scopes[0].cancel());
            }
        });
    }

    /// Of groups: their tokens' callbacks have the last handle of the one before.
    #[test]
    fn that_own_groups_are_dropped_with_them() {
        on_a_small_stack(|| {
            for cancels in [false, true] {
                let (drops, mut group) = (Drops::default(), TaskGroup::new());
                let fault = drops.calm();
                group.token().on_cancel(move || drop(fault)).detach();
                for _ in 0..LINKS {
                    let next = TaskGroup::new();
                    next.token().on_cancel(move || drop(group)).detach();
                    group = next;
                }
                assert_eq!(cancels, cancels && group.cancel());
                drop(group);
                drops.assert_all_gone(1);
            }
        });
    }
}

mod wakers {
    use super::*;

    struct Owner {
        _signal: Signal,
        _fault: Fault,
    }

    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            unreachable!("the signals never close");
        }
    }

    /// A wait that is forgotten leaves its waker with its signal, whose drop drops it.
    #[test]
    fn of_forgotten_waits_own_the_signals_of_others() {
        on_a_small_stack(|| {
            let (drops, mut signal) = (Drops::default(), Signal::new());
            for _ in 0..LINKS {
                let next = Signal::new();
                let owner = Arc::new(Owner { _signal: signal, _fault: drops.calm() });
                let mut wait = next.closed();
                assert!(poll(&mut wait, &owner.into()).is_pending());
                forget(wait);
                signal = next;
            }
            drop(signal);
            drops.assert_all_gone(LINKS);
        });
    }
}

mod finalisers {
    use super::*;

    #[test]
    fn may_drop_the_last_handle_of_another_group() {
        let ends: [fn(TaskGroup); 3] =
            [drop, |group| assert!(group.close()), |group| assert!(group.cancel())];
        on_a_small_stack(move || {
            for end in ends {
                let drops = Drops::default();
                let fault = drops.calm();
                let mut group = TaskGroup::builder().finally(move || drop(fault)).build();
                for _ in 0..LINKS {
                    group = TaskGroup::builder().finally(move || drop(group)).build();
                }
                assert!(format!("{group:?}").len() < 1000);
                end(group);
                drops.assert_all_gone(1);
            }
        });
    }

    #[test]
    fn may_drop_the_last_guard_of_another_group() {
        on_a_small_stack(|| {
            let drops = Drops::default();
            let fault = drops.calm();
            let first = TaskGroup::builder().finally(move || drop(fault)).build();
            let mut guard = first.guard().unwrap();
            drop(first);
            for _ in 0..LINKS {
                let group = TaskGroup::builder().finally(move || drop(guard)).build();
                guard = group.guard().unwrap();
            }
            drop(guard);
            drops.assert_all_gone(1);
        });
    }

    /// Groups that are linked to each other end one after the other, with finalisers and without.
    #[test]
    fn of_linked_groups_run_one_after_the_other() {
        on_a_small_stack(|| {
            for with_finalisers in [false, true] {
                let (drops, first) = (Drops::default(), TaskGroup::new());
                let guard = first.guard().unwrap();
                let mut group = first;
                for _ in 0..LINKS {
                    let fault = with_finalisers.then(|| drops.calm());
                    let builder = TaskGroup::builder().link(&group);
                    group = match fault {
                        Some(fault) => builder.finally(move || drop(fault)).build(),
                        None => builder.build(),
                    };
                }
                group.close();
                assert!(!group.is_drained());
                drop(guard);
                assert!(group.is_drained());
                drops.assert_all_gone(if with_finalisers { LINKS } else { 0 });
            }
        });
    }
}
