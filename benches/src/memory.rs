//! Allocations and bytes, counted and not timed.

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::alloc::System;
use std::sync::OnceLock;

use futures_intrusive::sync::ManualResetEvent;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use winddown::{Canceller, Signal, WaitGroup};

use crate::subjects::{Event, Token, Tree as _, Triggered, Waits};

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

/// What one contender takes.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) contender: &'static str,
    pub(crate) inline: usize,
    pub(crate) made: Heap,
    /// All that can be done with it while nobody waits.
    pub(crate) unwaited: Heap,
    pub(crate) waits: Option<TakenByWaits>,
}

#[derive(Clone, Debug)]
pub(crate) struct TakenByWaits {
    pub(crate) inline: usize,
    pub(crate) first: Heap,
    pub(crate) further: Heap,
}

pub(crate) fn all() -> Vec<Taken> {
    vec![
        event(|it: &Signal| {
            black_box(it.is_closed());
            it.close();
        }),
        event(|it: &WaitGroup| {
            drop(it.guard());
            let _ = it.done();
        }),
        event(|it: &CancellationToken| {
            black_box(it.is_cancelled());
            it.cancel();
        }),
        event(|it: &TaskTracker| {
            drop(it.token());
            it.close();
        }),
        event(|it: &event_listener::Event| {
            it.notify(1);
        }),
        event(|it: &wg::future::WaitGroup| {
            it.add(1).done();
            it.done();
        }),
        event(Triggered::end),
        event(|it: &ManualResetEvent| {
            black_box(it.is_set());
            it.set();
        }),
        group("crossbeam-utils", crossbeam_utils::sync::WaitGroup::new, |it| drop(it.clone())),
        group("wg", wg::WaitGroup::new, |it| {
            it.add(1).done();
        }),
        group("waitgroup", waitgroup::WaitGroup::new, |it| drop(it.worker())),
    ]
}

fn event<E: Event>(unwaited: impl FnOnce(&E)) -> Taken {
    const FURTHER: usize = 1000;
    let (other, made) = count(1, || E::new(0));
    let ((), unwaited) = count(1, || unwaited(&other));

    let event = E::new(0);
    let mut waits = Waits::<E>::with_capacity(1 + FURTHER);
    let ((), first) = count(1, || waits.park(&event));
    let ((), further) = count(FURTHER, || (0..FURTHER).for_each(|_| waits.park(&event)));
    let inline = size_of::<E::Wait<'_>>();
    let waits = Some(TakenByWaits { inline, first, further });
    Taken { contender: E::NAME, inline: size_of::<E>(), made, unwaited, waits }
}

/// Groups whose waits are not futures, or take the group.
fn group<G>(contender: &'static str, make: impl FnOnce() -> G, unwaited: impl FnOnce(&G)) -> Taken {
    let (group, made) = count(1, make);
    let ((), unwaited) = count(1, || unwaited(&group));
    Taken { contender, inline: size_of::<G>(), made, unwaited, waits: None }
}

/// What one contender takes for the scopes of a tree.
#[derive(Clone, Debug)]
pub(crate) struct TakenByTree {
    pub(crate) contender: &'static str,
    /// One handle.
    pub(crate) inline: usize,
    pub(crate) root: Heap,
    pub(crate) child: Heap,
    /// A child and its one waiter.
    pub(crate) waited: Heap,
}

pub(crate) fn trees() -> Vec<TakenByTree> {
    vec![tree::<Canceller>(), tree::<CancellationToken>()]
}

fn tree<T: Token>() -> TakenByTree {
    const CHILDREN: usize = 1000;
    let (root, made) = count(1, || T::new(0));
    let mut children = Vec::with_capacity(CHILDREN);
    let ((), child) = count(CHILDREN, || children.extend((0..CHILDREN).map(|_| root.child())));

    let mut waits = Waits::<T>::with_capacity(CHILDREN);
    let ((), wait) = count(CHILDREN, || children.iter().for_each(|child| waits.park(child)));
    let waited =
        Heap { allocations: child.allocations + wait.allocations, bytes: child.bytes + wait.bytes };
    TakenByTree { contender: T::NAME, inline: size_of::<T>(), root: made, child, waited }
}

/// The bytes of the block that an idle child of ours is. Counted once, by a thread that runs alone.
pub(crate) fn size_of_a_child() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let root = Canceller::new(0);
        count(1, || root.child()).1.bytes as usize
    })
}
