//! Models under loom, and the mutants that they must kill.

mod mutants;

use std::env;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use xshell::{Cmd, Shell, cmd};

pub(crate) use mutants::{LedgerArgs, MutantArgs, ledger, mutants};

/// How to run the models.
#[derive(Debug, Default, Args)]
pub(crate) struct LoomArgs {
    /// Five preemptions in every model, and ten minutes for each.
    #[arg(long)]
    deep: bool,
    /// More seats in each block, two preemptions in every model, and a minute for each.
    #[arg(long, conflicts_with = "deep")]
    more_seats: bool,
    /// Only models whose names contain this.
    filter: Option<String>,
}

impl LoomArgs {
    /// What every change must pass.
    pub(crate) fn bounded() -> Self {
        Self::default()
    }
}

/// What the models are built with.
const LOOM: &str = "--cfg loom";
/// The same, with larger blocks: fronts of two seats, but that of a scope's tasks, and three in those behind.
const MORE_SEATS: &str = "--cfg loom --cfg winddown_more_seats";

/// Runs the models.
pub(crate) fn loom(sh: &Shell, args: &LoomArgs) -> Result<()> {
    let (flags, target) = match args.more_seats {
        true => (MORE_SEATS, target_dir().join("more-seats")),
        false => (LOOM, target_dir()),
    };
    let filter = args.filter.as_slice();
    let tests = match &args.filter {
        Some(name) => files_with(sh, name)?,
        None => Vec::new(),
    };
    let build = ["--release".to_owned(), "-p=winddown-loom-tests".to_owned()];
    let build = &[&build[..], &tests].concat();
    if let Some(name) = &args.filter {
        let list = cmd!(sh, "cargo test {build...} --target-dir {target} -- --list {name}");
        let list = with_flags(list, flags).quiet().read()?;
        ensure!(
            list.lines().any(|line| line.ends_with(": test")),
            "no model has {name:?} in its name; the models are the tests in loom-tests/tests/"
        );
    }
    let test = cmd!(sh, "cargo test {build...} --target-dir {target} -- {filter...}");
    let bounds = match args {
        LoomArgs { deep: true, .. } => Some(("5", "600")),
        LoomArgs { more_seats: true, .. } => Some(("2", "60")),
        _ => None,
    };
    let test = match bounds {
        Some((preemptions, seconds)) => {
            test.env("LOOM_MAX_PREEMPTIONS", preemptions).env("LOOM_MAX_DURATION", seconds)
        }
        None => test,
    };
    Ok(with_flags(test, flags).run()?)
}

/// The files that have a model with `name` in its name, as options of cargo; all of them, if none tells.
fn files_with(sh: &Shell, name: &str) -> Result<Vec<String>> {
    let model = name.split("::").next().unwrap_or(name);
    let mut options = Vec::new();
    for path in sh.read_dir(crate::root().join("loom-tests/tests"))? {
        let Some(file) = path.file_stem() else { continue };
        if sh.read_file(&path)?.contains(model) {
            options.push(format!("--test={}", file.to_string_lossy()));
        }
    }
    Ok(options)
}

/// Lints the models, which are not there for the ordinary run of clippy.
pub(crate) fn clippy(sh: &Shell) -> Result<()> {
    let target = target_dir();
    let clippy = cmd!(
        sh,
        "cargo clippy --quiet -p winddown-loom-tests --all-targets --target-dir {target} -- -D warnings"
    );
    Ok(with_flags(clippy, LOOM).run()?)
}

fn with_flags<'a>(cmd: Cmd<'a>, flags: &str) -> Cmd<'a> {
    cmd.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS")
}

/// Models and mutants share what they are built from.
fn target_dir() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    crate::root().join(target).join("loom")
}
