//! The tests, models, mutants and packages that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};
use serde::Deserialize;
use syn::{Attribute, Expr, ExprLit, Item, ItemMacro, Lit, Meta};

use super::Problem;
use super::markdown::spans_of;

#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) tests: Paths,
    pub(super) models: Paths,
    pub(super) mutants: BTreeSet<String>,
    /// The examples, and the packages of this repository, by their directories.
    pub(super) programs: BTreeSet<String>,
    /// The words of the crate's source.
    pub(super) words: BTreeSet<String>,
    /// What Cargo.lock lists.
    pub(super) packages: BTreeSet<String>,
}

/// Names as `binary::module::function`.
#[derive(Debug, Default)]
pub(super) struct Paths {
    all: BTreeMap<String, Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Binary,
    Module,
    Test,
    Function,
}

impl Paths {
    /// Whether there is such a test, or a module or a binary with tests in it.
    pub(super) fn has_test(&self, name: &str) -> bool {
        match self.all.get(name) {
            None | Some(Kind::Function) => false,
            Some(Kind::Test) => true,
            Some(Kind::Module | Kind::Binary) => {
                let inside = format!("{name}::");
                let mut all = self.all.range(inside.clone()..);
                all.by_ref()
                    .take_while(|(it, _)| it.starts_with(&inside))
                    .any(|(_, kind)| *kind == Kind::Test)
            }
        }
    }

    /// Whether there is such a test, or a function that tests call.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    pub(super) fn has_binary(&self, name: &str) -> bool {
        self.all.get(name) == Some(&Kind::Binary)
    }
}

impl Names {
    pub(super) fn read(root: &Path, files: &BTreeSet<String>) -> Result<Self> {
        let mut names = Self::default();
        let mut macros = Macros::default();
        macros.add(&parse(&root.join("loom-tests/src/lib.rs"))?.items);
        for file in files {
            if file.starts_with("src/") && file.ends_with(".rs") {
                names.add_words(&fs::read_to_string(root.join(file))?);
            }
            let parts: Vec<_> = file.split('/').collect();
            match parts[..] {
                ["tests", name] | ["tests", name, "main.rs"] => {
                    names.tests.read(root, file, name, &macros)?;
                }
                ["loom-tests", "tests", name] => names.models.read(root, file, name, &macros)?,
                ["examples", name] | ["examples", name, "main.rs"] | [name, "Cargo.toml"] => {
                    names.programs.insert(name.trim_end_matches(".rs").into());
                }
                _ => {}
            }
        }
        let list = fs::read_to_string(root.join(super::MUTANTS))?;
        names.mutants = toml::from_str::<MutantList>(&list)?.names();
        let lock = fs::read_to_string(root.join("Cargo.lock"))?;
        let packages = lock.lines().filter_map(|line| line.strip_prefix("name = \""));
        names.packages = packages.map(|it| it.trim_end_matches('"').into()).collect();
        Ok(names)
    }

    fn add_words(&mut self, source: &str) {
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let words = code.flat_map(|line| line.split(|it: char| !it.is_alphanumeric() && it != '_'));
        self.words.extend(words.filter(|it| !it.is_empty()).map(String::from));
    }

    /// Whether the code has all words of this path.
    pub(super) fn is_in_code(&self, path: &str) -> bool {
        let mut words = path.split(|it: char| !it.is_alphanumeric() && it != '_');
        words.all(|it| it.is_empty() || self.words.contains(it))
    }

    /// Checks the paragraphs of a model's doc comment that name its mutants.
    pub(super) fn check_model_docs(&self, file: &str, text: &str) -> Vec<Problem> {
        if !file.starts_with("loom-tests/") {
            return Vec::new();
        }
        let mut problems = Vec::new();
        let mut is_list = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start().strip_prefix("///").map_or("", str::trim);
            is_list = line.starts_with("Mutants:") || (is_list && !line.is_empty());
            let unknown = spans_of(line).filter(|it| is_list && !self.mutants.contains(*it));
            let problem = |it| Problem::new(file, number + 1, format!("there is no mutant `{it}`"));
            problems.extend(unknown.map(problem));
        }
        problems
    }

    /// Checks the models that the list of mutants names.
    pub(super) fn check_mutant_list(&self, file: &str, text: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let key = ["models = [", "model = ", "    \""].iter().find(|it| line.starts_with(*it));
            let Some(key) = key else { continue };
            let quoted = line[key.trim_end_matches('"').len()..].split('"').skip(1).step_by(2);
            for name in quoted.filter(|it| !self.models.has_test(it)) {
                let text = format!("there is no model `{name}`");
                problems.push(Problem::new(file, number + 1, text));
            }
        }
        problems
    }
}

#[derive(Debug, Deserialize)]
struct MutantList {
    mutant: Vec<MutantName>,
}

#[derive(Debug, Deserialize)]
struct MutantName {
    name: String,
}

impl MutantList {
    fn names(self) -> BTreeSet<String> {
        self.mutant.into_iter().map(|it| it.name).collect()
    }
}

fn parse(path: &Path) -> Result<syn::File> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    syn::parse_file(&text).with_context(|| path.display().to_string())
}

impl Paths {
    fn read(&mut self, root: &Path, file: &str, name: &str, macros: &Macros) -> Result<()> {
        let Some(binary) = name.strip_suffix(".rs").or((!name.contains('.')).then_some(name))
        else {
            return Ok(());
        };
        let path = root.join(file);
        // Modules of a test binary lie beside its file.
        let directory = path.parent().context("no directory")?.to_owned();
        self.all.insert(binary.into(), Kind::Binary);
        self.add(binary, &parse(&path)?.items, &directory, macros.clone())
    }

    fn add(
        &mut self,
        module: &str,
        items: &[Item],
        directory: &Path,
        mut macros: Macros,
    ) -> Result<()> {
        macros.add(items);
        for item in items {
            match item {
                Item::Fn(it) => {
                    let kind = if is_test(&it.attrs) { Kind::Test } else { Kind::Function };
                    self.all.insert(format!("{module}::{}", it.sig.ident), kind);
                }
                Item::Mod(it) => {
                    let name = it.ident.to_string();
                    let path = format!("{module}::{name}");
                    self.all.insert(path.clone(), Kind::Module);
                    let below = directory.join(&name);
                    if let Some((_, items)) = &it.content {
                        self.add(&path, items, &below, macros.clone())?;
                    } else if let Some(file) = file_of(directory, &name, &it.attrs) {
                        self.add(&path, &parse(&file)?.items, &below, macros.clone())?;
                    }
                }
                Item::Macro(it) if it.ident.is_none() => {
                    // A name that is given to a macro is that of a module, with the tests of the macro in it.
                    let tests = macros.tests_of(it);
                    for name in idents(&it.mac.tokens).into_iter().filter(|_| !tests.is_empty()) {
                        let path = format!("{module}::{name}");
                        for test in &tests {
                            self.all.insert(format!("{path}::{test}"), Kind::Test);
                        }
                        self.all.entry(path).or_insert(Kind::Module);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| it.path().segments.last().is_some_and(|it| it.ident == "test"))
}

/// The file of `mod name;`.
fn file_of(directory: &Path, name: &str, attributes: &[Attribute]) -> Option<PathBuf> {
    let path_of = |it: &Attribute| {
        let Meta::NameValue(meta) = &it.meta else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) = &meta.value else { return None };
        meta.path.is_ident("path").then(|| directory.join(path.value()))
    };
    let named = attributes.iter().find_map(path_of);
    let usual = [directory.join(format!("{name}.rs")), directory.join(name).join("mod.rs")];
    named.into_iter().chain(usual).find(|it| it.is_file())
}

/// The macros that make tests, and the names of these tests.
#[derive(Clone, Debug, Default)]
struct Macros(BTreeMap<String, Vec<String>>);

impl Macros {
    fn add(&mut self, items: &[Item]) {
        for item in items {
            if let Item::Macro(ItemMacro { ident: Some(name), mac, .. }) = item {
                self.0.insert(name.to_string(), tests_in(&mac.tokens));
            }
        }
    }

    fn tests_of(&self, call: &ItemMacro) -> Vec<String> {
        let name = call.mac.path.segments.last().map(|it| it.ident.to_string());
        name.and_then(|it| self.0.get(&it)).cloned().unwrap_or_default()
    }
}

/// The functions behind `#[test]`, at any depth.
fn tests_in(tokens: &TokenStream) -> Vec<String> {
    let (mut tests, mut is_test, mut is_fn) = (Vec::new(), false, false);
    for tree in tokens.clone() {
        match tree {
            TokenTree::Group(group) => {
                is_test |= group.stream().to_string() == "test";
                tests.extend(tests_in(&group.stream()));
            }
            TokenTree::Ident(name) => {
                if is_fn && is_test {
                    tests.push(name.to_string());
                    is_test = false;
                }
                is_fn = name == "fn";
            }
            _ => is_fn = false,
        }
    }
    tests
}

/// The names that stand outside of all brackets.
fn idents(tokens: &TokenStream) -> Vec<String> {
    let name = |tree| match tree {
        TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    };
    tokens.clone().into_iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Paths {
        let mut paths = Paths::default();
        paths.all.insert("wait".into(), Kind::Binary);
        let items = syn::parse_file(text).unwrap().items;
        paths.add("wait", &items, Path::new("/nowhere"), Macros::default()).unwrap();
        paths
    }

    #[test]
    fn tests_are_found_in_modules_and_macros() {
        let paths = paths(
            "macro_rules! twice { ($model:ident) => {
                mod $model { #[test] fn alone() {} #[test] fn in_a_crowd() {} }
            }; }
            fn it_ends(crowded: bool) {}
            twice!(it_ends);
            mod races { #[test] fn it_begins() {} fn helper() {} }
            mod empty {}",
        );
        for test in ["wait", "wait::it_ends::alone", "wait::races", "wait::races::it_begins"] {
            assert!(paths.has_test(test), "{test}");
        }
        for other in
            ["wait::races::helper", "wait::empty", "wait::alone", "wait::it_begins", "race"]
        {
            assert!(!paths.has_test(other), "{other}");
        }
        assert!(paths.has("wait::races::helper") && paths.has("wait::it_ends"));
    }

    #[test]
    fn words_of_the_code_are_known_and_those_of_comments_are_not() {
        let mut names = Names::default();
        names.add_words("impl Block {\n    /// Fires it.\n    fn open_now(self) {}\n}");
        assert!(names.is_in_code("Block::open_now") && names.is_in_code("self"));
        assert!(!names.is_in_code("Block::close") && !names.is_in_code("Fires"));
    }

    #[test]
    fn a_model_may_name_only_mutants_that_there_are() {
        let names = Names { mutants: ["a-b".to_owned()].into(), ..Names::default() };
        let text =
            "/// Edges: A.\n///\n/// Mutants: `a-b`,\n/// `c-d`.\n///\n/// And `other`.\nfn f() {}";
        let problems = names.check_model_docs("loom-tests/tests/wait.rs", text);
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].line, problems[0].text.contains("`c-d`")), (4, true));
        assert!(names.check_model_docs("src/wait.rs", text).is_empty());
    }

    #[test]
    fn a_mutant_may_name_only_models_that_there_are() {
        let models = paths("#[test] fn it_ends() {}");
        let names = Names { models, ..Names::default() };
        let text = "models = [\"wait::it_ends\", \"wait::gone\"]\nmodels = [\n    \"wait::gone\",\n]\nfind = \"x\"\n";
        let lines: Vec<_> = names.check_mutant_list("m", text).iter().map(|it| it.line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
