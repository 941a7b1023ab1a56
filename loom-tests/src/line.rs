//! A line of scopes, for the models of trees.

use core::task::Waker;

use loom::thread;
use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller, Reason};

use crate::{Turns, Work, poll};

/// Three scopes, each below the one before, and work that is finished before a cancel.
#[derive(Debug)]
pub struct Line {
    /// From the root down.
    pub scopes: [Canceller; 3],
    /// What comes before a cancel.
    pub work: Work,
    /// Taken by each thread that does something to the line.
    pub turns: Turns,
}

/// The scope above all.
pub const ROOT: usize = 0;
/// The scope in between.
pub const MIDDLE: usize = 1;
/// The scope below all.
pub const LEAF: usize = 2;

impl Line {
    /// Open.
    #[allow(clippy::new_without_default, reason = "a model makes it by name")]
    pub fn new() -> Self {
        let root = CancelScope::new().detach();
        let middle = below(&root);
        let leaf = below(&middle);
        Self { scopes: [root, middle, leaf], work: Work::default(), turns: Turns::default() }
    }

    /// The token of the scope at `height`.
    pub fn token(&self, height: usize) -> &CancelToken {
        self.scopes[height].token()
    }

    /// A thread that finishes the work and then cancels the scope at `height`.
    pub fn canceller(&'static self, height: usize) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            self.work.finish();
            assert!(self.cancel_with(height, Reason::Cancelled));
        })
    }

    /// Takes a turn and cancels; true if it was the first.
    pub fn cancel_with(&self, height: usize, reason: Reason) -> bool {
        self.turns.take();
        self.scopes[height].cancel_with(reason).is_ok()
    }

    /// Takes a turn and looks.
    pub fn is_cancelled(&self, height: usize) -> bool {
        self.turns.take();
        self.token(height).is_cancelled()
    }

    /// Takes a turn and returns the address of the reason: equal where two questions get the same answer.
    pub fn told(&self, height: usize) -> Option<usize> {
        self.turns.take();
        told(self.token(height))
    }

    /// Takes a turn and polls a new wait once; whether it was over by then.
    pub fn wait(&self, height: usize, waker: &Waker) -> (WaitCancelled<&CancelToken>, bool) {
        self.turns.take();
        let mut wait = self.token(height).cancelled();
        let early = poll(&mut wait, waker).is_ready();
        (wait, early)
    }
}

/// A scope below `parent`, which no drop cancels.
pub fn below(parent: &Canceller) -> Canceller {
    parent.token().child().detach()
}

/// The address of the reason of `token`: equal where two questions get the same answer.
pub fn told(token: &CancelToken) -> Option<usize> {
    token.reason().map(|reason| core::ptr::from_ref(reason).addr())
}
