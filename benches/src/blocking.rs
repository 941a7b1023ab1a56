//! A thread that blocks and a thread that wakes it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use winddown::{Signal, WaitGroup};

use crate::floors::Unpark;
use crate::harness::{Family, Scale, pin};
use crate::subjects::{Blocking, Crossbeam, FlagAndEvent, Triggered};

pub(crate) fn one_core(scale: Scale) -> Family {
    let family = Family::new(
        "Block and wake, two threads on one core",
        "ns per block and wake",
        "Two threads hand over to each other: end the other's object, block on one's own, all \
         objects made before. Timed: the whole exchange; half a round trip is reported. Floor: a \
         word and the futex call.",
    );
    contenders(family, [0, 0], scale.ops(1000))
}

pub(crate) fn two_cores(scale: Scale) -> Family {
    let family = Family::new(
        "Block and wake, two threads on two cores",
        "ns per block and wake",
        "The same with each thread on a core of its own. Most of it is the kernel, and on a virtual \
         machine the hypervisor, which wakes a core that sleeps.",
    );
    contenders(family, [0, 1], scale.ops(200))
}

fn contenders(mut family: Family, at: [usize; 2], turns: usize) -> Family {
    #[cfg(target_os = "linux")]
    add::<crate::floors::Futex>(&mut family, at, turns);
    add::<Unpark>(&mut family, at, turns);
    add::<Signal>(&mut family, at, turns);
    add::<WaitGroup>(&mut family, at, turns);
    add::<FlagAndEvent>(&mut family, at, turns);
    add::<Crossbeam>(&mut family, at, turns);
    add::<wg::WaitGroup>(&mut family, at, turns);
    add::<Triggered>(&mut family, at, turns);
    family
}

fn add<B: Blocking>(family: &mut Family, at: [usize; 2], turns: usize) {
    let column = family.column("time");
    family.add(B::NAME, column, move || ping_pong::<B>(at, turns));
}

/// Each turn two blocks and two wakes: a thread that has woken the other blocks at once, so on one
/// core it always parks; on two cores the other has to be woken before it can answer.
fn ping_pong<B: Blocking>(at: [usize; 2], turns: usize) -> f64 {
    let make = || (0..turns).map(|_| B::new()).collect::<Vec<B>>();
    let (pings, pongs) = (make(), make());
    let ready = Arc::new(AtomicUsize::new(0));
    let spent = thread::scope(|scope| {
        scope.spawn(|| {
            pin(at[1]);
            ready.store(1, Ordering::Release);
            for (ping, pong) in pings.iter().zip(&pongs) {
                ping.block();
                pong.end();
            }
        });
        let first = scope.spawn(|| {
            pin(at[0]);
            while ready.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            let begin = Instant::now();
            for (ping, pong) in pings.iter().zip(&pongs) {
                ping.end();
                pong.block();
            }
            begin.elapsed()
        });
        first.join().expect("a measured thread")
    });
    spent.as_nanos() as f64 / (2 * turns) as f64
}
