//! The firmware of `embedded/`, built for every target and run under QEMU.
//!
//! The compiler is Debian's, since its packages bring the library's source: no target has to be
//! downloaded. QEMU counts instructions (`-icount`), so that a run is the same every time and an
//! interrupt may come between any two instructions.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::mem;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use wait_timeout::ChildExt as _;
use xshell::{Shell, cmd};

/// How much of it.
#[derive(Debug, Default, Args)]
pub(crate) struct EmbeddedArgs {
    /// The two targets without compare-and-swap, and an interrupt at every 61st tick only; clippy on one.
    #[arg(long, conflicts_with = "deep")]
    quick: bool,
    /// An interrupt at every single tick: some minutes for each target.
    #[arg(long)]
    deep: bool,
    /// Only boards whose target or machine contains this.
    #[arg(default_value = "")]
    filter: String,
}

impl EmbeddedArgs {
    fn asks_for(&self, board: &Board) -> bool {
        let is_it = |name: &&str| name.contains(&self.filter);
        let is_named = is_it(&board.target) || board.machine.iter().any(is_it);
        is_named && (board.quick || !self.quick)
    }
}

struct Board {
    target: &'static str,
    qemu: &'static str,
    machine: &'static [&'static str],
    /// An instruction takes 2 to this power nanoseconds: no less than a tick of the board's timer, but
    /// for the microbit's, where it is the same within a fortieth.
    shift: u32,
    quick: bool,
}

const SEMIHOSTING: &str = "enable=on,target=native";

const BOARDS: [Board; 5] = [
    Board {
        target: "thumbv6m-none-eabi",
        qemu: "qemu-system-arm",
        machine: &["-M", "microbit", "-semihosting-config", SEMIHOSTING],
        shift: 6,
        quick: true,
    },
    Board {
        target: "thumbv7m-none-eabi",
        qemu: "qemu-system-arm",
        machine: &["-M", "lm3s6965evb", "-semihosting-config", SEMIHOSTING],
        shift: 7,
        quick: false,
    },
    Board {
        target: "thumbv7em-none-eabihf",
        qemu: "qemu-system-arm",
        machine: &["-M", "mps2-an386", "-semihosting-config", SEMIHOSTING],
        shift: 6,
        quick: false,
    },
    Board {
        target: "riscv32imac-unknown-none-elf",
        qemu: "qemu-system-riscv32",
        machine: &["-M", "virt", "-bios", "none"],
        shift: 7,
        quick: false,
    },
    Board {
        target: "riscv32imc-unknown-none-elf",
        qemu: "qemu-system-riscv32",
        machine: &["-M", "virt", "-bios", "none", "-cpu", "rv32,a=false"],
        shift: 7,
        quick: true,
    },
];

/// An image, what it must say, a line each, and the status that it exits with.
struct Image {
    name: &'static str,
    scenarios: &'static [&'static str],
    status: i32,
}

const IMAGES: [Image; 9] = [
    Image { name: "count", scenarios: &["count"], status: 0 },
    Image { name: "minimal", scenarios: &[], status: 0 },
    Image {
        name: "masked",
        scenarios: &[
            "signal, 1 waiting",
            "signal, 10 waiting",
            "signal, 17 waiting",
            "signal, 100 waiting",
            "group, 17 waiting",
            "group, 100 waiting",
            "tree, 1 waiting",
            "tree, 17 waiting",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "tasks",
        scenarios: &["shared", "slice", "tree", "drain", "heap", "stack"],
        status: 0,
    },
    // Its panic is what is wanted.
    Image {
        name: "full",
        scenarios: &[
            "full, first wait",
            "full, wait",
            "full, closed",
            "full, cancelled",
            "full, child",
            "full, callback",
            "full, value",
            "full, text",
            "full, group",
            "full, group below a token",
            "full, child of a group",
            "full, closed, of tasks",
            "full, drained",
            "full, room",
            "full",
        ],
        status: 1,
    },
    Image {
        name: "windows",
        scenarios: &[
            "guard, clone, drop",
            "add, done",
            "wait",
            "wait, another task",
            "wait, drop",
            "wait with a limit",
            "wait while counted",
            "track",
            "close",
            "closed",
            "closed, another task",
            "closed, drop",
            "close without a value",
            "closed without a value",
            "value",
            "cancel",
            "cancel with a text",
            "cancel like another",
            "cancelled",
            "cancelled by its owner",
            "cancelled by a drop",
            "cancelled like another",
            "cancelled, another task",
            "cancelled, drop, again",
            "cancelled, drop, forget",
            "the reason",
            "any",
            "any of three owners",
            "run until cancelled",
            "limit of a future",
            "limit, the work first",
            "cancel after",
            "child",
            "child, drop",
            "value on a token, shield",
            "callback",
            "callback, drop",
            "callback, detached",
            "looks",
            "delivery of a group",
            "delivery of a signal",
            "delivery of a tree",
            "callback that owns",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "groups",
        scenarios: &[
            "guard, clone, drop",
            "guard that cancels",
            "guard, leave",
            "handle, drop",
            "track",
            "close",
            "cancel",
            "cancel with a text",
            "closed",
            "closed, another task",
            "closed, drop",
            "drained",
            "drained, another task",
            "drained, drop",
            "join",
            "join, drop",
            "join with a limit",
            "shutdown",
            "shutdown without grace",
            "guard when room",
            "guard when room, in a queue",
            "looks",
            "child",
            "child, close, join",
            "child with a limit",
            "link",
            "below the token",
            "child with errors",
            "child that is left, drained",
            "child that is left, close",
            "child that is left, another child",
            "room",
            "room, another task",
            "room, drop",
            "room, two in a queue",
            "room, a guard",
            "last handle, clone of a guard",
            "last handle, leave",
            "last handle, closed",
            "last handle, join",
            "error of a task",
            "error, recorded",
            "errors, join",
            "errors, join, drop",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "nested",
        scenarios: &[
            "guard, clone, drop",
            "wait",
            "wait, drop",
            "close",
            "closed",
            "cancel",
            "cancelled",
            "cancelled, drop, again",
            "child",
            "guard of a task",
            "close of tasks",
            "cancel of tasks",
            "join",
            "shutdown",
            "child of tasks",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "storms",
        scenarios: &["full", "rounds", "storm of zeros", "storm of ends", "storm for room", "heap"],
        status: 0,
    },
];

/// Builds all images, runs them, and prints what they measured.
pub(crate) fn embedded(sh: &Shell, args: &EmbeddedArgs) -> Result<()> {
    let linker = tools(sh)?;
    cmd!(sh, "cargo fmt --manifest-path embedded/Cargo.toml --check").run()?;
    let boards: Vec<&Board> = BOARDS.iter().filter(|board| args.asks_for(board)).collect();
    ensure!(!boards.is_empty(), "no board has {:?} in its name", args.filter);
    let (step, limit) = match (args.quick, args.deep) {
        (true, _) => (61, 120),
        (_, false) => (7, 300),
        (_, true) => (1, 1800),
    };
    let images = build(sh, &linker, &boards, step)?;
    lint(sh, &images, if args.quick { &boards[..1] } else { &boards })?;
    let limit = Duration::from_secs(limit);
    let mut failed = Vec::new();
    let mut table = vec![Row::HEAD.to_owned(), Row::LINE.to_owned()];
    // QEMU counts instructions, so a run is the same however busy the machine is.
    for boards in boards.chunks(std::thread::available_parallelism()?.get()) {
        let runs = boards.iter().map(|&board| {
            let dir = images.join(board.target).join("release");
            Ok((board, Row::of(sh, &dir)?, dir))
        });
        let runs: Vec<_> = runs.collect::<Result<_>>()?;
        std::thread::scope(|scope| {
            let runs = runs.into_iter().map(|(board, row, dir)| {
                (board, scope.spawn(move || run_all(board, row, &dir, limit)))
            });
            for (board, run) in runs.collect::<Vec<_>>() {
                let Ok((row, why)) = run.join() else { panic!("{}: a run panicked", board.target) };
                table.push(row.print(board));
                failed.extend(why);
            }
        });
    }
    println!("\n{}", table.join("\n"));
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// Gives what was measured, and what failed.
fn run_all(board: &Board, mut row: Row, dir: &Path, limit: Duration) -> (Row, Vec<String>) {
    let mut failed = Vec::new();
    for image in &IMAGES {
        let start = Instant::now();
        let ran = run(board, &dir.join(image.name), limit).and_then(|(status, said)| {
            row.read(image.name, &said);
            image.check(status, &said)
        });
        let outcome = if ran.is_ok() { "ok" } else { "FAILED" };
        let seconds = start.elapsed().as_secs_f64();
        println!("{} {}: {outcome}, {seconds:.1} s", board.target, image.name);
        if let Err(why) = ran {
            failed.push(format!("{} {}: {why:#}", board.target, image.name));
        }
    }
    (row, failed)
}

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
fn tools(sh: &Shell) -> Result<PathBuf> {
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
fn build(sh: &Shell, linker: &Path, boards: &[&Board], step: u32) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = sh.current_dir().join(target).join("embedded");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::env::split_paths(&path).chain([linker.to_owned()]))?;
    let _dir = sh.push_dir("embedded");
    // One by one: together their features would be one set, and embassy has a platform for each.
    for triple in boards.iter().map(|board| board.target) {
        cmd!(sh, "/usr/bin/cargo build --locked --release -Zbuild-std=core,alloc")
            .args(["--target", triple, "--target-dir"])
            .arg(&target)
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("PATH", &path)
            .env("WINDDOWN_STEP", step.to_string())
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .run()?;
    }
    Ok(target)
}

/// Debian's clippy, on a board of each architecture. It is not needed for anything else.
fn lint(sh: &Shell, target: &Path, boards: &[&Board]) -> Result<()> {
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

/// Gives the status and what the image said.
fn run(board: &Board, image: &Path, limit: Duration) -> Result<(i32, String)> {
    let mut output = tempfile::tempfile()?;
    let mut qemu = Command::new(board.qemu)
        .args(board.machine)
        .args(["-nographic", "-icount"])
        .arg(format!("shift={},sleep=off", board.shift))
        .arg("-kernel")
        .arg(image)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(File::create("/dev/null")?)
        .spawn()
        .with_context(|| board.qemu)?;
    let status = qemu.wait_timeout(limit)?;
    if status.is_none() {
        qemu.kill()?;
        qemu.wait()?;
    }
    let mut said = String::new();
    output.rewind()?;
    output.read_to_string(&mut said)?;
    match status.and_then(|status| status.code()) {
        Some(code) => Ok((code, said)),
        None => bail!("did not end within {limit:?}, after it said\n{said}"),
    }
}

impl Image {
    fn check(&self, status: i32, said: &str) -> Result<()> {
        ensure!(status == self.status, "exited with status {status} after it said\n{said}");
        for scenario in self.scenarios {
            let line = format!("ok {scenario}: ");
            ensure!(said.lines().any(|it| it.starts_with(&line)), "no line '{line}' in\n{said}");
        }
        Ok(())
    }
}

/// A board in the table.
#[derive(Default)]
struct Row {
    /// Text, data and bss of the smallest image, of this crate's part of it, and of the one of tasks.
    sizes: [[u64; 3]; 3],
    /// Heap bytes for a lone wait, and for one of a crowd.
    heap: [String; 2],
    /// The longest masked time by the number of waiters.
    masked: Vec<String>,
    passed: usize,
}

impl Row {
    const HEAD: &str = "| target | machine | smallest image | of it winddown and event-listener | with embassy | heap per wait, alone / in a crowd | masked at most, by waiters | scenarios |";
    const LINE: &str = "|---|---|--:|--:|--:|--:|---|--:|";

    fn of(sh: &Shell, dir: &Path) -> Result<Self> {
        let [minimal, tasks] = ["minimal", "tasks"].map(|name| dir.join(name));
        let sizes = [sections(sh, &minimal)?, symbols(sh, &minimal)?, sections(sh, &tasks)?];
        Ok(Self { sizes, ..Self::default() })
    }

    /// Takes up what `image` said.
    fn read(&mut self, image: &str, said: &str) {
        for line in said.lines().filter_map(|line| line.strip_prefix("ok ")) {
            self.passed += 1;
            let Some((scenario, measured)) = line.split_once(": ") else { continue };
            let size = scenario.strip_prefix("signal, ").and_then(|it| it.strip_suffix(" waiting"));
            let (Some(size), "masked") = (size, image) else { continue };
            let number = |name| {
                let mut words = measured.split([' ', ',']).skip_while(|&word| word != name);
                words.nth(1).unwrap_or_default().to_owned()
            };
            self.masked.push(format!("{size}: {}", number("end")));
            self.heap[usize::from(size != "1")] = number("heap");
        }
    }

    fn print(&self, board: &Board) -> String {
        let [minimal, ours, tasks] =
            self.sizes.map(|[text, data, bss]| format!("{text} / {data} / {bss}"));
        let (heap, masked) = (self.heap.join(" / "), self.masked.join(", "));
        let machine = board.machine[1];
        format!(
            "| {} | {machine} | {minimal} | {ours} | {tasks} | {heap} | {masked} | {} |",
            board.target, self.passed
        )
    }
}

/// Sizes of text (with constants), data and bss.
fn sections(sh: &Shell, image: &Path) -> Result<[u64; 3]> {
    let listed = cmd!(sh, "arm-none-eabi-size -A {image}").quiet().read()?;
    let mut sizes = [0; 3];
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(size)) = (words.next(), words.next()) else { continue };
        let kind = match name {
            ".vector_table" | ".text" | ".init.rust" | ".rodata" => 0,
            ".data" => 1,
            ".bss" => 2,
            _ => continue,
        };
        sizes[kind] += size.parse::<u64>()?;
    }
    Ok(sizes)
}

/// Sizes of what is of this crate or of event-listener by its name; what was inlined elsewhere is not.
fn symbols(sh: &Shell, image: &Path) -> Result<[u64; 3]> {
    let listed = cmd!(sh, "arm-none-eabi-nm --demangle --print-size {image}").quiet().read()?;
    let mut sizes = [0; 3];
    for line in
        listed.lines().filter(|it| it.contains("winddown::") || it.contains("event_listener::"))
    {
        let mut words = line.split_whitespace().skip(1);
        let (Some(size), Some(kind)) = (words.next(), words.next()) else { continue };
        let kind = match kind {
            "t" | "T" | "r" | "R" => 0,
            "d" | "D" => 1,
            "b" | "B" => 2,
            _ => continue,
        };
        sizes[kind] += u64::from_str_radix(size, 16)?;
    }
    Ok(sizes)
}
