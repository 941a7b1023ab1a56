//! What a user of an earlier revision would have to change: cargo-semver-checks, from crates.io.
//!
//! It compares what rustdoc says of the two revisions, with all features. Its build takes minutes, so no step
//! of `cargo xtask test` uses it; the listing of the public API shows each change, and this command judges it.

use std::env;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use xshell::{Shell, cmd};

use crate::target_dir;
use crate::toolchain::Toolchain;

/// It reads the JSON of the installed rustdoc: a newer Rust may need a newer one.
const VERSION: &str = "0.51.0";

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct SemverArgs {
    /// The revision that users have: a tag, a branch or a commit.
    #[arg(long, value_name = "REV")]
    baseline: String,
    /// The release that is planned: `major`, `minor` or `patch`. Without it, what the versions in Cargo.toml say;
    /// if they are the same, `minor`.
    #[arg(long, value_name = "KIND")]
    release: Option<String>,
}

/// Compares the source with an earlier revision, and fails if a user has to change something that the release
/// does not allow.
pub(crate) fn semver(sh: &Shell, args: &SemverArgs) -> Result<()> {
    let tool = install(sh)?;
    let baseline = format!("{}^{{commit}}", args.baseline);
    // The tool takes a revision as `git` prints it.
    let revision = cmd!(sh, "git rev-parse --verify {baseline}").quiet().read()?;
    let kind = args.release.iter().flat_map(|kind| ["--release-type", kind]);
    let (toolchain, target) = (Toolchain::of_this_run()?, target_dir("semver"));
    let check = cmd!(sh, "{tool} semver-checks --package winddown --baseline-rev {revision}");
    let check = check.args(kind).env("CARGO_TARGET_DIR", target);
    Ok(toolchain.as_nightly(check).run()?)
}

/// Builds the tool, if it is not there in that version.
fn install(sh: &Shell) -> Result<PathBuf> {
    let root = target_dir("tools");
    let program = root.join("bin/cargo-semver-checks").with_extension(env::consts::EXE_EXTENSION);
    let says = cmd!(sh, "{program} semver-checks --version").quiet().ignore_stderr().read();
    if !says.is_ok_and(|it| it.ends_with(VERSION)) {
        let build = root.join("build");
        let flags = ["--locked", "--force", "--version", VERSION, "--target-dir"];
        cmd!(sh, "cargo install cargo-semver-checks {flags...} {build} --root {root}").run()?;
    }
    Ok(program)
}
