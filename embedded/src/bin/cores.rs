//! Two cores that share statics and what is behind an `Arc`. They really run at once: each is a thread of QEMU's.
//!
//! The critical section of two cores is a lock, which a core may take again while it has it. There are no interrupts.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;
use core::arch::{asm, global_asm};
use core::future::Future;
use core::hint::spin_loop;
use core::panic::PanicInfo;
use core::pin::pin;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::task::Poll;

use winddown::{CancelScope, CancelToken, Signal, Stopped, TaskGroup, WaitGroup};
use winddown_embedded::bell::Bell;
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::{Slot, board, fail, say};

#[global_allocator]
static HEAP: Heap = Heap;

// Core 0 makes the memory ready. Core 1 waits until the flag is set, which is 0 when the machine starts.
global_asm!(
    ".section .init.mp_hook, \"ax\"",
    ".global _mp_hook",
    "_mp_hook:",
    "beqz a0, 2f",
    "la t0, {is_ready}",
    "1: lw t1, 0(t0)",
    "beqz t1, 1b",
    "fence",
    "li a0, 0",
    "ret",
    "2: li a0, 1",
    "ret",
    is_ready = sym IS_READY,
);

static IS_READY: AtomicU32 = AtomicU32::new(0);

/// The critical section: a lock.
struct OneAtATime;
critical_section::set_impl!(OneAtATime);

const NOBODY: usize = 2;
static INSIDE: AtomicUsize = AtomicUsize::new(NOBODY);

// SAFETY: without interrupts, a core that has put its number in is alone until it takes it out.
unsafe impl critical_section::Impl for OneAtATime {
    unsafe fn acquire() -> bool {
        let me = core_number();
        if INSIDE.load(Ordering::Relaxed) == me {
            return false;
        }
        let enter = || {
            INSIDE.compare_exchange_weak(NOBODY, me, Ordering::Acquire, Ordering::Relaxed).is_err()
        };
        while enter() {
            spin_loop();
        }
        true
    }

    unsafe fn release(is_outermost: bool) {
        if is_outermost {
            INSIDE.store(NOBODY, Ordering::Release);
        }
    }
}

fn core_number() -> usize {
    let number;
    // SAFETY: reads a register.
    unsafe { asm!("csrr {}, mhartid", out(reg) number, options(nomem, nostack)) };
    number
}

#[board::runtime::entry]
fn main(core: usize) -> ! {
    if core == 0 {
        heap::start();
        IS_READY.store(1, Ordering::Release);
    }
    count(core);
    // What the waits of a static use stays for its next ones.
    let kept = heap::in_use();
    close(core);
    cancel(core);
    drain(core);
    if core == 1 {
        loop {
            board::sleep();
        }
    }
    assert_eq!(heap::in_use(), kept);
    say!("ok heap: {kept} bytes, which the static keeps");
    board::exit(true)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(info)
}

const ROUNDS: u32 = 1_000;

/// Each core has its own.
static BELLS: [Bell; 2] = [const { Bell::new() }; 2];

/// Both cores are here.
fn meet() {
    static CAME: AtomicU32 = AtomicU32::new(0);
    let both = (CAME.fetch_add(1, Ordering::AcqRel) + 1).next_multiple_of(2);
    while CAME.load(Ordering::Acquire) < both {
        spin_loop();
    }
}

/// Polls whenever the bell has rung.
fn wait_for<F: Future>(core: usize, future: F) -> F::Output {
    let mut future = pin!(future);
    BELLS[core].take();
    loop {
        if let Poll::Ready(output) = BELLS[core].poll(future.as_mut()) {
            return output;
        }
        while !BELLS[core].take() {
            spin_loop();
        }
    }
}

/// Core 0 makes something, and both have it.
fn shared<T: Send + Sync>(core: usize, slot: &Slot<Arc<T>>, make: impl FnOnce() -> T) -> Arc<T> {
    if core == 1 {
        meet();
        return slot.take().unwrap();
    }
    let it = Arc::new(make());
    slot.set(Some(Arc::clone(&it)));
    meet();
    it
}

/// Rules 2, 3: what one core does before it leaves, the other sees when its wait is over.
fn count(core: usize) {
    static GROUP: WaitGroup = WaitGroup::new();
    static DONE: AtomicU32 = AtomicU32::new(0);
    for round in 0..ROUNDS {
        let guard = (core == 1 || round % 2 == 0).then(|| GROUP.guard());
        meet();
        if core == 1 {
            DONE.store(round + 1, Ordering::Relaxed);
        }
        drop(guard);
        (0..3).for_each(|_| drop(GROUP.guard()));
        if core == 0 {
            wait_for(core, GROUP.wait());
            assert_eq!(DONE.load(Ordering::Relaxed), round + 1);
        }
        meet();
    }
    if core == 0 {
        assert!(GROUP.is_idle());
        say!("ok count: {ROUNDS} rounds");
    }
    meet();
}

/// Rules 4, 5, 6: of two closers one wins, and both waits see its value.
fn close(core: usize) {
    static SLOT: Slot<Arc<Signal<u32>>> = Slot::new(None);
    static WON: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    for round in 0..ROUNDS {
        let signal = shared(core, &SLOT, Signal::typed);
        let mine = 2 * round + core as u32;
        // In turns: both close, or one does while the other waits.
        let won = (round % 3 == 2 || round % 3 == core as u32)
            && signal.close_with(mine).is_ok_and(|()| true);
        let value = *wait_for(core, signal.value());
        assert_eq!(value == mine, won);
        WON[core].fetch_add(u32::from(won), Ordering::Relaxed);
        meet();
    }
    if core == 0 {
        let won = WON.each_ref().map(|it| it.load(Ordering::Relaxed));
        assert_eq!(won[0] + won[1], ROUNDS);
        say!("ok close: {ROUNDS} rounds, {} of them won by core 0", won[0]);
    }
    meet();
}

/// Rules 8, 10: a child is cancelled with its parent, whichever core made it and when, and its callback runs once.
fn cancel(core: usize) {
    static SLOT: Slot<Arc<(CancelScope, AtomicU32)>> = Slot::new(None);
    for round in 0..ROUNDS {
        let scope = shared(core, &SLOT, || (CancelScope::new(), AtomicU32::new(0)));
        if core == 1 {
            let child = scope.0.token().child();
            let calls = Arc::clone(&scope);
            child.token().on_cancel(move || _ = calls.1.fetch_add(1, Ordering::Relaxed)).detach();
            wait_for(core, CancelToken::any([child.token(), scope.0.token()]));
            wait_for(core, child.token().cancelled());
        } else {
            (0..round % 50).for_each(|_| spin_loop());
            assert!(scope.0.cancel());
        }
        meet();
        assert_eq!(scope.1.load(Ordering::Relaxed), 1);
        meet();
    }
    if core == 0 {
        say!("ok cancel: {ROUNDS} rounds");
    }
    meet();
}

/// Rules 15, 16: who is inside when the group closes is waited for, and who comes later is refused.
fn drain(core: usize) {
    static SLOT: Slot<Arc<(TaskGroup, AtomicU32)>> = Slot::new(None);
    let mut entered = 0;
    for round in 0..ROUNDS {
        let shared = shared(core, &SLOT, || (TaskGroup::new(), AtomicU32::new(0)));
        let (group, ended) = &*shared;
        if core == 1 {
            while let Ok(guard) = group.guard() {
                ended.fetch_add(1, Ordering::Relaxed);
                drop(guard);
                entered += 1;
            }
            wait_for(core, group.drained());
        } else {
            (0..round % 50).for_each(|_| spin_loop());
            let stopped = wait_for(core, group.shutdown(core::future::pending::<()>()));
            let before = ended.load(Ordering::Relaxed);
            assert!(stopped == Stopped::Gracefully && group.is_drained() && group.is_empty());
            meet();
            assert_eq!(ended.load(Ordering::Relaxed), before, "a task ended behind the drain");
        }
        if core == 1 {
            meet();
        }
        meet();
    }
    if core == 1 {
        say!("ok drain: {ROUNDS} rounds, {entered} tasks");
    }
    meet();
}
