//! Cargo, rustc and rustdoc of one toolchain: the one that runs this program.
//!
//! A machine may have several toolchains, and `RUSTC` or `RUSTDOC` may name yet another. What depends on the
//! version of rustdoc takes all three programs from one folder.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use xshell::{Cmd, Shell, cmd};

/// The programs of a toolchain, which lie in one folder.
#[derive(Debug)]
pub(crate) struct Toolchain {
    folder: PathBuf,
}

impl Toolchain {
    /// The toolchain of the cargo that runs this program.
    pub(crate) fn of_this_run() -> Result<Self> {
        let cargo = env::var_os("CARGO").map(PathBuf::from).context("run this by `cargo xtask`")?;
        let folder = cargo.parent().context("CARGO has no folder")?.to_owned();
        Ok(Self { folder })
    }

    /// The toolchain whose programs lie in `folder`.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Cargo with the compiler and rustdoc of this toolchain, and without flags from outside.
    pub(crate) fn cargo<'a>(&self, sh: &'a Shell) -> Cmd<'a> {
        let cargo = self.program("cargo");
        self.alone(cmd!(sh, "{cargo}"))
    }

    /// The same, as [`as_nightly`](Self::as_nightly) has it.
    pub(crate) fn nightly_cargo<'a>(&self, sh: &'a Shell) -> Cmd<'a> {
        self.cargo(sh).env("RUSTC_BOOTSTRAP", "1")
    }

    /// Has `command` take this toolchain. `RUSTC_BOOTSTRAP` lets stable programs take the flags of nightly ones.
    pub(crate) fn as_nightly<'a>(&self, command: Cmd<'a>) -> Cmd<'a> {
        self.alone(command).env("RUSTC_BOOTSTRAP", "1")
    }

    fn alone<'a>(&self, command: Cmd<'a>) -> Cmd<'a> {
        command
            .env("CARGO", self.program("cargo"))
            .env("RUSTC", self.program("rustc"))
            .env("RUSTDOC", self.program("rustdoc"))
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("RUSTFLAGS")
            .env_remove("RUSTDOCFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTDOCFLAGS")
    }

    /// What rustdoc says of itself, such as `rustdoc 1.95.0 (59807616e 2026-04-14)`.
    pub(crate) fn rustdoc_version(&self, sh: &Shell) -> Result<String> {
        let rustdoc = self.program("rustdoc");
        Ok(cmd!(sh, "{rustdoc} --version").quiet().read()?)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension(env::consts::EXE_EXTENSION)
    }
}

/// The target that the compiler runs on.
pub(crate) fn host(sh: &Shell) -> Result<String> {
    let version = cmd!(sh, "rustc -vV").quiet().read()?;
    match version.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("`rustc -vV` names no host"),
    }
}
