//! An interrupt that ends everything, at every instruction of everything: no wake-up is lost, nothing
//! hangs or panics, the interrupt neither takes nor frees memory, and no byte is left behind.
//!
//! `Scene::end` calls what may be called from an interrupt, and `OPERATIONS` is every other method.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::{self, Write as _};
use core::future::{Future, IntoFuture as _, pending};
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use critical_section::Mutex;
use winddown::WaitGroup;
use winddown::{CancelScope, CancelToken, Canceller, FutureUntil as _, Guard, Reason, Signal};
use winddown_embedded::bell::Bell;
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::interrupt::{Moment, sweep, while_running};
use winddown_embedded::waits::{
    Left, Wait, abandon, all_were_woken, forget_rings, once, park, twice, was_woken,
};
use winddown_embedded::{image, say, stack};

#[global_allocator]
static HEAP: Heap = Heap;

image!(windows, measuring);

fn windows() {
    heap::start();
    stack::paint();
    for &(name, operation) in OPERATIONS {
        // Alone; behind one in the slot; and behind one who listens too.
        let rounds: u32 =
            [0, 1, 2].map(|crowd| sweep(|now| round(now, operation, crowd))).iter().sum();
        say!("ok {name}: {rounds} rounds");
    }
    say!("ok delivery of a group: {} rounds", sweep(deliver_group));
    say!("ok delivery of a signal: {} rounds", sweep(deliver_signal));
    say!("ok delivery of a tree: {} rounds", sweep(deliver_tree));
    storm();
    assert_eq!(heap::in_use(), 0);
    say!("ok heap: nothing left; stack {} bytes at most", stack::high_water());
}

/// What is interrupted, and by what.
struct Scene {
    group: WaitGroup,
    stop: Signal<u32>,
    canceller: Canceller,
    middle: CancelScope,
    /// Two below the canceller.
    token: CancelToken,
}

type LastGuard<'a> = Mutex<Cell<Option<Guard<&'a WaitGroup>>>>;

impl Scene {
    fn new() -> Self {
        let canceller = CancelScope::new().detach();
        let middle = canceller.token().with_value(7u8).child();
        let token = middle.token().child().detach().token().clone();
        Self { group: WaitGroup::new(), stop: Signal::typed(), canceller, middle, token }
    }

    /// The interrupt.
    fn end(&self, last: &LastGuard<'_>) {
        self.group.add(1).unwrap();
        drop(self.group.guard());
        drop(WaitGroup::try_guard_in(&self.group));
        assert!(self.group.done().is_ok() && self.group.count() > 0 && !self.group.is_idle());
        drop(critical_section::with(|cs| last.borrow(cs).take()));

        let first = !self.stop.is_closed();
        assert_eq!(self.stop.close_with(1).is_ok(), first);
        assert!(self.stop.is_closed() && (!first || self.stop.get() == Some(&1)));

        let token = &self.token;
        assert!(token.value() == Some(&7u8));
        let first = !self.canceller.token().is_cancelled();
        assert_eq!(self.canceller.cancel(), first);
        assert!(self.canceller.cancel_with(Reason::Failed).is_err());
        assert!(token.is_cancelled() && token.reason().is_some() && token.check().is_err());
    }

    /// Some wait for each of the three.
    fn crowd(&self, size: usize) -> Vec<Wait<'_>> {
        let three = |_| {
            let token = self.token.clone();
            [park(self.group.wait()), park(self.stop.closed()), park(token.cancelled_owned())]
        };
        (0..size).flat_map(three).collect()
    }
}

fn round(now: &Moment, operation: Operation, size: usize) {
    let before = heap::in_use();
    strike(now, operation, size);
    assert_eq!(heap::in_use(), before);
}

fn strike(now: &Moment, operation: Operation, size: usize) {
    forget_rings();
    let scene = Scene::new();
    let last = Mutex::new(Cell::new(Some(scene.group.guard())));
    let crowd = scene.crowd(size);
    let left = now.strike(|| scene.end(&last), || operation(&scene));
    was_woken(left);
    all_were_woken(crowd);
}

type Operation = for<'a> fn(&'a Scene) -> Left<'a>;

struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

static CALLED: AtomicU32 = AtomicU32::new(0);

fn call() {
    critical_section::with(|_| CALLED.store(CALLED.load(Relaxed) + 1, Relaxed));
}

const OPERATIONS: &[(&str, Operation)] = &[
    ("guard, clone, drop", |scene| {
        let guard = WaitGroup::guard_in(&scene.group);
        drop((guard.clone(), guard));
        None
    }),
    ("add, done", |scene| {
        scene.group.add(3).unwrap();
        (0..3).for_each(|_| scene.group.done().unwrap());
        None
    }),
    ("wait", |scene| once(scene.group.wait())),
    ("wait, another task", |scene| twice(scene.group.wait())),
    ("wait, drop", |scene| abandon(scene.group.wait())),
    ("wait with a limit", |scene| once(scene.group.wait().until(pending::<()>()))),
    ("wait while counted", |scene| {
        let guard = scene.group.guard();
        let left = once(scene.group.wait());
        drop(guard);
        left
    }),
    ("track", |scene| once(scene.group.guard().track(scene.stop.closed()))),
    ("close", |scene| {
        let first = !scene.stop.is_closed();
        // The interrupt may come between the two.
        assert!(scene.stop.close_with(2).is_err() || first);
        None
    }),
    ("closed", |scene| once(scene.stop.closed())),
    ("closed, another task", |scene| twice(scene.stop.closed())),
    ("closed, drop", |scene| abandon(scene.stop.closed())),
    ("value", |scene| once(scene.stop.value())),
    ("cancel", |scene| {
        scene.middle.cancel();
        None
    }),
    ("cancel with a text", |scene| {
        drop(scene.middle.canceller().cancel_with("enough"));
        None
    }),
    ("cancelled", |scene| once(scene.token.cancelled())),
    ("cancelled, another task", |scene| twice(scene.token.cancelled())),
    ("cancelled, drop, again", |scene| {
        abandon(scene.token.cancelled());
        once(scene.token.cancelled())
    }),
    ("cancelled, drop, forget", |scene| {
        abandon(scene.token.cancelled());
        scene.token.forget_wait();
        None
    }),
    ("the reason", |scene| once((&scene.token).into_future())),
    ("any", |scene| once(CancelToken::any([scene.middle.token(), &scene.token]))),
    ("run until cancelled", |scene| once(scene.token.run_until_cancelled(pending::<()>()))),
    ("limit of a future", |scene| once(pending::<()>().until(scene.stop.closed()))),
    ("cancel after", |scene| once(scene.middle.cancel_after(pending::<()>()))),
    ("child", |scene| {
        let child = scene.token.child();
        abandon(child.token().cancelled());
        once(child.token().clone().cancelled_owned())
    }),
    ("child, drop", |scene| {
        let child = scene.token.child();
        let token = child.token().clone();
        drop(child);
        once(token.cancelled_owned())
    }),
    ("value on a token, shield", |scene| {
        let token = scene.token.with_value(8u16);
        abandon(token.shielded().cancelled());
        once(token.cancelled_owned())
    }),
    ("callback", |scene| {
        CALLED.store(0, Relaxed);
        let registration = scene.token.on_cancel(call);
        let taken_back = registration.deregister();
        assert_eq!(CALLED.load(Relaxed), u32::from(!taken_back), "once or never");
        None
    }),
    ("callback, detached", |scene| {
        CALLED.store(0, Relaxed);
        scene.token.on_cancel(call).detach();
        once(async {
            scene.token.cancelled().await;
            assert_eq!(CALLED.load(Relaxed), 1);
        })
    }),
    ("looks", |scene| {
        let _ = write!(Nowhere, "{:?} {:?} {:?}", scene.group, scene.stop, scene.token);
        assert!(scene.stop.get().is_none_or(|&why| why == 1));
        assert!(scene.token.check().is_ok() || scene.token.reason().is_some());
        None
    }),
];

/// More than two batches, which the main thread delivers.
const MANY: usize = 40;

fn many<'a, W: Future<Output = ()> + 'a>(wait: impl Fn() -> W) -> Vec<Wait<'a>> {
    forget_rings();
    (0..MANY).map(|_| park(wait())).collect()
}

/// Another round of the group begins and ends in the middle of a delivery.
fn deliver_group(now: &Moment) {
    let group = WaitGroup::new();
    group.add(1).unwrap();
    let crowd = many(|| group.wait());
    let again = || {
        group.add(1).unwrap();
        group.done().unwrap();
    };
    now.strike(again, || group.done().unwrap());
    all_were_woken(crowd);
}

/// A second closer comes in the middle of the first one's delivery.
fn deliver_signal(now: &Moment) {
    let stop = Signal::new();
    let crowd = many(|| stop.closed());
    now.strike(|| _ = stop.close(), || _ = stop.close());
    all_were_woken(crowd);
}

/// The root is cancelled in the middle of the delivery of a part of the tree.
fn deliver_tree(now: &Moment) {
    let root = CancelScope::new();
    let part = root.token().child();
    // A few at the part itself, and children with a few each.
    let children: Vec<_> = (0..5).map(|_| part.token().child()).collect();
    let next = Cell::new(0);
    let crowd = many(|| {
        let turn = next.replace((next.get() + 1) % 10);
        let token = children.get(turn).map_or(part.token(), CancelScope::token);
        token.clone().cancelled_owned()
    });
    let canceller = root.canceller();
    now.strike(|| _ = canceller.cancel(), || _ = part.cancel());
    all_were_woken(crowd);
}

/// Waiters that come back at once, as often as an interrupt ends the group's round, for many periods.
fn storm() {
    static BELLS: [Bell; 12] = [const { Bell::new() }; 12];
    let group = WaitGroup::new();
    let zeros = AtomicU32::new(0);
    let zero = || {
        group.done().unwrap();
        group.add(1).unwrap();
        zeros.store(zeros.load(Relaxed) + 1, Relaxed);
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
        BELLS.iter().for_each(|bell| _ = bell.take());
    }
    say!("ok storm: {} zeros, {completed} waits were over", zeros.load(Relaxed));
}
