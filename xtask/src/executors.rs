//! The suite of `executors/`, on every runtime that this machine can run.

use std::path::Path;

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
    let target = ["--target-dir".as_ref(), target.as_os_str()];
    let suite = &[&suite[..], &["--quiet", "--locked", "--features", features]].concat();
    cmd!(sh, "cargo clippy {suite...} {target...} --all-targets -- -D warnings").run()?;
    // smol has one thread, unless told otherwise.
    cmd!(sh, "cargo run {suite...} {target...} -- {filter...}").env("SMOL_THREADS", "2").run()?;
    // Those of the other runtimes have tests among the crate's own.
    cmd!(sh, "cargo build {suite...} {target...} --example embassy_service").run()?;
    let example = Path::new(target[1]).join("debug/examples/embassy_service");
    Ok(cmd!(sh, "timeout --preserve-status --signal=INT 2 {example}").run()?)
}
