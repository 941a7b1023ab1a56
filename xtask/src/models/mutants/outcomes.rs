//! What came of each mutant.

use core::time::Duration;

use anyhow::{Result, ensure};

use super::list::Mutant;

/// What came of a mutant: for each model that was run, how it failed, or `None` if it passed.
pub(super) type Tried<'a> = Vec<(&'a str, Option<String>)>;

/// How many mutants came to what.
#[derive(Default)]
pub(super) struct Outcomes {
    killed: usize,
    excused: usize,
    survived: usize,
    wrong: usize,
}

impl Outcomes {
    pub(super) fn add(&mut self, mutant: &Mutant, tried: Result<Tried<'_>>, took: Duration) {
        let name = format!("{}, {:.0} s", mutant.name, took.as_secs_f64());
        let tried = match tried {
            Ok(tried) => tried,
            Err(error) => {
                self.wrong += 1;
                return println!("{name}: ERROR: {error:#}");
            }
        };
        let (failed, passed): (Vec<_>, Vec<_>) = tried.iter().partition(|(_, how)| how.is_some());
        let models = |tried: &[&(&str, Option<String>)]| {
            let model = |(model, how): &&(&str, Option<String>)| match how {
                Some(how) => format!("{model} ({how})"),
                None => (*model).to_owned(),
            };
            tried.iter().map(model).collect::<Vec<_>>().join(", ")
        };
        match &mutant.survives {
            Some(_) if failed.is_empty() => {
                self.excused += 1;
                println!("{name}: survives, with a reason");
            }
            Some(_) => {
                self.wrong += 1;
                println!("{name}: ERROR: its reason is stale: killed by {}", models(&failed));
            }
            None if passed.is_empty() => {
                self.killed += 1;
                println!("{name}: killed by {}", models(&failed));
            }
            None => {
                self.survived += 1;
                println!("{name}: SURVIVED {}", models(&passed));
            }
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        let Self { killed, excused, survived, wrong } = self;
        println!("{killed} killed, {excused} survive with a reason, {survived} survived");
        ensure!(wrong == 0, "{wrong} mutants are wrong: mend the list");
        ensure!(survived == 0, "{survived} mutants survived: mend the models");
        Ok(())
    }
}
