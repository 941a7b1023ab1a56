//! An interrupt in an interrupt: both end everything, the one in the middle of the other's calls, while
//! the main thread is in the middle of its own. `Scene::end` and `Scene::end_too` are the two interrupts of every
//! scenario; `OPERATIONS` has what the main thread does meanwhile, a scenario each.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::future::pending;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use winddown::{
    CancelScope, CancelToken, Canceller, Reason, Signal, TaskGroup, TaskGuard, WaitGroup,
};
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::interrupt::{Moment, sweep_twice};
use winddown_embedded::waits::{
    Left, Wait, abandon, all_were_woken, forget_rings, once, park, was_woken,
};
use winddown_embedded::{Slot, image, say, stack};

#[global_allocator]
static HEAP: Heap = Heap;

static FINALISED: AtomicU32 = AtomicU32::new(0);

image!(nested, measuring);

fn nested() {
    heap::start();
    stack::paint();
    for &(name, may_free, operation) in OPERATIONS {
        let [rounds, nested] = sweep_twice(may_free, |now| round(now, operation));
        say!("ok {name}: {rounds} rounds, {nested} with an interrupt in an interrupt");
    }
    assert_eq!(heap::in_use(), 0);
    say!("ok heap: nothing left; stack {} bytes at most", stack::high_water());
}

/// What all three share. Two pieces of work are in flight, and two tasks: one for each interrupt.
struct Scene {
    group: WaitGroup,
    stop: Signal,
    root: Canceller,
    middle: CancelScope,
    token: CancelToken,
    tasks: TaskGroup,
    guards: [Slot<TaskGuard>; 2],
}

impl Scene {
    fn new() -> Self {
        let root = CancelScope::new().detach();
        let middle = root.token().child();
        let token = middle.token().child().detach().token().clone();
        let finaliser =
            || critical_section::with(|_| FINALISED.store(FINALISED.load(Relaxed) + 1, Relaxed));
        let tasks = TaskGroup::builder().finally(finaliser).build();
        let guards = [0, 1].map(|_| Slot::new(tasks.guard().ok()));
        let group = WaitGroup::new();
        group.add(2).unwrap();
        Self { group, stop: Signal::new(), root, middle, token, tasks, guards }
    }

    /// The interrupt that may be interrupted.
    fn end(&self) {
        drop(self.group.guard());
        self.group.done().unwrap();
        self.stop.close();
        self.middle.cancel();
        self.tasks.close();
        drop(self.guards[0].take());
        assert!(self.stop.is_closed() && self.token.is_cancelled() && self.tasks.is_closed());
    }

    /// The interrupt that may interrupt that one.
    fn end_too(&self) {
        drop(self.guards[1].take());
        let _ = self.tasks.cancel_with(Reason::Failed);
        self.root.cancel();
        assert!(self.token.reason().is_some() && self.tasks.token().is_cancelled());
        self.stop.close();
        drop(self.group.guard());
        self.group.done().unwrap();
    }

    fn crowd(&self) -> Vec<Wait<'_>> {
        let all = |_| {
            let token = self.token.clone();
            let (door, stop) = (self.tasks.closed(), self.tasks.token().clone().cancelled_owned());
            [park(self.group.wait()), park(self.stop.closed()), park(token.cancelled_owned())]
                .into_iter()
                .chain([park(door), park(stop), park(self.tasks.drained())])
        };
        (0..2).flat_map(all).collect()
    }
}

fn round(now: &Moment, operation: Operation) {
    let before = heap::in_use();
    strike(now, operation);
    assert_eq!(heap::in_use(), before);
    assert_eq!(FINALISED.load(Relaxed), 1);
}

fn strike(now: &Moment, operation: Operation) {
    forget_rings();
    FINALISED.store(0, Relaxed);
    let scene = Scene::new();
    let crowd = scene.crowd();
    let left = now.strike_twice(|| scene.end(), || scene.end_too(), || operation(&scene));
    was_woken(left);
    assert!(scene.group.is_idle() && scene.tasks.is_drained());
    all_were_woken(crowd);
}

type Operation = for<'a> fn(&'a Scene) -> Left<'a>;

/// With how many blocks an interrupt may free: one for a child that is drained there.
const OPERATIONS: &[(&str, usize, Operation)] = &[
    ("guard, clone, drop", 0, |scene| {
        let guard = scene.group.guard();
        drop((guard.clone(), guard));
        None
    }),
    ("wait", 0, |scene| once(scene.group.wait())),
    ("wait, drop", 0, |scene| abandon(scene.group.wait())),
    ("close", 0, |scene| {
        scene.stop.close();
        None
    }),
    ("closed", 0, |scene| once(scene.stop.closed())),
    ("cancel", 0, |scene| {
        scene.middle.cancel();
        None
    }),
    ("cancelled", 0, |scene| once(scene.token.cancelled())),
    ("cancelled, drop, again", 0, |scene| {
        abandon(scene.token.cancelled());
        once(scene.token.cancelled())
    }),
    ("child", 0, |scene| once(scene.token.child().token().clone().cancelled_owned())),
    ("guard of a task", 0, |scene| {
        drop(scene.tasks.guard().map(|guard| (guard.clone(), guard)));
        None
    }),
    ("close of tasks", 0, |scene| {
        scene.tasks.close();
        None
    }),
    ("cancel of tasks", 0, |scene| {
        scene.tasks.cancel();
        None
    }),
    ("join", 0, |scene| once(scene.tasks.join())),
    ("shutdown", 0, |scene| once(scene.tasks.shutdown(pending::<()>()))),
    ("child of tasks", 1, |scene| {
        let Ok(child) = scene.tasks.child() else { return None };
        drop(child.guard());
        once(child.drained_owned())
    }),
];
