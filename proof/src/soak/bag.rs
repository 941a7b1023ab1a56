//! What a thread has in its hands between its steps: waits that are parked, and things whose drop is a step of
//! their object.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;

use crate::histories::probe::Probed;
use crate::random::Random;

/// A guard, a scope, a registration: whatever its drop says to its object.
pub type Kept = Box<dyn Send>;
/// A wait of any type. It may end with something to keep.
type Wait = Pin<Box<dyn Future<Output = Option<Kept>> + Send>>;

/// More than that is put down again: a round has to end with a bounded heap.
const MOST: usize = 48;

/// A wait that a thread has polled, and may poll again, drop, or give to another thread.
pub(super) struct Parked {
    /// The number of its object in the round.
    pub(super) scene: usize,
    /// What it is.
    pub(super) what: &'static str,
    /// It keeps its object from ending: a task that waits inside a group, or a place that was granted.
    pub(super) holds: bool,
    probed: Probed<Wait>,
}

impl Parked {
    /// At the end, when nothing is left to wait for: it must have been woken, and then it must be over.
    pub(super) fn finish(mut self) -> Result<(), &'static str> {
        if self.probed.is_parked() && !self.probed.is_woken() {
            return Err("was not woken");
        }
        match self.probed.poll(false) {
            Poll::Ready(_) => Ok(()),
            Poll::Pending => Err("is still pending"),
        }
    }
}

/// What one thread has.
#[derive(Default)]
pub struct Bag {
    /// The number of the object that the thread is at.
    pub(super) scene: usize,
    pub(super) waits: Vec<Parked>,
    kept: Vec<Kept>,
}

impl fmt::Debug for Bag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waits, kept) = (self.waits.len(), self.kept.len());
        f.debug_struct("Bag").field("waits", &waits).field("kept", &kept).finish_non_exhaustive()
    }
}

impl Bag {
    /// Keeps a thing until some later step, or until the end of the round.
    pub fn keep(&mut self, thing: impl Send + 'static) {
        self.put(Box::new(thing));
    }

    fn put(&mut self, thing: Kept) {
        if self.kept.len() >= MOST {
            drop(self.kept.swap_remove(0));
        }
        self.kept.push(thing);
    }

    /// Polls a wait, and keeps it if it is pending. The end of its object must wake it.
    pub fn wait(&mut self, what: &'static str, wait: impl Future<Output = ()> + Send + 'static) {
        self.park(what, false, async {
            wait.await;
            None
        });
    }

    /// The same for a wait that keeps its object from ending until it is polled or dropped. What it ends with is
    /// kept.
    pub fn wait_inside<T: Send + 'static>(
        &mut self,
        what: &'static str,
        wait: impl Future<Output = T> + Send + 'static,
    ) {
        self.park(what, true, async { Some(Box::new(wait.await) as Kept) });
    }

    fn park(
        &mut self,
        what: &'static str,
        holds: bool,
        wait: impl Future<Output = Option<Kept>> + Send + 'static,
    ) {
        if self.waits.len() >= MOST {
            drop(self.waits.swap_remove(0));
        }
        let probed = Probed::new(Box::pin(wait) as Wait);
        self.waits.push(Parked { scene: self.scene, what, holds, probed });
        self.poll(self.waits.len() - 1, true);
    }

    fn poll(&mut self, at: usize, renew: bool) {
        if let Poll::Ready(kept) = self.waits[at].probed.poll(renew) {
            self.waits.swap_remove(at);
            if let Some(kept) = kept {
                self.put(kept);
            }
        }
    }

    /// Polls, abandons or drops one of the things, or exchanges all of them with what another thread has put into
    /// the pool.
    pub(super) fn stir(&mut self, random: &mut Random, pool: &Mutex<Bag>) {
        match random.below(16) {
            0..=6 if !self.waits.is_empty() => {
                let at = random.below(self.waits.len());
                self.poll(at, random.one_in(2));
            }
            7 | 8 if !self.waits.is_empty() => {
                drop(self.waits.swap_remove(random.below(self.waits.len())));
            }
            9..=14 if !self.kept.is_empty() => {
                drop(self.kept.swap_remove(random.below(self.kept.len())));
            }
            15 => {
                let mut pool = pool.lock().unwrap();
                mem::swap(&mut self.waits, &mut pool.waits);
                mem::swap(&mut self.kept, &mut pool.kept);
            }
            _ => {}
        }
    }

    /// Drops all that is not a wait.
    pub(super) fn put_down(&mut self) {
        self.kept.clear();
    }
}
