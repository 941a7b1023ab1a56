//! What the tests share: polling by hand, and wakers that count or misbehave.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

mod fault;
mod order;
mod orphan;
mod race;
mod room;
mod stack;
mod waker;

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Arc, mpsc};
use std::task::Wake;

pub(crate) use fault::{Drops, Fault};
pub(crate) use order::{ORDERS, Order};
pub(crate) use orphan::{Orphan, abandon};
pub(crate) use race::{Act, at_once};
pub(crate) use room::{limited, queued, seated};
pub(crate) use stack::{SMALL_STACK, on_a_small_stack};
pub(crate) use waker::Foreign;

/// Has a crowd wait: the first one of a process asks the system how many cores there are, which may allocate.
pub(crate) fn know_the_cores() {
    let group = winddown::WaitGroup::new();
    let _guard = group.guard();
    let mut crowd = [(); 5].map(|()| group.wait());
    assert!(crowd.iter_mut().all(|wait| look(wait).is_pending()));
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls once, with a waker that does nothing.
pub(crate) fn look<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

/// A waker that counts how often it was woken.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A limit that never comes, and says by `polled` that it was looked at. The wait in front of it is
/// registered by then, unless it waits for room.
pub(crate) fn never_but_tell(polled: mpsc::Sender<()>) -> impl Future<Output = ()> + Send {
    core::future::poll_fn(move |_| {
        let _ = polled.send(());
        Poll::Pending
    })
}

/// Panics without a message on the terminal.
pub(crate) fn panic_quietly(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

/// The text that `f` panics with.
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it was expected to panic");
    };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a text")).to_owned(),
    }
}
