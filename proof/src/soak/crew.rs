//! The threads of a round.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::Soak;
use super::bag::Bag;
use super::scenes::Scene;
use crate::histories::chaos::{Pause, Pinned};
use crate::random::Random;

/// How many objects a round has.
const SCENES: usize = 24;
/// How many steps a thread makes at one object before all threads wander on, more or less.
const STEPS: usize = 150;
/// How many objects lie side by side at a time.
const SPREAD: usize = 3;

/// What a thread tells the one that leads.
pub(super) enum Note {
    /// It is done. A thread that acts gives its bag.
    Done(Option<Bag>),
    /// It has panicked.
    Panicked(String),
}

/// What the threads of a round share.
pub(super) struct Crew {
    pub(super) scenes: Vec<Arc<dyn Scene>>,
    /// The seed of each.
    seeds: Vec<u64>,
    /// Where threads leave things for each other.
    pub(super) pool: Mutex<Bag>,
    stations: Vec<Station>,
    acting: usize,
}

/// Where a thread is: the number of an object, [`START`] or [`DONE`].
struct Station(AtomicUsize);

const START: usize = usize::MAX;
const DONE: usize = usize::MAX - 1;

impl Crew {
    /// Starts the threads.
    pub(super) fn start(
        soak: &Soak,
        seed: u64,
    ) -> (Arc<Self>, Receiver<Note>, Vec<JoinHandle<()>>) {
        let mut random = Random::new(seed);
        let seeds: Vec<u64> = (0..SCENES).map(|_| random.number()).collect();
        let scenes = seeds.iter().map(|&seed| (soak.make)(seed)).collect();
        let all = soak.threads + soak.threads.div_ceil(2);
        let stations = (0..all).map(|_| Station(AtomicUsize::new(START))).collect();
        let crew = Arc::new(Self {
            scenes,
            seeds,
            pool: Mutex::default(),
            stations,
            acting: soak.threads,
        });
        let (tell, notes) = channel();
        let pinned = Pinned::of(&mut random);
        let threads = (0..all).map(|thread| {
            let (crew, tell, seed) = (Arc::clone(&crew), tell.clone(), random.number());
            thread::spawn(move || {
                pinned.apply(thread);
                crew.run(thread, Random::new(seed), &tell);
            })
        });
        let threads = threads.collect();
        (crew, notes, threads)
    }

    fn run(&self, thread: usize, random: Random, tell: &Sender<Note>) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            if thread < self.acting {
                return Some(self.act(thread, random));
            }
            self.block(thread, random);
            None
        }));
        let at = self.stations[thread].0.load(Ordering::Relaxed);
        let note = match done {
            Ok(bag) => Note::Done(bag),
            Err(panic) => Note::Panicked(format!("{}: {}", self.of(at).0, text(panic.as_ref()))),
        };
        self.go(thread, DONE);
        // The one that leads has gone if another thread failed.
        let _ = tell.send(note);
    }

    /// Wanders over the objects, together with the others.
    fn act(&self, thread: usize, mut random: Random) -> Bag {
        let mut bag = Bag::default();
        for step in 0..STEPS * SCENES {
            let at = (step / STEPS + random.below(SPREAD)).min(SCENES - 1);
            self.go(thread, at);
            bag.scene = at;
            if random.one_in(4) {
                bag.stir(&mut random, &self.pool);
            } else {
                self.scenes[at].step(&mut random, &mut bag);
            }
            if random.one_in(8) {
                Pause::of(&mut random).rest();
            }
        }
        bag.put_down();
        bag
    }

    /// Blocks at one object after the other.
    fn block(&self, thread: usize, mut random: Random) {
        let apart = self.stations.len() - self.acting;
        for at in (thread % apart..SCENES).step_by(apart) {
            self.go(thread, at);
            self.scenes[at].block(&mut random);
        }
    }

    fn go(&self, thread: usize, at: usize) {
        self.stations[thread].0.store(at, Ordering::Relaxed);
    }

    /// Whether each thread is done.
    pub(super) fn all_done(&self) -> bool {
        self.stations.iter().all(|station| station.0.load(Ordering::Relaxed) == DONE)
    }

    /// How many steps were made.
    pub(super) fn steps(&self) -> u64 {
        (self.acting * STEPS * SCENES) as u64
    }

    /// Name and state of an object.
    pub(super) fn of(&self, scene: usize) -> (String, String) {
        match self.scenes.get(scene) {
            Some(it) => {
                (format!("{}, object {scene} of seed {}", it.name(), self.seeds[scene]), it.state())
            }
            None => ("no object".into(), String::new()),
        }
    }

    /// The threads that are not done, with the objects at which they are.
    pub(super) fn who_is_stuck(&self) -> String {
        let mut lines = vec!["the round does not end".to_owned()];
        for (thread, station) in self.stations.iter().enumerate() {
            let at = station.0.load(Ordering::Relaxed);
            if at != DONE {
                let does = if thread < self.acting { "acts" } else { "blocks" };
                let (name, state) = self.of(at);
                lines.push(format!("  thread {thread} {does} at {name}\n    {state}"));
            }
        }
        lines.join("\n")
    }
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
