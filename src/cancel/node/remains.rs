//! The end of a node, and what of it is foreign code.

use core::any::Any;
use core::mem;

use alloc::boxed::Box;

use super::word::Word;
use super::{Call, Node};
use crate::cancel::callback::Callback;
use crate::cancel::reason::Reason;
use crate::park::deferred::drop_in_drop;
use crate::park::seats::{Parked, Waiters};
use crate::sync::{Arc, Exclusive as _, Taken, run_both, run_to_end};

impl Node {
    /// Keeps a registration that nobody will take back.
    pub(crate) fn keep(&self, parked: Parked<Call>, callback: Arc<Callback>) {
        // One that has run leaves nothing to be kept.
        if parked.is_live() && !callback.is_spent() {
            // Never sealed.
            let _ = self.detached.push((parked, callback));
        }
    }
}

impl Drop for Node {
    /// Leaves nothing in the parent, and drops the chain above in a loop as far as it is ours alone.
    fn drop(&mut self) {
        // What is above may be freed below.
        // SAFETY: `&mut self` makes this the only access.
        drop(unsafe { (*self.link.write_ptr()).take() });
        let word = Word(self.word.replace_mut(Word::OPEN.0));
        let is_foreign = self.extras.is_some() || word.is_owned() || !self.detached.is_empty();
        let remains = is_foreign.then(|| Remains {
            value: self.extras.take().and_then(|extras| extras.value),
            // SAFETY: an owned reason came from `keeping`; the node is going, and with it all borrowers.
            reason: unsafe { word.take() },
            callbacks: self.detached.take(),
            _calls: mem::replace(&mut self.calls, Waiters::new()),
        });
        if let Some(above) = self.parent.take().and_then(Arc::into_inner) {
            drop_line(above);
        }
        if let Some(remains) = remains {
            drop_in_drop(remains);
        }
    }
}

/// Drops `node`, and the nodes above it that nobody else holds.
#[cold]
fn drop_line(node: Node) {
    let (mut first, mut above) = (Some(node), None);
    run_to_end(|| {
        let next = first.take().or_else(|| above.take().and_then(Arc::into_inner));
        let Some(mut node) = next else { return false };
        // Held until the node is gone, which leaves its seat in there.
        above = node.parent.take();
        drop(node);
        true
    });
}

/// A registration that nobody takes back, and its callback, which no delivery is the last to hold: that may be an
/// interrupt, where nothing is freed but closures that ran.
pub(super) type Detached = (Parked<Call>, Arc<Callback>);

/// What is foreign in a node.
struct Remains {
    value: Option<Box<dyn Any + Send + Sync>>,
    reason: Option<Box<Reason>>,
    callbacks: Taken<Detached>,
    /// Where the callbacks are registered; dropped last.
    _calls: Waiters<Call>,
}

impl Drop for Remains {
    /// One after the other, also if the drop of one panics.
    fn drop(&mut self) {
        let Self { value, reason, callbacks, .. } = self;
        run_both(
            || drop(value.take()),
            || {
                run_both(|| drop(reason.take()), || run_to_end(|| callbacks.pop().is_some()));
            },
        );
    }
}
