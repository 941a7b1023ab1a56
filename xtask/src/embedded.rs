//! The firmware of `embedded/`, built for every target and run under QEMU.
//!
//! The compiler is Debian's, since its packages bring the library's source: no target has to be
//! downloaded. QEMU counts instructions (`-icount`), so that a run is the same every time and an
//! interrupt may come between any two instructions.

mod boards;
mod build;
mod images;
mod qemu;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use xshell::{Shell, cmd};

use boards::{BOARDS, Board, TWO_CORES};
use images::{CORES, IMAGES};
use table::Row;

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

/// Builds all images, runs them, and prints what they measured.
pub(crate) fn embedded(sh: &Shell, args: &EmbeddedArgs) -> Result<()> {
    let linker = build::tools(sh)?;
    cmd!(sh, "cargo fmt --manifest-path embedded/Cargo.toml --check").run()?;
    let boards: Vec<&Board> = BOARDS.iter().filter(|board| args.asks_for(board)).collect();
    ensure!(!boards.is_empty(), "no board has {:?} in its name", args.filter);
    let (step, limit) = match (args.quick, args.deep) {
        (true, _) => (61, 120),
        (_, false) => (7, 300),
        (_, true) => (1, 1800),
    };
    let images = build::build(sh, &linker, &boards, step)?;
    build::lint(sh, &images, if args.quick { &boards[..1] } else { &boards })?;
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
    if args.asks_for(&TWO_CORES) {
        let image = build::build_for_two(sh, &linker, CORES.name)?;
        let (status, said) = qemu::run(&TWO_CORES, &image, limit)?;
        println!("{said}");
        CORES.check(status, &said)?;
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
        let ran = qemu::run(board, &dir.join(image.name), limit).and_then(|(status, said)| {
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
