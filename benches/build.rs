//! What a report says about how the benchmark was built.

use std::path::Path;
use std::process::Command;

fn main() {
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let rustc = said(Command::new(env("RUSTC")).arg("--version"));
    let lto = match env("CARGO_PROFILE_RELEASE_LTO").as_str() {
        "" => "without LTO".to_owned(),
        lto => format!("LTO {lto}"),
    };
    let flags = env("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " ");
    let flags = if flags.is_empty() { flags } else { format!(", {flags}") };
    let compiler =
        format!("{rustc}, {}, opt-level {}, {lto}{flags}", env("TARGET"), env("OPT_LEVEL"));
    println!("cargo::rustc-env=BENCH_COMPILER={compiler}");

    let revision = said(Command::new("git").args(["describe", "--always", "--dirty"]));
    println!("cargo::rustc-env=BENCH_REVISION={revision}");

    // Each commit writes the log of the head; what is changed and not committed rebuilds the crate.
    let log = said(Command::new("git").args(["rev-parse", "--git-path", "logs/HEAD"]));
    // A path that is missing would rebuild it every time.
    for path in [log.as_str(), "build.rs", "../src"].iter().filter(|it| Path::new(it).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=CARGO_PROFILE_RELEASE_LTO");
}

/// What a command prints, or "unknown".
fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or("unknown".to_owned(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}
