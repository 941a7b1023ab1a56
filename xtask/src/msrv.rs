//! The oldest compiler that the crate promises, from Debian's packages.
//!
//! Debian ships one `rustc-web` at a time as installed, but keeps older ones for download. They are
//! unpacked under `target/`, beside whatever is installed, and nothing of the system changes.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

use crate::features::{self, Light};

/// `rust-version` in Cargo.toml.
const VERSION: &str = "1.85";

/// Packages of that very version.
const RUST: [&str; 4] = ["rustc-web", "cargo-web", "libstd-rust-web-dev", "libstd-rust-web-1.85"];

/// What those link to, and a machine may lack.
const LIBRARIES: [&str; 3] = ["libllvm19", "libpcre3", "libhttp-parser2.9"];

/// Builds every feature set and runs the tests of the types with the oldest compiler.
pub(crate) fn msrv(sh: &Shell) -> Result<()> {
    let root = sh.current_dir().join("target/msrv");
    if !root.join("usr/bin/rustc").exists() {
        unpack(sh, &root).with_context(|| {
            format!("no Rust {VERSION}: this step needs apt-get and Debian's package archive")
        })?;
    }
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| root.join(dir));
    let _libraries = sh.push_env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
    let _rustc = sh.push_env("RUSTC", root.join("usr/bin/rustc"));
    let _rustdoc = sh.push_env("RUSTDOC", root.join("usr/bin/rustdoc"));
    let _target = sh.push_env("CARGO_TARGET_DIR", root.join("target"));
    let _debug = sh.push_env("CARGO_PROFILE_DEV_DEBUG", "0");
    let cargo = root.join("usr/bin/cargo");

    let light = Light::new(sh, &root.join("light"))?;
    let manifest = ["--manifest-path".as_ref(), light.manifest.as_os_str()];
    for set in features::sets(sh)?.iter().filter(|set| features::is_possible(set)) {
        let set = set.join(",");
        let features = ["--no-default-features", "--features", &set];
        cmd!(sh, "{cargo} check --quiet {manifest...} {features...}").run()?;
    }
    let tests = features::OF_THE_TYPES;
    Ok(cmd!(sh, "{cargo} test --quiet {manifest...} --lib {tests...}").run()?)
}

fn unpack(sh: &Shell, root: &Path) -> Result<()> {
    let downloads = root.join("debs");
    sh.create_dir(&downloads)?;
    let _dir = sh.push_dir(&downloads);
    if packaged(sh)?.is_none() {
        // A fresh machine may have no list of packages yet.
        cmd!(sh, "apt-get update --quiet --quiet").run()?;
    }
    let version = packaged(sh)?.with_context(|| format!("apt knows no rustc-web {VERSION}"))?;
    let rust = RUST.map(|name| format!("{name}={version}"));
    cmd!(sh, "apt-get download {rust...} {LIBRARIES...}").run()?;
    let packages: Vec<PathBuf> = sh.read_dir(".")?;
    ensure!(packages.len() == RUST.len() + LIBRARIES.len(), "a download is missing: {packages:?}");
    for package in packages {
        cmd!(sh, "dpkg-deb -x {package} {root}").run()?;
    }
    Ok(())
}

/// The version of Debian's package of that Rust.
fn packaged(sh: &Shell) -> Result<Option<String>> {
    let madison = cmd!(sh, "apt-cache madison rustc-web").read()?;
    let mut versions = madison.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    Ok(versions.find(|version| version.starts_with(VERSION)).map(str::to_owned))
}
