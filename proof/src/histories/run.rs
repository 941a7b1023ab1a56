//! Makes histories: threads that meet at a line, call what their scripts say, and record it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::chaos::{Pause, Pinned, pause_between_steps};
use super::check::{Verdict, check};
use super::{Event, History, Kind, OpOf, Subject};
use crate::model::Outcome;
use crate::random::Random;

/// What the threads of one history call, and when.
#[derive(Debug)]
pub struct Plan<K: Kind + ?Sized> {
    /// What the subject is made from.
    pub seed: u64,
    /// A list for each thread.
    pub scripts: Vec<Vec<(Pause, OpOf<K>)>>,
}

impl<K: Kind + ?Sized> Clone for Plan<K> {
    fn clone(&self) -> Self {
        Self { seed: self.seed, scripts: self.scripts.clone() }
    }
}

/// How many histories in a row have the same number of threads, on the same cores.
pub const BATCH: u64 = 64;

/// What the histories of a batch have in common.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many threads call.
    pub threads: usize,
    /// Where they run.
    pub pinned: Pinned,
}

impl Shape {
    /// That of the history with this seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(!(seed / BATCH));
        Self { threads: random.of(&[2, 2, 2, 3, 3, 4]), pinned: Pinned::of(&mut random) }
    }
}

/// What the history with this seed calls.
pub fn plan<K: Kind + ?Sized>(kind: &K, seed: u64) -> Plan<K> {
    let mut random = Random::new(seed);
    let threads = Shape::of(seed).threads;
    let most = if threads == 2 { 10 } else { 6 };
    let scripts = (0..threads).map(|thread| {
        let calls = 1 + random.below(most);
        (0..calls).map(|_| (Pause::of(&mut random), kind.op(seed, thread, &mut random))).collect()
    });
    Plan { seed, scripts: scripts.collect() }
}

/// One history while it is made.
struct Job<K: Kind + ?Sized> {
    plan: Plan<K>,
    subject: K::Subject,
    stamps: AtomicU64,
    /// What each thread has left behind.
    left: Vec<Mutex<Option<Left<K>>>>,
}

struct Left<K: Kind + ?Sized> {
    local: <K::Subject as Subject>::Local,
    events: History<K>,
}

/// Runs all plans, and gives the history of each with what the check says of it.
pub fn run<K: Kind + ?Sized>(
    kind: &K,
    shape: Shape,
    plans: Vec<Plan<K>>,
) -> Vec<(History<K>, Verdict)> {
    let jobs: Vec<Job<K>> = plans.into_iter().map(|plan| Job::new(kind, plan)).collect();
    let line = Line::default();
    let done: Vec<_> = jobs.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for thread in 0..shape.threads {
            let (jobs, line, done) = (&jobs, &line, &done);
            scope.spawn(move || {
                shape.pinned.apply(thread);
                for job in jobs {
                    let of_job = job.prepare(thread);
                    line.meet(shape.threads);
                    job.call(thread, of_job);
                }
                line.meet(shape.threads);
                Pinned::No.apply(thread);
                for at in (thread..jobs.len()).step_by(shape.threads) {
                    *done[at].lock().unwrap() = Some(jobs[at].finish());
                }
            });
        }
    });
    let done = done.into_iter().map(|slot| slot.into_inner().unwrap());
    done.map(|done| done.expect("each job is finished")).collect()
}

impl<K: Kind + ?Sized> Job<K> {
    fn new(kind: &K, plan: Plan<K>) -> Self {
        let subject = kind.make(plan.seed);
        let left = (0..plan.scripts.len()).map(|_| Mutex::default()).collect();
        Self { plan, subject, stamps: AtomicU64::new(0), left }
    }

    fn prepare(&self, thread: usize) -> Left<K> {
        let calls = self.plan.scripts.get(thread).map_or(0, Vec::len);
        Left { local: self.subject.local(thread), events: Vec::with_capacity(calls) }
    }

    fn call(&self, thread: usize, mut left: Left<K>) {
        let Some(script) = self.plan.scripts.get(thread) else { return };
        pause_between_steps(self.plan.seed, thread);
        for (pause, op) in script {
            pause.rest();
            self.record(thread, op, &mut left);
        }
        pause_between_steps(0, thread);
        *self.left[thread].lock().unwrap() = Some(left);
    }

    fn record(&self, thread: usize, op: &OpOf<K>, left: &mut Left<K>) {
        let Left { local, events } = left;
        self.subject.perform(local, op, &mut |call| {
            let called = self.stamps.fetch_add(1, Ordering::SeqCst);
            let outcome = call();
            let returned = self.stamps.fetch_add(1, Ordering::SeqCst);
            events.push(Event { thread, called, returned, op: op.clone(), outcome });
        });
    }

    /// The calls behind all others, and the check.
    fn finish(&self) -> (History<K>, Verdict) {
        let take = |slot: &Mutex<Option<Left<K>>>| slot.lock().unwrap().take();
        let mut left: Vec<_> = self.left.iter().map(|slot| take(slot).expect("it ran")).collect();
        for (thread, op) in self.subject.finale() {
            if let Some(left) = left.get_mut(thread) {
                self.record(thread, &op, left);
            }
        }
        let mut events: History<K> = left.into_iter().flat_map(|left| left.events).collect();
        events.sort_by_key(|event| event.called);
        let verdict = match self.subject.contradicted(&events) {
            Some(_) => Verdict::Wrong,
            None => check(self.subject.model(), &events, u64::MAX),
        };
        (events, verdict)
    }
}

/// Where threads wait for each other, without sleeping.
#[derive(Default)]
struct Line {
    came: AtomicUsize,
}

impl Line {
    fn meet(&self, threads: usize) {
        let came = self.came.fetch_add(1, Ordering::AcqRel) + 1;
        let all = came.div_ceil(threads) * threads;
        let mut turns = 0_u32;
        while self.came.load(Ordering::Acquire) < all {
            turns += 1;
            if turns % 64 == 0 { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

/// A call that was made, as a line of a report.
pub fn line_of<O: std::fmt::Debug>(event: &Event<O>) -> String {
    let Event { thread, called, returned, op, outcome } = event;
    let outcome = match outcome {
        Outcome::Unit => String::new(),
        other => format!(" -> {other:?}"),
    };
    format!(
        "  [{called:>3}, {returned:>3}] {:indent$}thread {thread}: {op:?}{outcome}",
        "",
        indent = 4 * thread
    )
}
