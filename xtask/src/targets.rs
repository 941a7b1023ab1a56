//! Targets that are neither the host nor a board of `embedded/`.
//!
//! The compiler is Debian's, since its packages bring the library's source: no target has to be
//! downloaded.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use xshell::{Cmd, Shell, cmd};

use crate::features;

/// How much of it.
#[derive(Debug, Default, Args)]
pub(crate) struct TargetArgs {
    /// Without the tests on 32 bits, and without the compile checks for Windows and macOS.
    #[arg(long)]
    quick: bool,
}

/// Files that are needed, and Debian's packages that have them.
const NEEDED: [(&str, &str); 4] = [
    ("/usr/bin/rustc", "rustc-web"),
    ("/usr/bin/cargo", "cargo-web"),
    ("/usr/lib/rustlib/src/rust/library/core/Cargo.toml", "rust-web-src"),
    ("/usr/bin/node", "nodejs"),
];

/// Targets without an operating system.
const BARE_METAL: [&str; 2] = ["x86_64-unknown-none", "aarch64-unknown-none"];

/// Systems that other people work on.
const ELSEWHERE: [&str; 2] = ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"];

/// For the tests on 32 bits.
const NEEDED_FOR_32_BITS: (&str, &str) = ("/usr/lib32/Scrt1.o", "gcc-multilib");

/// Builds for bare metal, runs in node, compiles for other systems, and tests on 32 bits.
pub(crate) fn targets(sh: &Shell, args: &TargetArgs) -> Result<()> {
    let for_32_bits = (!args.quick).then_some(NEEDED_FOR_32_BITS);
    let needed = NEEDED.into_iter().chain(for_32_bits);
    let missing: Vec<_> = needed.filter(|(file, _)| !Path::new(file).exists()).collect();
    if !missing.is_empty() {
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        let packages = packages.join(" ");
        bail!("missing; get it with\n  apt-get install -y --no-install-recommends {packages}");
    }
    for target in BARE_METAL {
        bare_metal(sh, "build", target, "critical-section,holders").run()?;
        println!("{target}: builds");
    }
    spinlock(sh)?;
    wasm(sh)?;
    if !args.quick {
        elsewhere(sh)?;
    }
    if for_32_bits.is_some() {
        // The tests of the examples run what is there; and alone, they would build it for the host.
        for what in [&["build", "--examples"][..], &["test", "--lib", "--tests"]] {
            let cargo = cmd!(sh, "/usr/bin/cargo {what...} --quiet --locked -Zbuild-std");
            with_std(cargo, "i686-unknown-linux-gnu").run()?;
        }
    }
    Ok(())
}

/// All of the workspace, with tests and examples, compiles for systems that this machine is not: without their
/// linkers nothing can run.
fn elsewhere(sh: &Shell) -> Result<()> {
    for target in ELSEWHERE {
        let cargo =
            cmd!(sh, "/usr/bin/cargo check --quiet --locked --workspace --tests --examples");
        with_std(cargo.arg("-Zbuild-std"), target).run()?;
        println!("{target}: compiles");
    }
    Ok(())
}

/// A build for bare metal without a critical section is refused, unless its user allows the spinlock.
fn spinlock(sh: &Shell) -> Result<()> {
    let [target, _] = BARE_METAL;
    features::refused(bare_metal(sh, "check", target, ""), "set `--cfg winddown_spinlock`")?;
    let allowed = bare_metal(sh, "check", target, "");
    allowed.env("RUSTFLAGS", "--cfg winddown_spinlock").run()?;
    println!("{target}, with a spinlock: builds if that is allowed");
    Ok(())
}

/// `what`, a command of cargo, for `target`, without `std`.
fn bare_metal<'a>(sh: &'a Shell, what: &str, target: &str, features: &str) -> Cmd<'a> {
    let features = ["--no-default-features", "--features", features];
    let cargo = cmd!(sh, "/usr/bin/cargo {what} --locked -Zbuild-std=core,alloc {features...}");
    with_std(cargo, target)
}

/// Runs the program in `executors/wasm` in node, without and with the feature `holders`.
fn wasm(sh: &Shell) -> Result<()> {
    let target = "wasm32-unknown-unknown";
    let manifest = ["--manifest-path", "executors/wasm/Cargo.toml"];
    cmd!(sh, "cargo fmt {manifest...} --check").run()?;
    let linker = rust_lld(sh)?;
    let program = crate::target_dir("targets").join(target).join("debug/winddown_wasm.wasm");
    for features in ["", "holders"] {
        let flags = ["--locked", "-Zbuild-std=std,panic_abort", "--features", features];
        let build = cmd!(sh, "/usr/bin/cargo build {flags...} {manifest...}");
        with_std(build, target).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &linker).run()?;
        cmd!(sh, "/usr/bin/node executors/wasm/run.mjs {program}").run()?;
    }
    Ok(())
}

/// Debian's compiler builds its library for the target, too.
fn with_std<'a>(cargo: Cmd<'a>, target: &str) -> Cmd<'a> {
    cargo
        .args(["--target", target, "--target-dir"])
        .arg(crate::target_dir("targets"))
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTDOC", "/usr/bin/rustdoc")
        .env("RUSTC_BOOTSTRAP", "1")
        // Nobody debugs what is built here.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
}

/// Debian's compiler has none of its own.
fn rust_lld(sh: &Shell) -> Result<PathBuf> {
    let sysroot = PathBuf::from(cmd!(sh, "rustc --print sysroot").read()?);
    let hosts = sh.read_dir(sysroot.join("lib/rustlib")).unwrap_or_default();
    hosts.into_iter().map(|host| host.join("bin/rust-lld")).find(|lld| lld.exists()).context(
        "missing: rust-lld, which every toolchain of rustup has; get one with\n  rustup toolchain install stable",
    )
}
