//! The output: lines that stay, and one live line below them.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use winddown::Signal;

/// Takes the live line away, which only a terminal has.
const CLEAR: &str = "\r\x1b[K";

/// Writes a line that stays. Whoever closed our output reads no more: that is no error.
pub(crate) fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let clear = if out.is_terminal() { CLEAR } else { "" };
    let _ = writeln!(out, "{clear}{line}");
}

/// Writes a line that stays to standard error.
pub(crate) fn complain(line: impl Display) {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        let _ = write!(out, "{CLEAR}").and_then(|()| out.flush());
    }
    let _ = writeln!(io::stderr(), "drain_server: {line}");
}

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
            // The same signal type in a plain thread: sleeps until it is time to draw, or to go.
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
