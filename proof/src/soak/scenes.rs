//! The objects of a soak, one type of the crate each, with what threads do with them.

mod errors;
mod fleeting;
mod groups;
mod places;
mod signals;
mod tally;
mod trees;
mod wait_groups;

use std::sync::Arc;
use std::time::Duration;

use super::bag::Bag;
use crate::random::Random;

/// An object under churn.
///
/// The threads of a round call [`step`](Self::step) and [`block`](Self::block) at the same time. When all steps are
/// done and all that the threads kept is dropped, [`finale`](Self::finale) ends the object, and then every wait has
/// to be over.
pub trait Scene: Send + Sync {
    /// Its name, for reports.
    fn name(&self) -> &'static str;

    /// One step of a thread, of those that [`Self::name`] has. It panics if the object gives a wrong answer.
    fn step(&self, random: &mut Random, bag: &mut Bag);

    /// Blocks until the object ends, or for a part of its life.
    fn block(&self, random: &mut Random);

    /// Ends the object.
    fn finale(&self);

    /// When nobody uses the object any more: whether its counts are what they must be.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn check(&self) -> Result<(), String>;

    /// The state of the object, for the report of a wait that does not end.
    fn state(&self) -> String;
}

/// An object of some kind. What it is depends on `seed` alone.
pub fn any(seed: u64) -> Arc<dyn Scene> {
    let random = &mut Random::new(seed);
    KINDS[random.below(KINDS.len())](random)
}

/// Makes one kind of objects.
pub type Make = fn(&mut Random) -> Arc<dyn Scene>;

/// All kinds.
pub const KINDS: [Make; 7] = [
    |random| Arc::new(wait_groups::WaitGroups::new(random)),
    |random| Arc::new(signals::Signals::new(random)),
    |random| Arc::new(trees::Trees::new(random)),
    |random| Arc::new(groups::Groups::new(random)),
    |random| Arc::new(fleeting::Fleeting::new(random)),
    |random| Arc::new(places::Places::new(random)),
    |random| Arc::new(errors::Errors::new(random)),
];

/// How often a step may end the object before its finale: once in so many steps. Some objects live to the finale.
fn mortality(random: &mut Random) -> usize {
    random.of(&[50, 200, 1000, usize::MAX >> 12])
}

/// A time for a wait that blocks a thread in between. Most are over at once, since threads that sleep do not meet.
fn short(random: &mut Random) -> Duration {
    Duration::from_micros(random.of(&[0, 0, 0, 1, 20, 100]))
}
