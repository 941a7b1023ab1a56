//! Many waiters of one object: registering them, waking them, dropping them.

use core::time::Duration;
use std::time::Instant;

use futures_intrusive::sync::ManualResetEvent;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use winddown::{Canceller, Signal, WaitGroup};

use crate::floors::Wakers;
use crate::harness::{Family, Scale, alone};
use crate::subjects::{Event, Triggered, Waits};

/// Which part of the waiters' life is on the clock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timed {
    Register,
    Wake,
    DropPending,
}

pub(crate) fn register(scale: Scale) -> Family {
    let family = Family::new(
        "Register waiters",
        "ns per waiter",
        "Timed: making each wait, in memory that is there already, and polling it once. The objects \
         exist before; for those that allocate at the first wait that is inside, which is why one \
         waiter an object costs more. Floor: a vector of wakers, long enough, under a mutex.",
    );
    columns(family, scale, Timed::Register)
}

pub(crate) fn wake(scale: Scale) -> Family {
    let family = Family::new(
        "Wake waiters",
        "ns per waiter",
        "Timed: the one call that ends the wait (`close`, the last `done`, `cancel`, `notify`), with \
         wakers that do nothing. Floor: the vector of wakers taken under its mutex, then a call each.",
    );
    columns(family, scale, Timed::Wake)
}

pub(crate) fn drop_pending(scale: Scale) -> Family {
    let family = Family::new(
        "Drop waiters that are still pending",
        "ns per waiter",
        "Timed: dropping all waits in the order in which they were made, without an end. Floor: the \
         mutex and a store for each.",
    );
    columns(family, scale, Timed::DropPending)
}

fn columns(mut family: Family, scale: Scale, timed: Timed) -> Family {
    for (waiters, heading) in [(1, "1 waiter"), (100, "100 waiters"), (10_000, "10,000 waiters")] {
        add::<Wakers>(&mut family, heading, waiters, scale, timed);
        add::<Signal>(&mut family, heading, waiters, scale, timed);
        add::<WaitGroup>(&mut family, heading, waiters, scale, timed);
        add::<Canceller>(&mut family, heading, waiters, scale, timed);
        add::<CancellationToken>(&mut family, heading, waiters, scale, timed);
        add::<TaskTracker>(&mut family, heading, waiters, scale, timed);
        add::<event_listener::Event>(&mut family, heading, waiters, scale, timed);
        add::<wg::future::WaitGroup>(&mut family, heading, waiters, scale, timed);
        add::<Triggered>(&mut family, heading, waiters, scale, timed);
        add::<ManualResetEvent>(&mut family, heading, waiters, scale, timed);
    }
    family
}

fn add<E: Event>(family: &mut Family, heading: &str, waiters: usize, scale: Scale, timed: Timed) {
    let column = family.column(heading);
    // 256 objects at a time at most: the clock's own time does not count, and they stay in the cache.
    let objects = (256 / waiters).max(1);
    let turns = (scale.ops(20_000) / (objects * waiters)).max(1);
    family.add(E::NAME, column, move || {
        alone(|| {
            // The first turn grows the heap.
            life::<E>(objects, waiters, timed);
            let spent: Duration = (0..turns).map(|_| life::<E>(objects, waiters, timed)).sum();
            spent.as_nanos() as f64 / (turns * objects * waiters) as f64
        })
    });
}

/// The whole life of `waiters` waits of each of `objects` objects; gives the time of one part.
fn life<E: Event>(objects: usize, waiters: usize, timed: Timed) -> Duration {
    let events: Vec<E> = (0..objects).map(|_| E::new(waiters)).collect();
    let mut waits = Waits::<E>::with_capacity(objects * waiters);

    let registered = clock(|| {
        for event in &events {
            (0..waiters).for_each(|_| waits.park(event));
        }
    });
    match timed {
        Timed::Register => registered,
        Timed::DropPending => clock(|| waits.clear()),
        Timed::Wake => {
            let woken = clock(|| events.iter().for_each(E::end));
            assert!(waits.are_over(), "nobody is left behind");
            woken
        }
    }
}

pub(crate) fn clock(f: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    f();
    begin.elapsed()
}
