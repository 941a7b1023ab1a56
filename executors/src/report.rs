//! What ran, and how it ended.

use std::process::{self, ExitCode};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Passes only if a scenario hangs. Scenarios have no such limit of their own: a wait looks once more
/// when its limit comes, and would hide that it was not woken.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Report {
    filter: String,
    runtime: &'static str,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<&'static str>,
}

impl Report {
    pub(crate) fn new(filter: String) -> Self {
        Self { filter, runtime: "", passed: 0, failed: Vec::new(), skipped: Vec::new() }
    }

    /// What follows runs on this one.
    pub(crate) fn on(&mut self, runtime: &'static str) {
        println!("{runtime}");
        self.runtime = runtime;
    }

    /// What is not asked of this runtime.
    pub(crate) fn remark(&self, text: &str) {
        println!("    REMARK: {text}");
    }

    pub(crate) fn skip(&mut self, runtime: &'static str, reason: impl core::fmt::Display) {
        println!("{runtime}\n    SKIPPED: {reason}");
        self.skipped.push(runtime);
    }

    /// Runs a scenario on a thread of its own, so that a panic is the end of it alone.
    pub(crate) fn check(&mut self, scenario: &str, run: impl FnOnce() + Send + 'static) {
        let name = format!("{}: {scenario}", self.runtime);
        if !name.contains(&self.filter) {
            return;
        }
        let start = Instant::now();
        let (done, outcome) = mpsc::channel();
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            run();
            let _ = done.send(());
        });
        thread.expect("a thread");
        let outcome = match outcome.recv_timeout(LIMIT) {
            Ok(()) => "ok",
            Err(RecvTimeoutError::Disconnected) => "FAILED",
            Err(RecvTimeoutError::Timeout) => {
                println!("    {scenario}: HANGS");
                process::exit(1);
            }
        };
        println!("    {scenario}: {outcome}, {} ms", start.elapsed().as_millis());
        if outcome == "ok" {
            self.passed += 1;
        } else {
            self.failed.push(name);
        }
    }

    pub(crate) fn end(self) -> ExitCode {
        println!(
            "{} passed, {} failed, skipped: {:?}",
            self.passed,
            self.failed.len(),
            self.skipped
        );
        for name in &self.failed {
            println!("FAILED {name}");
        }
        if self.failed.is_empty() && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Checks these `async` functions in turn, each in a runtime of its own, by the `run` in scope.
macro_rules! check {
    ($report:ident: $($scenario:ident,)+) => {$(
        $report.check(stringify!($scenario), || run($scenario));
    )+};
}
pub(crate) use check;
