//! A heap that is full when a wait registers: the allocation panics, and that is all that happens. It
//! does so outside of every critical section, and those who wait already are still woken.
//!
//! Each allocation of each operation fails once, and the program goes on after the panic; at the end the
//! heap is filled by waits.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::RefCell;
use core::future::Future;
use core::num::NonZeroUsize;
use core::pin::{Pin, pin};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

use critical_section::Mutex;
use winddown::{CancelScope, Signal, TaskGroup, TaskGuard, WaitGroup};
use winddown_embedded::bell::Bell;
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::waits::{Wait, all_were_woken, forget_rings, park};
use winddown_embedded::{Slot, image, interrupt, say, section, start_over};

#[global_allocator]
static HEAP: Failing = Failing;

static STOP: Signal = Signal::new();
static BELL: Bell = Bell::new();
static WAITING: AtomicU32 = AtomicU32::new(0);
static FILLING: AtomicBool = AtomicBool::new(false);

image!(full, measuring);

fn full() {
    heap::start();
    each_allocation();
}

/// Gives nothing at one request, and can free all that was taken before that.
struct Failing;

/// How many requests are still to come to the one that gets nothing; none if 0.
static FUSE: AtomicUsize = AtomicUsize::new(0);

type Block = (AtomicPtr<u8>, Layout);

/// More than a scene has.
const BLOCKS: usize = 96;

/// What was taken and not freed.
static TAKEN: Mutex<RefCell<[Block; BLOCKS]>> = Mutex::new(RefCell::new(
    [const { (AtomicPtr::new(ptr::null_mut()), Layout::new::<()>()) }; BLOCKS],
));

/// Makes one entry of the table, that for `old`, one for `new`. False if there is none.
fn replace(old: *mut u8, new: Block) -> bool {
    critical_section::with(|cs| {
        let mut taken = TAKEN.borrow_ref_mut(cs);
        let entry = taken.iter_mut().find(|(block, _)| block.load(Relaxed) == old);
        entry.map(|entry| *entry = new).is_some()
    })
}

fn free_what_was_taken() -> usize {
    let null = || (AtomicPtr::new(ptr::null_mut()), Layout::new::<()>());
    let taken = critical_section::with(|cs| TAKEN.replace(cs, [(); BLOCKS].map(|()| null())));
    let left = taken.iter().filter(|(block, _)| !block.load(Relaxed).is_null());
    left.map(|(block, layout)| {
        // SAFETY: it was taken with this layout and not freed; who had it does not go on.
        unsafe { Heap.dealloc(block.load(Relaxed), *layout) };
    })
    .count()
}

// SAFETY: the heap's.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let fuse = FUSE.load(Relaxed);
        FUSE.store(fuse.saturating_sub(1), Relaxed);
        if fuse == 1 {
            return ptr::null_mut();
        }
        // SAFETY: the caller's.
        let block = unsafe { Heap.alloc(layout) };
        assert!(replace(ptr::null_mut(), (AtomicPtr::new(block), layout)) || FILLING.load(Relaxed));
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        replace(block, (AtomicPtr::new(ptr::null_mut()), layout));
        // SAFETY: the caller's.
        unsafe { Heap.dealloc(block, layout) };
    }
}

struct Scene {
    group: WaitGroup,
    stop: Signal,
    /// Nobody has waited for it.
    fresh: Signal,
    root: CancelScope,
    middle: CancelScope,
    tasks: TaskGroup,
    inside: TaskGuard,
}

/// Who waits when the heap is full, and for what.
struct Waiting {
    crowd: Vec<Wait<'static>>,
    scene: &'static Scene,
}

// SAFETY: there is one thread.
unsafe impl Send for Waiting {}

impl Waiting {
    fn new() -> Self {
        forget_rings();
        let (group, root) = (WaitGroup::new(), CancelScope::new());
        group.add(1).unwrap();
        let middle = root.token().child();
        let tasks = TaskGroup::builder().limit(NonZeroUsize::new(2).unwrap()).build();
        let inside = tasks.guard().unwrap();
        let (stop, fresh) = (Signal::new(), Signal::new());
        let scene = Scene { group, stop, fresh, root, middle, tasks, inside };
        let scene: &Scene = Box::leak(Box::new(scene));
        // As many as find a seat without a block of their own.
        let few = (0..4).flat_map(|_| [park(scene.group.wait()), park(scene.stop.closed())]);
        let crowd = [
            park(scene.root.token().cancelled()),
            park(scene.middle.token().clone().cancelled_owned()),
            park(scene.tasks.closed()),
            park(scene.inside.token().clone().cancelled_owned()),
        ];
        Self { crowd: few.chain(crowd).collect(), scene }
    }

    /// Ends everything, and frees it.
    fn end(self) {
        let Self { crowd, scene } = self;
        scene.group.done().unwrap();
        assert!(scene.stop.close() && scene.fresh.close() && scene.root.cancel());
        assert!(scene.tasks.cancel() && scene.middle.token().is_cancelled());
        all_were_woken(crowd);
        // SAFETY: from `Box::leak`; the crowd is gone, and the operation does not go on.
        drop(unsafe { Box::from_raw((&raw const *scene).cast_mut()) });
    }
}

static NOW: Slot<Waiting> = Slot::new(None);
/// The operation, and which of its allocations fails.
static OPERATION: AtomicUsize = AtomicUsize::new(0);
static NTH: AtomicUsize = AtomicUsize::new(1);

fn each_allocation() -> ! {
    while let Some((name, operation)) = OPERATIONS.get(OPERATION.load(Relaxed)) {
        let waiting = Waiting::new();
        let scene = waiting.scene;
        NOW.set(Some(waiting));
        interrupt::on_panic(survive);
        FUSE.store(NTH.load(Relaxed), Relaxed);
        operation(scene);
        // This time it had all that it wanted.
        FUSE.store(0, Relaxed);
        NOW.take().unwrap().end();
        assert_eq!(free_what_was_taken(), 0);
        let failed = NTH.load(Relaxed) - 1;
        assert!(failed > 0, "it allocates nothing");
        say!("ok full, {name}: {failed} allocations failed, and all others were woken");
        NTH.store(1, Relaxed);
        OPERATION.store(OPERATION.load(Relaxed) + 1, Relaxed);
    }
    fill()
}

fn survive() {
    assert!(!section::is_inside());
    NOW.take().unwrap().end();
    free_what_was_taken();
    NTH.store(NTH.load(Relaxed) + 1, Relaxed);
    start_over(each_allocation)
}

fn poll(wait: impl Future) {
    assert!(BELL.poll(pin!(wait)).is_pending());
}

type Operation = fn(&'static Scene);

const OPERATIONS: &[(&str, Operation)] = &[
    ("first wait", |scene| poll(scene.fresh.closed())),
    ("wait", |scene| poll(scene.group.wait())),
    ("closed", |scene| poll(scene.stop.closed())),
    ("cancelled", |scene| poll(scene.middle.token().cancelled())),
    ("child", |scene| poll(scene.middle.token().child().token().clone().cancelled_owned())),
    ("callback", |scene| drop(scene.middle.token().on_cancel(|| ()))),
    ("value", |scene| drop(scene.middle.token().with_value(7))),
    ("text", |scene| {
        let scope = scene.middle.token().child();
        assert!(scope.cancel_with("enough").is_ok());
    }),
    ("group", |_| drop(TaskGroup::new())),
    ("group below a token", |scene| {
        poll(TaskGroup::builder().parent(scene.middle.token()).build().drained());
    }),
    ("child of a group", |scene| poll(scene.tasks.child().unwrap().closed())),
    ("closed, of tasks", |scene| poll(scene.tasks.closed())),
    ("drained", |scene| poll(scene.tasks.drained())),
    ("room", |scene| {
        let _second = scene.tasks.guard().unwrap();
        poll(scene.tasks.guard_when_room());
    }),
];

/// Waits until there is no memory.
fn fill() -> ! {
    interrupt::on_panic(last_words);
    FILLING.store(true, Relaxed);
    // Room for the futures of more waiters than the heap can register.
    let most = heap::free() / 64;
    let mut waits: Vec<_> = (0..most).map(|_| STOP.closed()).collect();
    BELL.take();
    for wait in &mut waits {
        assert!(BELL.poll(Pin::new(wait)).is_pending());
        WAITING.store(WAITING.load(Relaxed) + 1, Relaxed);
    }
    panic!("the heap is never full")
}

fn last_words() {
    assert!(!section::is_inside());
    assert!(STOP.close());
    assert_eq!(BELL.rings(), WAITING.load(Relaxed));
    say!("ok full: all {} who waited before were woken", BELL.rings());
}
