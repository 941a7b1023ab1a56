//! Every set of the crate's features: its tests, or why it cannot be.

use anyhow::{Result, ensure};
use clap::Args;
use xshell::{Cmd, Shell, cmd};

/// How much to test.
#[derive(Debug, Default, Args)]
pub(crate) struct FeatureArgs {
    /// With `std`, run all tests on the set with all features only, and those of the types on the rest.
    #[arg(long)]
    quick: bool,
}

impl FeatureArgs {
    /// What every change must pass.
    pub(crate) fn bounded() -> Self {
        Self { quick: true }
    }
}

/// What a user does not combine with others.
const APART: [&str; 2] = ["default", "loom"];

const OF_THE_TYPES: [&str; 5] = [
    "--test=wait_group",
    "--test=signal",
    "--test=cancel_scope",
    "--test=group",
    "--test=err_group",
];

/// Lints the library with every set, and runs the tests, those without `std` included. The tests
/// bring a critical section of the host.
pub(crate) fn features(sh: &Shell, args: &FeatureArgs) -> Result<()> {
    let features = names(sh)?;
    for set in powerset(&features) {
        let has = |name| set.contains(&name);
        let list = set.join(",");
        if has("holders") && !has("std") && !has("critical-section") {
            let check = cmd!(sh, "cargo check --quiet --no-default-features --features {list}");
            refused(check, "enable its feature `std`, or `critical-section`")?;
            continue;
        }
        let lib = ["--quiet", "--lib", "--no-default-features", "--features", &list];
        cmd!(sh, "cargo clippy {lib...} -- -D warnings").run()?;
        let all = !args.quick || !has("std") || set.len() == features.len();
        let tests = if all { &["--tests"][..] } else { &OF_THE_TYPES };
        cmd!(sh, "cargo test {lib...} {tests...}").run()?;
    }
    let target = crate::target_dir("loom");
    let check =
        cmd!(sh, "cargo check --quiet --features loom,critical-section --target-dir {target}");
    let check = check.env("RUSTFLAGS", "--cfg loom").env_remove("CARGO_ENCODED_RUSTFLAGS");
    refused(check, "without winddown's feature `critical-section`")
}

/// All features, as Cargo.toml has them.
fn names(sh: &Shell) -> Result<Vec<String>> {
    let manifest: toml::Table = toml::from_str(&sh.read_file("Cargo.toml")?)?;
    let features = manifest["features"].as_table().into_iter().flat_map(toml::Table::keys);
    Ok(features.filter(|it| !APART.contains(&it.as_str())).cloned().collect())
}

fn powerset(names: &[String]) -> impl Iterator<Item = Vec<&str>> {
    (0..1_u32 << names.len()).map(|set| {
        let members = names.iter().enumerate().filter(move |(bit, _)| set & (1 << bit) != 0);
        members.map(|(_, name)| name.as_str()).collect()
    })
}

/// Such a build ends with an error of this crate that says what to choose.
fn refused(check: Cmd<'_>, choose: &str) -> Result<()> {
    let name = check.to_string();
    let output = check.ignore_status().output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "{name}: succeeds");
    ensure!(errors.contains(choose), "{name}: does not say what to choose:\n{errors}");
    Ok(())
}
