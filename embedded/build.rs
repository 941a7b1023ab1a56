//! The memory of the board that stands for each target, and the linker script of its runtime.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let target = env::var("TARGET").unwrap();
    let (board, arguments): (_, &[_]) = match target.as_str() {
        "thumbv6m-none-eabi" => ("microbit", &["-Tlink.x", "--nmagic"]),
        "thumbv7m-none-eabi" => ("lm3s6965evb", &["-Tlink.x", "--nmagic"]),
        "thumbv7em-none-eabihf" => ("mps2-an386", &["-Tlink.x", "--nmagic"]),
        "riscv32imac-unknown-none-elf" if env::var_os("CARGO_FEATURE_TWO_CORES").is_some() => {
            ("virt-2", &["-Tmemory.x", "-Tlink.x"])
        }
        "riscv32imac-unknown-none-elf" | "riscv32imc-unknown-none-elf" => {
            ("virt", &["-Tmemory.x", "-Tlink.x"])
        }
        _ => panic!("no board for {target}"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::copy(format!("memory/{board}.x"), out.join("memory.x")).unwrap();
    println!("cargo:rustc-link-search={}", out.display());
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=memory");
}
