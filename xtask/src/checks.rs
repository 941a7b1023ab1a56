//! What a change must pass.

use anyhow::{Context as _, Result};
use clap::Args;
use std::sync::Mutex;
use std::time::Instant;
use xshell::{Shell, cmd};

use crate::executors::{self, ExecutorArgs};
use crate::features::{self, FeatureArgs};
use crate::package::{self, PackageArgs};
use crate::skips::{self, skip_without_lack};
use crate::{api, docs, docsrs, interop, minimal, models, msrv};

/// How strictly.
#[derive(Debug, Default, Args)]
pub(crate) struct TestArgs {
    /// Fails if something was left out because this machine lacks what it needs.
    #[arg(long)]
    no_skip: bool,
}

/// Everything, in the order in which it is most likely to fail; then what was left out, and why.
pub(crate) fn test(sh: &Shell, args: &TestArgs) -> Result<()> {
    step("format", || {
        cmd!(sh, "cargo fmt --all --check").run()?;
        for manifest in APART {
            cmd!(sh, "cargo fmt --manifest-path {manifest} --check").run()?;
        }
        Ok(())
    })?;
    step("what documents and comments cite", || docs::docs(sh, &docs::DocsArgs::default()))?;
    step("the ledger of orderings", || models::ledger(sh, &models::LedgerArgs::default()))?;
    step("clippy", || {
        Ok(cmd!(sh, "cargo clippy --workspace --all-targets --quiet -- -D warnings").run()?)
    })?;
    step("clippy, with holders", || {
        let holders = ["--all-targets", "--features", "holders"];
        Ok(cmd!(sh, "cargo clippy --quiet {holders...} -- -D warnings").run()?)
    })?;
    step("clippy of packages that are apart", || apart(sh))?;
    step("clippy of the models", || models::clippy(sh))?;
    step("tests, doctests, README", || tests(sh))?;
    // Without optimisation, so that little is built for it: nobody reads the numbers.
    step("benchmarks, in brief", || {
        let run = cmd!(sh, "cargo run --quiet -p winddown-benches -- --quick");
        Ok(run.ignore_stdout().run()?)
    })?;
    step("documentation", || {
        let _flags = sh.push_env("RUSTDOCFLAGS", "-D warnings");
        cmd!(sh, "cargo doc --no-deps --quiet").run()?;
        let bare = ["--no-default-features", "--features", "critical-section"];
        cmd!(sh, "cargo doc --no-deps --quiet {bare...}").run()?;
        Ok(cmd!(sh, "cargo doc --no-deps --quiet --features holders").run()?)
    })?;
    step("public API", || api::api(sh, &api::ApiArgs::default()))?;
    step("limits, with small words", || with_cfg(sh, "small-word", &["limits"]))?;
    step("groups that are born sharded", || {
        let tests = ["group_races", "group_sharded", "group_trees", "thread_exit"];
        with_cfg(sh, "born-sharded", &tests)
    })?;
    step("models", || models::loom(sh, &models::LoomArgs::bounded()))?;
    step("mutants", || models::mutants(sh, &models::MutantArgs::bounded()))?;
    step("executors", || executors::executors(sh, &ExecutorArgs::default()))?;
    step("other crates", || interop::interop(sh))?;
    step("feature sets", || features::features(sh, &FeatureArgs::bounded()))?;
    step("oldest dependencies", || minimal::minimal(sh))?;
    step("package", || package::package(sh, &PackageArgs::bounded()))?;
    step("documentation, as docs.rs builds it", || docsrs::docsrs(sh))?;
    step("oldest compiler", || msrv::msrv(sh))?;
    print_times();
    skips::finish(args.no_skip)
}

fn tests(sh: &Shell) -> Result<()> {
    if !cfg!(unix) {
        for tests in ["the programs of examples/, which signals stop", "a program without std"] {
            skip_without_lack(format!("tests of {tests}"), "they are written for Unix");
        }
    }
    Ok(cmd!(sh, "cargo test --workspace").run()?)
}

/// Packages that are workspaces of their own, and that no other step formats and lints.
const APART: [&str; 4] = [
    "benches/size/Cargo.toml",
    "tests/no_std/Cargo.toml",
    "executors/wasm/Cargo.toml",
    "fuzz/Cargo.toml",
];

/// Lints them, with and without what they have features for. Programs without the standard library have the
/// profile in which a panic aborts. The program for wasm is linted for the host, whose library is there.
fn apart(sh: &Shell) -> Result<()> {
    let [size, no_std, wasm, fuzz] = APART;
    let target = crate::target_dir("apart");
    for (manifest, features) in
        [(size, "rivals"), (size, ""), (no_std, ""), (wasm, ""), (wasm, "holders"), (fuzz, "")]
    {
        cmd!(sh, "cargo clippy --quiet --locked --release --manifest-path {manifest}")
            .args(["--features", features, "--target-dir"])
            .arg(&target)
            .args(["--", "-D", "warnings"])
            .run()?;
    }
    Ok(())
}

/// Runs `tests` with a cfg of the crate that brings into reach what otherwise takes many calls, or contention.
/// In a package without heavy dependencies, since the flag rebuilds all of them; `feature` adds the tests to it.
fn with_cfg(sh: &Shell, feature: &str, tests: &[&str]) -> Result<()> {
    let _flags = sh.push_env("RUSTFLAGS", format!("--cfg winddown_{}", feature.replace('-', "_")));
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let _target = sh.push_env("CARGO_TARGET_DIR", std::path::Path::new(&target).join(feature));
    let tests = tests.iter().flat_map(|test| ["--test", test]);
    Ok(cmd!(sh, "cargo test --quiet -p winddown-loom-tests --features {feature} {tests...}")
        .run()?)
}

/// The steps that passed, and their seconds.
static TOOK: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

/// Where the time went.
fn print_times() {
    let took = TOOK.lock().expect("no step panicked");
    println!("\n== {} s in all", took.iter().map(|(_, seconds)| seconds).sum::<u64>());
    let mut longest: Vec<_> = took.iter().filter(|(_, seconds)| *seconds >= 10).collect();
    longest.sort_by_key(|(_, seconds)| core::cmp::Reverse(*seconds));
    longest.iter().for_each(|(name, seconds)| println!("{seconds:5} s  {name}"));
}

fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    let start = Instant::now();
    check().with_context(|| format!("step '{name}' failed"))?;
    let seconds = start.elapsed().as_secs();
    println!("== {name}: ok, {seconds} s");
    TOOK.lock().expect("no step panicked").push((name.to_owned(), seconds));
    Ok(())
}
