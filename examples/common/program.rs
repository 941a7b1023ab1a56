//! What a program needs beside winddown: its output, its exit code, signals of the system, and options that are
//! times.

#![allow(dead_code, reason = "each example uses a part of it")]

#[path = "signals.rs"]
mod signals;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use signal_hook::low_level::signal_name;

/// Erases the line that the cursor is in. Written to a terminal only.
pub(crate) const CLEAR: &str = "\r\x1b[K";

/// Writes a line. An error is ignored: it means that the reader has closed our output.
pub(crate) fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let clear = if out.is_terminal() { CLEAR } else { "" };
    let _ = writeln!(out, "{clear}{line}");
}

/// Writes a line to standard error, behind the name of the program.
pub(crate) fn complain(line: impl Display) {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        let _ = write!(out, "{CLEAR}").and_then(|()| out.flush());
    }
    let _ = writeln!(io::stderr(), "{}: {line}", env!("CARGO_CRATE_NAME"));
}

/// The exit code of a program that returns whether all is well.
pub(crate) fn exit_code(outcome: Result<bool, impl Display>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Calls `act` with the number and the name of each SIGINT (Ctrl-C) and each SIGTERM, on a thread of its own.
pub(crate) fn on_signals(
    mut act: impl FnMut(i32, &'static str) + Send + 'static,
) -> io::Result<()> {
    signals::on_each(move |signal| act(signal, signal_name(signal).unwrap_or("a signal")))
}

/// An option that is a number of seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
