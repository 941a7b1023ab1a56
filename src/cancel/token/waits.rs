//! What can be awaited on a token, and the error that comes of it.

use core::borrow::Borrow;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::mem;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use super::CancelToken;
use crate::cancel::node::{Node, Observer};
use crate::cancel::reason::Reason;
#[cfg(feature = "std")]
use crate::park::wait::Clock;
use crate::park::wait::{AnyWait, Lead, WaitOn, Waiting, named_wait, wait_forms};
use crate::sync::Arc;

/// The error of cancelled work: knows the reason, and its [`source`](Error::source) is the error that was the
/// reason.
///
/// It holds its scope. Cancelling a scope *above* with it would be a cycle of references that is never freed;
/// [`Canceller::cancel_like`](crate::Canceller::cancel_like) avoids that. Two are equal if they are of the same
/// scope.
///
/// It is a pointer. [`reason`](Self::reason) may be called in an interrupt; the last handle of a scope frees
/// it.
///
/// # Examples
///
/// ```
/// use winddown::{CancelScope, Cancelled, Reason};
///
/// let scope = CancelScope::new();
/// scope.cancel();
/// let cancelled: Cancelled = scope.token().check().unwrap_err();
/// assert!(matches!(cancelled.reason(), Reason::Cancelled));
/// ```
///
/// # Compared with
///
/// * Go's `ctx.Err()` and `context.Cause(ctx)` in one.
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

    /// Why the work was cancelled.
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
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{CancelScope, future::WaitCancelled};
///
/// let scope = CancelScope::new();
/// let wait: WaitCancelled = scope.token().clone().cancelled_owned();
/// scope.cancel();
/// wait.block();
/// ```
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitCancelled<P: Borrow<CancelToken> = CancelToken> {
    // Dropped first, as far as it is not kept: it is in the list of the node.
    wait: WaitOn<ToToken<P>, (), Observer>,
}

struct ToToken<P> {
    token: P,
    /// Whether the place for a registration of this handle is lent to the wait.
    borrows_place: bool,
}

impl<P: Borrow<CancelToken>> WaitCancelled<P> {
    #[inline]
    pub(super) fn new(token: P) -> Self {
        // SAFETY: a token, or a reference to one, leads to one node, and holds it.
        let waiting = unsafe { Waiting::lent() };
        Self { wait: WaitOn::new(waiting, ToToken { token, borrows_place: false }) }
    }

    #[inline]
    fn token(&self) -> &CancelToken {
        self.wait.lead.token.borrow()
    }
}

impl<P: Borrow<CancelToken>> Lead<(), Observer> for ToToken<P> {
    type Source = Arc<Node>;

    #[inline]
    fn source(&self) -> Option<&Arc<Node>> {
        self.token.borrow().node.as_ref()
    }

    /// Takes up what the last wait left. A registration that is spent, or of another task, is replaced by the poll
    /// like any other.
    #[inline]
    fn begin(&mut self, waiting: &mut Waiting<(), Observer>) {
        let Waiting::New { .. } = waiting else { return };
        if let Some(parked) = self.token.borrow().spare.take() {
            self.borrows_place = true;
            *waiting = Waiting::Parked(parked, ());
        }
    }

    fn show(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("token", self.token.borrow());
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self.token.borrow())
    }
}

impl<P: Borrow<CancelToken>> Drop for WaitCancelled<P> {
    #[inline]
    fn drop(&mut self) {
        let WaitOn { waiting, lead } = &mut self.wait;
        let spare = &lead.token.borrow().spare;
        // What is kept goes with the handle, before the node does. What is not is dropped last: foreign code.
        match mem::replace(waiting, Waiting::Over) {
            Waiting::Parked(parked, ()) if parked.is_live() => {
                if lead.borrows_place {
                    // SAFETY: `begin` borrowed the place from this handle: a token, or a reference to one, leads to
                    //   one handle.
                    unsafe { spare.put_back(Some(parked)) };
                } else {
                    drop(spare.put(parked));
                }
            }
            over => {
                if lead.borrows_place {
                    // SAFETY: as above.
                    unsafe { spare.put_back(None) };
                }
                drop(over);
            }
        }
    }
}

named_wait!("WaitCancelled", [P: Borrow<CancelToken>] WaitCancelled<P>, (), |_this| ());

impl<P: Borrow<CancelToken> + Clone> Clone for WaitCancelled<P> {
    fn clone(&self) -> Self {
        Self::new(self.wait.lead.token.clone())
    }
}

/// The future of `token.await` and `(&token).await`: waits for the cancellation, and gives it. It is what a
/// token is as a limit.
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{CancelScope, future::WaitReason};
///
/// let scope = CancelScope::new();
/// let wait: WaitReason = scope.token().clone().into_future();
/// scope.cancel_with("enough").unwrap();
/// assert_eq!(wait.block().to_string(), "enough");
/// ```
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
        let found = self.wait.token().cancellation();
        found.unwrap_or_else(|| unreachable!("the wait for a token ended, and it is cancelled"))
    }
}

named_wait!("WaitReason", [P: Borrow<CancelToken>] WaitReason<P>, Cancelled, |this| this.cancellation());

impl<P: Borrow<CancelToken> + Clone> Clone for WaitReason<P> {
    fn clone(&self) -> Self {
        Self { wait: self.wait.clone() }
    }
}

/// The future of [`CancelToken::any`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
///
/// # Examples
///
/// ```
/// use winddown::{CancelScope, CancelToken, future::WaitAny};
///
/// let (one, two) = (CancelScope::new(), CancelScope::new());
/// let wait: WaitAny<'_, 2> = CancelToken::any([one.token(), two.token()]);
/// two.cancel();
/// assert!(wait.until(std::future::pending::<()>()).block().is_ok());
/// ```
#[derive(Clone, Debug)]
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
        match self.waits.iter().find_map(|wait| wait.token().cancellation()) {
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
        // A token without an alarm is no clock.
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
