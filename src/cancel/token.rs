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

/// The observer's end of a cancellation scope: looks, waits, asks why, carries values, and derives
/// children. It cannot cancel, so it is the type for public APIs.
///
/// By convention it travels as the first parameter of a function. Values on it are for data that
/// belongs to a request and crosses many layers, such as a trace id, and not for optional arguments.
///
/// Cancellation is level-triggered: before or after, any number of waiters see it. **A whole tree is
/// cancelled in one instant**: once any thread has seen a scope cancelled, everything below it is. A
/// child affects neither its parent nor its siblings.
///
/// Two tokens are equal if they observe the same scope; [`with_value`](Self::with_value) and
/// [`shielded`](Self::shielded) make new ones. Equality and hash depend on the scope alone, so a
/// token is a sound key, although it has interior mutability. All [`never`](Self::never) are equal.
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
/// # Compared with
///
/// * Go's `context`: the same tree of reasons, deadlines and values, but that a holder of the token
///   cannot cancel, and a child that is dropped leaves nothing in its parent.
/// * `tokio_util::sync::CancellationToken`: any clone can cancel there, a look takes a mutex, and
///   there are no reasons.
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
/// # Availability
///
/// It may be cloned in an interrupt; dropped there only where another handle lives, since the last one
/// frees, and where it keeps no registration.
pub struct CancelToken {
    /// The registration of this handle's last abandoned wait, for the next wait of the same task.
    spare: SpareRegistration<Observer>,
    /// None is never cancelled.
    node: Option<Arc<Node>>,
}

impl CancelToken {
    const_unless_loom! {
        /// A token that is never cancelled. Allocates nothing.
        ///
        /// # Availability
        ///
        /// Everywhere, in a `static` too.
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

    /// Whether the scope, or one above it, is cancelled. Never reads a clock: see
    /// [`child_until`](Self::child_until).
    ///
    /// # Availability
    ///
    /// Everywhere, interrupts included. One load, and one more for each scope above that is open.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.found().is_some())
    }

    /// Why the scope was cancelled; none while it is open. Once there, it never changes, and is the
    /// same for everybody who asks this scope.
    ///
    /// # Availability
    ///
    /// Everywhere, interrupts included; it does not allocate.
    pub fn reason(&self) -> Option<&Reason> {
        self.node.as_ref()?.reason()
    }

    /// [`is_cancelled`](Self::is_cancelled) for `?` in a loop.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], with the reason, if the scope or one above it is cancelled.
    ///
    /// # Availability
    ///
    /// Everywhere, interrupts included; it does not allocate.
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
    /// Made anew in each turn of a `select!` loop, it costs a few nanoseconds: a future that is
    /// dropped while it waits leaves its registration with the handle that it was made from, and the
    /// next one of the same task takes it up. So a handle may keep one waker of its last abandoned
    /// wait until it is dropped, or until [`forget_wait`](Self::forget_wait).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point: others still wake, and nothing else is left behind. The
    /// registration that stays with the handle is woken by the cancel, if it is not taken up before.
    ///
    /// # Panics
    ///
    /// A poll may end with the panic of another task's waker or callback, after all the others ran: where
    /// a cancellation from above meets the first wait below it, the waiting thread may have to deliver it.
    /// It may be polled again.
    ///
    /// # Availability
    ///
    /// Everywhere but in interrupts. A wait that has to park may allocate, and take
    /// event-listener's lock; the first one in a scope does the same in each scope above that nobody
    /// waited below before.
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

    /// [`cancelled`](Self::cancelled) with a future that owns the token, to be stored or sent away.
    ///
    /// # Availability
    ///
    /// As [`cancelled`](Self::cancelled).
    pub fn cancelled_owned(self) -> WaitCancelled<CancelToken> {
        WaitCancelled::new(self)
    }

    /// Gives up the registration that this handle may keep of its last abandoned wait. For handles
    /// that live for ever, as in a `static`.
    ///
    /// # Availability
    ///
    /// Everywhere but in interrupts: it frees, and may take event-listener's lock.
    pub fn forget_wait(&self) {
        let Some(parked) = self.spare.take() else { return };
        // SAFETY: it is lent to us.
        unsafe { self.spare.put_back(None) };
        drop(parked);
    }

    /// When the time of the scope, or of one above it, is up: the earliest of them.
    ///
    /// This is data only: whether the scope is cancelled is another question.
    ///
    /// # Availability
    ///
    /// With the feature `std`. One step for each scope above.
    #[cfg(feature = "std")]
    pub fn deadline(&self) -> Option<Instant> {
        self.node.as_ref()?.deadline()
    }

    /// The same scope with a value, as a scope of its own that nobody can cancel alone. It hides
    /// values of the same type from further up.
    ///
    /// # Availability
    ///
    /// Everywhere but in interrupts. It allocates the scope and the value.
    pub fn with_value<V: Any + Send + Sync>(&self, value: V) -> CancelToken {
        let mut traits = Traits::default();
        traits.extras.value = Some(Box::new(value));
        Self::new(Some(self), traits)
    }

    /// The nearest value of type `V`, of this scope or of one above. Types of different crates never
    /// collide; make a type of your own for what you put in.
    ///
    /// # Availability
    ///
    /// Everywhere, interrupts included. One step for each scope above.
    pub fn value<V: Any>(&self) -> Option<&V> {
        self.node.as_ref()?.value()
    }

    /// A token with the same values that is cut off from cancellation and deadline: for work that
    /// must be finished even so, like writing a log on the way out.
    ///
    /// # Availability
    ///
    /// Everywhere but in interrupts. It allocates the scope.
    pub fn shielded(&self) -> CancelToken {
        Self::new(Some(self), Traits { shielded: true, ..Traits::default() })
    }

    /// Runs `callback` when the scope, or one above it, is cancelled.
    ///
    /// It runs once, in no lock, on the thread whose call delivers
    /// the cancellation: the canceller's, or that of a call that races with it, this one included. On a
    /// token that is cancelled already it runs here and now, and has run when this returns. If it panics,
    /// the others still run, and then the first panic goes on.
    ///
    /// The callbacks of one scope run in the order of registration. In a cancellation from above, those of a
    /// scope run before those of the scopes below it.
    ///
    /// A callback may wait for a group that the same cancellation ends, whether tasks are inside or not. It
    /// must not wait for one with a [finaliser](crate::TaskGroupBuilder::finally): finalisers run behind all
    /// callbacks.
    ///
    /// Dropping the [`Registration`] takes it back.
    ///
    /// # Availability
    ///
    /// Everywhere but in interrupts. If the scope is cancelled from an interrupt, the callback runs
    /// there, and is freed there.
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

    /// Waits for the first of several tokens, as a limit like a single one. It takes no task; each handle
    /// may keep one registration, as with [`cancelled`](Self::cancelled). Its output is the [`Cancelled`] of the first in the array among those that are found
    /// cancelled in one look. With no token at all it never ends.
    ///
    /// Cancel safety, panics and availability are those of [`cancelled`](Self::cancelled).
    ///
    /// # Availability
    ///
    /// As [`cancelled`](Self::cancelled).
    pub fn any<const N: usize>(tokens: [&CancelToken; N]) -> WaitAny<'_, N> {
        WaitAny::new(tokens)
    }

    /// Runs `future` until the token is cancelled. The token is looked at first in each poll, so
    /// work that is always ready stops too; see [`Until::work_first`] for the other order.
    ///
    /// # Errors
    ///
    /// The output is [`Cancelled`] if the token came first; the future is dropped with the
    /// [`Until`].
    ///
    /// # Cancel safety
    ///
    /// That of `future`; the wait for the token may be dropped at any point.
    ///
    /// # Availability
    ///
    /// As [`cancelled`](Self::cancelled).
    pub fn run_until_cancelled<F: IntoFuture>(
        &self,
        future: F,
    ) -> Until<F::IntoFuture, WaitReason<&CancelToken>> {
        Until::new(future.into_future(), self.into_future())
    }
}

impl Clone for CancelToken {
    /// The same scope; the clone keeps no registration.
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

    /// Cancels the scope whose time is up at `now`, here or above, with all below it: a decision by the
    /// clock is made at the scope whose time it is.
    #[cfg(feature = "std")]
    pub(crate) fn end_what_is_overdue(&self, now: Instant) {
        if let Some(node) = self.node.as_ref().and_then(|node| Node::overdue(node, now)) {
            and_then_run(|deferred| {
                let settled = Node::settle(node, Reason::Deadline, deferred);
                #[cfg(feature = "tracing")]
                if settled.is_ok() {
                    let why = || Some(Cancelled::new(node));
                    crate::events::scope_cancelled(deferred, Arc::as_ptr(node).cast(), why);
                }
                drop(settled);
            });
        }
    }

    /// What prints the reason, if the scope is cancelled.
    #[cfg(feature = "tracing")]
    pub(crate) fn why(&self) -> Option<Cancelled> {
        self.cancellation()
    }

    /// Tells that the scope, which is no group's, was just cancelled by itself.
    #[cfg(feature = "tracing")]
    pub(crate) fn tell_cancelled(&self, deferred: &mut Deferred) {
        crate::events::scope_cancelled(deferred, self.id().cast(), || self.why());
    }

    fn id(&self) -> *const Node {
        self.node.as_ref().map_or(core::ptr::null(), Arc::as_ptr)
    }
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
