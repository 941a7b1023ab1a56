//! What must be right before a mutant is worth running: the list agrees with the source, and with
//! what the models say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::docs::Model;
use super::list::{List, Mutant};
use super::source::Source;

/// All that is wrong with the list, in words.
pub(super) fn problems(list: &List, source: &Source, models: &[Model]) -> Vec<String> {
    let check = Check { list, models };
    let mut problems = check.mutants(source);
    problems.extend(check.names());
    problems.extend(check.agreement());
    problems.extend(check.edges());
    problems.extend(check.models_without_mutants());
    problems.extend(check.exemptions());
    problems
}

struct Check<'a> {
    list: &'a List,
    models: &'a [Model],
}

impl<'a> Check<'a> {
    /// The models of all mutants that must be killed, by mutant.
    fn killers(&self) -> impl Iterator<Item = (&'a Mutant, &'a str)> {
        let killed = self.list.mutants.iter().filter(|it| it.is_killed());
        killed.flat_map(|mutant| mutant.models.iter().map(move |model| (mutant, model.as_str())))
    }

    fn tests(&self) -> BTreeSet<&'a str> {
        self.models.iter().flat_map(|it| &it.tests).map(String::as_str).collect()
    }

    /// Each mutant is complete, and can be made.
    fn mutants(&self, source: &Source) -> Vec<String> {
        let check = |mutant: &Mutant| {
            mutant.check()?;
            source.changed(mutant.changes()?).map(drop)
        };
        let problem = |mutant: &Mutant| {
            check(mutant).err().map(|error| format!("{}: {error:#}", mutant.name))
        };
        self.list.mutants.iter().filter_map(problem).collect()
    }

    /// Each mutant has a name of its own, and what it names exists.
    fn names(&self) -> Vec<String> {
        let (tests, mut names) = (self.tests(), BTreeSet::new());
        let mut problems = Vec::new();
        for Mutant { name, models, .. } in &self.list.mutants {
            if !names.insert(name) {
                problems.push(format!("{name}: two mutants are called so"));
            }
            let mut own = BTreeSet::new();
            for model in models {
                if !tests.contains(model.as_str()) {
                    problems.push(format!("{name}: there is no model {model}"));
                } else if !own.insert(model) {
                    problems.push(format!("{name}: it names {model} twice"));
                }
            }
        }
        problems
    }

    /// A model names the mutants that the list says it kills, and no others.
    fn agreement(&self) -> Vec<String> {
        let mut killed = BTreeMap::<_, BTreeSet<_>>::new();
        for (mutant, test) in self.killers() {
            killed.entry(test).or_default().insert(mutant.name.as_str());
        }
        let of_test = |test: &String| killed.get(test.as_str()).into_iter().flatten().copied();
        let mut problems = Vec::new();
        for Model { name, tests, mutants } in self.models {
            let named: BTreeSet<_> = match mutants {
                Ok(mutants) => mutants.iter().map(String::as_str).collect(),
                Err(error) => {
                    problems.push(format!("{name}: {error:#}"));
                    continue;
                }
            };
            let killed: BTreeSet<_> = tests.iter().flat_map(of_test).collect();
            let missing = killed.difference(&named);
            problems
                .extend(missing.map(|it| format!("{name}: its doc comment does not name {it}")));
            let stale = named.difference(&killed);
            problems.extend(stale.map(|it| {
                format!("{name}: its doc comment names {it}, {}", self.why_it_is_stale(it))
            }));
        }
        problems
    }

    /// The mutants that are run for each change leave out no edge.
    fn edges(&self) -> Vec<String> {
        let killed = || self.list.mutants.iter().filter(|it| it.is_killed());
        let core: BTreeSet<_> = killed().filter(|it| it.core).flat_map(Mutant::edges).collect();
        let all: BTreeSet<_> = killed().flat_map(Mutant::edges).collect();
        let left_out = all.difference(&core);
        left_out.map(|it| format!("no mutant that is `core` breaks the edge {it}")).collect()
    }

    /// What is wrong with a mutant that only a doc comment names.
    fn why_it_is_stale(&self, name: &str) -> &'static str {
        match self.list.mutants.iter().find(|it| it.name == name) {
            None => "which does not exist",
            Some(mutant) if mutant.is_killed() => "which does not name it",
            Some(_) => "which survives",
        }
    }

    /// Each model kills a mutant.
    fn models_without_mutants(&self) -> Vec<String> {
        let killers: BTreeSet<_> = self.killers().map(|(_, model)| model).collect();
        let exempt: BTreeSet<_> = self.list.exemptions.iter().map(|it| it.model.as_str()).collect();
        let idle =
            self.tests().into_iter().filter(|it| !killers.contains(it) && !exempt.contains(it));
        idle.map(|model| format!("{model}: it kills no mutant")).collect()
    }

    /// Each exemption is of a model that kills no mutant, and says why.
    fn exemptions(&self) -> Vec<String> {
        let killers: BTreeSet<_> = self.killers().map(|(_, model)| model).collect();
        let tests = self.tests();
        let mut problems = Vec::new();
        for exemption in &self.list.exemptions {
            let model = exemption.model.as_str();
            if !tests.contains(model) {
                problems.push(format!("{model}: exempt, but there is no such model"));
            } else if killers.contains(model) {
                problems.push(format!("{model}: exempt, but it kills a mutant"));
            } else if exemption.why.trim().is_empty() {
                problems.push(format!("{model}: exempt without a reason"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Two mutants, of which one survives, and what is put behind them.
    fn list(more: &str) -> List {
        let mutants = r#"
            [[mutant]]
            name = "killed"
            why = "A"
            in = "leave"
            find = "Release"
            replace = "Relaxed"
            models = ["wait::it_ends::alone"]

            [[mutant]]
            name = "surviving"
            why = "B"
            in = "leave"
            body = ""
            models = ["wait::it_begins"]
            survives = "C"
        "#;
        toml::from_str(&format!("{mutants}{more}")).unwrap()
    }

    fn model(name: &str, tests: &[&str], mutants: &[&str]) -> Model {
        let all = |names: &[&str]| names.iter().copied().map(String::from).collect();
        Model { name: name.into(), tests: all(tests), mutants: Ok(all(mutants)) }
    }

    /// The problems with `list`, if the models are as it says.
    fn problems_of(list: &List) -> Vec<String> {
        let ends = model("wait::it_ends", &["wait::it_ends::alone"], &["killed"]);
        problems_with(list, &[ends, model("wait::it_begins", &["wait::it_begins"], &[])])
    }

    fn problems_with(list: &List, models: &[Model; 2]) -> Vec<String> {
        let mut source = Source::default();
        source.add(Path::new("word.rs"), "fn leave() { step(Release) }".into()).unwrap();
        problems(list, &source, models)
    }

    const EXEMPT: &str = "[[exempt]]\nmodel = 'wait::it_begins'\nwhy = 'D'";

    #[test]
    fn each_model_kills_a_mutant_or_is_exempt() {
        assert_eq!(problems_of(&list("")), ["wait::it_begins: it kills no mutant"]);
        assert!(problems_of(&list(EXEMPT)).is_empty());
    }

    #[test]
    fn an_exemption_is_needed_and_says_why() {
        let exempt = |model: &str, why: &str| {
            let more = format!("{EXEMPT}\n[[exempt]]\nmodel = '{model}'\nwhy = '{why}'");
            problems_of(&list(&more))
        };
        assert_eq!(exempt("wait::it_ends::alone", "E").len(), 1);
        assert_eq!(exempt("wait::it_ends", "E").len(), 1);
        assert_eq!(exempt("wait::it_begins", "").len(), 1);
    }

    #[test]
    fn list_and_doc_comments_agree() {
        let ends = model("wait::it_ends", &["wait::it_ends::alone"], &["gone"]);
        let begins = model("wait::it_begins", &["wait::it_begins"], &["killed", "surviving"]);
        let found = problems_with(&list(EXEMPT), &[ends, begins]);
        let expected = [
            "wait::it_ends: its doc comment does not name killed",
            "wait::it_ends: its doc comment names gone, which does not exist",
            "wait::it_begins: its doc comment names killed, which does not name it",
            "wait::it_begins: its doc comment names surviving, which survives",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn each_mutant_can_be_made_and_has_models_of_its_own() {
        let more = r#"
            [[mutant]]
            name = "killed"
            why = "A"
            in = "enter"
            find = "Release"
            replace = "Relaxed"
            models = ["wait::gone", "wait::it_begins", "wait::it_begins"]
            survives = "B"
        "#;
        let found = problems_of(&list(&format!("{more}{EXEMPT}")));
        let expected = [
            "killed: in enter: there is no such item",
            "killed: two mutants are called so",
            "killed: there is no model wait::gone",
            "killed: it names wait::it_begins twice",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_change_is_a_part_or_a_body() {
        let more = r#"
            [[mutant]]
            name = "unclear"
            why = "A"
            in = "leave"
            find = "Release"
            models = ["wait::it_ends::alone"]
            survives = "B"
        "#;
        assert_eq!(problems_of(&list(&format!("{more}{EXEMPT}"))).len(), 1);
    }
}
