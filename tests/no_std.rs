//! A real `#![no_std]` program depends on this crate, links without std, and does what it should.

#![cfg(all(unix, not(loom)))]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `tests/no_std`, with nothing of this build's flags or features.
fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_std/Cargo.toml");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the program without std does not build");
    target.join("release").join(format!("winddown-no-std{}", std::env::consts::EXE_SUFFIX))
}

/// The symbols of `program`, by the `nm` that comes with the linker.
fn symbols(program: &Path) -> Vec<String> {
    let output = Command::new("nm").arg("--demangle").arg(program).output().expect("nm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// Whether a symbol names std: demangled, or in a mangling that `nm` does not know.
fn is_of_std(symbol: &str) -> bool {
    let paths = symbol.split(|it: char| !(it.is_alphanumeric() || it == '_' || it == ':'));
    paths.into_iter().any(|path| path.starts_with("std::"))
        || symbol.contains("_ZN3std")
        || symbol.contains("_3std")
}

/// Rule 13 and others: the program names them.
#[test]
fn a_program_without_std_counts_stops_and_waits() {
    let program = build();
    let symbols = symbols(&program);
    assert!(symbols.iter().any(|symbol| symbol.contains("winddown")), "nm sees the program");
    let of_std: Vec<_> = symbols.iter().filter(|symbol| is_of_std(symbol)).collect();
    assert!(of_std.is_empty(), "{of_std:#?}");
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What the other test looks for can be found: this program has std.
#[test]
fn the_symbols_of_std_can_be_seen() {
    let this = std::env::current_exe().unwrap();
    assert!(symbols(&this).iter().any(|symbol| is_of_std(symbol)));
    assert!(is_of_std("0001 t std::io::stdio::_print"));
    assert!(is_of_std("0001 t _RNvNtNtCs12_3std2io5stdio6_print"));
    assert!(!is_of_std("0001 b winddown_no_std::STOP"));
}
