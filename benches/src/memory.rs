//! Allocations and bytes, counted and not timed.

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::alloc::System;
use std::sync::Mutex;

use futures_intrusive::sync::ManualResetEvent;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use winddown::{Canceller, Signal, TaskGroup, WaitGroup};

use crate::results::Table;
use crate::subjects::{Door, Event, TrackerAndToken, Tree, Triggered, Waits};

/// Counts while it is told to. Otherwise it costs one load of a flag, the same for all contenders.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicUsize = AtomicUsize::new(0);
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Ordering::Relaxed) {
            CALLS.fetch_add(1, Ordering::Relaxed);
            ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if ON.load(Ordering::Relaxed) {
            FREED.fetch_add(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Tells the allocator to keep the memory that it once had. Else some batches would pay for giving
/// it back to the system and for asking for it again, by the hundred nanoseconds a waiter, and
/// others, which free in another order, would not.
pub(crate) fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (option, value) in [
        (libc::M_TRIM_THRESHOLD, i32::MAX),
        (libc::M_TOP_PAD, 16 << 20),
        (libc::M_MMAP_THRESHOLD, i32::MAX),
    ] {
        // SAFETY: it takes two numbers.
        unsafe { libc::mallopt(option, value) };
    }
}

/// What happened on the heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heap {
    /// Calls of the allocator; growing a block is one too.
    pub(crate) allocations: f64,
    /// Bytes asked for and not given back, without the allocator's own.
    pub(crate) bytes: f64,
}

/// Runs `f`, while no other thread runs, and counts for each of `n`.
fn count<R>(n: usize, f: impl FnOnce() -> R) -> (R, Heap) {
    for counter in [&CALLS, &ALLOCATED, &FREED] {
        counter.store(0, Ordering::Relaxed);
    }
    ON.store(true, Ordering::Relaxed);
    let result = black_box(f());
    ON.store(false, Ordering::Relaxed);
    let each = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as f64 / n as f64;
    let heap = Heap { allocations: each(&CALLS), bytes: each(&ALLOCATED) - each(&FREED) };
    (result, heap)
}

/// How many waits a crowd has.
const CROWD: usize = 10_000;

const COUNTED: &str = "Counted by the allocator and not timed: calls, and bytes asked for and not yet \
     given back, without the allocator's own. ";

/// Two tables of the same counts.
pub(crate) struct Counts {
    bytes: Table,
    allocations: Table,
}

impl Counts {
    fn new(of: &str, what: &str) -> Self {
        let table = |noun: &str, unit: &str| Table {
            chapter: "Memory".to_owned(),
            title: format!("{noun} of {of}"),
            unit: unit.to_owned(),
            what: format!("{COUNTED}{what}"),
            ..Table::default()
        };
        Self { bytes: table("Bytes", "bytes"), allocations: table("Allocations", "calls") }
    }

    /// What stands on the heap, and what the program keeps elsewhere.
    fn whole(&mut self, contender: &str, heading: &str, inline: usize, heap: Heap) {
        self.bytes.record(contender, heading, inline as f64 + heap.bytes);
    }

    fn heap(&mut self, contender: &str, heading: &str, heap: Heap) {
        self.bytes.record(contender, heading, heap.bytes);
        self.allocations.record(contender, heading, heap.allocations);
    }
}

/// Counts everything; no other thread may run.
pub(crate) fn tables() -> Vec<Table> {
    let all = [objects(), scopes()];
    all.into_iter().flat_map(|counts| [counts.bytes, counts.allocations]).collect()
}

fn objects() -> Counts {
    let what = "Unwaited use: entering, leaving, asking and ending one while nobody waits. Waits are \
         made and polled once. A lone wait is the first of its object; in a crowd, the mean of 10,000 \
         more of that object.";
    let mut counts = Counts::new("objects and waits", what);
    event(&mut counts, |it: &Signal| {
        black_box(it.is_closed());
        it.close();
    });
    event(&mut counts, |it: &WaitGroup| {
        drop(it.guard());
        let _ = it.done();
    });
    event(&mut counts, |it: &Canceller| {
        black_box(it.token().is_cancelled());
        it.cancel();
    });
    event(&mut counts, |it: &Door| {
        drop(it.0.guard());
        it.0.close();
    });
    event(&mut counts, |it: &CancellationToken| {
        black_box(it.is_cancelled());
        it.cancel();
    });
    event(&mut counts, |it: &TaskTracker| {
        drop(it.token());
        it.close();
    });
    event(&mut counts, |it: &event_listener::Event| {
        it.notify(1);
    });
    event(&mut counts, |it: &wg::future::WaitGroup| {
        it.add(1).done();
        it.done();
    });
    event(&mut counts, Triggered::end);
    event(&mut counts, |it: &ManualResetEvent| {
        black_box(it.is_set());
        it.set();
    });
    let new = crossbeam_utils::sync::WaitGroup::new;
    group(&mut counts, "crossbeam-utils", new, |it| drop(it.clone()));
    group(&mut counts, "wg", wg::WaitGroup::new, |it| {
        it.add(1).done();
    });
    group(&mut counts, "waitgroup", waitgroup::WaitGroup::new, |it| drop(it.worker()));
    counts
}

fn event<E: Event>(counts: &mut Counts, unwaited: impl FnOnce(&E)) {
    drop(group(counts, E::NAME, || E::new(0), unwaited));

    let event = E::new(0);
    let mut waits = Waits::<E>::with_capacity(1 + CROWD);
    let ((), lone) = count(1, || waits.park(&event));
    let ((), more) = count(CROWD, || (0..CROWD).for_each(|_| waits.park(&event)));
    counts.heap(E::NAME, "heap of a lone wait", lone);
    counts.heap(E::NAME, "heap of a wait in a crowd", more);
    counts.whole(E::NAME, "a lone wait with its future", size_of::<E::Wait<'_>>(), lone);
    counts.whole(E::NAME, "a wait in a crowd with its future", size_of::<E::Wait<'_>>(), more);
}

/// What every contender has; also for groups whose waits are not futures, or take the group.
fn group<G>(
    counts: &mut Counts,
    contender: &str,
    make: impl FnOnce() -> G,
    unwaited: impl FnOnce(&G),
) -> G {
    let (group, made) = count(1, make);
    let ((), used) = count(1, || unwaited(&group));
    counts.whole(contender, "an object, inline and heap", size_of::<G>(), made);
    counts.allocations.record(contender, "an object", made.allocations);
    counts.heap(contender, "heap by unwaited use", used);
    group
}

fn scopes() -> Counts {
    let what = "Children are the mean of a thousand below one root, a vector of children in the root \
         included. The last column has the child and its one waiter, which waits to be told to stop.";
    let mut counts = Counts::new("scopes and groups", what);
    tree::<Canceller>(&mut counts);
    tree::<TaskGroup>(&mut counts);
    tree::<CancellationToken>(&mut counts);
    tree::<TrackerAndToken>(&mut counts);
    counts
}

fn tree<T: Tree>(counts: &mut Counts) {
    const CHILDREN: usize = 1000;
    let (root, made) = count(1, || T::new(0));
    let mut children = Vec::with_capacity(CHILDREN);
    let ((), child) = count(CHILDREN, || children.extend((0..CHILDREN).map(|_| root.child())));

    let mut waits = Waits::<T>::with_capacity(CHILDREN);
    let ((), wait) = count(CHILDREN, || children.iter().for_each(|child| waits.park(child)));
    let waited =
        Heap { allocations: child.allocations + wait.allocations, bytes: child.bytes + wait.bytes };
    counts.whole(T::NAME, "a handle", size_of::<T>(), Heap { allocations: 0.0, bytes: 0.0 });
    counts.heap(T::NAME, "heap of a root", made);
    counts.heap(T::NAME, "heap of an idle child", child);
    counts.heap(T::NAME, "heap of a child with one waiter", waited);
}

/// The bytes of the blocks that an idle child is. Counted once, by a thread that runs alone.
pub(crate) fn size_of_a_child<T: Tree>() -> usize {
    static SIZES: Mutex<Vec<(&str, usize)>> = Mutex::new(Vec::new());
    let mut sizes = SIZES.lock().expect("no panic inside");
    if let Some((_, size)) = sizes.iter().find(|(name, _)| *name == T::NAME) {
        return *size;
    }
    let root = T::new(0);
    let size = count(1, || root.child()).1.bytes as usize;
    sizes.push((T::NAME, size));
    size
}
