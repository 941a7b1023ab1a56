//! `CancelScope` and `Canceller`: who may cancel.

use core::fmt;
use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use crate::cancel::node::Traits;
use crate::cancel::reason::Reason;
use crate::cancel::token::{CancelToken, Cancelled, WaitReason};
use crate::park::deferred::{Deferred, and_then_run};
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::sync::run_both;

/// The owner's end of a cancellation scope: it cancels, and **dropping it cancels** everything below it.
/// [`detach`](Self::detach) gives that up.
///
/// A scope is not `Clone`. Code that only observes gets a [`CancelToken`]; code that may cancel, but does not
/// own the scope, a [`Canceller`].
///
/// # Examples
///
/// ```
/// use winddown::CancelScope;
///
/// let root = CancelScope::new();
/// let child = root.token().child();
/// let observer = child.token().clone();
/// drop(child);
/// assert!(observer.is_cancelled());
/// assert!(!root.token().is_cancelled());
/// ```
///
/// The token is lent, so that the token of a scope that is gone at once does not compile. (A clone that is
/// taken in the same statement does compile, and is cancelled.)
///
/// ```compile_fail,E0716
/// use winddown::CancelScope;
///
/// let token = CancelScope::new().token();
/// assert!(!token.is_cancelled());
/// ```
///
/// ```
/// use winddown::CancelScope;
///
/// let scope = CancelScope::new();
/// let token = scope.token();
/// assert!(!token.is_cancelled());
/// ```
///
/// # Drop
///
/// | dropped | does |
/// |---|---|
/// | `CancelScope` | cancels, with [`Reason::Dropped`] |
/// | `Canceller`, `CancelToken` | nothing |
/// | `Registration` | takes the callback back |
/// | a guard | counts out |
///
/// The last reference to a scope frees it, with its value, its reason and its callbacks.
///
/// # Panics
///
/// The drop panics as [`cancel`](Self::cancel), and not while the thread is unwinding.
///
/// # Size
///
/// A handle is five words at most. A scope is one allocation, of about 160 bytes on 64-bit targets, and is in
/// no list before something waits on it.
///
/// # Availability
///
/// Also of a [`Canceller`]:
///
/// | call ([key](crate::docs::embedded#availability-tables)) | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|
/// | `new`, `child` | yes | no | no | no |
/// | `token`, `canceller`, `detach`, `into_scope`, clones | no | yes | no | no |
/// | `cancel` | no | yes | yes | lock |
/// | `cancel_with`, `cancel_like`: a reason without content | no | yes | yes | lock |
/// | the same: a text or an error | yes | no | yes | lock |
/// | the drop | no | if another handle lives; else it frees | yes | lock |
/// | `cancel_after` | no | yes | no | no |
/// | a poll of `cancel_after` | first wait | no | yes | lock |
///
/// With the feature `tracing` a cancel may allocate, and is not for interrupts: see
/// [`TaskGroup`](crate::TaskGroup#events-for-tracing).
///
/// # Compared with
///
/// * Go's `context.WithCancel`: `defer cancel()` may be forgotten there; here the drop does it.
/// * `tokio_util::sync::CancellationToken`: each clone cancels there; its `DropGuard` is what a scope is.
/// * `tokio_util`'s `child_token` has no owner, and its drop cancels nothing. To get that,
///   [`detach`](Self::detach).
#[must_use = "dropping it cancels"]
#[derive(Debug)]
pub struct CancelScope {
    /// None after `detach`.
    canceller: Option<Canceller>,
}

impl CancelScope {
    /// The root of a new tree.
    pub fn new() -> CancelScope {
        Self::below(None, Traits::default())
    }

    pub(crate) fn below(parent: Option<&CancelToken>, traits: Traits) -> Self {
        Self { canceller: Some(Canceller { token: CancelToken::new(parent, traits) }) }
    }

    fn inner(&self) -> &Canceller {
        self.canceller.as_ref().unwrap_or_else(|| unreachable!("`detach` takes the scope away"))
    }

    /// The observer's end: lend or clone it to what is to be told.
    pub fn token(&self) -> &CancelToken {
        self.inner().token()
    }

    /// Cancels the scope and everything below it. True if this call was the one.
    ///
    /// False says that the scope was cancelled before, by itself or from above; its callbacks may still be
    /// running on another thread.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker, callback or finaliser that it ran, after all the others ran.
    ///
    /// # Memory ordering
    ///
    /// See [`CancelToken`].
    ///
    /// # Examples
    ///
    /// ```
    /// let scope = winddown::CancelScope::new();
    /// assert!(scope.cancel());
    /// assert!(!scope.cancel(), "once");
    /// ```
    pub fn cancel(&self) -> bool {
        self.inner().cancel()
    }

    /// [`cancel`](Self::cancel) with a reason: any error, a text, or a [`Reason`].
    ///
    /// # Errors
    ///
    /// The reason, if the scope was cancelled already, by itself or from above.
    ///
    /// # Panics
    ///
    /// As [`cancel`](Self::cancel).
    ///
    /// # Examples
    ///
    /// ```
    /// let scope = winddown::CancelScope::new();
    /// scope.cancel_with("the disk is full").unwrap();
    /// assert!(scope.cancel_with("too late").is_err());
    /// assert_eq!(scope.token().reason().unwrap().to_string(), "the disk is full");
    /// ```
    pub fn cancel_with(&self, reason: impl Into<Reason>) -> Result<(), Reason> {
        self.inner().cancel_with(reason)
    }

    /// A handle that cancels when asked, and does nothing when it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let scope = winddown::CancelScope::new();
    /// let stop = scope.canceller();
    /// std::thread::spawn(move || stop.cancel()).join().unwrap();
    /// assert!(scope.token().is_cancelled());
    /// ```
    #[must_use = "a canceller does nothing until it is called"]
    pub fn canceller(&self) -> Canceller {
        self.inner().clone()
    }

    /// Gives up that dropping the scope cancels it. [`Canceller::into_scope`] is the way back.
    ///
    /// # Examples
    ///
    /// ```
    /// let canceller = winddown::CancelScope::new().detach();
    /// assert!(!canceller.token().is_cancelled());
    /// ```
    pub fn detach(mut self) -> Canceller {
        self.canceller.take().unwrap_or_else(|| unreachable!("`detach` takes the scope away"))
    }

    /// A future that cancels the scope, with [`Reason::Deadline`], when `timer` is ready: any runtime's timer,
    /// or any other future.
    ///
    /// Spawn it, or give it to `work.until(expiry)`. It is ready as soon as the scope is cancelled otherwise,
    /// and drops the timer then.
    ///
    /// Everything below the scope then has this same reason. To tell the end of a request's time from that of
    /// the server's, let the server cancel with a reason of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    /// use winddown::{CancelScope, FutureUntil as _};
    ///
    /// let scope = CancelScope::new();
    /// let expiry = scope.cancel_after(ready(())); // a timer that is ready at once
    /// let stopped = pollster::block_on(pending::<()>().until(expiry)).unwrap_err();
    /// assert_eq!(stopped.to_string(), "deadline exceeded");
    /// assert!(scope.token().is_cancelled());
    /// ```
    pub fn cancel_after<L: IntoFuture>(&self, timer: L) -> Expiry<L::IntoFuture> {
        Expiry {
            ended: self.token().clone().into_future(),
            canceller: self.canceller(),
            timer: Some(timer.into_future()),
        }
    }
}

/// Scopes below a token.
impl CancelToken {
    /// A scope below this one, which is cancelled with it, and by itself. **Dropping it cancels it.**
    ///
    /// A child of a cancelled scope is cancelled from birth, with the same reason. It takes one allocation, and
    /// is in no list before something waits on it.
    ///
    /// # Examples
    ///
    /// ```
    /// let server = winddown::CancelScope::new();
    /// let request = server.token().child();
    /// request.cancel();
    /// assert!(!server.token().is_cancelled());
    /// server.cancel();
    /// assert!(server.token().child().token().is_cancelled(), "from birth");
    /// ```
    pub fn child(&self) -> CancelScope {
        CancelScope::below(Some(self), Traits::default())
    }

    /// A scope below this one that is over at `at`, or when its parent's time is up, if that is earlier.
    /// `timer` is any runtime's timer that is ready at `at`. Needs the feature `std`; without it see
    /// [`CancelScope::cancel_after`].
    ///
    /// **The time has to be driven:** poll the [`Expiry`] (spawn it, or give it to `work.until(expiry)`). **A
    /// blocking wait on a token** of the scope, or below it, fires the deadline by itself; one that has the
    /// token as its limit (`group.wait().until(token).block()`) does not. A look never reads a clock, and an
    /// async wait does not wake at the deadline while the expiry is not polled.
    ///
    /// If a time is up already, its own or one above, this ends the scope that has that time, with all below
    /// it: so the new scope is cancelled at birth.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker, callback or finaliser that it ran because a scope's time was up, after
    /// all the others ran.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use std::time::{Duration, Instant};
    /// use winddown::{CancelScope, FutureUntil as _};
    ///
    /// let root = CancelScope::new();
    /// let limit = Duration::from_millis(1);
    /// let at = Instant::now() + limit;
    /// let (scope, expiry) = root.token().child_until(at, tokio::time::sleep(limit));
    /// let work = std::future::pending::<()>();
    /// let cancelled = work.until(expiry).await.unwrap_err();
    /// assert_eq!(cancelled.to_string(), "deadline exceeded");
    /// assert!(scope.token().is_cancelled());
    /// # });
    /// ```
    #[cfg(feature = "std")]
    #[must_use = "the deadline fires when the expiry is polled"]
    pub fn child_until<L: IntoFuture>(
        &self,
        at: std::time::Instant,
        timer: L,
    ) -> (CancelScope, Expiry<L::IntoFuture>) {
        let mut traits = Traits::default();
        traits.extras.deadline = Some(at);
        let scope = CancelScope::below(Some(self), traits);
        scope.token().end_what_is_overdue(Instant::now());
        let expiry = scope.cancel_after(timer);
        (scope, expiry)
    }
}

impl Default for CancelScope {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for CancelScope {
    fn drop(&mut self) {
        // Nobody would hear of it if the scope is alone; then it need not ask those above, and a chain
        // of scopes is dropped in a time that grows with its length alone.
        match self.canceller.take() {
            Some(canceller) if !canceller.token.is_alone() => {
                let mut deferred = Deferred::new();
                let _ = canceller.token.settle(Reason::Dropped, &mut deferred);
                deferred.run_in_drop();
            }
            _ => {}
        }
    }
}

/// A handle that cancels a scope when asked, and does nothing when it is dropped.
///
/// Two cancellers are equal if they cancel the same scope. As with a [`CancelToken`], equality and hash depend
/// on the scope alone, so a canceller is a sound key, although it has interior mutability.
///
/// It is four words; its [availability](CancelScope#availability) is that of a [`CancelScope`].
///
/// # Examples
///
/// A registry of running requests, from which one can be stopped:
///
/// ```
/// use std::collections::HashMap;
/// use winddown::{CancelScope, Canceller};
///
/// let server = CancelScope::new();
/// let mut running: HashMap<u64, Canceller> = HashMap::new();
/// let tokens = [1, 2].map(|id| {
///     let request = server.token().child().detach();
///     running.insert(id, request.clone());
///     request.token().clone()
/// });
/// running[&2].cancel();
/// assert_eq!(tokens.each_ref().map(|token| token.is_cancelled()), [false, true]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Canceller {
    token: CancelToken,
}

impl Canceller {
    /// The observer's end.
    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    /// A scope below this one: [`CancelToken::child`] of its token.
    ///
    /// # Examples
    ///
    /// ```
    /// let canceller = winddown::CancelScope::new().detach();
    /// let child = canceller.child();
    /// canceller.cancel();
    /// assert!(child.token().is_cancelled());
    /// ```
    pub fn child(&self) -> CancelScope {
        self.token.child()
    }

    /// Makes the handle a scope again, with a **drop that cancels**: the way back from [`CancelScope::detach`].
    /// It is the same scope, not one below it.
    ///
    /// Clones of the canceller stay what they are. If several of them are turned into scopes, the first that is
    /// dropped cancels.
    ///
    /// # Examples
    ///
    /// A drop guard for a part of the work only:
    ///
    /// ```
    /// use winddown::{CancelScope, Reason};
    ///
    /// let canceller = CancelScope::new().detach();
    /// let guard = canceller.clone().into_scope();
    /// // ... a part that must not be left by `?` or a panic without a cancel ...
    /// let _ = guard.detach();
    /// assert!(!canceller.token().is_cancelled());
    ///
    /// drop(canceller.clone().into_scope());
    /// assert!(matches!(canceller.token().reason(), Some(Reason::Dropped)));
    /// ```
    pub fn into_scope(self) -> CancelScope {
        CancelScope { canceller: Some(self) }
    }

    /// As [`CancelScope::cancel`].
    ///
    /// # Panics
    ///
    /// As [`CancelScope::cancel`].
    pub fn cancel(&self) -> bool {
        self.cancel_with(Reason::Cancelled).is_ok()
    }

    /// As [`CancelScope::cancel_with`].
    ///
    /// # Errors
    ///
    /// The reason, if the scope was cancelled already, by itself or from above.
    ///
    /// # Panics
    ///
    /// As [`CancelScope::cancel`].
    pub fn cancel_with(&self, reason: impl Into<Reason>) -> Result<(), Reason> {
        and_then_run(|deferred| self.token.settle_and_tell(reason.into(), deferred))
    }

    /// Cancels for the reason of another scope's cancellation, without holding that scope: the reason is
    /// copied, and of an error its text. True if this call was the one.
    ///
    /// # Panics
    ///
    /// As [`CancelScope::cancel`].
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::CancelScope;
    ///
    /// let (client, server) = (CancelScope::new(), CancelScope::new().detach());
    /// client.cancel_with("the client has gone").unwrap();
    /// server.cancel_like(&client.token().check().unwrap_err());
    /// assert_eq!(server.token().reason().unwrap().to_string(), "the client has gone");
    /// ```
    pub fn cancel_like(&self, other: &Cancelled) -> bool {
        self.cancel_with(other.reason().copy()).is_ok()
    }
}

pin_project! {
    /// The future of [`CancelScope::cancel_after`] and of
    /// [`CancelToken::child_until`](crate::CancelToken::child_until).
    ///
    /// It cancels the scope when the timer is ready. Its output is the [`Cancelled`], as soon as the scope is
    /// cancelled for whatever reason: so `work.until(expiry).await?` says why the work was stopped. It is ready
    /// again after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use winddown::{CancelScope, future::Expiry};
    ///
    /// let scope = CancelScope::new();
    /// let expiry: Expiry<Ready<()>> = scope.cancel_after(ready(()));
    /// assert_eq!(pollster::block_on(expiry).to_string(), "deadline exceeded");
    /// ```
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker, callback or finaliser that it ran by cancelling.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the timer, and with it the deadline, if nothing else drives that.
    #[must_use = "the time is up when this is polled"]
    pub struct Expiry<L> {
        ended: WaitReason<CancelToken>,
        canceller: Canceller,
        #[pin]
        timer: Option<L>,
    }
}

impl<L: Future> Future for Expiry<L> {
    type Output = Cancelled;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cancelled> {
        let mut this = self.project();
        let mut ended = Pin::new(&mut *this.ended).poll(cx);
        let mut said = None;
        let mut deferred = Deferred::new();
        if ended.is_pending() {
            if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                said = Some(ready!(timer.poll(cx)));
            }
            let _ = this.canceller.token.settle_and_tell(Reason::Deadline, &mut deferred);
        }
        // The drops of the timer, and of what it said, are foreign code, and come after our own.
        let timer = &mut this.timer;
        deferred.run_after(|| run_both(|| drop(said), || timer.set(None)));
        if ended.is_pending() {
            ended = Pin::new(&mut *this.ended).poll(cx);
        }
        ended
    }
}

impl<L: Future> FusedFuture for Expiry<L> {
    fn is_terminated(&self) -> bool {
        self.timer.is_none()
    }
}

impl<L> fmt::Debug for Expiry<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiry").field("token", self.canceller.token()).finish_non_exhaustive()
    }
}
