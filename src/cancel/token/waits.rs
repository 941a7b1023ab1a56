//! What can be awaited on a token, and the error that comes of it.

use core::borrow::Borrow;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use super::CancelToken;
use crate::cancel::node::{Node, Observer};
use crate::cancel::reason::Reason;
#[cfg(feature = "std")]
use crate::park::wait::Clock;
use crate::park::wait::{AnyWait, Waiting, wait_forms};
use crate::sync::Arc;

/// The error of work that was cancelled: knows the reason, and is an `Error` whose source is the
/// error that was the reason.
///
/// It holds its scope. Cancelling a scope *above* with it would be a cycle of references that is
/// never freed; [`Canceller::cancel_like`](crate::Canceller::cancel_like) does that without.
#[derive(Clone)]
pub struct Cancelled {
    node: Arc<Node>,
}

impl Cancelled {
    /// Requires that the node is cancelled.
    #[inline]
    pub(super) fn new(node: &Arc<Node>) -> Self {
        Self { node: Arc::clone(node) }
    }

    /// Keeps a chain of scopes that were cancelled with each other's `Cancelled` from growing: of a scope
    /// that was itself cancelled with a `Cancelled`, that one. So each holds one other scope, and its drop
    /// does not drop one that drops the next.
    pub(super) fn shorten(reason: &Reason) -> Option<Reason> {
        let first = reason.downcast_ref::<Self>()?;
        Some(first.reason().downcast_ref::<Self>()?.clone().into())
    }

    /// Why.
    ///
    /// # Availability
    ///
    /// Everywhere, interrupts included.
    pub fn reason(&self) -> &Reason {
        self.node.reason().unwrap_or_else(|| unreachable!("a cancelled scope has its reason"))
    }
}

/// Equal if they are of the same scope.
impl PartialEq for Cancelled {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node)
    }
}

impl Eq for Cancelled {}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancelled").field(self.reason()).finish()
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}

impl Error for Cancelled {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason().error()
    }
}

impl UnwindSafe for Cancelled {}
impl RefUnwindSafe for Cancelled {}

/// The future of [`CancelToken::cancelled`] and [`CancelToken::cancelled_owned`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitCancelled<P: Borrow<CancelToken> = CancelToken> {
    // Dropped first, as far as it is not kept: it is in the list of the node.
    waiting: Waiting<(), Observer>,
    token: P,
}

impl<P: Borrow<CancelToken>> WaitCancelled<P> {
    #[inline]
    pub(super) fn new(token: P) -> Self {
        // SAFETY: a token, or a reference to one, leads to one node, and holds it.
        Self { waiting: unsafe { Waiting::lent() }, token }
    }
}

impl<P: Borrow<CancelToken>> Future for WaitCancelled<P> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let token = this.token.borrow();
        let Some(node) = &token.node else { return Poll::Pending };
        if let Waiting::New { .. } = this.waiting {
            // Takes up what the last wait left. A registration that is spent, or of another task, is
            // replaced by the poll like any other.
            if let Some(parked) = token.kept.take() {
                this.waiting = Waiting::Parked(parked, ());
            }
        }
        this.waiting.poll(node, cx.waker())
    }
}

impl<P: Borrow<CancelToken>> Drop for WaitCancelled<P> {
    #[inline]
    fn drop(&mut self) {
        let Waiting::Parked(parked, ()) = core::mem::replace(&mut self.waiting, Waiting::Over)
        else {
            return;
        };
        if parked.is_live() {
            // It goes with the handle, before the node does.
            drop(self.token.borrow().kept.put(parked));
        }
    }
}

impl<P: Borrow<CancelToken>> AnyWait for WaitCancelled<P> {
    fn left(&self) -> usize {
        0
    }

    fn look(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.get_mut();
        let Some(node) = &this.token.borrow().node else { return Poll::Pending };
        this.waiting.look(node)
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self.token.borrow())
    }
}

impl<P: Borrow<CancelToken>> FusedFuture for WaitCancelled<P> {
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

wait_forms!([P: Borrow<CancelToken>] WaitCancelled<P>);

/// The handle is never pinned.
impl<P: Borrow<CancelToken>> Unpin for WaitCancelled<P> {}
impl<P: Borrow<CancelToken>> UnwindSafe for WaitCancelled<P> {}
impl<P: Borrow<CancelToken>> RefUnwindSafe for WaitCancelled<P> {}

impl<P: Borrow<CancelToken>> fmt::Debug for WaitCancelled<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitCancelled")
            .field("waiting", &self.waiting)
            .field("token", self.token.borrow())
            .finish()
    }
}

/// The future that a [`CancelToken`] is as a limit: waits for the cancellation and gives it.
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[derive(Debug)]
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitReason<P: Borrow<CancelToken> = CancelToken> {
    wait: WaitCancelled<P>,
}

impl<P: Borrow<CancelToken>> WaitReason<P> {
    #[inline]
    pub(super) fn new(token: P) -> Self {
        Self { wait: WaitCancelled::new(token) }
    }

    fn cancellation(&self) -> Cancelled {
        let found = self.wait.token.borrow().cancellation();
        found.unwrap_or_else(|| unreachable!("the wait for a token ended, and it is cancelled"))
    }
}

impl<P: Borrow<CancelToken>> Future for WaitReason<P> {
    type Output = Cancelled;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cancelled> {
        Pin::new(&mut self.wait).poll(cx).map(|()| self.cancellation())
    }
}

impl<P: Borrow<CancelToken>> AnyWait for WaitReason<P> {
    fn left(&self) -> usize {
        0
    }

    fn look(mut self: Pin<&mut Self>) -> Poll<Cancelled> {
        Pin::new(&mut self.wait).look().map(|()| self.cancellation())
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        self.wait.clock()
    }
}

impl<P: Borrow<CancelToken>> FusedFuture for WaitReason<P> {
    fn is_terminated(&self) -> bool {
        self.wait.is_terminated()
    }
}

wait_forms!([P: Borrow<CancelToken>] WaitReason<P>);

/// The future of [`CancelToken::any`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[derive(Debug)]
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitAny<'a, const N: usize> {
    waits: [WaitCancelled<&'a CancelToken>; N],
}

impl<'a, const N: usize> WaitAny<'a, N> {
    #[inline]
    pub(super) fn new(tokens: [&'a CancelToken; N]) -> Self {
        Self { waits: tokens.map(WaitCancelled::new) }
    }

    fn found(&self) -> Poll<Cancelled> {
        match self.waits.iter().find_map(|wait| wait.token.cancellation()) {
            Some(cancelled) => Poll::Ready(cancelled),
            None => Poll::Pending,
        }
    }
}

impl<const N: usize> Future for WaitAny<'_, N> {
    type Output = Cancelled;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cancelled> {
        // All are polled, so that all are registered; then one look decides.
        let mut ended = false;
        for wait in &mut self.waits {
            ended |= Pin::new(wait).poll(cx).is_ready();
        }
        if ended { self.found() } else { Poll::Pending }
    }
}

impl<const N: usize> AnyWait for WaitAny<'_, N> {
    fn left(&self) -> usize {
        0
    }

    fn look(self: Pin<&mut Self>) -> Poll<Cancelled> {
        self.found()
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        // Who has no alarm is no clock.
        let clocks = self.waits.iter().filter_map(AnyWait::clock);
        let clocks = clocks.filter_map(|clock| Some((clock.alarm()?, clock)));
        Some(clocks.min_by_key(|(alarm, _)| *alarm)?.1)
    }
}

impl<const N: usize> FusedFuture for WaitAny<'_, N> {
    fn is_terminated(&self) -> bool {
        self.waits.iter().any(FusedFuture::is_terminated)
    }
}

wait_forms!(['a, const N: usize] WaitAny<'a, N>);
