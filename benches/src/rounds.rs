//! A round of a group beside waits that an earlier round woke and that nobody polled since.

use core::hint::black_box;
use core::pin::pin;

use tokio_util::task::TaskTracker;
use winddown::WaitGroup;

use crate::floors::Wakers;
use crate::harness::{Family, Scale, alone, clock};
use crate::results::{FLOOR, thousands};
use crate::subjects::{Event as _, Parked, poll};

/// A group that is used again and again.
trait Rounds {
    const NAME: &'static str;
    type Wait<'a>: Future<Output = ()>
    where
        Self: 'a;

    fn new() -> Self;
    /// One piece of work begins.
    fn begin(&self);
    fn wait(&self) -> Self::Wait<'_>;
    /// It ends, and with it the waits of this round.
    fn end(&self);
}

pub(crate) fn beside_old_waits(scale: Scale) -> Family {
    let mut family = Family::new(
        "A round beside old waits",
        "ns per round",
        "So many waits of one group were polled once, and were woken by the end of its first round; \
         nobody has polled or dropped them since. Timed: a further round: one piece of work begins, \
         two fresh waits are polled, pending, the work ends, the two are polled, ready, and dropped. \
         The old waits are dropped after the clock. `wg` forbids this: its rounds begin when all waits \
         have returned. `TaskTracker` is reopened to begin and closed to end. Floor: a vector of two \
         wakers under a mutex, made anew each round.",
    )
    .along("old waits");
    for old in [0].into_iter().chain(scale.decades(1, 100_000)) {
        let heading = format!("{} old", thousands(old));
        let column = family.column_at(&heading, (old > 0).then_some(old as f64));
        let rounds = scale.ops(500);
        family.add(FLOOR, column, move || floor(rounds));
        add::<WaitGroup>(&mut family, column, old, rounds);
        add::<TaskTracker>(&mut family, column, old, rounds);
        add::<event_listener::Event>(&mut family, column, old, rounds);
    }
    family
}

fn floor(rounds: usize) -> f64 {
    alone(|| {
        let spent = clock(|| {
            for _ in 0..rounds {
                let wakers = Wakers::new(2);
                let (mut first, mut second) = (pin!(wakers.wait()), pin!(wakers.wait()));
                assert!(poll(first.as_mut()).is_pending());
                assert!(poll(second.as_mut()).is_pending());
                wakers.end();
                assert!(poll(first).is_ready());
                assert!(poll(second).is_ready());
            }
        });
        spent.as_nanos() as f64 / rounds as f64
    })
}

fn add<R: Rounds>(family: &mut Family, column: usize, old: usize, rounds: usize) {
    family.add(R::NAME, column, move || {
        alone(|| {
            let group = R::new();
            group.begin();
            let mut waits = Parked::with_capacity(old);
            (0..old).for_each(|_| waits.park(group.wait()));
            group.end();
            let spent = clock(|| (0..rounds).for_each(|_| round(black_box(&group))));
            drop(waits);
            spent.as_nanos() as f64 / rounds as f64
        })
    });
}

fn round<R: Rounds>(group: &R) {
    group.begin();
    let (mut first, mut second) = (pin!(group.wait()), pin!(group.wait()));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    group.end();
    assert!(poll(first).is_ready());
    assert!(poll(second).is_ready());
}

impl Rounds for WaitGroup {
    const NAME: &'static str = "winddown WaitGroup";
    type Wait<'a> = winddown::future::Wait<&'a Self>;

    fn new() -> Self {
        Self::new()
    }

    fn begin(&self) {
        self.add(1).expect("room");
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.wait()
    }

    fn end(&self) {
        self.done().expect("one piece of work");
    }
}

impl Rounds for TaskTracker {
    const NAME: &'static str = "TaskTracker";
    type Wait<'a> = tokio_util::task::task_tracker::TaskTrackerWaitFuture<'a>;

    fn new() -> Self {
        Self::new()
    }

    fn begin(&self) {
        self.reopen();
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.wait()
    }

    fn end(&self) {
        assert!(self.close());
    }
}

/// Without a count: listeners alone.
impl Rounds for event_listener::Event {
    const NAME: &'static str = "event-listener";
    type Wait<'a> = event_listener::EventListener;

    fn new() -> Self {
        Self::new()
    }

    fn begin(&self) {}

    fn wait(&self) -> Self::Wait<'_> {
        self.listen()
    }

    fn end(&self) {
        self.notify(usize::MAX);
    }
}
