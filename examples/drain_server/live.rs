//! A live line below the lines that stay.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use winddown::Signal;

use crate::program::CLEAR;

/// The live line, drawn again and again by a thread until this is dropped.
pub(crate) struct Live {
    finished: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    pub(crate) fn start(
        every: Option<Duration>,
        line: impl Fn() -> String + Send + 'static,
    ) -> Self {
        let terminal = io::stdout().is_terminal();
        let every = every.unwrap_or(Duration::from_millis(if terminal { 100 } else { 1000 }));
        let finished = Arc::new(Signal::new());
        let finish = Arc::clone(&finished);
        let thread = thread::spawn(move || {
            // The same signal type in a plain thread: it sleeps until it is time to draw, or to end.
            while finish.closed().block_for(every).is_err() {
                let mut out = io::stdout().lock();
                let _ = if terminal {
                    write!(out, "{CLEAR}{}", line()).and_then(|()| out.flush())
                } else {
                    writeln!(out, "{}", line())
                };
            }
        });
        Self { finished, thread: Some(thread) }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finished.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
