//! An interrupt that ends everything, at every instruction of everything: no wake-up is lost, nothing
//! hangs or panics, the interrupt neither takes nor frees memory, and no byte is left behind.
//!
//! `Scene::end` calls what may be called from an interrupt, and `OPERATIONS` what is interrupted. Groups
//! of tasks are in `groups`.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::{self, Write as _};
use core::future::{Future, IntoFuture as _, pending, ready};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use winddown::{CancelScope, CancelToken, Canceller, FutureUntil as _, Guard, Reason, Signal};
use winddown::{Cancelled, WaitGroup};
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::interrupt::{Moment, sweep, sweep_freeing};
use winddown_embedded::waits::{
    Left, Wait, abandon, all_were_woken, forget_rings, once, park, twice, was_woken,
};
use winddown_embedded::{Slot, image, say, stack};

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
    say!("ok callback that owns: {} rounds", sweep_freeing(2, call_what_owns));
    assert_eq!(heap::in_use(), 0);
    say!("ok heap: nothing left; stack {} bytes at most", stack::high_water());
}

/// What is interrupted, and by what.
struct Scene {
    group: WaitGroup,
    stop: Signal<u32>,
    door: Signal,
    canceller: Canceller,
    middle: CancelScope,
    /// Two below the canceller.
    token: CancelToken,
    /// Of the scopes that the interrupt gets: it cancels one, drops one, and detaches one.
    theirs: [CancelToken; 3],
}

/// What the interrupt gets.
struct Given<'a> {
    last: Guard<&'a WaitGroup>,
    scopes: [CancelScope; 3],
}

impl Scene {
    fn new(scopes: &[CancelScope; 3]) -> Self {
        let canceller = CancelScope::new().detach();
        let middle = canceller.token().with_value(7u8).child();
        let token = middle.token().child().detach().token().clone();
        let theirs = scopes.each_ref().map(|scope| scope.token().clone());
        let (group, stop, door) = (WaitGroup::new(), Signal::typed(), Signal::new());
        Self { group, stop, door, canceller, middle, token, theirs }
    }

    /// The interrupt.
    fn end(&self, given: &Slot<Given<'_>>) {
        let Some(Given { last, scopes }) = given.take() else { return };
        self.count_out(last);
        self.close();
        self.cancel(scopes);
    }

    fn count_out(&self, last: Guard<&WaitGroup>) {
        self.group.add(1).unwrap();
        drop(self.group.guard());
        drop(WaitGroup::guard_in(&self.group).clone());
        drop(WaitGroup::try_guard_in(&self.group));
        drop(last.clone().track(ready(())));
        assert!(self.group.done().is_ok() && self.group.count() > 0 && !self.group.is_idle());
        drop(last);
        let _ = write!(Nowhere, "{:?}", self.group);
    }

    fn close(&self) {
        let first = !self.stop.is_closed();
        assert_eq!(self.stop.close_with(1).is_ok(), first);
        assert!(self.stop.is_closed() && (!first || self.stop.get() == Some(&1)));
        let first = !self.door.is_closed();
        assert_eq!(self.door.close(), first);
        let mut own = Signal::typed();
        assert_eq!((own.close_with(2), own.get_mut()), (Ok(()), Some(&mut 2)));
        assert_eq!((own.reset(), own.is_closed()), (Some(2), false));
        let _ = write!(Nowhere, "{:?}", self.stop);
    }

    fn cancel(&self, scopes: [CancelScope; 3]) {
        let token = &self.token;
        assert!(token.value() == Some(&7u8) && token.clone() == *token);
        assert!(!self.canceller.token().is_cancelled() && self.canceller.clone().cancel());
        assert!(self.canceller.cancel_with(Reason::Failed).is_err());
        assert!(!self.middle.cancel() && self.middle.canceller().token().is_cancelled());
        drop(self.middle.cancel_after(pending::<()>()));
        assert!(token.is_cancelled() && token.reason().is_some());
        let why = token.check().unwrap_err();
        assert!(why == why.clone() && why.reason().downcast_ref::<fmt::Error>().is_none());
        let _ = write!(Nowhere, "{token:?} {why}");
        self.cancel_theirs(scopes, &why);
    }

    fn cancel_theirs(&self, [cancelled, dropped, detached]: [CancelScope; 3], why: &Cancelled) {
        assert!(cancelled.cancel_with(Reason::Deadline).is_ok() && !cancelled.cancel());
        drop(dropped);
        // What has a content is copied, which takes memory.
        let has_content = matches!(why.reason(), Reason::Message(_) | Reason::Error(_));
        let canceller = detached.detach();
        assert!(if has_content { canceller.cancel() } else { canceller.cancel_like(why) });
        assert!(matches!(self.theirs[1].reason(), Some(Reason::Dropped)));
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
    let scopes = core::array::from_fn(|_| CancelScope::new());
    let scene = Scene::new(&scopes);
    let given = Slot::new(Some(Given { last: scene.group.guard(), scopes }));
    let crowd = scene.crowd(size);
    let left = now.strike(|| scene.end(&given), || operation(&scene));
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
        drop(WaitGroup::try_guard_in(&scene.group));
        scene.group.add(3).unwrap();
        (0..3).for_each(|_| scene.group.done().unwrap());
        None
    }),
    ("wait", |scene| once(scene.group.wait())),
    ("wait, another task", |scene| twice(WaitGroup::wait_in(&scene.group))),
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
    ("closed, another task", |scene| twice(Signal::closed_in(&scene.stop))),
    ("closed, drop", |scene| abandon(scene.stop.closed())),
    ("close without a value", |scene| {
        scene.door.close();
        None
    }),
    ("closed without a value", |scene| once(scene.door.closed())),
    ("value", |scene| once(scene.stop.value())),
    ("cancel", |scene| {
        scene.middle.cancel();
        None
    }),
    ("cancel with a text", |scene| {
        drop(scene.middle.canceller().cancel_with("enough"));
        None
    }),
    ("cancel like another", |scene| {
        let other = CancelScope::new();
        other.cancel();
        scene.middle.canceller().cancel_like(&other.token().check().unwrap_err());
        None
    }),
    ("cancelled", |scene| once(scene.token.cancelled())),
    ("cancelled by its owner", |scene| once(scene.theirs[0].cancelled())),
    ("cancelled by a drop", |scene| once(scene.theirs[1].cancelled())),
    ("cancelled like another", |scene| once(scene.theirs[2].cancelled())),
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
    ("any of three owners", |scene| once(CancelToken::any(scene.theirs.each_ref()))),
    ("run until cancelled", |scene| once(scene.token.run_until_cancelled(pending::<()>()))),
    ("limit of a future", |scene| once(pending::<()>().until(scene.stop.closed()))),
    ("limit, the work first", |scene| {
        once(pending::<()>().until(scene.door.closed()).work_first())
    }),
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
    ("callback, drop", |scene| {
        CALLED.store(0, Relaxed);
        drop(scene.token.on_cancel(call));
        assert!(CALLED.load(Relaxed) <= 1);
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
        assert!(scene.token.value() == Some(&7u8) && scene.token.clone() == scene.token);
        assert!(!scene.stop.is_closed() || scene.group.count() == 0 && scene.group.is_idle());
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

/// What a callback owns is freed where it ran.
fn call_what_owns(now: &Moment) {
    CALLED.store(0, Relaxed);
    let scope = CancelScope::new();
    let owned = Box::new(3);
    scope.token().on_cancel(move || (0..*owned).for_each(|_| call())).detach();
    now.strike(|| _ = scope.cancel(), || drop(scope.token().clone()));
    assert_eq!(CALLED.load(Relaxed), 3);
}
