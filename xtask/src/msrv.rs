//! The oldest compiler that the crate promises.

mod debian;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::features::{self, Light};
use crate::skips::skip;
use crate::target_dir;
use crate::toolchain::Toolchain;

/// `rust-version` in Cargo.toml.
const VERSION: &str = "1.85";

/// Builds every feature set and runs the tests of the types with the oldest compiler: rustup's, if it is
/// installed, else that of Debian's packages. Neither is installed for it.
pub(crate) fn msrv(sh: &Shell) -> Result<()> {
    let folder = target_dir("msrv");
    let (toolchain, libraries) = match of_rustup(sh) {
        Some(toolchain) => (toolchain, Vec::new()),
        None => match debian::unpacked(sh, &folder) {
            Ok(debian) => (debian.toolchain, debian.libraries),
            Err(why) => {
                let why = format!("rustup has no toolchain {VERSION}, and {why:#}");
                skip("oldest compiler", why);
                return Ok(());
            }
        },
    };
    let path = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let libraries = libraries.into_iter().chain(env::split_paths(&path));
    let _libraries = sh.push_env("LD_LIBRARY_PATH", env::join_paths(libraries)?);
    let _target = sh.push_env("CARGO_TARGET_DIR", folder.join("target"));
    let _debug = sh.push_env("CARGO_PROFILE_DEV_DEBUG", "0");

    let light = Light::new(sh, &folder.join("light"))?;
    let manifest = ["--manifest-path".as_ref(), light.manifest.as_os_str()];
    for set in features::sets(sh)?.iter().filter(|set| features::is_possible(set)) {
        let features = ["--no-default-features", "--features", &set.join(",")];
        toolchain.cargo(sh).args(["check", "--quiet"]).args(manifest).args(features).run()?;
    }
    let tests = ["test", "--quiet", "--lib"];
    let tests = toolchain.cargo(sh).args(tests).args(manifest).args(features::OF_THE_TYPES);
    Ok(tests.run()?)
}

/// The toolchain of that version, if rustup has it.
fn of_rustup(sh: &Shell) -> Option<Toolchain> {
    let list = cmd!(sh, "rustup toolchain list").quiet().ignore_stderr().read().ok()?;
    let is_it = |name: &&str| {
        name.strip_prefix(VERSION)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    // Such as `1.85-x86_64-unknown-linux-gnu (default)`.
    let name = list.lines().filter_map(|line| line.split_whitespace().next()).find(is_it)?;
    let cargo = cmd!(sh, "rustup which --toolchain {name} cargo").quiet().read().ok()?;
    Path::new(&cargo).parent().map(PathBuf::from).map(Toolchain::in_folder)
}
