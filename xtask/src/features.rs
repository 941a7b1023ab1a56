//! Every set of the crate's features: its tests, or why it cannot be.
//!
//! The tests are those of a package of its own, `light`, where a set is what it says: many packages that
//! the crate's other tests use depend on event-listener too, and choose features for it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use toml::{Table, Value};
use xshell::{Cmd, Shell, cmd};

/// How much to test.
#[derive(Debug, Default, Args)]
pub(crate) struct FeatureArgs {
    /// Run all tests only on the sets with most features, one with `std` and one without, those of the types on
    /// each feature alone, and lint the rest.
    #[arg(long)]
    quick: bool,
}

impl FeatureArgs {
    /// What every change must pass.
    pub(crate) fn bounded() -> Self {
        Self { quick: true }
    }
}

/// Adds to what the other features choose, and changes nothing of it: such a feature is tested with the smallest and
/// the largest of their sets, with `std` and without, and not with all of them, which would take twice the time.
const ADDS: &str = "tracing";

/// What a user does not combine with others.
const APART: [&str; 2] = ["default", "loom"];

/// What the tests of `light` use. None of it depends on event-listener.
const LIGHT: [&str; 4] = ["critical-section", "futures-util", "pollster", "static_assertions"];

/// Those that show a type at work; of groups, for `std` alone.
pub(crate) const OF_THE_TYPES: [&str; 5] = [
    "--test=wait_group",
    "--test=signal",
    "--test=cancel_scope",
    "--test=group",
    "--test=err_group",
];

/// Lints the library with every set, and runs the tests, those without `std` included. The tests
/// bring a critical section of the host.
pub(crate) fn features(sh: &Shell, args: &FeatureArgs) -> Result<()> {
    let light = Light::new(sh, &crate::target_dir("light"))?;
    // Half of the time goes into it.
    let _debug = sh.push_env("CARGO_PROFILE_DEV_DEBUG", "0");
    let manifest = &light.manifest;
    let sets = sets(sh)?;
    for set in &sets {
        let list = set.join(",");
        let package = ["--quiet", "--no-default-features", "--features", &list];
        if !is_possible(set) {
            let check = cmd!(sh, "cargo check --manifest-path {manifest} {package...}");
            refused(check, "enable its feature `std`, or `critical-section`")?;
            continue;
        }
        cmd!(sh, "cargo clippy --manifest-path {manifest} {package...} --lib -- -D warnings")
            .run()?;
        let of_std = has(set, "std");
        let most = sets.iter().rfind(|it| has(it, "std") == of_std);
        let quick = args.quick && Some(set) != most;
        if quick && set.len() > 1 {
            continue;
        }
        let tests = match (of_std, quick) {
            (true, false) => vec!["--tests"],
            (false, false) => light.without_std.iter().map(String::as_str).collect(),
            (true, true) => OF_THE_TYPES.to_vec(),
            (false, true) => OF_THE_TYPES[..3].to_vec(),
        };
        cmd!(sh, "cargo test --manifest-path {manifest} {package...} --lib {tests...}").run()?;
    }
    let target = crate::target_dir("loom");
    let check =
        cmd!(sh, "cargo check --quiet --features loom,critical-section --target-dir {target}");
    let check = check.env("RUSTFLAGS", "--cfg loom").env_remove("CARGO_ENCODED_RUSTFLAGS");
    refused(check, "without winddown's feature `critical-section`")
}

/// The features that a user combines.
pub(crate) fn of_users(sh: &Shell) -> Result<Vec<String>> {
    let manifest: Table = toml::from_str(&sh.read_file("Cargo.toml")?)?;
    let names = manifest["features"].as_table().into_iter().flat_map(Table::keys);
    Ok(names.filter(|it| !APART.contains(&it.as_str())).cloned().collect())
}

/// All sets of features, but see [`ADDS`]; the one with all of them last.
pub(crate) fn sets(sh: &Shell) -> Result<Vec<Vec<String>>> {
    let names = of_users(sh)?.into_iter().filter(|it| it != ADDS).collect::<Vec<_>>();
    let set = |bits: u32| {
        let members = names.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        members.map(|(_, name)| name.clone()).collect::<Vec<_>>()
    };
    let mut sets: Vec<_> = (0..1 << names.len()).map(set).collect();
    for of_std in [false, true] {
        let alike = || sets.iter().filter(|it| has(it, "std") == of_std && !has(it, ADDS));
        let ends = [alike().next(), alike().next_back()].into_iter().flatten();
        let with_it = |set: &Vec<String>| [set.as_slice(), &[ADDS.to_owned()]].concat();
        let more: Vec<_> = ends.map(with_it).collect();
        sets.extend(more);
    }
    Ok(sets)
}

fn has(set: &[String], name: &str) -> bool {
    set.iter().any(|it| it == name)
}

/// What `holders` stores needs a lock, and one that no interrupt can spin on.
pub(crate) fn is_possible(set: &[String]) -> bool {
    !has(set, "holders") || has(set, "std") || has(set, "critical-section")
}

/// Such a build ends with an error of this crate that says what to choose.
pub(crate) fn refused(check: Cmd<'_>, choose: &str) -> Result<()> {
    let name = check.to_string();
    let output = check.ignore_status().output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "{name}: succeeds");
    ensure!(errors.contains(choose), "{name}: does not say what to choose:\n{errors}");
    Ok(())
}

/// The crate again, as a package with few dependencies of its tests, and without the tests that use more.
pub(crate) struct Light {
    pub(crate) manifest: PathBuf,
    /// The tests that are not for `std` alone.
    without_std: Vec<String>,
}

impl Light {
    pub(crate) fn new(sh: &Shell, folder: &Path) -> Result<Self> {
        let root = crate::root();
        let mut package: Table = toml::from_str(&sh.read_file("Cargo.toml")?)?;
        package.remove("example");
        at(&mut package, &["workspace"])?.retain(|key, _| key == "package" || key == "lints");
        let packages = at(&mut package, &["target", "cfg(not(loom))", "dev-dependencies"])?;
        let is_light = |name: &str| LIGHT.contains(&name);
        let heavy: Vec<_> = packages.keys().filter(|name| !is_light(name)).cloned().collect();
        packages.retain(|name, _| is_light(name));
        let mut tests = Vec::new();
        let mut without_std = Vec::new();
        for path in sh.read_dir(root.join("tests"))? {
            if path.extension().is_none_or(|it| it != "rs") {
                continue;
            }
            let Some(name) = path.file_stem() else { continue };
            let name = name.to_string_lossy();
            let code = sh.read_file(&path)?;
            let uses =
                |package: &String| code.contains(&format!("{}::", package.replace('-', "_")));
            if heavy.iter().any(uses) || code.contains("CARGO_MANIFEST_DIR") {
                continue;
            }
            if !code.lines().any(|it| it.starts_with("#![cfg(") && it.contains("\"std\"")) {
                without_std.push(format!("--test={name}"));
            }
            tests.push(target(&name, &path));
        }
        package.insert("test".into(), tests.into());
        package.insert("lib".into(), target("winddown", &root.join("src/lib.rs")));
        let manifest = folder.join("Cargo.toml");
        sh.write_file(&manifest, package.to_string())?;
        sh.copy_file("Cargo.lock", folder.join("Cargo.lock"))?;
        Ok(Self { manifest, without_std })
    }
}

fn at<'a>(mut table: &'a mut Table, path: &[&str]) -> Result<&'a mut Table> {
    for key in path {
        let next = table.get_mut(*key).and_then(Value::as_table_mut);
        table = next.with_context(|| format!("no table {path:?} in Cargo.toml"))?;
    }
    Ok(table)
}

fn target(name: &str, path: &Path) -> Value {
    let path = path.to_string_lossy().into_owned();
    Value::Table([("name".into(), name.into()), ("path".into(), path.into())].into_iter().collect())
}
