//! Callbacks that run when a token is cancelled, and their way back.

use core::fmt;
use core::mem;
use core::panic::{RefUnwindSafe, UnwindSafe};

use crate::cancel::callback::Callback;
use crate::cancel::node::{Call, Node};
use crate::park::deferred::drop_in_drop;
use crate::park::seats::Parked;
use crate::sync::Arc;

/// A callback that waits for a cancellation. Made by [`CancelToken::on_cancel`](crate::CancelToken::on_cancel).
///
/// Dropping it takes the callback back, without waiting for one that is running: so it may be dropped from
/// anywhere, the callback itself included. What the callback captured is dropped when it has run, or with the
/// registration; of a detached one, with the last handle and descendant of the scope.
///
/// # Examples
///
/// ```
/// use winddown::CancelScope;
///
/// let scope = CancelScope::new();
/// let callback = scope.token().on_cancel(|| unreachable!("it is taken back"));
/// drop(callback);
/// scope.cancel();
/// ```
///
/// # Size
///
/// Five words. A callback takes a few allocations: for itself, and for its place in the scope.
///
/// # Availability
///
/// | call ([key](crate::docs::embedded#availability-tables)) | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|
/// | the drop, `deregister` | no | no: frees | the callback's drop | lock |
/// | `detach` | yes | no | drops | no |
///
/// # Compared with
///
/// * Go's `context.AfterFunc`: runs the callback in a goroutine of its own; here the canceller's thread runs
///   it.
/// * C++'s `std::stop_callback`: its destructor waits for a callback that is running.
#[must_use = "dropping it deregisters"]
pub struct Registration {
    state: State,
}

enum State {
    /// The callback will not run: its token is never cancelled, or it was taken back.
    Never,
    /// In the list of the node, or fired. Dropped in this order.
    Registered(Parked<Call>, Arc<Callback>, Arc<Node>),
    /// It ran when it was registered, or it stays registered.
    Over,
}

impl Registration {
    pub(crate) fn never() -> Self {
        Self { state: State::Never }
    }

    pub(crate) fn new(node: &Arc<Node>, callback: Callback) -> Self {
        let callback = Arc::new(callback);
        let state = match Node::register(node, &callback) {
            Some(parked) => State::Registered(parked, callback, Arc::clone(node)),
            None => State::Over,
        };
        Self { state }
    }

    /// Takes the callback back. True exactly if it has not begun and now never will.
    ///
    /// It does not wait: where it says false, the callback may still be running on another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let scope = winddown::CancelScope::new();
    /// assert!(scope.token().on_cancel(|| ()).deregister());
    /// let ran = scope.token().on_cancel(|| ());
    /// scope.cancel();
    /// assert!(!ran.deregister());
    /// ```
    pub fn deregister(mut self) -> bool {
        self.take_back()
    }

    /// Leaves the callback registered for as long as any handle or descendant of its scope lives. (A token of
    /// `with_value` or `shielded` is a scope of its own: keep it, or its callbacks go.)
    ///
    /// A detached callback that owns a [`Canceller`](crate::Canceller), a token or a scope of its own scope, or
    /// of one below it, keeps that alive, and is kept by it: neither is freed before the scope is cancelled.
    /// Let it own something above, or keep the `Registration` instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winddown::{CancelScope, Signal};
    ///
    /// let (scope, stopped) = (CancelScope::new(), Arc::new(Signal::new()));
    /// let signal = Arc::clone(&stopped);
    /// scope.token().on_cancel(move || drop(signal.close())).detach();
    /// scope.cancel();
    /// assert!(stopped.is_closed());
    /// ```
    pub fn detach(mut self) {
        let state = mem::replace(&mut self.state, State::Over);
        if let State::Registered(parked, callback, node) = state {
            node.keep(parked, callback);
        }
    }

    fn take_back(&mut self) -> bool {
        // The node is dropped last: the registration is in its list.
        let (_node, callback, parked) = match mem::replace(&mut self.state, State::Over) {
            State::Registered(parked, callback, node) => (node, callback, parked),
            State::Never => return true,
            State::Over => return false,
        };
        let Some(closure) = callback.take() else { return false };
        // Out of the list first: dropping what the closure captured is foreign code. It may be one of a
        // chain: another registration, whose closure captured another.
        drop(parked);
        drop_in_drop(closure);
        true
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl UnwindSafe for Registration {}
impl RefUnwindSafe for Registration {}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}
