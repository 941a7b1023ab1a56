//! A limit around a future, or a stream, of somebody else.

use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::{FusedFuture, FusedStream, Stream};
use pin_project_lite::pin_project;

pin_project! {
    /// A future with a limit: the future of [`FutureUntil::until`] and of
    /// [`CancelToken::run_until_cancelled`](crate::CancelToken::run_until_cancelled).
    ///
    /// Its output is `Ok` with what the work gave, or `Err` with what the limit gave. The limit is polled
    /// first, so work that is always ready stops too, and a limit that is over already keeps the work from
    /// being polled at all. [`work_first`](Self::work_first) turns that around.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Pending, Ready, pending, ready};
    /// use winddown::{FutureUntil as _, future::Until};
    ///
    /// let late: Until<Pending<u8>, Ready<&str>> = pending().until(ready("too late"));
    /// assert_eq!(pollster::block_on(late), Err("too late"));
    /// ```
    ///
    /// # Panics
    ///
    /// When polled again after it was ready.
    ///
    /// # Cancel safety
    ///
    /// That of the work, and of the limit.
    #[derive(Debug)]
    #[must_use = "does nothing unless awaited or polled"]
    pub struct Until<F, L> {
        #[pin]
        work: F,
        #[pin]
        limit: L,
        work_first: bool,
        done: bool,
    }
}

impl<F, L> Until<F, L> {
    pub(crate) fn new(work: F, limit: L) -> Self {
        Self { work, limit, work_first: false, done: false }
    }

    /// Polls the work first, so that work that is ready together with the limit wins.
    ///
    /// Work that is always ready then never stops, and a wait for a place in a group may give one although the
    /// limit has come.
    ///
    /// It is for an idle read whose request may be in the buffer already: `read(..).until(closing).work_first()`
    /// takes a request that the read finds, and answers it, where the other order leaves it unread. A client whose
    /// next request is found each time is then served until the cancel: ask `guard.is_closed()` after each answer.
    ///
    /// What the work does not find in that one poll is not there: bytes that the kernel has and of which the runtime has
    /// not heard yet; and on tokio everything of its own, once the task has done some 128 operations in one poll (its
    /// budget). For a read, or for a channel that is to be emptied, `tokio::task::unconstrained(work)` lifts that.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::ready;
    /// use winddown::FutureUntil as _;
    ///
    /// let tie = ready("work").until(ready("limit"));
    /// assert_eq!(pollster::block_on(tie), Err("limit"));
    /// let tie = ready("work").until(ready("limit")).work_first();
    /// assert_eq!(pollster::block_on(tie), Ok("work"));
    /// ```
    pub fn work_first(self) -> Self {
        Self { work_first: true, ..self }
    }
}

impl<F: Future, L: Future> Future for Until<F, L> {
    type Output = Result<F::Output, L::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        assert!(!*this.done, "a future with a limit was polled again after it was ready");
        let (work, limit) = (this.work, this.limit);
        let output = if *this.work_first {
            match work.poll(cx) {
                Poll::Ready(output) => Ok(output),
                Poll::Pending => Err(ready!(limit.poll(cx))),
            }
        } else {
            match limit.poll(cx) {
                Poll::Ready(output) => Err(output),
                Poll::Pending => Ok(ready!(work.poll(cx))),
            }
        };
        *this.done = true;
        Poll::Ready(output)
    }
}

impl<F: Future, L: Future> FusedFuture for Until<F, L> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

/// Gives every future a limit, and whatever becomes one by `.await` ([`IntoFuture`]), such as a server of a web
/// framework. `use winddown::FutureUntil as _;`
///
/// The waits of this crate have an `until` of their own, which needs no import and is preferred. It looks at
/// the wait first (a wait for a place in a group: at the limit first), and its error is
/// [`Unfinished`](crate::Unfinished), with what is left. A token is no wait, so its `until` is this one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use winddown::FutureUntil as _;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let limit = tokio::time::sleep(Duration::from_millis(1));
/// assert!(std::future::pending::<()>().until(limit).await.is_err());
/// # });
/// ```
///
/// # Compared with
///
/// * `tokio::time::timeout`: takes a time of tokio's clock; here the limit is any future, a token among them.
/// * tokio-util's `FutureExt::with_cancellation_token`: the same for its token, with an `Option` for an answer.
/// * `futures::future::select`: gives back what was not ready; here it is dropped with the [`Until`].
pub trait FutureUntil: IntoFuture + Sized {
    /// Runs the future until `limit` resolves: a token, a signal's wait, any timer. The limit is looked at
    /// first in each poll, so work that is always ready stops too.
    ///
    /// For an idle read whose request may be in the buffer already, prefer the work:
    /// [`work_first`](Until::work_first).
    ///
    /// What is not a future yet is made one here, before the limit is looked at.
    ///
    /// # Errors
    ///
    /// The output is `Err` with what the limit gave, if the limit came first; the work is dropped with the
    /// [`Until`].
    ///
    /// # Cancel safety
    ///
    /// That of the work, and of the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollster::block_on(async {
    /// use winddown::{CancelScope, FutureUntil as _};
    ///
    /// let scope = CancelScope::new();
    /// assert_eq!(async { 7 }.until(scope.token()).await.unwrap(), 7);
    /// scope.cancel();
    /// assert!(async { 7 }.until(scope.token()).await.is_err());
    /// assert!(async { 7 }.until(scope.token()).work_first().await.is_ok());
    /// # });
    /// ```
    ///
    /// A server that is started by `.await`:
    ///
    /// ```
    /// # pollster::block_on(async {
    /// use std::future::{IntoFuture, Pending, pending};
    /// use winddown::{CancelScope, FutureUntil as _};
    ///
    /// struct Serve { port: u16 }
    ///
    /// impl IntoFuture for Serve {
    ///     type Output = std::io::Result<()>;
    ///     type IntoFuture = Pending<std::io::Result<()>>;
    ///
    ///     fn into_future(self) -> Self::IntoFuture {
    ///         // ... listens on `self.port` ...
    ///         # let _ = self.port;
    ///         pending()
    ///     }
    /// }
    ///
    /// let scope = CancelScope::new();
    /// scope.cancel();
    /// assert!(Serve { port: 80 }.until(scope.token()).await.is_err());
    /// # });
    /// ```
    fn until<L: IntoFuture>(self, limit: L) -> Until<Self::IntoFuture, L::IntoFuture> {
        Until::new(self.into_future(), limit.into_future())
    }
}

impl<F: IntoFuture> FutureUntil for F {}

pin_project! {
    /// A stream with a limit: the stream of [`StreamUntil::until`]. It ends when the limit does; the limit is
    /// looked at before each item.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::stream::{self, Repeat, StreamExt as _};
    /// use std::future::{Ready, ready};
    /// use winddown::{StreamUntil as _, future::UntilStream};
    ///
    /// let mut none: UntilStream<Repeat<u8>, Ready<()>> = stream::repeat(7).until(ready(()));
    /// assert_eq!(pollster::block_on(none.next()), None);
    /// ```
    #[derive(Debug)]
    #[must_use = "does nothing unless polled"]
    pub struct UntilStream<S, L> {
        #[pin]
        stream: S,
        #[pin]
        limit: L,
        ended: bool,
    }
}

impl<S: Stream, L: Future> Stream for UntilStream<S, L> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(output) = this.limit.poll(cx) {
            // The end comes first: the drop of what the limit gave is foreign code, and may panic.
            *this.ended = true;
            drop(output);
            return Poll::Ready(None);
        }
        let item = ready!(this.stream.poll_next(cx));
        *this.ended = item.is_none();
        Poll::Ready(item)
    }
}

impl<S: Stream, L: Future> FusedStream for UntilStream<S, L> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

/// Gives every stream a limit. `use winddown::StreamUntil as _;`
///
/// # Examples
///
/// See [`until`](Self::until).
///
/// # Compared with
///
/// * `futures::StreamExt::take_until`: looks at the limit first, too; here it is whatever becomes a future by
///   `.await`, such as a token.
pub trait StreamUntil: Stream + Sized {
    /// Gives the items until `limit` resolves. A stream that is always ready stops too.
    ///
    /// # Cancel safety
    ///
    /// That of the stream, and of the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::stream::{self, StreamExt as _};
    /// use winddown::{CancelScope, StreamUntil as _};
    ///
    /// # pollster::block_on(async {
    /// let scope = CancelScope::new();
    /// let mut requests = stream::repeat("request").until(scope.token());
    /// assert_eq!(requests.next().await, Some("request"));
    /// scope.cancel();
    /// assert_eq!(requests.next().await, None);
    /// # });
    /// ```
    fn until<L: IntoFuture>(self, limit: L) -> UntilStream<Self, L::IntoFuture> {
        UntilStream { stream: self, limit: limit.into_future(), ended: false }
    }
}

impl<S: Stream> StreamUntil for S {}
