//! Models of groups whose count spreads over two shards: when the first thread loses an exchange, or before
//! that by `spread`; and of entries, exits and clones while a close folds the shards.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;

use loom::thread;
use winddown::model::{count_on_shard, spread};
use winddown::{Refused, TaskGroup};
use winddown_loom_tests::{Finale, Work, assert_refusal_sees_the_close, check, check_within, lend};

/// A group that ends with a finale, after all `works`.
fn group_with<const N: usize>(works: &Arc<[Work; N]>) -> (TaskGroup, Arc<Finale>) {
    let (finale, builder) = Finale::after(works);
    (builder.build(), finale)
}

/// The same, on shards already.
fn spread_group_with<const N: usize>(works: &Arc<[Work; N]>) -> (TaskGroup, Arc<Finale>) {
    let (group, finale) = group_with(works);
    spread(&group);
    (group, finale)
}

/// Rule 4: once a close has returned, to either of two closers, nobody enters on any shard, though the
/// other closer still folds. A task that entered before is waited for, and the group drains once.
///
/// Edges: A, D.
///
/// Mutants: `shard-enter-on-a-closed-one`, `shard-folded-twice`.
#[test]
fn nobody_enters_once_a_close_has_returned() {
    check(|| {
        let (group, finale) = spread_group_with(&Arc::new([]));
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
        let (group, finale) = spread_group_with(&works);
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

/// Rules 4, 5 and 16: two tasks leave on two shards while both are folded. The group does not end before the
/// last one has left, and its end sees the work of both.
///
/// Edges: A.
///
/// Mutants: `population-leave-relaxed`, `shard-bias-absent`, `shard-bias-removed-early`,
/// `shard-fold-does-not-acquire`, `shard-last-step-of-the-fold-does-not-acquire`,
/// `shard-moved-relaxed`.
#[test]
fn nobody_is_forgotten_while_the_shards_are_folded() {
    check(|| {
        let works = Arc::new([(); 2].map(|()| Work::default()));
        let (group, finale) = spread_group_with(&works);
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
        let (group, finale) = spread_group_with(&works);
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

/// Rule 5: an entry that is refused sees what came before the close, also if only the shard refused it.
///
/// Edges: D.
///
/// Mutants: `shard-close-does-not-publish`, `shard-fold-does-not-publish`,
/// `shard-refusal-does-not-acquire`.
#[test]
fn a_refused_entry_sees_what_came_before_the_close() {
    check(|| {
        let (group, _finale) = spread_group_with(&Arc::new([]));
        assert_refusal_sees_the_close(group, |group| {
            count_on_shard(1);
            group.guard().is_err()
        });
    });
}

/// Rules 4, 5 and 16: an entry spreads the count, beside a close and beside a task that entered on the word and
/// leaves, which may not see the shards. The group ends once, after the work of that task.
///
/// Edges: A, H.
///
/// Mutants: `shard-bias-apart`, `shards-look-relaxed`, `shards-not-sealed`,
/// `shards-seal-failure-relaxed`.
#[test]
fn an_entry_spreads_the_count_beside_a_leave_and_a_close() {
    check(|| {
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guard = group.guard().unwrap();
        // SAFETY: the threads are joined below.
        let handle = unsafe { lend(&group) };
        let entrant = thread::spawn(move || {
            spread(handle);
            if let Ok(guard) = handle.guard() {
                assert!(!handle.is_drained());
                count_on_shard(1);
                drop(guard);
            }
        });
        let leaver = thread::spawn(move || {
            works[0].finish();
            drop(guard);
        });
        group.close();
        assert_eq!(group.guard().err(), Some(Refused::Closed));
        entrant.join().unwrap();
        leaver.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rules 4 and 16: two threads spread the count at the same time, beside a close, and enter.
///
/// Edges: H.
///
/// Mutants: `shards-not-sealed`, `shards-spread-relaxed`, `shards-spread-twice`.
#[test]
fn two_entries_spread_the_count_beside_a_close() {
    check_within(2, || {
        let (group, finale) = group_with(&Arc::new([]));
        // SAFETY: the threads are joined below.
        let handle = unsafe { lend(&group) };
        let entrants = [0, 1].map(|index| {
            thread::spawn(move || {
                count_on_shard(index);
                spread(handle);
                if let Ok(guard) = handle.guard() {
                    assert!(!handle.is_drained());
                    count_on_shard(1 - index);
                    drop(guard);
                }
            })
        });
        group.close();
        entrants.into_iter().for_each(|entrant| entrant.join().unwrap());
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// An entry that loses its exchange to another one spreads the count and goes on by its shard; both are
/// counted, by `len` too, and the group ends once.
///
/// Edges: H.
///
/// Mutants: `shards-lost-counts-twice`.
#[test]
fn an_entry_that_loses_its_exchange_spreads_the_count() {
    check(|| {
        let (group, finale) = group_with(&Arc::new([]));
        // SAFETY: the thread is joined below.
        let handle = unsafe { lend(&group) };
        let other = thread::spawn(move || handle.guard().unwrap());
        let guard = group.guard().unwrap();
        let other = other.join().unwrap();
        assert_eq!(group.len(), 2);
        count_on_shard(1);
        drop(other);
        assert_eq!(group.len(), 1);
        group.close();
        assert_eq!((group.len(), group.is_drained()), (1, false));
        drop(guard);
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rules 4 and 16: two tasks bring others in at once; the clone that was slower spreads the count, beside a close
/// that seals it or folds it.
///
/// Edges: A, H.
///
/// Mutants: `shards-lost-clone-counts-twice`.
#[test]
fn a_clone_spreads_the_count_beside_a_close() {
    check(|| {
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guards = [(); 2].map(|()| group.guard().unwrap());
        let [guard, other] = guards;
        let worker = thread::spawn(move || {
            let clone = guard.clone();
            count_on_shard(1);
            drop(guard);
            assert!(!clone.group().is_drained());
            works[0].finish();
            drop(clone);
        });
        let clone = other.clone();
        drop(other);
        group.close();
        drop(clone);
        worker.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Two entries that lose their exchanges spread the count at the same time: one puts its shards in place, and
/// the other one finds them.
///
/// Edges: H.
///
/// Mutants: `shards-spread-failure-relaxed`, `shards-spread-look-relaxed`.
#[test]
fn two_entries_that_lose_their_exchanges_spread_the_count_once() {
    check_within(2, || {
        let (group, finale) = group_with(&Arc::new([]));
        // SAFETY: the threads are joined below.
        let handle = unsafe { lend(&group) };
        let others = [(); 2].map(|()| thread::spawn(move || handle.guard().unwrap()));
        let guard = group.guard().unwrap();
        let others = others.map(|other| other.join().unwrap());
        assert_eq!(group.len(), 3);
        group.close();
        drop((guard, others));
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// A look at the length meets a spread and a close: it finds what could be inside, and no memory that is
/// gone.
///
/// Edges: H, M.
///
/// Mutants: `shard-moved-relaxed`, `shards-length-counts-closed-ones`.
#[test]
fn the_length_is_one_that_could_be() {
    check_within(2, || {
        let (group, finale) = group_with(&Arc::new([]));
        let guard = group.guard().unwrap();
        // SAFETY: the threads are joined below.
        let handle = unsafe { lend(&group) };
        let spreader = thread::spawn(move || {
            spread(handle);
            count_on_shard(1);
            drop(guard.clone());
            drop(guard);
        });
        let observer = thread::spawn(move || assert!(handle.len() <= 2));
        group.close();
        spreader.join().unwrap();
        observer.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}
