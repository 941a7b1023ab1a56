//! Breaks a copy of the crate in each way that `loom-tests/mutants.toml` lists, and runs the models
//! that must notice.

mod check;
mod docs;
mod items;
mod ledger;
mod list;
mod outcomes;
mod source;
mod tokens;
mod tree;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use xshell::Shell;

use super::{LoomArgs, target_dir};
pub(crate) use ledger::{LedgerArgs, ledger};
use list::{List, Mutant};
use outcomes::Outcomes;
use source::Source;
use tree::{Tree, World};

/// How to run the mutants.
#[derive(Debug, Default, Args)]
pub(crate) struct MutantArgs {
    /// Only the mutants whose names contain this, also if something is wrong with others.
    #[arg(long)]
    name: Option<String>,
    /// Only those that are marked `core`, no edge left out, each with the first of its models.
    #[arg(long, conflicts_with = "all")]
    bounded: bool,
    /// All of them, which is what happens anyway.
    #[arg(long)]
    all: bool,
    /// Check and print the list, and run nothing.
    #[arg(long)]
    list: bool,
    /// Only compile each mutant, and run no model: after names in `src` have changed.
    #[arg(long, conflicts_with = "list")]
    compile: bool,
    /// The models were seen to pass.
    #[arg(skip)]
    models_pass: bool,
}

impl MutantArgs {
    /// What every change must pass, after the models.
    pub(crate) fn bounded() -> Self {
        Self { bounded: true, models_pass: true, ..Self::default() }
    }

    fn asks_for(&self, mutant: &Mutant) -> bool {
        self.name.as_ref().is_none_or(|name| mutant.name.contains(name.as_str()))
            && (mutant.core || !self.bounded)
    }
}

/// Checks the whole list, and runs those mutants that `args` asks for.
pub(crate) fn mutants(sh: &Shell, args: &MutantArgs) -> Result<()> {
    let source = Source::read(&crate::root().join("src"))?;
    let (list, problems) = check_list(&source)?;
    ensure!(problems == 0 || args.name.is_some(), "{problems} problems in the list of mutants");
    let mutants: Vec<_> = list.mutants.iter().filter(|mutant| args.asks_for(mutant)).collect();
    ensure!(!mutants.is_empty(), "no such mutant");
    if args.list {
        print(&mutants);
        return Ok(());
    }

    let tree = Tree::copy("mutants", target_dir())?;
    if args.compile {
        return compile(&mutants, &source, &tree);
    }
    match &args.name {
        _ if args.models_pass => {}
        Some(_) => tree.check_unchanged(&mutants)?,
        // As they are optimised, and two at a time.
        None => {
            super::loom(sh, &LoomArgs::bounded())?;
            let of_larger_blocks = mutants.iter().copied().filter(|it| it.more_seats);
            tree.check_unchanged(&of_larger_blocks.collect::<Vec<_>>())?;
        }
    }
    // Most of the time goes into the compiler, which uses one core for so small a crate.
    let other = Tree::copy("more-mutants", target_dir().join("more"))?;
    run(&mutants, args.bounded, &source, [&tree, &other]).finish()
}

/// Reads the list, tells what is wrong with it, and counts that.
fn check_list(source: &Source) -> Result<(List, usize)> {
    let loom_tests = crate::root().join("loom-tests");
    let list = fs::read_to_string(loom_tests.join("mutants.toml"))?;
    let list: List = toml::from_str(&list).context("mutants.toml")?;
    let problems = check::problems(&list, source, &docs::read(&loom_tests)?);
    for problem in &problems {
        println!("{problem}");
    }
    for exemption in &list.exemptions {
        println!("{}: exempt: {}", exemption.model, exemption.why);
    }
    Ok((list, problems.len()))
}

fn print(mutants: &[&Mutant]) {
    for Mutant { name, why, survives, .. } in mutants {
        println!("{name}: {why}{}", if survives.is_some() { " (survives)" } else { "" });
    }
}

/// Tells which of `mutants` do not compile.
fn compile(mutants: &[&Mutant], source: &Source, tree: &Tree) -> Result<()> {
    let mut wrong = 0;
    for mutant in mutants {
        if let Err(error) = tree.with_mutant(source, mutant, || tree.check()) {
            wrong += 1;
            println!("{}: {error:#}", mutant.name);
        }
    }
    ensure!(wrong == 0, "{wrong} mutants do not compile");
    println!("{} mutants compile", mutants.len());
    Ok(())
}

/// Runs `mutants`, in each of `trees` one after the other; if that is to be `brief`, with one model each.
fn run(mutants: &[&Mutant], brief: bool, source: &Source, trees: [&Tree; 2]) -> Outcomes {
    let (outcomes, next) = (Mutex::new(Outcomes::default()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for tree in trees {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let models = if brief { &mutant.models[..1] } else { &mutant.models };
                    let start = Instant::now();
                    let tried = tree.with_mutant(source, mutant, || {
                        let more_seats = mutant.more_seats;
                        let world = World { more_seats, to_fail: mutant.is_killed() };
                        tree.run(models.iter().map(String::as_str), world)
                    });
                    let took = start.elapsed();
                    outcomes.lock().expect("nobody panicked").add(mutant, tried, took);
                }
            });
        }
    });
    outcomes.into_inner().expect("nobody panicked")
}
