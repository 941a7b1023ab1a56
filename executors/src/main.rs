//! One suite on every executor: tasks that are counted, told to stop and waited for, trees that are
//! cancelled, timers of the runtime as limits, wakes from foreign threads, runtimes that go.
//!
//! The scenarios are written once, and built anew for each runtime: whether a task must be `Send` is
//! then what the runtime asks. A runtime that this machine cannot run is skipped, and says why.

#![allow(clippy::duplicate_mod, reason = "the scenarios are built for each runtime")]

mod report;
mod runtimes;

use std::env;
use std::process::ExitCode;

use report::Report;

/// Runs the scenarios whose names, or whose runtime's name, contain the argument.
fn main() -> ExitCode {
    let mut report = Report::new(env::args().nth(1).unwrap_or_default());
    runtimes::all(&mut report);
    report.end()
}
