//! All types of the crate under churn, for as long as wanted.
//!
//! A soak has rounds. In a round some threads wander over a row of objects ([`scenes`]), all at about the same
//! place, and do random things with them; other threads block on the objects without a limit. Then each object is
//! ended, and these must be true: every wait that was parked is woken, every blocked thread goes on, the counts of
//! each object are what they must be, and the heap is what it was before the round. All that a round does depends
//! on its seed and on how the threads meet.

pub mod bag;
mod crew;
mod round;
pub mod scenes;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::heap::Heap;
use scenes::Scene;

/// Makes an object from a seed.
pub type MakeScene = Arc<dyn Fn(u64) -> Arc<dyn Scene> + Send + Sync>;

/// What a soak does.
#[derive(Clone)]
pub struct Soak {
    /// The seed of the first round; the next has the next.
    pub seed: u64,
    /// How many rounds, at most.
    pub rounds: Option<u64>,
    /// When to stop.
    pub end: Option<Instant>,
    /// How many threads act; half as many block.
    pub threads: usize,
    /// For how long a round may last. It takes some hundredths of a second, so what lasts longer is stuck.
    pub patience: Duration,
    /// Whether to look at the heap: nothing else in the process may use it meanwhile.
    pub counts_heap: bool,
    /// The objects.
    pub make: MakeScene,
}

impl fmt::Debug for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Soak").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// How many rounds.
    pub rounds: u64,
    /// How many objects were made and ended.
    pub objects: u64,
    /// How many steps the threads made.
    pub steps: u64,
    /// How many waits were still there at the end of their round, and were woken.
    pub woken: u64,
    /// The bytes of the heap after each round.
    pub live: isize,
    /// The most bytes of the heap during a round that were seen.
    pub peak: isize,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, objects, steps, woken, live, peak } = self;
        write!(
            f,
            "{rounds} rounds, {objects} objects, {steps} steps; {woken} waits were woken at the end of a round; \
             heap: {live} bytes after each round, {peak} at most"
        )
    }
}

/// What a thread may take from the heap in a round, with its share of the objects. About four times what it takes.
const BYTES_PER_THREAD: isize = 256 << 10;

impl Soak {
    /// With all kinds of objects, four threads for each core, for one round.
    pub fn new(seed: u64) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            seed,
            rounds: Some(1),
            end: None,
            threads: 4 * cores,
            patience: Duration::from_secs(60),
            counts_heap: true,
            make: Arc::new(scenes::any),
        }
    }

    /// Runs until the end. `tell` is called now and then.
    ///
    /// # Errors
    ///
    /// What is wrong, with the seed of the round. Threads that are stuck then stay so.
    pub fn run(&self, mut tell: impl FnMut(&Done)) -> Result<Done, String> {
        // The first round also takes what the process keeps.
        round::round(self, self.seed)?;
        let mut done = Done { live: Heap::of_all().bytes, ..Done::default() };
        let before = Heap::of_all();
        let mut next_word = Instant::now() + EVERY;
        while self.goes_on(done.rounds) {
            let seed = self.seed + done.rounds;
            let of_round = round::round(self, seed)?;
            done.rounds += 1;
            done.objects += of_round.objects;
            done.steps += of_round.steps;
            done.woken += of_round.woken;
            done.peak = done.peak.max(of_round.peak);
            if self.counts_heap {
                self.check_heap(seed, before, of_round.peak)?;
            }
            if Instant::now() > next_word {
                tell(&done);
                next_word += EVERY;
            }
        }
        Ok(done)
    }

    fn goes_on(&self, rounds: u64) -> bool {
        self.rounds.is_none_or(|most| rounds < most)
            && self.end.is_none_or(|end| Instant::now() < end)
    }

    fn check_heap(&self, seed: u64, before: Heap, peak: isize) -> Result<(), String> {
        let now = Heap::of_all();
        if now != before {
            let (bytes, blocks) = (now.bytes - before.bytes, now.blocks - before.blocks);
            return Err(report(
                seed,
                &format!("the heap has {bytes} bytes more, in {blocks} blocks"),
            ));
        }
        let most = before.bytes + BYTES_PER_THREAD * self.threads as isize;
        if peak > most {
            return Err(report(
                seed,
                &format!("the heap had {peak} bytes, and at most {most} are right"),
            ));
        }
        Ok(())
    }
}

/// How often to tell how far it is.
const EVERY: Duration = Duration::from_secs(60);

/// A report, with the way to make the round again.
fn report(seed: u64, what: &str) -> String {
    format!("{what}\nagain: cargo xtask soak --seed {seed} --count 1")
}
