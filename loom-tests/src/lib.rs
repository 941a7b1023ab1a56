//! What the models share: how they are checked, work whose publication is checked, groups with a queue or a
//! finaliser (`groups.rs`), a line of scopes (`line.rs`), and wakers (`wakers.rs`).
//!
//! The models are in `tests/`, by type, over the real crate and the real event-listener. Each states
//! its property, the edges (by their letters in `docs/design.md`) that it leans on, and the mutants of
//! `mutants.toml` that it kills. `cargo xtask loom` runs them; without `--cfg loom` there is nothing
//! here.

#![cfg(loom)]

extern crate alloc;

mod groups;
pub mod line;
mod quarantine;
mod wakers;

use core::cell::Cell;
use core::future::Future;
use core::num::NonZeroUsize;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

pub use groups::{
    Arrival, Finale, assert_full_or_free, assert_refusal_sees_the_close, leave_a_mark, limited,
    make_queue, queued,
};
use quarantine::Quarantine;
pub use wakers::{Wakes, waker_of};

/// Checks `model` with at most three preemptions, which finds what two or three threads do to each
/// other. `LOOM_MAX_PREEMPTIONS` overrides the bound.
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    check_within(3, model);
}

/// [`check`] with another bound, for models of more threads.
pub fn check_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = builder.max_branches.max(4_000);
    let _quarantine = Quarantine::begin();
    builder.check(model);
}

/// Runs `setup` in one interleaving only, where its interleavings with the other threads do not matter. Not in
/// two threads at once.
pub fn unexplored<R>(setup: impl FnOnce() -> R) -> R {
    std::thread_local! {
        // loom runs all threads of a model on one thread of the system.
        static IS_ON: Cell<bool> = const { Cell::new(false) };
    }
    if IS_ON.replace(true) {
        return setup();
    }
    loom::stop_exploring();
    let result = setup();
    loom::explore();
    IS_ON.set(false);
    result
}

/// Polls once.
pub fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Parks two waits with wakers that do nothing. The first takes the only seat of the front, and the second
/// opens a further block, whose other seat is free: the next wait takes it. With `--more-seats` both may sit in a front,
/// and the next wait opens the block.
pub fn crowd<F: Future + Unpin>(wait: impl Fn() -> F) -> [F; 2] {
    unexplored(|| [(), ()].map(|()| parked(wait(), Waker::noop())))
}

/// A wait that was polled once, in one interleaving only.
pub fn parked<F: Future + Unpin>(mut wait: F, waker: &Waker) -> F {
    let poll = unexplored(|| poll(&mut wait, waker));
    assert!(poll.is_pending(), "the wait is over already");
    wait
}

/// A number that is not zero.
pub fn nonzero(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// Makes two tests of a model that asks whether waits register alone or in a [`crowd`].
#[macro_export]
macro_rules! alone_and_in_a_crowd {
    ($model:ident) => {
        mod $model {
            #[test]
            fn alone() {
                super::$model(false);
            }

            #[test]
            fn in_a_crowd() {
                super::$model(true);
            }
        }
    };
}

/// Makes a test of a model for each scope of a [`Line`](line::Line) that may be the one that is cancelled.
#[macro_export]
macro_rules! from_each_height {
    ($model:ident) => {
        mod $model {
            #[test]
            fn root() {
                super::$model(winddown_loom_tests::line::ROOT);
            }

            #[test]
            fn middle() {
                super::$model(winddown_loom_tests::line::MIDDLE);
            }

            #[test]
            fn leaf() {
                super::$model(winddown_loom_tests::line::LEAF);
            }
        }
    };
}

/// The items with their positions.
pub fn numbered<T, const N: usize>(items: [T; N]) -> [(usize, T); N] {
    let mut position = 0..;
    items.map(|item| (position.next().unwrap(), item))
}

/// Lends `shared` to the threads of a model, without a count of references and its interleavings.
///
/// # Safety
///
/// The model joins every thread that uses it before `shared` goes.
pub unsafe fn lend<T>(shared: &T) -> &'static T {
    // SAFETY: the caller's promise.
    unsafe { &*core::ptr::from_ref(shared) }
}

/// Two threads that both take a turn are tried in both orders. A turn has no other effect: it orders no memory.
///
/// loom tries another order only where it saw two threads meet at a word, and remembers just the last
/// access: a thread's own load before its compare-and-swap hides a load of another thread from it.
#[derive(Debug)]
pub struct Turns(AtomicUsize);

impl Default for Turns {
    fn default() -> Self {
        Self(AtomicUsize::new(0))
    }
}

impl Turns {
    /// Takes the next turn, and returns how many were taken before.
    pub fn take(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// A thread that takes the next turn and then calls `act`.
    pub fn spawn<R: 'static>(
        &'static self,
        act: impl FnOnce() -> R + 'static,
    ) -> thread::JoinHandle<R> {
        thread::spawn(move || {
            self.take();
            act()
        })
    }
}

/// Memory that one thread writes, once. loom fails the model if a read is not ordered after the
/// write.
#[derive(Debug)]
pub struct Work(UnsafeCell<bool>);

// SAFETY: loom fails the model before two accesses meet, if one of them is a write.
unsafe impl Sync for Work {}

impl Default for Work {
    fn default() -> Self {
        Self(UnsafeCell::new(false))
    }
}

impl Work {
    /// Writes.
    pub fn finish(&self) {
        // SAFETY: loom checks that no other access is concurrent.
        self.0.with_mut(|done| unsafe { *done = true });
    }

    /// Reads, and asserts that [`finish`](Self::finish) came before.
    pub fn assert_finished(&self) {
        // SAFETY: loom checks that no write is concurrent.
        assert!(self.0.with(|done| unsafe { *done }), "the work is not finished");
    }
}
