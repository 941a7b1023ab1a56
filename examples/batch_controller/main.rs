//! A batch of jobs over real files: stopped by Ctrl-C, by itself, or given up after a time.
//!
//! Counts the lines of each file in some folders: a job for each file, so many at a time. This file
//! has the story; `batch.rs` has the controller and its jobs.

mod batch;
mod runtime;
#[path = "../common/signals.rs"]
mod signals;

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use signal_hook::low_level::signal_name;
use winddown::{CancelScope, Canceller, FutureUntil as _, Reason, WaitGroup};

use batch::{Batch, Failure, Job};
use runtime::{Runtime, Smol, Tokio};

/// Counts the lines of files. The last line is for scripts. The exit code is 0
/// if the batch came to its end, 1 if a file could not be read, 3 if there was no time left, and 130
/// after Ctrl-C.
#[derive(Parser)]
#[command(name = "batch_controller")]
struct Args {
    /// Files and folders of files; a thread for each registers the jobs
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How many jobs may run at a time
    #[arg(long, value_name = "N", default_value = "4")]
    jobs: NonZeroUsize,
    /// Stop when so many lines were counted
    #[arg(long, value_name = "LINES")]
    enough: Option<u64>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    limit: Duration,
    /// Read each file so many times, to make it last
    #[arg(long, value_name = "N", default_value = "1")]
    rounds: u64,
    /// Seconds between two lines that tell how it goes
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    every: Duration,
    /// What to run on
    #[arg(long, value_enum, default_value = "tokio")]
    runtime: Which,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Tokio,
    Smol,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// What the jobs share.
struct Tally {
    rounds: u64,
    enough: u64,
    lines: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    stopped: AtomicU64,
    /// Files that came too late to become a job.
    refused: AtomicU64,
}

/// Why the root is cancelled.
#[derive(Debug)]
struct Signalled(i32);

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.runtime {
        Which::Tokio => run::<Tokio>(&args),
        Which::Smol => run::<Smol>(&args),
    };
    outcome.unwrap_or_else(|error| {
        complain(error);
        ExitCode::FAILURE
    })
}

fn run<R: Runtime>(args: &Args) -> io::Result<ExitCode> {
    let root = CancelScope::new();
    cancel_on_signals(root.canceller())?;
    let batch = Batch::new(root.token(), args.jobs, || say("the last job is out"));
    let tally = Arc::new(Tally::new(args));

    let watcher = thread::spawn({
        let (batch, every) = (batch.clone(), args.every);
        move || batch.watch(every, |left| say(format_args!("jobs inside: {left}")))
    });
    let timed_out = R::block_on(count::<R>(args, &batch, &tally))?;
    watcher.join().expect("the watcher panics never");

    if let Some(reason) = batch.why_stopped() {
        say(format_args!("stopped: {reason}"));
    }
    if !root.token().is_cancelled() {
        say(format_args!("total: {} lines", tally.lines.load(Relaxed)));
    }
    let outcome = match batch.why_stopped() {
        None => "completed",
        Some(_) if timed_out => "timed_out",
        Some(_) => "stopped",
    };
    tally.print(outcome);
    Ok(match batch.why_stopped().and_then(Reason::downcast_ref) {
        Some(Signalled(signal)) => ExitCode::from(128 + u8::try_from(*signal).unwrap_or(0)),
        None if timed_out => ExitCode::from(3),
        None if tally.failed.load(Relaxed) > 0 => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

/// Runs the batch to its end; true if there was no time left.
async fn count<R: Runtime>(args: &Args, batch: &Batch, tally: &Arc<Tally>) -> bool {
    let readers = Arc::new(WaitGroup::new());
    for path in args.paths.clone() {
        let (batch, tally) = (batch.clone(), Arc::clone(tally));
        let guard = WaitGroup::guard_in(Arc::clone(&readers));
        R::unblock(move || {
            register_all::<R>(&path, &batch, &tally);
            drop(guard);
        });
    }
    let all_out = || async {
        // First those who may register a job. Then the door is closed behind the last one.
        readers.wait().await;
        batch.jobs.join().await;
    };
    let timed_out = all_out().until(R::sleep(args.limit)).await.is_err();
    if timed_out {
        // This wait is over and the jobs are not: it remains to stop them, and to wait again.
        say(format_args!("out of time, jobs inside: {}", batch.jobs.len()));
        batch.stop("out of time");
        all_out().await;
    }
    timed_out
}

/// Registers a job for each file, and starts it.
fn register_all<R: Runtime>(path: &Path, batch: &Batch, tally: &Arc<Tally>) {
    // What is no folder is tried as a file.
    for file in files_in(path).unwrap_or_else(|_| vec![path.into()]) {
        // Counted in before it is started, so nobody can overlook it; or refused, and not started.
        match batch.register(file) {
            Ok(job) => {
                let tally = Arc::clone(tally);
                R::unblock(move || tally.run(&job));
            }
            Err(_closed) => {
                tally.refused.fetch_add(1, Relaxed);
            }
        }
    }
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

impl Tally {
    fn new(args: &Args) -> Self {
        Self {
            rounds: args.rounds,
            enough: args.enough.unwrap_or(u64::MAX),
            lines: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stopped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    fn run(&self, job: &Job) {
        let file = job.file().display();
        match job.count_lines(self.rounds) {
            Ok(lines) => {
                say(format_args!("{file}: {lines} lines"));
                self.done.fetch_add(1, Relaxed);
                if self.lines.fetch_add(lines, Relaxed) + lines >= self.enough {
                    job.batch().stop("that is enough");
                }
            }
            Err(Failure::Stopped(cancelled)) => {
                say(format_args!("{file}: stopped: {}", cancelled.reason()));
                self.stopped.fetch_add(1, Relaxed);
            }
            Err(Failure::Failed(error)) => {
                complain(format_args!("{file}: {error}"));
                self.failed.fetch_add(1, Relaxed);
            }
        }
    }

    fn print(&self, outcome: &str) {
        let Self { lines, done, failed, stopped, refused, .. } = self;
        say(format_args!(
            "batch_{outcome}: done={done:?} failed={failed:?} stopped={stopped:?} refused={refused:?} \
             lines={lines:?}"
        ));
    }
}

/// From a plain thread.
fn cancel_on_signals(root: Canceller) -> io::Result<()> {
    signals::on_each(move |signal| {
        // The second one changes nothing: the first reason stands.
        let _ = root.cancel_with(Signalled(signal));
    })
}

impl Display for Signalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(signal_name(self.0).unwrap_or("a signal"))
    }
}

impl Error for Signalled {}

/// Writes a line. Whoever closed our output reads no more: that is no error.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "batch_controller: {line}");
}
