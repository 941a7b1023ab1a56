//! `examples/batch_controller`: the rows S1.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use crate::program::{Ended, Running, assert_refuses};

/// A job that reads its file so often is not done before it is stopped.
const FOR_EVER: &str = "1000000000000";

/// A folder with these files, of so many lines each.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, usize)]) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        for (file, lines) in files {
            fs::write(path.join(file), "one line\n".repeat(*lines)).unwrap();
        }
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// What the program says of a file.
    fn says(&self, file: &str, what: &str) -> String {
        format!("{}: {what}\n", self.0.join(file).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(args: &[&str]) -> Running {
    Running::start("batch_controller", args)
}

fn summary<'a>(ended: &'a Ended, outcome: &str) -> HashMap<&'a str, u64> {
    let names = ["done", "failed", "stopped", "refused", "lines"];
    ended.summary(&format!("batch_{outcome}:"), &names)
}

/// What it wrote, without the lines of the waiter that watches: they may come between any others.
fn story(ended: &Ended) -> String {
    let lines = ended.stdout.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("jobs inside: ")).collect()
}

/// S1.3, S1.5, S1.11, S1.12: several threads register jobs; each counts out once, whether it is done
/// or fails, and the wait is over when the last one is out.
fn jobs_end_by_themselves(runtime: &str) {
    let first = Folder::new(&format!("first-{runtime}"), &[("a", 3), ("b", 4), ("c", 0)]);
    let second = Folder::new(&format!("second-{runtime}"), &[("d", 5), ("e", 100_000)]);
    let missing = second.0.join("missing");
    let paths = [first.path(), second.path(), missing.to_str().unwrap()];
    let ended = start(&[&["--runtime", runtime, "--jobs", "2"], &paths[..]].concat()).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains(&second.says("e", "100000 lines")), "{}", ended.stdout);
    assert!(ended.stderr.contains("missing: "), "{}", ended.stderr);
    // The finaliser comes after the last job, and before any wait is over.
    let end = "the last job is out\ntotal: 100012 lines\n";
    assert!(story(&ended).contains(end), "{}", ended.stdout);
    let summary = summary(&ended, "completed");
    assert_eq!((summary["done"], summary["failed"], summary["lines"]), (5, 1, 100_012));
    assert_eq!((summary["stopped"], summary["refused"]), (0, 0));
}

#[test]
fn a_batch_is_completed_when_the_last_job_is_out_on_tokio() {
    jobs_end_by_themselves("tokio");
}

#[test]
fn a_batch_is_completed_when_the_last_job_is_out_on_smol() {
    jobs_end_by_themselves("smol");
}

/// S1.11: a wait with zero jobs completes at once.
#[test]
fn a_batch_without_jobs_is_completed_at_once() {
    for runtime in ["tokio", "smol"] {
        let empty = Folder::new(&format!("empty-{runtime}"), &[]);
        let ended = start(&["--runtime", runtime, empty.path()]).end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(summary(&ended, "completed").values().sum::<u64>(), 0);
    }
}

/// S1.1, S1.4, S1.6, S1.7, S1.14: the parent's cancel reaches jobs in a hot loop, which tell their file
/// and why they stop. A job that comes afterwards is refused.
fn stops_by_signal(runtime: &str, name: &str, code: i32) {
    let folder = Folder::new(&format!("signal-{runtime}"), &[("a", 1), ("b", 1), ("c", 1)]);
    let args = ["--jobs", "2", "--rounds", FOR_EVER, "--every", "0.01", "--runtime", runtime];
    let mut running = start(&[&args[..], &[folder.path()]].concat());
    running.line_with("jobs inside: 2");
    running.signal(name);
    let ended = running.end();
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    for file in ["a", "b"] {
        let line = folder.says(file, &format!("stopped: SIG{name}"));
        assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("total:"), "the parent is cancelled: {}", ended.stdout);
    let summary = summary(&ended, "stopped");
    assert_eq!((summary["done"], summary["stopped"], summary["refused"]), (0, 2, 1));
}

#[test]
fn ctrl_c_stops_every_job_on_tokio() {
    stops_by_signal("tokio", "INT", 130);
}

#[test]
fn sigterm_stops_every_job_on_smol() {
    stops_by_signal("smol", "TERM", 143);
}

/// S1.2, S1.14: a batch that stops itself leaves its parent alone, which goes on to the report.
#[test]
fn a_batch_that_has_enough_stops_itself_alone() {
    for runtime in ["tokio", "smol"] {
        let folder = Folder::new(&format!("enough-{runtime}"), &[("a", 3), ("b", 3), ("c", 3)]);
        let args = ["--jobs", "1", "--enough", "2", "--runtime", runtime, folder.path()];
        let ended = start(&args).end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let end = "the last job is out\nstopped: that is enough\ntotal: 3 lines\n";
        assert!(story(&ended).contains(end), "{}", ended.stdout);
        let summary = summary(&ended, "stopped");
        assert_eq!((summary["done"], summary["stopped"], summary["refused"]), (1, 0, 2));
    }
}

/// S1.8, S1.9, S1.10, S1.13: the wait is given up after a time, which is told apart from a batch that
/// is completed or stopped; another waiter goes on meanwhile, and a second wait sees the end.
fn times_out(runtime: &str) {
    let folder = Folder::new(&format!("limit-{runtime}"), &[("a", 1), ("b", 1), ("c", 1)]);
    let args = ["--rounds", FOR_EVER, "--limit", "1", "--every", "0.01", "--runtime", runtime];
    let ended = start(&[&args[..], &[folder.path()]].concat()).end();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let (before, _) = ended.stdout.split_once("out of time, jobs inside: ").unwrap();
    assert!(before.contains("jobs inside: "), "a waiter watches: {}", ended.stdout);
    let end = "the last job is out\nstopped: out of time\n";
    assert!(story(&ended).contains(end), "{}", ended.stdout);
    let summary = summary(&ended, "timed_out");
    assert_eq!((summary["done"], summary["stopped"] + summary["refused"]), (0, 3));
}

#[test]
fn a_wait_that_is_given_up_is_told_apart_on_tokio() {
    times_out("tokio");
}

#[test]
fn a_wait_that_is_given_up_is_told_apart_on_smol() {
    times_out("smol");
}

#[test]
fn senseless_options_are_refused() {
    assert_refuses(
        "batch_controller",
        &[
            (&[], "<PATHS>"),
            (&["--jobs", "0", "."], "--jobs"),
            (&["--limit", "-1", "."], "-1"),
            (&["--runtime", "none", "."], "tokio, smol"),
        ],
    );
}
