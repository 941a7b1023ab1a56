//! The checker can see: objects that are wrong on purpose are refused.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use winddown_proof::histories::campaign::{AnyKind as _, Tally, first_wrong};
use winddown_proof::histories::errors::ErrGroups;
use winddown_proof::histories::groups::Groups;
use winddown_proof::histories::places::Places;
use winddown_proof::histories::signals::Signals;
use winddown_proof::histories::trees::Trees;
use winddown_proof::histories::wait_groups::WaitGroups;
use winddown_proof::histories::{Kind, OpOf, Subject};
use winddown_proof::model::{Model, Outcome, Refusal, group, signal, tree, wait_group};
use winddown_proof::random::Random;

const TREES: Trees = Trees { between: 0 };

/// In how many histories a fault must show.
const HISTORIES: u64 = 3_000;

/// What an object gives instead of what it should: by the call, and by what the right object gives.
type Twist<O> = fn(&O, &mut dyn FnMut() -> Outcome) -> Outcome;

/// A kind whose objects are wrong, once in `every` calls.
struct Wrong<K: Kind> {
    kind: K,
    every: usize,
    twist: Twist<OpOf<K>>,
}

struct WrongSubject<S: Subject> {
    right: S,
    every: usize,
    twist: Twist<<S::Model as Model>::Op>,
    calls: AtomicUsize,
}

impl<K: Kind> Kind for Wrong<K> {
    type Subject = WrongSubject<K::Subject>;

    fn name(&self) -> &'static str {
        Kind::name(&self.kind)
    }

    fn make(&self, seed: u64) -> Self::Subject {
        let Self { every, twist, .. } = *self;
        WrongSubject { right: self.kind.make(seed), every, twist, calls: AtomicUsize::new(0) }
    }

    fn op(&self, seed: u64, thread: usize, random: &mut Random) -> OpOf<K> {
        self.kind.op(seed, thread, random)
    }
}

impl<S: Subject> Subject for WrongSubject<S> {
    type Model = S::Model;
    type Local = S::Local;

    fn model(&self) -> S::Model {
        self.right.model()
    }

    fn local(&self, thread: usize) -> S::Local {
        self.right.local(thread)
    }

    fn perform(
        &self,
        local: &mut S::Local,
        op: &<S::Model as Model>::Op,
        around: &mut dyn FnMut(&mut dyn FnMut() -> Outcome),
    ) {
        let is_wrong = self.calls.fetch_add(1, Ordering::Relaxed) % self.every == 0;
        self.right.perform(local, op, &mut |call| {
            around(&mut || if is_wrong { (self.twist)(op, call) } else { call() });
        });
    }

    fn contradicted(&self, events: &[winddown_proof::histories::EventOf<Self>]) -> Option<usize> {
        self.right.contradicted(events)
    }

    fn finale(&self) -> Vec<(usize, <S::Model as Model>::Op)> {
        self.right.finale()
    }
}

/// Asserts that the fault is seen, and that without it nothing is.
#[track_caller]
fn refused<K: Kind>(kind: K, every: usize, twist: Twist<OpOf<K>>) {
    let wrong = Wrong { kind, every, twist };
    let mut tally = Tally::default();
    let found = first_wrong(&wrong, 1, HISTORIES, 1, &mut tally);
    assert!(found.is_some(), "{}: the fault is not seen in {tally}", Kind::name(&wrong.kind));
}

#[test]
fn a_wait_group_that_drops_a_done_is_refused() {
    refused(WaitGroups, 7, |op, call| match op {
        wait_group::Op::Done => Outcome::Ok,
        _ => call(),
    });
}

#[test]
fn a_wait_group_whose_wait_invents_a_zero_is_refused() {
    refused(WaitGroups, 7, |op, call| match (op, call()) {
        (wait_group::Op::Poll(_), Outcome::Pending) => Outcome::Ready,
        (_, outcome) => outcome,
    });
}

#[test]
fn a_wait_group_whose_wait_misses_a_zero_is_refused() {
    refused(WaitGroups, 7, |op, call| match (op, call()) {
        (wait_group::Op::Poll(_), Outcome::Ready) => Outcome::Pending,
        (_, outcome) => outcome,
    });
}

#[test]
fn a_wait_group_that_loses_a_wake_is_refused() {
    refused(WaitGroups, 7, |op, call| match (op, call()) {
        (wait_group::Op::Woken(_), Outcome::Bool(true)) => Outcome::Bool(false),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_blocking_wait_that_ends_without_a_zero_is_refused() {
    refused(WaitGroups, 2, |op, call| match (op, call()) {
        (wait_group::Op::BlockFor, Outcome::Count(_)) => Outcome::Ready,
        (_, outcome) => outcome,
    });
}

#[test]
fn a_signal_whose_close_wins_twice_is_refused() {
    refused(Signals, 5, |op, call| match (op, call()) {
        (signal::Op::CloseWith(_), Outcome::Refused(_)) => Outcome::Ok,
        (_, outcome) => outcome,
    });
}

#[test]
fn a_signal_whose_value_changes_is_refused() {
    refused(Signals, 5, |op, call| match (op, call()) {
        (signal::Op::Get, Outcome::Value(Some(value))) => Outcome::Value(Some(value ^ 1)),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_signal_that_opens_again_is_refused() {
    refused(Signals, 5, |op, call| match (op, call()) {
        (signal::Op::IsClosed, Outcome::Bool(true)) => Outcome::Bool(false),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_child_scope_that_misses_the_cancel_is_refused() {
    refused(TREES, 5, |op, call| match (op, call()) {
        (tree::Op::IsCancelled { node: 1.. }, Outcome::Bool(true)) => Outcome::Bool(false),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_scope_with_two_reasons_is_refused() {
    refused(TREES, 5, |op, call| match (op, call()) {
        (tree::Op::Reason { .. }, Outcome::Value(Some(reason))) => Outcome::Value(Some(reason ^ 1)),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_callback_that_runs_twice_is_refused() {
    refused(TREES, 5, |op, call| match (op, call()) {
        (tree::Op::Ran { .. }, Outcome::Count(1)) => Outcome::Count(2),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_callback_that_is_taken_back_and_runs_is_refused() {
    refused(TREES, 2, |op, call| match (op, call()) {
        (tree::Op::Deregister { .. }, Outcome::Bool(false)) => Outcome::Bool(true),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_group_that_admits_after_its_close_is_refused() {
    refused(Groups, 7, |op, call| match (op, call()) {
        (group::Op::Guard(_), Outcome::Refused(Refusal::Closed)) => Outcome::Ok,
        (_, outcome) => outcome,
    });
}

#[test]
fn a_group_with_two_first_closers_is_refused() {
    refused(Groups, 3, |op, call| match (op, call()) {
        (group::Op::Close(_), Outcome::Bool(false)) => Outcome::Bool(true),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_group_that_is_drained_while_a_task_is_inside_is_refused() {
    refused(Groups, 5, |op, call| match (op, call()) {
        (group::Op::IsDrained(_), Outcome::Bool(false)) => Outcome::Bool(true),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_join_that_is_never_over_is_refused() {
    refused(Groups, 3, |op, call| match (op, call()) {
        (group::Op::PollDrained(..), Outcome::Ready) => Outcome::Pending,
        (_, outcome) => outcome,
    });
}

#[test]
fn a_length_that_counts_too_many_is_refused() {
    refused(Groups, 3, |op, call| match (op, call()) {
        (group::Op::Len(_), Outcome::Count(len)) => Outcome::Count(len + 2),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_limit_that_lets_in_too_many_is_refused() {
    refused(Places, 3, |op, call| match (op, call()) {
        (group::Op::Guard(_), Outcome::Refused(Refusal::Full)) => Outcome::Ok,
        (_, outcome) => outcome,
    });
}

#[test]
fn a_group_that_tells_another_limit_is_refused() {
    refused(Places, 3, |op, call| match (op, call()) {
        (group::Op::Limit(_), Outcome::Count(limit)) => Outcome::Count(1 + limit % 3),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_queue_that_loses_a_wake_is_refused() {
    refused(Places, 3, |op, call| match (op, call()) {
        (group::Op::Woken(_), Outcome::Bool(true)) => Outcome::Bool(false),
        (_, outcome) => outcome,
    });
}

#[test]
fn a_group_that_loses_an_error_is_refused() {
    refused(ErrGroups, 3, |op, call| match (op, call()) {
        (group::Op::PollErrors(..), Outcome::Errors(mut kept, beyond)) => {
            kept.pop();
            Outcome::Errors(kept, beyond)
        }
        (_, outcome) => outcome,
    });
}

#[test]
fn a_group_that_swaps_two_errors_is_refused() {
    refused(ErrGroups, 1, |op, call| match (op, call()) {
        (group::Op::PollErrors(..), Outcome::Errors(mut kept, beyond)) => {
            kept.reverse();
            Outcome::Errors(kept, beyond)
        }
        (_, outcome) => outcome,
    });
}

/// Counts by a load and a store, which is wrong only where two threads meet between them.
struct Racy;

struct RacyCount(AtomicU64);

impl Kind for Racy {
    type Subject = RacyCount;

    fn name(&self) -> &'static str {
        "racy"
    }

    fn make(&self, _: u64) -> RacyCount {
        RacyCount(AtomicU64::new(0))
    }

    fn op(&self, _: u64, _: usize, random: &mut Random) -> wait_group::Op {
        random.of(&[wait_group::Op::Add(1), wait_group::Op::Done, wait_group::Op::Count])
    }
}

impl RacyCount {
    fn call(&self, op: &wait_group::Op) -> Outcome {
        let now = self.0.load(Ordering::Acquire);
        match op {
            wait_group::Op::Add(n) => {
                self.0.store(now + n, Ordering::Release);
                Outcome::Ok
            }
            wait_group::Op::Done if now == 0 => Outcome::Refused(Refusal::Unbalanced),
            wait_group::Op::Done => {
                self.0.store(now - 1, Ordering::Release);
                Outcome::Ok
            }
            _ => Outcome::Count(now as usize),
        }
    }
}

impl Subject for RacyCount {
    type Model = wait_group::WaitGroup;
    type Local = ();

    fn model(&self) -> wait_group::WaitGroup {
        wait_group::WaitGroup::default()
    }

    fn local(&self, _: usize) {}

    fn perform(
        &self,
        (): &mut (),
        op: &wait_group::Op,
        around: &mut dyn FnMut(&mut dyn FnMut() -> Outcome),
    ) {
        around(&mut || self.call(op));
    }

    fn finale(&self) -> Vec<(usize, wait_group::Op)> {
        vec![(0, wait_group::Op::Count)]
    }
}

/// No twist: the threads themselves must meet in the window, and the report must be short.
#[test]
fn a_race_of_two_threads_is_found_and_its_history_is_made_small() {
    let report = (0..50).find_map(|at| Racy.run(at * HISTORIES, HISTORIES, 1).err());
    let report = report.expect("threads meet");
    println!("{report}");
    let lines = report.lines().filter(|line| line.starts_with("  [")).count();
    assert!((3..=6).contains(&lines), "{report}");
}
