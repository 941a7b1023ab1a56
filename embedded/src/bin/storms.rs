//! What takes thousands of rounds: counts that are full, rounds that wrap, and storms of waiters that come
//! back at once, or give up at once, under an interrupt that comes again and again.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::array;
use core::mem;
use core::num::NonZeroUsize;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::Poll;

use winddown::future::WaitRoom;
use winddown::{CancelScope, Signal, TaskGroup, TaskGuard, WaitGroup};
use winddown_embedded::bell::Bell;
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::interrupt::while_running;
use winddown_embedded::waits::Wait;
use winddown_embedded::{Slot, image, say, stack};

#[global_allocator]
static HEAP: Heap = Heap;

static BELLS: [Bell; 12] = [const { Bell::new() }; 12];

image!(storms, measuring);

fn storms() {
    heap::start();
    stack::paint();
    full();
    rounds();
    zeros();
    ends();
    room();
    assert_eq!(heap::in_use(), 0);
    say!("ok heap: nothing left; stack {} bytes at most", stack::high_water());
}

fn one_more(counter: &AtomicU32) -> u32 {
    let before = counter.load(Relaxed);
    counter.store(before + 1, Relaxed);
    before
}

fn forget_rings() {
    BELLS.iter().for_each(|bell| _ = bell.take());
}

/// Rule 1, with guards that were leaked: a group that is full says so, to an interrupt too, and nothing
/// is counted.
fn full() {
    /// Half of what fits beside the round in a word of 32 bits.
    const MOST: usize = 1 << 15;
    let group = WaitGroup::new();
    (0..MOST).for_each(|_| mem::forget(group.guard()));
    let refused = AtomicU32::new(0);
    let ask = || {
        assert!(group.add(1).is_err() && group.add(usize::MAX).is_err() && group.add(0).is_ok());
        assert!(WaitGroup::try_guard_in(&group).is_err() && group.count() == MOST);
        one_more(&refused);
    };
    while_running(1_000, &ask, || {
        while refused.load(Relaxed) < 100 {
            core::hint::spin_loop();
        }
    });
    ask();
    (0..MOST).for_each(|_| group.done().unwrap());
    assert!(group.done().is_err() && group.is_idle() && group.add(MOST + 1).is_err());
    say!("ok full: {MOST} guards, and {} refusals", refused.load(Relaxed));
}

/// Rule 3, over a whole turn of awaited zeros: each wait is over with its own. One that is not looked at
/// meanwhile takes the last of them for none at all, and is over with the next.
fn rounds() {
    const TURN: u32 = 1 << 15;
    forget_rings();
    let [asleep, awake, ..] = &BELLS;
    let group = WaitGroup::new();
    let round = |wait: &mut dyn FnMut() -> Poll<()>, bell: &Bell| {
        group.add(1).unwrap();
        assert!(wait().is_pending());
        group.done().unwrap();
        assert!(bell.take() && wait().is_ready(), "a wake-up was lost");
    };
    group.add(1).unwrap();
    let mut late = group.wait();
    assert!(asleep.poll(Pin::new(&mut late)).is_pending());
    for turn in 0..TURN {
        let mut wait = group.wait();
        if turn == 0 {
            assert!(awake.poll(Pin::new(&mut wait)).is_pending());
            group.done().unwrap();
            assert!(asleep.take() && awake.take());
            continue;
        }
        round(&mut || awake.poll(Pin::new(&mut wait)), awake);
    }
    round(&mut || asleep.poll(Pin::new(&mut late)), asleep);
    say!("ok rounds: {TURN}, and one that was late");
}

/// Waiters that come back at once, as often as an interrupt ends the group's round, for many periods.
fn zeros() {
    forget_rings();
    let group = WaitGroup::new();
    let zeros = AtomicU32::new(0);
    let zero = || {
        group.done().unwrap();
        group.add(1).unwrap();
        one_more(&zeros);
    };
    let mut completed = 0;
    for period in (3_000..5_000).step_by(7) {
        group.add(1).unwrap();
        let mut waits = BELLS.each_ref().map(|bell| {
            let mut wait = group.wait();
            assert!(bell.poll(Pin::new(&mut wait)).is_pending());
            wait
        });
        let end = zeros.load(Relaxed) + 10;
        let mut serve = || {
            for (wait, bell) in waits.iter_mut().zip(&BELLS) {
                // Only who was woken is looked at.
                if bell.take() && bell.poll(Pin::new(&mut *wait)).is_ready() {
                    completed += 1;
                    *wait = group.wait();
                    while bell.poll(Pin::new(&mut *wait)).is_ready() {}
                }
            }
        };
        while_running(period, &zero, || {
            while zeros.load(Relaxed) < end {
                serve();
            }
        });
        serve();
        for (wait, bell) in waits.iter_mut().zip(&BELLS) {
            assert!(bell.poll(Pin::new(wait)).is_pending(), "a wake-up was lost");
        }
        zero();
        assert!(BELLS.iter().all(|bell| bell.rings() > 0), "a wake-up was lost");
        group.done().unwrap();
        forget_rings();
    }
    say!("ok storm of zeros: {} zeros, {completed} waits were over", zeros.load(Relaxed));
}

/// Waits are given up and made anew, as fast as may be, until an interrupt ends all.
fn ends() {
    let (mut made, mut ends) = (0, 0);
    for delay in (20_000..60_000).step_by(401) {
        forget_rings();
        let (stop, root) = (Signal::new(), CancelScope::new());
        let scopes = BELLS.each_ref().map(|_| root.token().child());
        let wait = |index: usize| -> Wait<'_> {
            if index % 2 == 0 {
                Box::pin(stop.closed())
            } else {
                Box::pin(scopes[index].token().cancelled())
            }
        };
        let end = || {
            root.cancel();
            stop.close();
        };
        let mut waits: [Option<Wait<'_>>; 12] = array::from_fn(|_| None);
        while_running(delay, &end, || {
            while !stop.is_closed() {
                let index = made % BELLS.len();
                waits[index] = None;
                BELLS[index].take();
                let wait = waits[index].insert(wait(index));
                if BELLS[index].poll(wait.as_mut()).is_ready() {
                    waits[index] = None;
                }
                made += 1;
            }
        });
        for (wait, bell) in waits.iter_mut().zip(&BELLS) {
            if let Some(wait) = wait {
                assert!(bell.rings() > 0, "a wake-up was lost");
                assert!(bell.poll(wait.as_mut()).is_ready());
            }
        }
        ends += 1;
    }
    say!("ok storm of ends: {ends} ends of {made} waits");
}

/// Three places for twelve, who come back at once; an interrupt ends the work of one who is inside, and
/// somebody always gives up.
fn room() {
    let (mut granted, left) = (0, AtomicU32::new(0));
    for period in (3_000..5_000).step_by(53) {
        let group = TaskGroup::builder().limit(NonZeroUsize::new(3).unwrap()).build();
        let inside = [const { Slot::new(None) }; 3];
        let leave = || {
            drop(inside.iter().find_map(Slot::take));
            one_more(&left);
        };
        let mut waits = array::from_fn(|_| group.guard_when_room());
        let (end, mut gives_up) = (left.load(Relaxed) + 20, 0);
        forget_rings();
        BELLS.iter().for_each(|bell| bell.waker().wake());
        while_running(period, &leave, || {
            while left.load(Relaxed) < end {
                granted += serve(&group, &mut waits, &inside);
                gives_up = (gives_up + 1) % waits.len();
                waits[gives_up] = group.guard_when_room();
                BELLS[gives_up].waker().wake();
            }
        });
        while BELLS.iter().any(|bell| bell.rings() > 0) {
            granted += serve(&group, &mut waits, &inside);
        }
        assert_eq!(inside.iter().filter_map(Slot::take).count(), 3, "nobody was told of room");
    }
    say!("ok storm for room: {granted} places were granted");
}

/// Whoever was woken is looked at, works if he got a place, and comes back the next time. Gives how many
/// got one.
fn serve<'a>(
    group: &'a TaskGroup,
    waits: &mut [WaitRoom<&'a TaskGroup>; 12],
    inside: &[Slot<TaskGuard>; 3],
) -> u32 {
    let mut granted = 0;
    for (wait, bell) in waits.iter_mut().zip(&BELLS) {
        if !bell.take() {
            continue;
        }
        if let Poll::Ready(guard) = bell.poll(Pin::new(&mut *wait)) {
            let too_many =
                inside.iter().try_fold(guard.unwrap(), |guard, place| place.fill(guard).err());
            assert!(too_many.is_none(), "more are inside than there are places");
            granted += 1;
            *wait = group.guard_when_room();
            bell.waker().wake();
        }
    }
    granted
}
