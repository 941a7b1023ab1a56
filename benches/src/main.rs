//! `winddown`, its rivals and the bare hardware, measured side by side in one run.
//!
//! criterion and divan finish one contender before they start the next, so that whatever else the
//! machine did meanwhile lands on one of them. Here every round runs every contender of every row
//! once, in another order each time, and what is reported is the median over the rounds, with its
//! quartiles; a ratio to the floor is the median of the ratios inside each round. That wants a
//! harness of its own, [`harness`]; everything else here is rows.
//!
//! The numbers are printed and never judged: a slow machine fails nothing.

extern crate alloc;

mod blocking;
mod counting;
mod crowd;
mod draining;
mod floors;
mod harness;
mod looking;
mod memory;
mod subjects;
mod table;
mod trees;
mod waiting;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::harness::{Family, Scale};

/// Measures winddown beside its rivals and prints a table in Markdown.
#[derive(Debug, Parser)]
struct Args {
    /// Few rounds of small batches: shows that everything runs, not how fast.
    #[arg(long)]
    quick: bool,
    /// How many rounds; every contender runs once in each.
    #[arg(long)]
    rounds: Option<usize>,
    /// Only the rows whose table or column has this in its title.
    #[arg(long, default_value = "")]
    filter: String,
    /// Writes every number as JSON too.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let scale = Scale::new(args.quick);
    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 25 }).max(1);

    let mut families: Vec<Family> = vec![
        counting::enter_and_leave(scale),
        looking::ask_an_open_signal(scale),
        waiting::poll_a_fresh_wait(scale),
        waiting::poll_a_pending_wait_again(scale),
        crowd::register(scale),
        crowd::wake(scale),
        crowd::drop_pending(scale),
        looking::ask_an_open_token(scale),
        looking::longest_answer(scale),
        waiting::a_turn_of_select(scale),
        waiting::poll_a_token_again(scale),
        trees::make_and_drop_a_child(scale),
    ];
    families.extend(trees::steps(scale));
    families.extend([
        trees::collapse(scale),
        draining::spawn_and_drain(scale),
        blocking::one_core(scale),
        blocking::two_cores(scale),
    ]);
    for family in &mut families {
        family.keep(&args.filter);
    }
    let with_memory = "memory".contains(&args.filter);
    ensure!(
        with_memory || families.iter().any(|family| !family.is_empty()),
        "no row has {:?} in its title",
        args.filter,
    );

    memory::keep();
    let load_before = harness::load();
    harness::run(&mut families, rounds);

    table::print_header(rounds, &load_before);
    for family in families.iter().filter(|family| !family.is_empty()) {
        table::print_family(family);
    }
    if with_memory {
        table::print_memory(&memory::all());
        table::print_memory_of_trees(&memory::trees());
    }
    if let Some(path) = args.json {
        let text = serde_json::to_string_pretty(&table::json(&families))?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
