//! The suite of `executors/`, on every runtime that this machine can run.

use anyhow::Result;
use clap::Args;
use xshell::{Shell, cmd};

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
    let suite = programs.join("winddown-executors");
    // smol has one thread, unless told otherwise.
    cmd!(sh, "{suite} {filter...}").env("SMOL_THREADS", "2").run()?;
    // Those of the other runtimes have tests among the crate's own.
    let example = programs.join("examples/embassy_service");
    Ok(cmd!(sh, "timeout --preserve-status --signal=INT 2 {example}").run()?)
}
