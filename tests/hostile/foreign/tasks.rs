//! Futures and streams of users.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::{Tally, Thing, calmly};

impl Tally {
    /// A future or stream that is ready at its poll number `ready_at`, counted from 0, and then gives a thing.
    pub(crate) fn task(&self, of: &'static str, ready_at: usize) -> Task {
        Task { thing: self.thing(of), polls: 0, ready_at, on_poll: None }
    }
}

/// See [`Tally::task`].
#[derive(Debug)]
pub(crate) struct Task {
    thing: Thing,
    polls: usize,
    ready_at: usize,
    on_poll: Option<OnPoll>,
}

/// What a task does calmly at each poll, before it asks to be polled again.
struct OnPoll(Box<dyn FnMut() + Send>);

impl fmt::Debug for OnPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnPoll")
    }
}

impl Task {
    #[cfg_attr(not(feature = "std"), allow(dead_code, reason = "a thread that blocks needs it"))]
    pub(crate) fn on_poll(mut self, act: impl FnMut() + Send + 'static) -> Self {
        self.on_poll = Some(OnPoll(Box::new(act)));
        self
    }

    fn step(&mut self, waker: &Waker) -> Poll<Thing> {
        self.thing.call("poll");
        if let Some(OnPoll(act)) = &mut self.on_poll {
            calmly(|| {
                act();
                waker.wake_by_ref();
            });
        }
        self.polls += 1;
        if self.polls <= self.ready_at {
            return Poll::Pending;
        }
        Poll::Ready(self.thing.tally.thing("an output"))
    }

    /// As a task that fails with what it gives.
    pub(crate) fn failing(mut self) -> impl Future<Output = Result<(), Thing>> + Unpin {
        core::future::poll_fn(move |cx| self.step(cx.waker()).map(Err))
    }
}

/// What becomes a [`Task`] by foreign code.
pub(crate) struct IntoTask(pub(crate) Task);

impl IntoFuture for IntoTask {
    type Output = Thing;
    type IntoFuture = Task;

    fn into_future(self) -> Task {
        self.0.thing.call("into_future");
        self.0
    }
}

impl Future for Task {
    type Output = Thing;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Thing> {
        self.step(cx.waker())
    }
}

impl Stream for Task {
    type Item = Thing;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Thing>> {
        let over = self.polls > self.ready_at;
        self.step(cx.waker()).map(|item| (!over).then_some(item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.thing.call("size_hint");
        (0, None)
    }
}
