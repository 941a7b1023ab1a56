//! Models of sharded groups, with two shards: entries, exits and clones while the shards are folded.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;

use loom::thread;
use winddown::model::count_on_shard;
use winddown::{Refused, TaskGroup};
use winddown_loom_tests::{Finale, Turns, Work, check, lend};

/// A sharded group that ends with a finale, after all `works`.
fn group_with<const N: usize>(works: &Arc<[Work; N]>) -> (TaskGroup, Arc<Finale>) {
    let (finale, works) = (Arc::new(Finale::default()), Arc::clone(works));
    let builder = finale.builder(move || works.iter().for_each(Work::assert_finished));
    (builder.sharded().build(), finale)
}

/// Rule 4: once a close has returned, to either of two closers, nobody enters on any shard, though the
/// other closer still folds; who entered before is waited for, and the group drains once.
///
/// Edges: A, D.
///
/// Mutants: `shard-enter-on-a-closed-one`, `shard-folded-twice`.
#[test]
fn nobody_enters_once_a_close_has_returned() {
    check(|| {
        let (group, finale) = group_with(&Arc::new([]));
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let closer = thread::spawn(move || group.close());
        let entrant = thread::spawn(move || {
            count_on_shard(1);
            let guard = group.guard();
            assert!(guard.is_err() || !group.is_drained());
        });
        count_on_shard(1);
        let first = group.close();
        assert_eq!(group.guard().err(), Some(Refused::Closed));
        assert!(first != closer.join().unwrap());
        entrant.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rules 4, 5 and 16: a guard that entered on one shard leaves on the other while both are folded.
///
/// Edges: A.
///
/// Mutants: `shard-fold-in-two-steps`, `shard-late-leave-not-counted`, `shard-leave-relaxed`,
/// `shard-not-folded`.
#[test]
fn a_guard_may_leave_on_another_shard() {
    check(|| {
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            count_on_shard(1);
            works[0].finish();
            drop(guard);
        });
        group.close();
        worker.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rules 4, 5 and 16: two leave on two shards while both are folded: the group does not end before the
/// last, who sees the work of both.
///
/// Edges: A.
///
/// Mutants: `shard-bias-absent`, `shard-bias-removed-early`, `shard-last-step-of-the-fold-relaxed`,
/// `shard-late-leave-relaxed`.
#[test]
fn nobody_is_forgotten_while_the_shards_are_folded() {
    check(|| {
        let works = Arc::new([(); 2].map(|()| Work::default()));
        let (group, finale) = group_with(&works);
        let workers = [0, 1].map(|index| {
            count_on_shard(index);
            let (works, guard) = (Arc::clone(&works), group.guard().unwrap());
            thread::spawn(move || {
                count_on_shard(index);
                works[index].finish();
                drop(guard);
            })
        });
        group.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 4: a clone of a guard enters, on another shard, while the shards are folded, and is waited for.
///
/// Edges: A.
///
/// Mutants: `shard-late-clone-not-counted`.
#[test]
fn a_clone_enters_while_the_shards_are_folded() {
    check(|| {
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            count_on_shard(1);
            let clone = guard.clone();
            drop(guard);
            assert!(!clone.group().is_drained());
            works[0].finish();
            drop(clone);
        });
        group.close();
        worker.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 5: who is refused sees what came before the close, also if only the shard refused him.
///
/// Edges: D.
///
/// Mutants: `shard-fold-does-not-publish`, `shard-refusal-does-not-acquire`.
#[test]
fn who_is_refused_sees_what_came_before_the_close() {
    check(|| {
        let (work, turns) = (Work::default(), Turns::default());
        let (group, _finale) = group_with(&Arc::new([]));
        let lent = (group, work, turns);
        // SAFETY: the thread is joined below.
        let (group, work, turns) = unsafe { lend(&lent) };
        let closer = thread::spawn(move || {
            turns.take();
            work.finish();
            group.close();
        });
        turns.take();
        count_on_shard(1);
        if group.guard().is_err() {
            work.assert_finished();
        }
        closer.join().unwrap();
    });
}
