//! The oldest compiler from Debian's packages.
//!
//! Debian ships one `rustc-web` at a time as installed, but keeps older ones for download. They are
//! unpacked under `target/`, beside whatever is installed, and nothing of the system changes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use super::VERSION;
use crate::toolchain::Toolchain;

/// Packages of that very version.
const RUST: [&str; 4] = ["rustc-web", "cargo-web", "libstd-rust-web-dev", "libstd-rust-web-1.85"];

/// What those link to, and a machine may lack.
const LIBRARIES: [&str; 3] = ["libllvm19", "libpcre3", "libhttp-parser2.9"];

/// Where Debian's packages have libraries.
const FOLDERS: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// What was unpacked.
pub(super) struct Debian {
    pub(super) toolchain: Toolchain,
    pub(super) libraries: Vec<PathBuf>,
}

/// The compiler in `root`; unpacks it first, if it is not there.
pub(super) fn unpacked(sh: &Shell, root: &Path) -> Result<Debian> {
    // The last of all that is done here.
    let complete = root.join("complete");
    if !complete.exists() {
        unpack(sh, root)?;
        sh.write_file(complete, "")?;
    }
    let libraries = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    Ok(Debian { toolchain: Toolchain::in_folder(root.join("usr/bin")), libraries })
}

fn unpack(sh: &Shell, root: &Path) -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "Debian's packages are for Linux on x86-64 here"
    );
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        let version = cmd!(sh, "{tool} --version").quiet().ignore_stdout().ignore_stderr().run();
        version.ok().with_context(|| format!("this system has no {tool}"))?;
    }
    // What an unpacking that was cut off has left.
    sh.remove_path(root)?;
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
