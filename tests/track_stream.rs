//! Streams that are counted until they have ended.

#![cfg(not(loom))]

mod common;

use core::cell::RefCell;
use core::mem::forget;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::rc::Rc;
use std::sync::Arc;

use common::{Bell, Foreign, look, panic_of, panic_quietly, poll};
use futures_util::stream::{self, FusedStream as _, Stream, StreamExt as _};
use winddown::{CancelScope, StreamUntil as _, TaskGroup, WaitGroup};

/// What a stream does in a poll.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Wait,
    Give(u8),
    End,
    Panic,
}
use Step::{End, Give, Panic, Wait};

/// A stream that makes its steps, asserts that it is not polled after the last, and notes the count of its
/// group when it is dropped.
struct Noted<'a> {
    steps: &'a [Step],
    group: &'a WaitGroup,
    log: &'a RefCell<Vec<usize>>,
    drop_panics: bool,
}

impl Stream for Noted<'_> {
    type Item = u8;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
        let (step, rest) = self.steps.split_first().expect("not polled after its end");
        self.steps = rest;
        match step {
            Wait => Poll::Pending,
            Give(item) => Poll::Ready(Some(*item)),
            End => Poll::Ready(None),
            Panic => panic_quietly("the stream fails"),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.steps.iter().filter(|step| matches!(step, Give(_))).count(), Some(self.steps.len()))
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.log.borrow_mut().push(self.group.count());
        if self.drop_panics {
            panic_quietly("the drop fails");
        }
    }
}

/// Polls once.
fn next<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
}

/// A group, and where the counts at the drop of a stream are noted.
#[derive(Default)]
struct Stage {
    group: WaitGroup,
    log: RefCell<Vec<usize>>,
}

impl Stage {
    fn stream<'a>(&'a self, steps: &'a [Step], drop_panics: bool) -> Noted<'a> {
        Noted { steps, group: &self.group, log: &self.log, drop_panics }
    }

    /// That one stream was dropped, while its guard was held, and that the guard is gone.
    #[track_caller]
    fn assert_over(&self) {
        assert_eq!((&*self.log.borrow(), self.group.count()), (&vec![1], 0));
    }
}

/// Rule 2: the stream goes first, then the guard, then the end is told; and the end stays.
#[test]
fn a_tracked_stream_is_gone_before_it_is_counted_out() {
    let stage = Stage::default();
    let steps = [Wait, Give(7), Wait, Give(8), End];
    let mut stream = stage.group.guard().track_stream(stage.stream(&steps, false));
    assert_eq!(stream.size_hint(), (2, Some(5)));
    let given = [(); 4].map(|()| next(&mut stream));
    assert_eq!(given, [Poll::Pending, Poll::Ready(Some(7)), Poll::Pending, Poll::Ready(Some(8))]);
    assert!(!stream.is_terminated() && stage.log.borrow().is_empty());
    assert_eq!((stage.group.count(), stream.size_hint()), (1, (0, Some(1))));
    for _ in 0..3 {
        assert_eq!(next(&mut stream), Poll::Ready(None));
        assert!(stream.is_terminated());
        assert_eq!(stream.size_hint(), (0, Some(0)));
        stage.assert_over();
    }
    drop(stream);
    stage.assert_over();
}

/// Rule 2: the same order when it is dropped, polled or not.
#[test]
fn a_tracked_stream_that_is_dropped_goes_before_its_guard() {
    for polls in 0..3 {
        let stage = Stage::default();
        let steps = [Give(7), Wait];
        let mut stream = stage.group.guard().track_stream(stage.stream(&steps, false));
        for _ in 0..polls {
            let _ = next(&mut stream);
        }
        assert_eq!(stage.group.count(), 1);
        drop(stream);
        stage.assert_over();
    }
}

/// Rule 2: and when it panics, at once; after that it has ended.
#[test]
fn a_tracked_stream_that_panics_goes_before_its_guard() {
    let stage = Stage::default();
    let steps = [Give(7), Panic];
    let mut stream = stage.group.guard().track_stream(stage.stream(&steps, false));
    assert_eq!(next(&mut stream), Poll::Ready(Some(7)));
    assert_eq!(panic_of(|| next(&mut stream)), "the stream fails");
    stage.assert_over();
    assert!(stream.is_terminated());
    assert_eq!(next(&mut stream), Poll::Ready(None));
    drop(stream);
    stage.assert_over();
}

/// Rule 2: a panic in the drop of the stream does not keep the guard.
#[test]
fn a_tracked_stream_whose_drop_panics_counts_out() {
    for polled in [false, true] {
        let stage = Stage::default();
        let mut stream = stage.group.guard().track_stream(stage.stream(&[End], true));
        if polled {
            assert_eq!(panic_of(|| next(&mut stream)), "the drop fails");
            assert_eq!(next(&mut stream), Poll::Ready(None));
        } else {
            assert_eq!(panic_of(|| drop(stream)), "the drop fails");
        }
        stage.assert_over();
    }
}

/// The waker of another task panics when the end of the stream ends its wait.
#[test]
fn a_stream_has_ended_though_a_waker_panics() {
    let group = WaitGroup::new();
    let waker = Foreign::new().on_wake(|| panic_quietly("a waker")).share();
    let mut stream = group.guard().track_stream(stream::empty::<u8>());
    let mut wait = group.wait();
    assert!(poll(&mut wait, &waker.waker()).is_pending());
    assert_eq!(panic_of(|| next(&mut stream)), "a waker");
    assert!(group.is_idle() && stream.is_terminated());
    assert_eq!(next(&mut stream), Poll::Ready(None));
    assert!(look(&mut wait).is_ready());
}

/// A body that is sent while the group shuts down is waited for, and ends by the token.
#[test]
fn a_group_waits_for_its_streams() {
    let group = TaskGroup::new();
    let bell = Bell::new();
    let stops = group.token().clone();
    let mut body = group.guard().unwrap().track_stream(stream::repeat(7).until(stops));
    let mut other = group.guard().unwrap().track_stream(stream::pending::<u8>());
    let mut join = group.join();
    assert!(poll(&mut join, &bell.waker()).is_pending());
    assert_eq!(next(&mut body), Poll::Ready(Some(7)));
    assert_eq!((next(&mut other), group.len()), (Poll::Pending, 2));
    group.cancel();
    assert_eq!((next(&mut body), group.len(), bell.rings()), (Poll::Ready(None), 1, 0));
    drop(other);
    assert_eq!((bell.rings(), look(&mut join)), (1, Poll::Ready(())));
}

#[cfg(feature = "std")]
#[test]
fn a_stream_that_panics_is_a_task_that_panicked() {
    let group = TaskGroup::new();
    let fails = stream::poll_fn(|_| -> Poll<Option<u8>> { panic_quietly("the stream fails") });
    let mut stream = group.guard().unwrap().cancel_on_panic().track_stream(fails);
    assert_eq!(panic_of(|| next(&mut stream)), "the stream fails");
    assert_eq!((group.len(), group.panics(), group.is_drained()), (0, 1, true));
    assert!(group.token().is_cancelled());
}

/// It follows its stream: neither has to be sent, and a stream that may not be moved stays where it is.
#[test]
fn a_tracked_stream_may_borrow_and_stay_on_its_thread() {
    let group = Rc::new(WaitGroup::new());
    let text = String::from("ab");
    let chars = stream::unfold(text.chars(), async |mut chars| Some((chars.next()?, chars)));
    let stream = WaitGroup::guard_in(Rc::clone(&group)).track_stream(chars);
    let stream = pin!(stream);
    assert!(format!("{stream:?}").contains("over: false"));
    assert_eq!(pollster::block_on(stream.collect::<String>()), "ab");
    assert!(group.is_idle());
}

/// A forgotten stream keeps its count, as a forgotten guard does.
#[test]
fn a_tracked_stream_may_be_forgotten() {
    let group = Arc::new(WaitGroup::new());
    forget(WaitGroup::guard_in(Arc::clone(&group)).track_stream(stream::pending::<u8>()));
    assert_eq!((group.count(), Arc::strong_count(&group)), (1, 2));
    group.done().unwrap();
    assert!(group.is_idle());
}

/// Where the limit stands outside, the stream stays until it is dropped, and so does its count.
#[test]
fn a_limit_around_a_tracked_stream_does_not_end_its_count() {
    let (group, scope) = (TaskGroup::new(), CancelScope::new());
    let endless = group.guard().unwrap().track_stream(stream::repeat(1));
    let mut limited = endless.until(scope.token());
    assert_eq!(next(&mut limited), Poll::Ready(Some(1)));
    scope.cancel();
    assert_eq!((next(&mut limited), group.len()), (Poll::Ready(None), 1));
    drop(limited);
    assert!(group.is_empty());
}
