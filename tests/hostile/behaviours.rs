//! What foreign code does when it is called, to the world that it is in, or to another one.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::thread;

#[cfg(feature = "std")]
use super::foreign::revolt;
use super::foreign::{Act, PANICS};
use super::world::World;
use crate::common::panic_quietly;
use crate::heap::Heap;

/// How foreign code behaves.
pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
}

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour { name: "polls all waits", act: || here(World::poll_all) },
    Behaviour { name: "uses the same objects", act: || here(World::use_everything) },
    Behaviour { name: "uses others", act: uses_others },
    Behaviour { name: "closes", act: || here(World::close) },
    Behaviour { name: "cancels", act: || here(World::cancel) },
    Behaviour { name: "drops all waits", act: || here(World::drop_waits) },
    Behaviour { name: "drops all handles", act: || here(World::drop_handles) },
    Behaviour { name: "ends everything, and drops it", act: || here(drops_everything) },
    Behaviour { name: "panics", act: || panic_quietly(PANICS) },
    // Without `std` a second panic may abort.
    #[cfg(feature = "std")]
    Behaviour { name: "panics, and all others from then on", act: revolt },
    Behaviour { name: "waits for another thread", act: waits_for_another_thread },
];

thread_local! {
    static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// Foreign code of this thread gets `world` into its hands.
pub(crate) fn enter(world: Option<Arc<World>>) {
    let old = WORLD.replace(world);
    drop(old);
}

fn current() -> Arc<World> {
    WORLD.with_borrow(|it| it.as_ref().map(Arc::clone)).expect("in a world")
}

fn here(act: impl FnOnce(&World)) {
    act(&current());
}

fn drops_everything(world: &World) {
    world.end();
    world.drop_handles();
    world.drop_waits();
}

fn uses_others() {
    let world = World::new();
    world.use_everything();
    world.end();
    world.check_ended();
}

/// Comes only if the other thread is held up by this one.
const LONG: Duration = Duration::from_secs(60);

/// A thread that uses the objects and polls the waits of each world that it gets.
struct Other {
    worlds: mpsc::SyncSender<Arc<World>>,
    /// The blocks that it took and did not give back.
    done: mpsc::Receiver<isize>,
}

thread_local! {
    static OTHER: Other = Other::start();
    /// The blocks that other threads took for this one.
    static TAKEN: Cell<isize> = const { Cell::new(0) };
}

impl Other {
    fn start() -> Self {
        let (worlds, work) = mpsc::sync_channel::<Arc<World>>(1);
        let (tell, done) = mpsc::sync_channel(1);
        thread::spawn(move || {
            for world in work {
                let before = Heap::now().blocks;
                world.use_everything();
                world.poll_all();
                let taken = Heap::now().blocks - before;
                drop(world);
                let _ = tell.send(taken);
            }
        });
        Self { worlds, done }
    }
}

/// Starts the other thread of this one, and has both make what a thread makes once.
pub(crate) fn begin() {
    enter(Some(World::new()));
    waits_for_another_thread();
    waits_for_another_thread();
    here(drops_everything);
    enter(None);
}

/// The other thread works while this one is in the middle of its call.
fn waits_for_another_thread() {
    let world = current();
    OTHER.with(|other| {
        other.worlds.send(world).expect("the other thread has not panicked");
        let taken = other.done.recv_timeout(LONG).expect("the other thread is not held up");
        TAKEN.set(TAKEN.get() + taken);
    });
}

/// The blocks that this thread has taken and not given back, by another one as well.
pub(crate) fn blocks() -> isize {
    Heap::now().blocks + TAKEN.get()
}
