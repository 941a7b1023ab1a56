//! One round.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::bag::{Bag, Parked};
use super::crew::{Crew, Note};
use super::{Done, Soak, report};
use crate::heap::Heap;

/// How often to look at the heap.
const LOOK: Duration = Duration::from_millis(2);

/// What the thread that leads a round knows.
struct Lead<'a> {
    soak: &'a Soak,
    seed: u64,
    crew: Arc<Crew>,
    notes: Receiver<Note>,
    late: Instant,
    peak: isize,
}

/// Runs the round with this seed.
pub(super) fn round(soak: &Soak, seed: u64) -> Result<Done, String> {
    let (crew, notes, threads) = Crew::start(soak, seed);
    let late = Instant::now() + soak.patience;
    let mut lead = Lead { soak, seed, crew, notes, late, peak: 0 };
    // On a failure the threads are left where they are: some of them may be stuck for ever.
    let woken = lead.play()?;
    for thread in threads {
        thread.join().map_err(|_| report(seed, "a thread panicked behind its last step"))?;
    }
    let objects = lead.crew.scenes.len() as u64;
    let steps = lead.crew.steps();
    Ok(Done { rounds: 1, objects, steps, woken, live: 0, peak: lead.peak })
}

impl Lead<'_> {
    /// Gives how many waits were parked to the end.
    fn play(&mut self) -> Result<u64, String> {
        let mut bags = Vec::new();
        while bags.len() < self.soak.threads {
            if let Some(bag) = self.next()? {
                bags.push(bag);
            }
        }
        let pool: &Mutex<Bag> = &self.crew.pool;
        bags.push(std::mem::take(&mut pool.lock().unwrap()));
        for bag in &mut bags {
            bag.put_down();
        }
        for scene in &self.crew.scenes {
            scene.finale();
        }
        // Those that keep an object from ending come first.
        let waits = bags.into_iter().flat_map(|bag| bag.waits);
        let (holding, rest): (Vec<_>, Vec<_>) = waits.partition(|wait| wait.holds);
        let count = (holding.len() + rest.len()) as u64;
        self.finish(holding)?;
        // A thread that blocked may have been let in, and an object ends when it has left.
        while !self.crew.all_done() {
            self.next()?;
        }
        self.finish(rest)?;
        for scene in 0..self.crew.scenes.len() {
            self.crew.scenes[scene].check().map_err(|wrong| {
                let (name, state) = self.crew.of(scene);
                report(self.seed, &format!("{name}: {wrong}\n  {state}"))
            })?;
        }
        Ok(count)
    }

    /// Each of `waits` must be over.
    fn finish(&self, waits: Vec<Parked>) -> Result<(), String> {
        for wait in waits {
            let (scene, what) = (wait.scene, wait.what);
            wait.finish().map_err(|wrong| {
                let (name, state) = self.crew.of(scene);
                report(self.seed, &format!("{name}: the wait '{what}' {wrong}\n  {state}"))
            })?;
        }
        Ok(())
    }

    /// What a thread says that is done: the bag of one that acts, and nothing of one that blocks.
    fn next(&mut self) -> Result<Option<Bag>, String> {
        loop {
            self.peak = self.peak.max(Heap::of_all().bytes);
            match self.notes.recv_timeout(LOOK) {
                Ok(Note::Done(bag)) => return Ok(bag),
                Ok(Note::Panicked(text)) => return Err(report(self.seed, &text)),
                Err(RecvTimeoutError::Timeout) if Instant::now() < self.late => {}
                Err(_) => return Err(report(self.seed, &self.crew.who_is_stuck())),
            }
        }
    }
}
