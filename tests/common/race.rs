//! Threads that begin at the same time.

use std::sync::Barrier;
use std::thread;

/// What one thread does.
pub(crate) type Act<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs each act on a thread of its own. All threads begin together, and this returns when the last one has ended.
pub(crate) fn at_once<'a>(acts: impl IntoIterator<Item = Act<'a>>) {
    let acts: Vec<_> = acts.into_iter().collect();
    let start = Barrier::new(acts.len());
    thread::scope(|threads| {
        for act in acts {
            threads.spawn(|| {
                start.wait();
                act();
            });
        }
    });
}
