//! Mutation of the logic: breaks the crate in each way that a rule of [`make`] knows, and runs its tests.
//!
//! All mutants are in one program. Each is behind a question, `crate::mutation::is(number)`, and the
//! environment of a test says which of them answers with yes. So the crate and its tests are built once, and a
//! mutant costs what the tests cost that get to it. A first run of each test alone, without a mutant, says which
//! those are. What this takes of the linker and of the shell is Linux's.
//!
//! What passes with a mutant in it may be built and tested another way: with other features, with small words,
//! with groups that are born sharded, as models. Each such [`World`] judges the survivors of those before it.

mod file;
mod instead;
mod make;
mod run;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Deserialize;
use xshell::Shell;

use file::Mutant;
use run::{Outcome, Tests};
use tree::{Tree, WORLDS, World};

/// Those that survive, with the reason.
const SURVIVORS: &str = "xtask/survivors.toml";

/// Which mutants to make.
#[derive(Debug, Args)]
pub(crate) struct LogicArgs {
    /// Only mutants whose names, which begin with their files, contain this.
    filter: Option<String>,
    /// Only these ways to build the tests; without it all, one after the other.
    #[arg(long, value_name = "NAME")]
    world: Vec<String>,
    /// Only mutants that passed the tests of the last run.
    #[arg(long)]
    again: bool,
    /// Also the tests that take longer than some seconds.
    #[arg(long)]
    slow: bool,
    /// Print the names, and run nothing.
    #[arg(long)]
    list: bool,
}

/// Mutants that survive, and why.
#[derive(Debug, Deserialize)]
struct Survivors {
    #[expect(dead_code, reason = "for the reader; that it is there is checked")]
    why: String,
    mutants: Vec<String>,
}

/// Makes the mutants, and fails if one survives that is not listed.
pub(crate) fn logic(_: &Shell, args: &LogicArgs) -> Result<()> {
    let mut files = file::files(&crate::root().join("src"))?;
    let names: Vec<String> = files.iter().flat_map(|it| &it.mutants).map(Mutant::name).collect();
    let passed = crate::target_dir("logic").join("passed.txt");
    let again = if args.again { Some(fs::read_to_string(&passed)?) } else { None };
    let asked_for = |name: &str| {
        args.filter.as_ref().is_none_or(|it| name.contains(it.as_str()))
            && again.as_ref().is_none_or(|it| it.lines().any(|line| line == name))
    };
    let mut left: BTreeSet<usize> = (0..names.len()).filter(|&at| asked_for(&names[at])).collect();
    if args.list {
        left.iter().for_each(|&at| println!("{}", names[at]));
        println!("{} mutants", left.len());
        return Ok(());
    }
    let listed = listed(&names)?;

    let worlds: Vec<&World> = WORLDS
        .iter()
        .filter(|it| args.world.is_empty() || args.world.iter().any(|name| name == it.name))
        .collect();
    ensure!(!worlds.is_empty(), "no such world; there are {:?}", WORLDS.map(|it| it.name));
    let tree = Tree::copy()?;
    let of_no_type = tree.write_viable(&mut files, &worlds)?;
    left.retain(|at| !of_no_type.contains(at));
    let (all, mut counts, mut reached) = (left.clone(), BTreeMap::new(), BTreeSet::new());
    for world in worlds {
        println!("{}: {} mutants", world.name, left.len());
        let tests = Tests::build(&tree, world, args.slow)?;
        for (at, outcome) in tests.judge(&left, &names)? {
            match outcome {
                Outcome::Unreached => {}
                Outcome::Survives => drop(reached.insert(at)),
                Outcome::Fails | Outcome::Hangs => {
                    left.remove(&at);
                    *counts.entry((world.name, outcome)).or_insert(0) += 1;
                }
            }
        }
    }

    for ((world, outcome), count) in &counts {
        println!("{world}: {count} mutants: a test {outcome}");
    }
    let passing: Vec<&str> = left.iter().map(|&at| names[at].as_str()).collect();
    fs::write(&passed, passing.join("\n"))?;
    let (excused, new): (Vec<usize>, Vec<usize>) = left.iter().partition(|at| listed.contains(at));
    for &at in &new {
        let how = if reached.contains(&at) { "survives" } else { "no test gets to it" };
        println!("{how}: {}", names[at]);
    }
    for &at in listed.iter().filter(|at| all.contains(at) && !left.contains(at)) {
        println!("killed, though {SURVIVORS} has a reason: {}", names[at]);
    }
    println!(
        "{} mutants, {} more are of no type; {} killed, {} survive with a reason, {} without",
        all.len(),
        of_no_type.len(),
        all.len() - left.len(),
        excused.len(),
        new.len(),
    );
    ensure!(new.is_empty(), "kill them by tests, or say why they survive in {SURVIVORS}");
    Ok(())
}

/// The mutants that are known to survive.
fn listed(names: &[String]) -> Result<BTreeSet<usize>> {
    let text = fs::read_to_string(crate::root().join(SURVIVORS)).context(SURVIVORS)?;
    let mut list: BTreeMap<String, Vec<Survivors>> = toml::from_str(&text).context(SURVIVORS)?;
    let survivors = list.remove("survive").unwrap_or_default();
    let at = |it: String| {
        let at = names.iter().position(|name| *name == it);
        at.with_context(|| format!("{SURVIVORS} names no mutant: {it:?}"))
    };
    survivors.into_iter().flat_map(|it| it.mutants).map(at).collect()
}
