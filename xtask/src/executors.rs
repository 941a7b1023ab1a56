//! The suite of `executors/`, on every runtime that this machine can run.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use wait_timeout::ChildExt as _;
use xshell::{Shell, cmd};

use crate::skips::skip_without_lack;

/// A service that has closed its output ends at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Default, Args)]
pub(crate) struct ExecutorArgs {
    /// Of this crate: `critical-section`, `portable-atomic`, or both with a comma.
    #[arg(long, default_value = "")]
    features: String,
    /// Only runtimes and scenarios whose names contain this.
    filter: Option<String>,
}

/// Lints the suite, and runs it. A runtime that is skipped says why.
pub(crate) fn executors(sh: &Shell, args: &ExecutorArgs) -> Result<()> {
    let target = crate::target_dir("executors");
    let ExecutorArgs { features, filter } = args;
    let suite = ["--manifest-path", "executors/Cargo.toml"];
    cmd!(sh, "cargo fmt {suite...} --check").run()?;
    let flags = ["--quiet", "--locked", "--bins", "--examples", "--features", features];
    // The linter compiles as well: all those runtimes are not built once more for it.
    cmd!(sh, "cargo build {suite...} {flags...} --target-dir {target}")
        .env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
        .env("RUSTFLAGS", "-D warnings")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .run()?;
    let programs = target.join("debug");
    suite_in(&program(&programs, "winddown-executors"), filter.as_deref())?;
    // Those of the other runtimes have tests among the crate's own.
    let examples = programs.join("examples");
    let device = program(&examples, "embassy_device");
    cmd!(sh, "{device}").run()?;
    embassy_service(&program(&examples, "embassy_service"))
}

fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Runs the suite, and takes up which runtimes it skips: some need what a kernel may not have.
fn suite_in(program: &Path, filter: Option<&str>) -> Result<()> {
    let mut suite = Command::new(program);
    // smol has one thread, unless told otherwise.
    suite.args(filter).env("SMOL_THREADS", "2").stdout(Stdio::piped());
    let mut suite = suite.spawn().context("starting the suite")?;
    let mut runtime = String::new();
    for line in BufReader::new(suite.stdout.take().context("no output")?).lines() {
        let line = line?;
        println!("{line}");
        match line.trim_start().strip_prefix("SKIPPED: ") {
            Some(why) => skip_without_lack(format!("executors: {runtime}"), why),
            None if !line.starts_with(' ') => runtime = line,
            None => (),
        }
    }
    let status = suite.wait()?;
    ensure!(status.success(), "the suite failed: {status}");
    Ok(())
}

/// Runs the service on embassy, presses Ctrl-C, and waits for its end.
fn embassy_service(program: &Path) -> Result<()> {
    if !cfg!(unix) {
        skip_without_lack("executors: embassy_service", "only Unix sends Ctrl-C to one program");
        return Ok(());
    }
    let mut service = Command::new(program);
    let mut service = service.stdout(Stdio::piped()).spawn().context("starting embassy_service")?;
    let output = BufReader::new(service.stdout.take().context("no output")?);
    // Some requests are done before it stops.
    let interrupt = format!("kill -INT {}", service.id());
    let mut said = String::new();
    for line in output.lines() {
        let line = line?;
        println!("{line}");
        if line.ends_with(": done") && !said.contains(": done") {
            Command::new("sh").args(["-c", &interrupt]).status().context("sending Ctrl-C")?;
        }
        said.push_str(&line);
    }
    let status = service.wait_timeout(PATIENCE)?;
    if status.is_none() {
        service.kill()?;
        service.wait()?;
    }
    let ended = status.is_some_and(|status| status.success()) && said.contains("stopped: ");
    ensure!(ended, "embassy_service did not stop on Ctrl-C: {status:?}");
    Ok(())
}
