//! Many waiters of one object: registering them, waking them, dropping them.

use core::time::Duration;

use crate::floors::Wakers;
use crate::harness::{Family, Scale, alone, clock, on_main, parts};
use crate::subjects::{Event, Waits, for_each_event};

/// From here on a life is long enough for the clock, and its memory too big for a thread's heap.
const BIG: usize = 100_000;

pub(crate) fn crowds(scale: Scale) -> Vec<Family> {
    let mut families = [
        (
            "Register waiters",
            "Timed: making each wait, in memory that is there already, and polling it once. The \
             objects exist before; for those that allocate at the first wait that is inside, which is \
             why one waiter an object costs more. Floor: a vector of wakers, long enough, under a \
             mutex.",
        ),
        (
            "Wake waiters",
            "Timed: the one call that ends the wait (`close`, the last `done`, `cancel`, `notify`), \
             with wakers that do nothing. Floor: the vector of wakers taken under its mutex, then a \
             call each.",
        ),
        (
            "Poll waiters that are woken",
            "Timed: polling each wait once after the end, first made first; all are ready. Floor: the \
             mutex and a flag.",
        ),
        (
            "Drop waiters that are still pending",
            "Timed: dropping all waits in the order in which they were made, without an end. Floor: \
             the mutex and a store for each.",
        ),
    ]
    .map(|(title, what)| {
        Family::new(title, "ns per waiter", what).in_chapter("Waiters").along("waiters")
    });
    for waiters in scale.decades(1, 1_000_000) {
        add::<Wakers>(&mut families, waiters, scale);
        for_each_event!(add(&mut families, waiters, scale));
    }
    families.into()
}

fn add<E: Event>(families: &mut [Family; 4], waiters: usize, scale: Scale) {
    let woken = parts(move || repeat(waiters, scale, woken::<E>));
    let dropped = parts(move || repeat(waiters, scale, dropped::<E>));
    for (family, batch) in families.iter_mut().zip(woken.into_iter().chain(dropped)) {
        let column = family.column_of(waiters);
        family.makes(column, waiters);
        family.add(E::NAME, column, batch);
    }
}

/// Nanoseconds of one waiter, for each part of a life of `objects` objects with `waiters` waits each.
fn repeat<const N: usize>(
    waiters: usize,
    scale: Scale,
    life: fn(usize, usize) -> [Duration; N],
) -> [f64; N] {
    // 256 objects at a time at most: the clock's own time does not count, and they stay in the cache.
    let objects = (256 / waiters).max(1);
    let turns = (scale.ops(20_000) / (objects * waiters)).max(1);
    let measure = || {
        // The first turn grows the heap; a big one has found it grown since the round before.
        if waiters < BIG {
            life(objects, waiters);
        }
        let mut spent = [Duration::ZERO; N];
        for _ in 0..turns {
            life(objects, waiters).into_iter().zip(&mut spent).for_each(|(it, sum)| *sum += it);
        }
        spent.map(|it| it.as_nanos() as f64 / (turns * objects * waiters) as f64)
    };
    if waiters < BIG { alone(measure) } else { on_main(measure) }
}

/// Registering, waking, polling what is woken.
fn woken<E: Event>(objects: usize, waiters: usize) -> [Duration; 3] {
    let events: Vec<E> = (0..objects).map(|_| E::new(waiters)).collect();
    let mut waits = Waits::<E>::with_capacity(objects * waiters);
    let registered = clock(|| register(&events, &mut waits, waiters));
    let woken = clock(|| events.iter().for_each(E::end));
    let mut over = false;
    let polled = clock(|| over = waits.are_over());
    assert!(over, "nobody is left behind");
    [registered, woken, polled]
}

/// Dropping what is pending.
fn dropped<E: Event>(objects: usize, waiters: usize) -> [Duration; 1] {
    let events: Vec<E> = (0..objects).map(|_| E::new(waiters)).collect();
    let mut waits = Waits::<E>::with_capacity(objects * waiters);
    register(&events, &mut waits, waiters);
    [clock(|| waits.clear())]
}

#[inline]
fn register<'a, E: Event>(events: &'a [E], waits: &mut Waits<'a, E>, waiters: usize) {
    for event in events {
        (0..waiters).for_each(|_| waits.park(event));
    }
}
