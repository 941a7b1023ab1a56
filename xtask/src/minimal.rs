//! Each dependency in the oldest version that Cargo.toml allows.
//!
//! A user's lock may have any version that Cargo.toml allows, and the one of this repository has the newest. The
//! crate is built and tested as the package [`Light`], whose few dependencies of tests are the oldest as well.

use anyhow::{Context as _, Result, ensure};
use toml::{Table, Value};
use xshell::Shell;

use crate::features::{self, Light};
use crate::target_dir;
use crate::toolchain::Toolchain;

/// Sets of features that have each dependency, with `std` and without.
const SETS: [&str; 3] =
    ["std", "std,holders,tracing", "critical-section,holders,portable-atomic,tracing"];

/// Builds and tests with the oldest dependencies.
pub(crate) fn minimal(sh: &Shell) -> Result<()> {
    for feature in features::of_users(sh)? {
        let is_tried = SETS.iter().any(|set| set.split(',').any(|it| it == feature));
        ensure!(is_tried, "the feature {feature} is in no set of xtask/src/minimal.rs");
    }
    let light = Light::new(sh, &target_dir("minimal"))?;
    let toolchain = Toolchain::of_this_run()?;
    let manifest = ["--manifest-path".as_ref(), light.manifest.as_os_str()];
    let lock = toolchain.nightly_cargo(sh).args(["generate-lockfile", "--quiet"]).args(manifest);
    lock.arg("-Zdirect-minimal-versions").run().context(
        "the oldest versions do not fit together, or lack a feature: raise one in Cargo.toml",
    )?;
    for (name, version) in oldest(sh, &light)? {
        println!("{name} {version}");
    }
    // Nobody debugs what is built here.
    let _debug = sh.push_env("CARGO_PROFILE_DEV_DEBUG", "0");
    for set in SETS {
        let tests = match set.starts_with("std") {
            true => &features::OF_THE_TYPES[..],
            false => &features::OF_THE_TYPES[..3],
        };
        toolchain
            .cargo(sh)
            .args(["test", "--quiet", "--locked", "--no-default-features", "--features", set])
            .args(manifest)
            .arg("--lib")
            .args(tests)
            .run()?;
    }
    Ok(())
}

/// The dependencies of the crate with their versions in the lock, which are those that Cargo.toml names.
fn oldest(sh: &Shell, light: &Light) -> Result<Vec<(String, String)>> {
    let package: Table = toml::from_str(&sh.read_file(&light.manifest)?)?;
    let lock: Table = toml::from_str(&sh.read_file(light.manifest.with_file_name("Cargo.lock"))?)?;
    let locked = lock["package"].as_array().context("an empty lock")?;
    let mut oldest = Vec::new();
    for (name, wanted) in package["dependencies"].as_table().context("no dependencies")? {
        let wanted = wanted.get("version").unwrap_or(wanted).as_str().context("no version")?;
        let is_it = |it: &&Value| it.get("name").and_then(Value::as_str) == Some(name);
        let version = locked.iter().filter(is_it).filter_map(|it| it["version"].as_str());
        let version: Vec<_> = version.collect();
        // A name of two numbers, such as 1.2, is 1.2.0.
        let is_oldest = |it: &&&str| **it == wanted || it.strip_prefix(wanted) == Some(".0");
        ensure!(
            version.len() == 1 && version.iter().filter(is_oldest).count() == 1,
            "{name}: the lock has {version:?} instead of {wanted}"
        );
        oldest.push((name.clone(), version[0].to_owned()));
    }
    Ok(oldest)
}
