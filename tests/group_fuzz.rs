//! S4.14: random counts of tasks, threads, sub-groups and links always drain, once each.
//!
//! `WINDDOWN_SEED=7 cargo test --test group_fuzz` does one run again; a failure names its seed.

#![cfg(all(feature = "std", not(loom)))]

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use winddown::{CancelScope, ErrGroup, TaskGroup, TaskGroupBuilder, TaskGuard};

const RUNS: u64 = if cfg!(debug_assertions) { 150 } else { 3000 };
/// Comes only if a group does not drain.
const LONG: Duration = Duration::from_secs(60);

/// A number like any other (xorshift).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.below(1);
        random
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// What was begun and what ended.
#[derive(Debug, Default)]
struct Tally {
    built: AtomicUsize,
    finalised: AtomicUsize,
    entered: AtomicUsize,
    left: AtomicUsize,
}

struct Run {
    random: Mutex<Random>,
    tally: Arc<Tally>,
    scope: CancelScope,
    groups: Mutex<Vec<TaskGroup>>,
    guards: Mutex<Vec<TaskGuard>>,
}

impl Run {
    fn below(&self, end: usize) -> usize {
        self.random.lock().unwrap().below(end)
    }

    fn builder(&self) -> TaskGroupBuilder {
        let tally = Arc::clone(&self.tally);
        let builder = TaskGroup::builder().finally(move || {
            tally.finalised.fetch_add(1, Ordering::Relaxed);
        });
        match self.below(4) {
            0 => builder.limit(NonZeroUsize::new(1 + self.below(3)).unwrap()),
            _ => builder,
        }
    }

    fn keep(&self, group: TaskGroup) {
        self.tally.built.fetch_add(1, Ordering::Relaxed);
        self.groups.lock().unwrap().push(group);
    }

    fn any(&self) -> Option<TaskGroup> {
        let groups = self.groups.lock().unwrap();
        (!groups.is_empty()).then(|| groups[self.below(groups.len())].clone())
    }

    fn work(&self, guard: TaskGuard) {
        self.tally.entered.fetch_add(1, Ordering::Relaxed);
        let guard = match self.below(6) {
            0 => guard.clone(),
            1 => guard.label("one of many"),
            _ => guard,
        };
        match self.below(8) {
            0 => self.guards.lock().unwrap().push(guard),
            1 => drop(guard.leave()),
            2 => {
                // Some of them panic, which does not affect the others.
                let work = AssertUnwindSafe(move || {
                    let _guard = guard;
                    resume_unwind(Box::new("oops"))
                });
                let _: Result<(), _> = catch_unwind(work);
            }
            3 => drop(guard.leave().join().until(std::future::ready(())).block()),
            _ => drop(guard),
        }
        self.tally.left.fetch_add(1, Ordering::Relaxed);
    }

    fn step(&self) {
        let Some(group) = self.any() else {
            return self.keep(self.builder().build());
        };
        match self.below(24) {
            0..=9 => {
                if let Ok(guard) = group.guard() {
                    self.work(guard);
                }
            }
            10 => {
                // A wait for a place looks at the time first: in no time it gets none.
                let limit = Duration::from_micros(20) * self.below(4) as u32;
                let wait = group.guard_when_room().block_for(limit);
                assert!(wait.is_err() || !limit.is_zero());
                if let Ok(Ok(guard)) = wait {
                    self.work(guard);
                }
            }
            11..=13 => {
                if let Ok(child) = group.child_with(self.builder()) {
                    self.keep(child);
                }
            }
            14 => self.keep(self.builder().link(&group).build()),
            15 => self.keep(self.builder().parent(self.scope.token()).build()),
            16 => self.keep(self.builder().build()),
            17 | 18 => {
                let guard = self.guards.lock().unwrap().pop();
                drop(guard);
            }
            19 => {
                let mut groups = self.groups.lock().unwrap();
                // Another thread may have taken the last one since `any`.
                if !groups.is_empty() {
                    let at = self.below(groups.len());
                    let gone = groups.swap_remove(at);
                    drop(groups);
                    drop(gone);
                }
            }
            20 => {
                group.close();
                assert!(group.guard().is_err());
            }
            21 if self.below(4) == 0 => {
                group.cancel();
                assert!(group.is_closed() && group.token().is_cancelled());
            }
            22 => assert!(group.drained().block_for(Duration::ZERO).is_err() || group.is_drained()),
            23 if self.below(40) == 0 => {
                self.scope.cancel();
            }
            _ => assert!(group.len() < 1000),
        }
    }
}

/// One run: threads do random things; then all doors close and all guards go.
fn run(seed: u64) {
    let mut random = Random::new(seed);
    let (threads, steps) = (1 + random.below(3), 1 + random.below(120));
    let run = Run {
        random: Mutex::new(random),
        tally: Arc::default(),
        scope: CancelScope::new(),
        groups: Mutex::default(),
        guards: Mutex::default(),
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..steps).for_each(|_| run.step()));
        }
    });
    let groups = run.groups.into_inner().unwrap();
    let guards = run.guards.into_inner().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| groups.iter().for_each(|group| assert!(group.close() || group.is_closed())));
        scope.spawn(|| drop(guards));
        for group in &groups {
            group.join().block_for(LONG).unwrap_or_else(|left| panic!("{left} in seed {seed}"));
        }
    });
    assert!(groups.iter().all(|group| group.is_drained() && group.is_empty()));
    drop(groups);
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let tally = run.tally;
    assert_eq!(of(&tally.built), of(&tally.finalised), "seed {seed}");
    assert_eq!(of(&tally.entered), of(&tally.left), "seed {seed}");
}

/// S4.14, rules 4, 16, 17.
#[test]
fn random_groups_always_drain() {
    match std::env::var("WINDDOWN_SEED") {
        Ok(seed) => run(seed.parse().expect("a number")),
        Err(_) => (0..RUNS).for_each(run),
    }
}

/// S4.14: the same with errors: all that were recorded are in the answer.
#[test]
fn random_errors_are_all_counted() {
    for seed in 0..RUNS {
        let mut random = Random::new(seed);
        let (threads, keep) = (1 + random.below(3), random.below(20));
        let builder = TaskGroup::builder().keep_errors(keep).cancel_on_error(seed % 2 == 0);
        let group: ErrGroup<u64> = builder.build_err();
        let recorded = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..threads as u64 {
                let (group, recorded, mut random) = (&group, &recorded, Random::new(seed + thread));
                scope.spawn(move || {
                    for turn in 0..random.below(20) {
                        let fails = random.below(2) == 0;
                        let outcome = if fails { Err(seed) } else { Ok(()) };
                        let Ok(task) = group.try_track(async move { outcome }) else { return };
                        if turn % 3 == 0 {
                            continue;
                        }
                        pollster::block_on(task);
                        recorded.fetch_add(usize::from(fails), Ordering::Relaxed);
                    }
                });
            }
        });
        let (all, kept) = match group.join().block() {
            Ok(()) => (0, 0),
            Err(errors) => (errors.iter().len() + errors.dropped(), errors.iter().len()),
        };
        assert_eq!(all, recorded.into_inner(), "seed {seed}");
        assert!(kept <= keep, "seed {seed}");
    }
}
