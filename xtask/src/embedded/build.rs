//! How the firmware is built and linted, and what that needs.

use std::mem;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::boards::{Board, TWO_CORES};
use crate::target_dir;

/// Programs and files that are needed, and Debian's packages that have them.
const NEEDED: [(&str, &str); 6] = [
    ("/usr/bin/rustc", "rustc-web"),
    ("/usr/bin/cargo", "cargo-web"),
    ("/usr/lib/rustlib/src/rust/library/core/Cargo.toml", "rust-web-src"),
    ("/usr/bin/qemu-system-arm", "qemu-system-arm"),
    ("/usr/bin/qemu-system-riscv32", "qemu-system-misc"),
    ("/usr/bin/arm-none-eabi-nm", "binutils-arm-none-eabi"),
];

/// Says what is missing; gives where the linker is.
pub(super) fn tools(sh: &Shell) -> Result<PathBuf> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(path, _)| !Path::new(path).exists())
        .map(|&(_, name)| name)
        .collect();
    if !missing.is_empty() {
        bail!(
            "missing; get it with\n  apt-get install -y --no-install-recommends {}",
            missing.join(" ")
        );
    }
    let version = cmd!(sh, "/usr/bin/rustc --version").read()?;
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    ensure!(
        minor >= Some(85),
        "/usr/bin/rustc is {version}; get a newer one with\n  apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src"
    );
    // Debian's compiler has none of its own.
    let sysroot = PathBuf::from(cmd!(sh, "rustc --print sysroot").read()?);
    let hosts = sh.read_dir(sysroot.join("lib/rustlib")).unwrap_or_default();
    hosts.into_iter().map(|host| host.join("bin")).find(|bin| bin.join("rust-lld").exists()).context(
        "missing: rust-lld, which every toolchain of rustup has; get one with\n  rustup toolchain install stable",
    )
}

/// Gives where the images are.
pub(super) fn build(sh: &Shell, linker: &Path, boards: &[&Board], step: u32) -> Result<PathBuf> {
    let target = target_dir("embedded");
    // One by one: together their features would be one set, and embassy has a platform for each.
    for board in boards {
        release(sh, linker, &target, board, step, &[])?;
    }
    Ok(target)
}

/// Builds the image for two cores, and gives where it is.
pub(super) fn build_for_two(sh: &Shell, linker: &Path, image: &str) -> Result<PathBuf> {
    let target = target_dir("embedded-two-cores");
    let features = ["--no-default-features", "--features", "two-cores", "--bin", image];
    release(sh, linker, &target, &TWO_CORES, 1, &features)?;
    Ok(target.join(TWO_CORES.target).join("release").join(image))
}

fn release(
    sh: &Shell,
    linker: &Path,
    target: &Path,
    board: &Board,
    step: u32,
    what: &[&str],
) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::env::split_paths(&path).chain([linker.to_owned()]))?;
    let _dir = sh.push_dir("embedded");
    let cargo =
        cmd!(sh, "/usr/bin/cargo build --locked --release -Zbuild-std=core,alloc {what...}")
            .args(["--target", board.target, "--target-dir"])
            .arg(target)
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("PATH", &path)
            .env("WINDDOWN_STEP", step.to_string())
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(cargo.run()?)
}

/// Debian's clippy, on a board of each architecture. It is not needed for anything else.
pub(super) fn lint(sh: &Shell, target: &Path, boards: &[&Board]) -> Result<()> {
    let clippy = "/usr/bin/cargo-clippy";
    if !Path::new(clippy).exists() {
        println!(
            "clippy of the firmware: skipped; get it with\n  apt-get install -y --no-install-recommends rust-web-clippy"
        );
        return Ok(());
    }
    let _dir = sh.push_dir("embedded");
    let mut linted = "";
    for board in boards.iter().filter(|board| mem::replace(&mut linted, board.qemu) != board.qemu) {
        let triple = board.target;
        cmd!(sh, "{clippy} clippy --locked --release --quiet -Zbuild-std=core,alloc")
            .args(["--target", triple, "--target-dir"])
            .arg(target)
            .args(["--", "-D", "warnings"])
            .env("CARGO", "/usr/bin/cargo")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .run()?;
    }
    Ok(())
}
