//! `CancelToken`: the observer's end of a cancellation scope.

mod waits;

use core::any::Any;
use core::fmt;
use core::future::IntoFuture;
use core::hash::{Hash, Hasher};
use core::panic::{RefUnwindSafe, UnwindSafe};

use alloc::boxed::Box;

use crate::cancel::callback::Callback;
use crate::cancel::node::{Node, Observer, Traits};
use crate::cancel::reason::Reason;
use crate::cancel::registration::Registration;
use crate::combine::Until;
use crate::park::deferred::Deferred;
#[cfg(feature = "std")]
use crate::park::deferred::and_then_run;
use crate::park::seats::SpareRegistration;
#[cfg(feature = "std")]
use crate::park::wait::Clock;
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::sync::{Arc, const_unless_loom};

pub use waits::{Cancelled, WaitAny, WaitCancelled, WaitReason};

/// The observer's end of a cancellation scope: looks, waits, asks why, carries values, and derives children. It
/// cannot cancel, so it is the type for public APIs.
///
/// By convention it is the first parameter of a function. Values on it are for data that belongs to a request
/// and crosses many layers, such as a trace id, and not for optional arguments.
///
/// Cancellation is level-triggered: before or after, any number of waits see it. **A whole tree is cancelled in
/// one instant**: once any thread has seen a scope cancelled, everything below it is. A child affects neither
/// its parent nor its siblings.
///
/// Two tokens are equal if they observe the same scope; [`with_value`](Self::with_value) and
/// [`shielded`](Self::shielded) make new ones. Equality and hash depend on the scope alone, so a token is a
/// sound key, although it has interior mutability. All tokens of
/// [`never`](Self::never) are equal.
///
/// A token is a limit: `work.until(&token)` ([`FutureUntil`](crate::FutureUntil)), `wait.until(&token)`.
///
/// # Examples
///
/// ```
/// use winddown::{CancelScope, CancelToken};
///
/// fn count(token: &CancelToken) -> Result<u64, winddown::Cancelled> {
///     for n in 0.. {
///         token.check()?;
///         if n == 1000 {
///             return Ok(n);
///         }
///     }
///     unreachable!()
/// }
///
/// let scope = CancelScope::new();
/// assert_eq!(count(scope.token()).unwrap(), 1000);
/// scope.cancel_with("enough").unwrap();
/// assert_eq!(count(scope.token()).unwrap_err().to_string(), "enough");
/// ```
///
/// # Cloning
///
/// Clone a token for each task. A handle keeps the registration of its last abandoned wait (see
/// [`cancelled`](Self::cancelled)); tasks that share one handle by reference take it from each other.
///
/// # Memory ordering
///
/// What happened before a cancel happens before the return of whatever observes it.
///
/// # Size
///
/// Four words; a clone counts a reference.
///
/// A scope has room for one wait. The second wait at the same time takes about four allocations, with seats for 30
/// waits (14 on 32 bits); each further 30 (14) take two. They are used again and again, and stay until the scope
/// goes. The registration that an abandoned wait left with a handle is such a wait. A scope below others takes one
/// allocation more in each scope above that nothing has waited below yet.
///
/// # Availability
///
/// | call ([key](crate::docs::embedded#availability-tables)) | needs | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|---|
/// | `never` (`const`) | | no | yes | no | no |
/// | `is_cancelled`, `reason`, `check`, `value` | | no | yes | no | no |
/// | `deadline` | `std` | no | | no | no |
/// | a clone | | no | yes | no | no |
/// | the drop | | no | if another handle lives and this keeps no registration; else it frees | drops | lock |
/// | `child`, `with_value`, `shielded` | | yes | no | no | no |
/// | `child_until` | `std` | yes | | yes | lock |
/// | `on_cancel` | | yes | no | yes | lock |
/// | a poll of `cancelled`, `cancelled_owned`, `any`, `run_until_cancelled`, the token itself | | first waits | no | yes | lock |
/// | `forget_wait` | | no | no: frees | a waker's drop | lock |
///
/// # Compared with
///
/// * Go's `context`: the same tree of reasons, deadlines and values, but that a holder of the token cannot
///   cancel, and a child that is dropped leaves nothing in its parent.
/// * `tokio_util::sync::CancellationToken`: any clone can cancel there, a look takes a mutex, and there are no
///   reasons.
pub struct CancelToken {
    /// The registration of this handle's last abandoned wait, for the next wait of the same task.
    spare: SpareRegistration<Observer>,
    /// None is never cancelled.
    node: Option<Arc<Node>>,
}

impl CancelToken {
    const_unless_loom! {
        /// A token that is never cancelled. It is `const`, for a `static`, and allocates nothing.
        ///
        /// # Examples
        ///
        /// ```
        /// use winddown::CancelToken;
        ///
        /// static NEVER: CancelToken = CancelToken::never();
        /// assert!(!NEVER.is_cancelled());
        /// ```
        pub const fn never() -> CancelToken {
            Self { spare: SpareRegistration::new(), node: None }
        }
    }

    /// A node below `parent` (or a root), without an owner.
    pub(crate) fn new(parent: Option<&Self>, traits: Traits) -> Self {
        let parent = parent.and_then(|token| token.node.clone());
        Self { spare: SpareRegistration::new(), node: Some(Node::new(parent, traits)) }
    }

    #[inline]
    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }

    /// Whether the scope, or one above it, is cancelled: one load, and one more for each scope above that is
    /// open. Never reads a clock: that is the business of `child_until`.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.found().is_some())
    }

    /// Why the scope was cancelled; `None` while it is open. Once there, it never changes, and all observers of
    /// this scope see the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{CancelScope, Reason};
    ///
    /// let scope = CancelScope::new();
    /// assert!(scope.token().reason().is_none());
    /// scope.cancel();
    /// assert!(matches!(scope.token().reason(), Some(Reason::Cancelled)));
    /// ```
    pub fn reason(&self) -> Option<&Reason> {
        self.node.as_ref()?.reason()
    }

    /// [`is_cancelled`](Self::is_cancelled) for `?` in a loop.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], with the reason, if the scope or one above it is cancelled.
    pub fn check(&self) -> Result<(), Cancelled> {
        self.cancellation().map_or(Ok(()), Err)
    }

    fn cancellation(&self) -> Option<Cancelled> {
        let node = self.node.as_ref()?;
        node.reason()?;
        Some(Cancelled::new(node))
    }

    /// Waits until the scope, or one above it, is cancelled.
    ///
    /// Made anew in each turn of a `select!` loop, it costs a few nanoseconds: a future that is dropped while
    /// it waits leaves its registration with the handle that it was made from, and the next one of the same
    /// task takes it up. So a handle may keep one waker of its last abandoned wait until it is dropped, or
    /// until [`forget_wait`](Self::forget_wait).
    ///
    /// The first wait in a scope may allocate, and take a lock, in each scope above that has had no wait below it
    /// so far.
    ///
    /// # Panics
    ///
    /// A poll may end with the panic of another task's waker, callback or finaliser, after all the others ran:
    /// where a cancellation from above meets the first wait below it, the waiting thread may have to deliver
    /// it. The future may be polled again.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point: other waits are still woken, and nothing else is left behind.
    /// The registration that stays with the handle is woken by the cancel, if it is not taken up before.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollster::block_on(async {
    /// use winddown::CancelScope;
    ///
    /// let scope = CancelScope::new();
    /// let token = scope.token().clone();
    /// scope.cancel();
    /// token.cancelled().await;
    /// # });
    /// ```
    #[inline]
    pub fn cancelled(&self) -> WaitCancelled<&CancelToken> {
        WaitCancelled::new(self)
    }

    /// [`cancelled`](Self::cancelled) with a future that owns the token, to be stored or sent to another
    /// thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let scope = winddown::CancelScope::new();
    /// let wait = scope.token().clone().cancelled_owned();
    /// let waiter = std::thread::spawn(move || wait.block());
    /// scope.cancel();
    /// waiter.join().unwrap();
    /// ```
    pub fn cancelled_owned(self) -> WaitCancelled<CancelToken> {
        WaitCancelled::new(self)
    }

    /// Gives up the registration that this handle may keep of its last abandoned wait. For handles that live
    /// for ever, as in a `static`.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{CancelScope, FutureUntil as _};
    ///
    /// let scope = CancelScope::new();
    /// let token = scope.token().clone();
    /// let work = async {}.until(token.cancelled()); // the wait is abandoned
    /// assert!(pollster::block_on(work).is_ok());
    /// token.forget_wait();
    /// ```
    pub fn forget_wait(&self) {
        let Some(parked) = self.spare.take() else { return };
        // SAFETY: it is lent to us.
        unsafe { self.spare.put_back(None) };
        drop(parked);
    }

    /// When the time of the scope, or of one above it, is up: the earliest of them. Needs the feature `std`.
    ///
    /// This is data only: whether the scope is cancelled is another question. It takes one step for each scope
    /// above.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use winddown::CancelToken;
    ///
    /// let at = Instant::now() + Duration::from_secs(1);
    /// let (scope, _expiry) = CancelToken::never().child_until(at, std::future::pending::<()>());
    /// assert_eq!(scope.token().deadline(), Some(at));
    /// ```
    #[cfg(feature = "std")]
    pub fn deadline(&self) -> Option<Instant> {
        self.node.as_ref()?.deadline()
    }

    /// The same scope with a value: a scope of its own, which cannot be cancelled alone. The value hides values
    /// of the same type from further up.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::CancelScope;
    ///
    /// struct TraceId(u64);
    ///
    /// let server = CancelScope::new();
    /// let request = server.token().with_value(TraceId(7));
    /// assert_eq!(request.value::<TraceId>().unwrap().0, 7);
    /// assert!(server.token().value::<TraceId>().is_none());
    /// ```
    #[must_use = "the value is seen through the new token alone"]
    pub fn with_value<V: Any + Send + Sync>(&self, value: V) -> CancelToken {
        let mut traits = Traits::default();
        traits.extras.value = Some(Box::new(value));
        Self::new(Some(self), traits)
    }

    /// The nearest value of type `V`, of this scope or of one above: see [`with_value`](Self::with_value).
    ///
    /// Types of different crates never collide; make a type of your own for what you put in. It takes one step
    /// for each scope above.
    pub fn value<V: Any>(&self) -> Option<&V> {
        self.node.as_ref()?.value()
    }

    /// A token with the same values that is cut off from cancellation and deadline: for work that must be
    /// finished even so, such as writing a log on the way out.
    ///
    /// # Examples
    ///
    /// ```
    /// let scope = winddown::CancelScope::new();
    /// let shielded = scope.token().shielded();
    /// scope.cancel();
    /// assert!(!shielded.is_cancelled());
    /// ```
    #[must_use = "only the new token is shielded"]
    pub fn shielded(&self) -> CancelToken {
        Self::new(Some(self), Traits { shielded: true, ..Traits::default() })
    }

    /// Runs `callback` when the scope, or one above it, is cancelled. Dropping the [`Registration`] takes it
    /// back.
    ///
    /// It runs once, under no lock, on the thread that delivers the cancellation: the canceller's, or that of a
    /// call that races with it, this one included. On a token that is cancelled already it runs here and now,
    /// and has run when this returns. If it panics, the others still run, and then the first panic goes on.
    ///
    /// The callbacks of one scope run in the order of registration. In a cancellation from above, those of a
    /// scope run before those of the scopes below it.
    ///
    /// A callback may wait for a group that the same cancellation ends, whether tasks are inside or not. It
    /// must not wait for one with a [finaliser](crate::TaskGroupBuilder::finally): finalisers run behind all
    /// callbacks.
    ///
    /// If the scope is cancelled from an interrupt, the callback runs there, and is freed there.
    ///
    /// # Examples
    ///
    /// A blocking read that ends when the token is cancelled:
    ///
    /// ```
    /// use std::io::Read as _;
    /// use std::net::{Shutdown, TcpListener, TcpStream};
    /// use winddown::CancelScope;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let (mut stream, _) = listener.accept().unwrap();
    ///
    /// let scope = CancelScope::new();
    /// let socket = stream.try_clone().unwrap();
    /// let _unblock = scope.token().on_cancel(move || {
    ///     let _ = socket.shutdown(Shutdown::Both);
    /// });
    /// let reader = std::thread::spawn(move || stream.read(&mut [0]).unwrap());
    /// scope.cancel();
    /// assert_eq!(reader.join().unwrap(), 0);
    /// ```
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> Registration {
        match &self.node {
            None => Registration::never(),
            Some(node) => Registration::new(node, Callback::new(callback)),
        }
    }

    /// Waits for the first of several tokens. Like a single token, it can be a limit.
    ///
    /// It takes no task; each handle may keep one registration, as with [`cancelled`](Self::cancelled). Its
    /// output is the [`Cancelled`] of the first in the array among those that are found cancelled in one look.
    /// With no token at all it never ends.
    ///
    /// # Panics
    ///
    /// As [`cancelled`](Self::cancelled).
    ///
    /// # Cancel safety
    ///
    /// As [`cancelled`](Self::cancelled).
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{CancelScope, CancelToken, Cancelled};
    ///
    /// let (client, server) = (CancelScope::new(), CancelScope::new());
    /// server.cancel_with("restart").unwrap();
    /// let first: Cancelled = CancelToken::any([client.token(), server.token()]).block();
    /// assert_eq!(first.to_string(), "restart");
    /// ```
    pub fn any<const N: usize>(tokens: [&CancelToken; N]) -> WaitAny<'_, N> {
        WaitAny::new(tokens)
    }

    /// Runs `future` until the token is cancelled: `future.until(token)`, without an import.
    ///
    /// The token is looked at first in each poll, so work that is always ready stops too; see
    /// [`Until::work_first`] for the other order.
    ///
    /// # Errors
    ///
    /// The output is [`Cancelled`] if the token came first; the future is dropped with the [`Until`].
    ///
    /// # Cancel safety
    ///
    /// That of `future`; the wait for the token may be dropped at any point.
    ///
    /// # Examples
    ///
    /// ```
    /// let scope = winddown::CancelScope::new();
    /// let seven = scope.token().run_until_cancelled(async { 7 });
    /// assert_eq!(pollster::block_on(seven).unwrap(), 7);
    /// scope.cancel();
    /// let stopped = scope.token().run_until_cancelled(std::future::pending::<()>());
    /// assert!(pollster::block_on(stopped).is_err());
    /// ```
    pub fn run_until_cancelled<F: IntoFuture>(
        &self,
        future: F,
    ) -> Until<F::IntoFuture, WaitReason<&CancelToken>> {
        Until::new(future.into_future(), self.into_future())
    }
}

impl Clone for CancelToken {
    /// The same scope. The clone keeps no registration.
    fn clone(&self) -> Self {
        Self { spare: SpareRegistration::new(), node: self.node.clone() }
    }
}

impl CancelToken {
    /// Whether nobody else can tell if the scope is cancelled.
    pub(crate) fn is_alone(&self) -> bool {
        self.node.as_ref().is_some_and(Node::is_alone)
    }

    /// The own work of a cancellation of this very scope.
    pub(crate) fn settle(&self, reason: Reason, deferred: &mut Deferred) -> Result<(), Reason> {
        let Some(node) = &self.node else { return Err(reason) };
        let Some(shorter) = Cancelled::shorten(&reason) else {
            return Node::settle(node, reason, deferred);
        };
        if Node::settle(node, shorter, deferred).is_err() {
            return Err(reason);
        }
        deferred.drop_later(reason);
        Ok(())
    }

    /// [`settle`](Self::settle) of a scope that is no group's, of which an event is told.
    pub(crate) fn settle_and_tell(
        &self,
        reason: Reason,
        deferred: &mut Deferred,
    ) -> Result<(), Reason> {
        self.settle(reason, deferred)?;
        self.node.iter().for_each(|node| tell_cancelled(node, deferred));
        Ok(())
    }

    /// Cancels the scope whose time is up at `now`, here or above, with all below it: a decision by the
    /// clock is made at the scope whose time it is.
    #[cfg(feature = "std")]
    pub(crate) fn end_what_is_overdue(&self, now: Instant) {
        if let Some(node) = self.node.as_ref().and_then(|node| Node::overdue(node, now)) {
            let _ = and_then_run(|deferred| {
                Node::settle(node, Reason::Deadline, deferred)?;
                tell_cancelled(node, deferred);
                Ok::<_, Reason>(())
            });
        }
    }

    /// What prints the reason, if the scope is cancelled.
    #[cfg(feature = "tracing")]
    pub(crate) fn why(&self) -> Option<Cancelled> {
        self.cancellation()
    }

    fn id(&self) -> *const Node {
        self.node.as_ref().map_or(core::ptr::null(), Arc::as_ptr)
    }
}

/// Tells that the scope of `node` was just cancelled by itself.
#[inline]
fn tell_cancelled(_node: &Arc<Node>, _deferred: &mut Deferred) {
    #[cfg(feature = "tracing")]
    crate::events::scope_cancelled(_deferred, Arc::as_ptr(_node).cast(), || Cancelled::new(_node));
}

#[cfg(feature = "std")]
impl Clock for CancelToken {
    fn alarm(&self) -> Option<Instant> {
        if self.is_cancelled() { None } else { self.deadline() }
    }

    fn ring(&self) {
        self.end_what_is_overdue(Instant::now());
    }
}

impl PartialEq for CancelToken {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for CancelToken {}

impl Hash for CancelToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The reason is fixed by this, as by every question for it.
        f.debug_struct("CancelToken").field("cancelled", &self.reason()).finish()
    }
}

impl IntoFuture for CancelToken {
    type Output = Cancelled;
    type IntoFuture = WaitReason<CancelToken>;

    fn into_future(self) -> Self::IntoFuture {
        WaitReason::new(self)
    }
}

impl<'a> IntoFuture for &'a CancelToken {
    type Output = Cancelled;
    type IntoFuture = WaitReason<&'a CancelToken>;

    fn into_future(self) -> Self::IntoFuture {
        WaitReason::new(self)
    }
}
