//! The recipes of `docs/interop.md`, which the package `interop/` runs.

use std::net::TcpListener;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::skips::{skip, skip_without_lack};

/// The tests that serve on the loopback.
const SERVERS: [&str; 3] = ["grpc", "http", "service"];

/// Lints the package, and runs its tests and the blocks of the page.
pub(crate) fn interop(sh: &Shell) -> Result<()> {
    // The linter compiles as well: the servers are not built once more for it.
    let _linter = sh.push_env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    let _flags = sh.push_env("RUSTFLAGS", "-D warnings");
    // No change is built twice.
    let _incremental = sh.push_env("CARGO_INCREMENTAL", "0");
    let target = crate::target_dir("interop");
    let package = ["--manifest-path", "interop/Cargo.toml"];
    cmd!(sh, "cargo fmt {package...} --check").run()?;
    let flags = ["--quiet", "--locked", "--target-dir"];
    let tests = match TcpListener::bind("127.0.0.1:0") {
        Ok(_) => vec!["--tests".to_owned()],
        Err(error) => {
            skip("interop: servers", format!("this machine has no loopback ({error})"));
            all_but_servers(sh)?
        }
    };
    if !cfg!(unix) {
        skip_without_lack("interop: signals", "only on Unix a test sends them to itself");
    }
    for what in [tests, vec!["--doc".to_owned()]] {
        cmd!(sh, "cargo test {package...} {flags...} {target} {what...}")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .run()?;
    }
    Ok(())
}

fn all_but_servers(sh: &Shell) -> Result<Vec<String>> {
    let files = sh.read_dir("interop/tests")?;
    let names = files.iter().filter(|it| it.is_file()).filter_map(|it| it.file_stem());
    let names = names.map(|it| it.to_string_lossy());
    let rest = names.filter(|name| !SERVERS.contains(&name.as_ref()));
    Ok(rest.map(|name| format!("--test={name}")).collect())
}
