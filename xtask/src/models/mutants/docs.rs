//! The models, and the mutants that each of them names in its doc comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, ExprLit, Item, ItemMacro, Lit, Meta};

/// What one doc comment describes.
#[derive(Debug)]
pub(super) struct Model {
    /// `binary::function`.
    pub(super) name: String,
    /// `binary::test`: the function itself, or those that call it with different arguments.
    pub(super) tests: BTreeSet<String>,
    /// Those that it kills, by its doc comment, or why that cannot be read.
    pub(super) mutants: Result<BTreeSet<String>>,
}

/// The models in `loom-tests`.
pub(super) fn read(loom_tests: &Path) -> Result<Vec<Model>> {
    let mut macros = Macros::default();
    macros.add(&parse(&loom_tests.join("src/lib.rs"))?.items);
    let mut models = Vec::new();
    let mut paths = fs::read_dir(loom_tests.join("tests"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_stem().context("no name")?.to_string_lossy();
        let file = parse(&path)?;
        models
            .extend(read_file(&name, &file, &macros).with_context(|| path.display().to_string())?);
    }
    Ok(models)
}

fn parse(path: &Path) -> Result<syn::File> {
    syn::parse_file(&fs::read_to_string(path)?).with_context(|| path.display().to_string())
}

fn read_file(binary: &str, file: &syn::File, macros: &Macros) -> Result<Vec<Model>> {
    let mut macros = macros.clone();
    macros.add(&file.items);
    let mut functions = Functions { macros, docs: BTreeMap::new(), tests: Vec::new() };
    functions.read(binary, &file.items)?;
    functions.models()
}

/// The functions of a file.
struct Functions {
    macros: Macros,
    /// Their doc comments, by `binary::path::name`.
    docs: BTreeMap<String, String>,
    /// Those that are tests.
    tests: Vec<String>,
}

impl Functions {
    fn read(&mut self, module: &str, items: &[Item]) -> Result<()> {
        for item in items {
            match item {
                Item::Fn(it) => {
                    let name = format!("{module}::{}", it.sig.ident);
                    if it.attrs.iter().any(|it| it.path().is_ident("test")) {
                        self.tests.push(name.clone());
                    }
                    self.docs.insert(name, doc(&it.attrs));
                }
                Item::Mod(it) => {
                    let (_, items) = it.content.as_ref().context("a module without content")?;
                    self.read(&format!("{module}::{}", it.ident), items)?;
                }
                Item::Macro(it) if it.ident.is_none() => {
                    let items = self.macros.expand(it)?;
                    self.read(module, &items)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Brings each test to the function whose doc comment describes it: that of its module's name, if
    /// there is one.
    fn models(self) -> Result<Vec<Model>> {
        let mut models = BTreeMap::<_, Model>::new();
        for test in self.tests {
            let module = test.rsplit_once("::").map(|(module, _)| module);
            let (name, doc) = module
                .and_then(|it| self.docs.get_key_value(it))
                .or_else(|| self.docs.get_key_value(&test))
                .context("a test without a function")?;
            let model = models.entry(name.clone()).or_insert_with(|| Model {
                name: name.clone(),
                tests: BTreeSet::new(),
                mutants: named_mutants(doc),
            });
            model.tests.insert(test);
        }
        Ok(models.into_values().collect())
    }
}

/// The names in the paragraph ``Mutants: `one`, `other`.``, if there is one.
fn named_mutants(doc: &str) -> Result<BTreeSet<String>> {
    let Some((_, rest)) = doc.split_once("\nMutants:") else { return Ok(BTreeSet::new()) };
    let list = rest.split("\n\n").next().unwrap_or(rest).trim();
    let list = list.strip_suffix('.').context("its list of mutants does not end with a period")?;
    let mut names = BTreeSet::new();
    for name in list.split(',').map(str::trim) {
        let name = name.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
        let name = name.filter(|it| !it.contains('`'));
        let name =
            name.with_context(|| format!("its list of mutants is not one of names: {list}"))?;
        ensure!(names.insert(name.to_owned()), "its list of mutants names {name} twice");
    }
    Ok(names)
}

/// The text of a doc comment, with a line break before each line.
fn doc(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| {
        let Meta::NameValue(meta) = &attribute.meta else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &meta.value else { return None };
        meta.path.is_ident("doc").then(|| format!("\n{}", line.value().trim()))
    };
    attributes.iter().filter_map(line).collect()
}

/// The macros that make models: each takes one name.
#[derive(Clone, Debug, Default)]
struct Macros(BTreeMap<String, Rule>);

/// `($parameter:ident) => { body }`
#[derive(Clone, Debug)]
struct Rule {
    parameter: String,
    body: TokenStream,
}

impl Macros {
    fn add(&mut self, items: &[Item]) {
        for item in items {
            let Item::Macro(ItemMacro { ident: Some(name), mac, .. }) = item else { continue };
            self.0.extend(Rule::read(&mac.tokens).map(|rule| (name.to_string(), rule)));
        }
    }

    /// The items that a call of a macro stands for.
    fn expand(&self, call: &ItemMacro) -> Result<Vec<Item>> {
        let name = call.mac.path.segments.last().context("a macro without a name")?;
        let Some(rule) = self.0.get(&name.ident.to_string()) else {
            bail!(
                "the models of {}! cannot be read: make them by functions, or by a macro of the form \
                 `($name:ident) => {{ … }}`",
                name.ident
            );
        };
        let items = rule.expand(&call.mac.tokens);
        Ok(syn::parse2::<syn::File>(items).with_context(|| format!("{}!", name.ident))?.items)
    }
}

impl Rule {
    fn read(rules: &TokenStream) -> Option<Self> {
        let mut trees = rules.clone().into_iter();
        let TokenTree::Group(pattern) = trees.next()? else { return None };
        let TokenTree::Group(body) = trees.nth(2)? else { return None };
        let pattern = pattern.stream().to_string();
        let pattern: String = pattern.split_whitespace().collect();
        let parameter = pattern.strip_prefix('$')?.strip_suffix(":ident")?.to_owned();
        let is_only_one = trees.all(|it| it.to_string() == ";");
        (is_only_one && !parameter.contains('$')).then(|| Self { parameter, body: body.stream() })
    }

    fn expand(&self, argument: &TokenStream) -> TokenStream {
        replace(self.body.clone(), &self.parameter, argument)
    }
}

/// `body` with `argument` for `$parameter`.
fn replace(body: TokenStream, parameter: &str, argument: &TokenStream) -> TokenStream {
    let mut replaced = Vec::<TokenTree>::new();
    for tree in body {
        match tree {
            TokenTree::Group(group) => {
                let inside = replace(group.stream(), parameter, argument);
                replaced.push(proc_macro2::Group::new(group.delimiter(), inside).into());
            }
            TokenTree::Ident(name)
                if name == parameter && replaced.last().is_some_and(|it| it.to_string() == "$") =>
            {
                replaced.pop();
                replaced.extend(argument.clone());
            }
            other => replaced.push(other),
        }
    }
    replaced.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The models of the file `wait`, with their tests and mutants.
    fn models(text: &str) -> Vec<(String, Vec<String>, Vec<String>)> {
        let models = read_file("wait", &syn::parse_file(text).unwrap(), &Macros::default());
        let all = |names: BTreeSet<String>| names.into_iter().collect();
        let model = |it: Model| (it.name, all(it.tests), all(it.mutants.unwrap()));
        models.unwrap().into_iter().map(model).collect()
    }

    fn model(name: &str, tests: &[&str], mutants: &[&str]) -> (String, Vec<String>, Vec<String>) {
        let all = |names: &[&str]| names.iter().copied().map(String::from).collect();
        (name.into(), all(tests), all(mutants))
    }

    #[test]
    fn a_test_names_its_mutants() {
        let text = "
            /// Rule 1.
            ///
            /// Mutants: `one`,
            /// `other`.
            ///
            /// And `more`.
            #[test] fn it_ends() {}
            #[test] fn it_begins() {}
            fn helper() {}";
        let ends = model("wait::it_ends", &["wait::it_ends"], &["one", "other"]);
        assert_eq!(models(text), [model("wait::it_begins", &["wait::it_begins"], &[]), ends]);
    }

    #[test]
    fn the_tests_of_a_module_are_described_by_the_function_of_its_name() {
        let text = "
            macro_rules! twice { ($model:ident) => {
                mod $model { #[test] fn alone() {} #[test] fn in_a_crowd() { super::$model(true); } }
            }; }
            /// Mutants: `one`.
            fn it_ends(crowded: bool) {}
            twice!(it_ends);
            /// Mutants: `other`.
            fn it_begins() {}
            mod it_begins { #[test] fn alone() {} }";
        let begins = model("wait::it_begins", &["wait::it_begins::alone"], &["other"]);
        let tests = ["wait::it_ends::alone", "wait::it_ends::in_a_crowd"];
        assert_eq!(models(text), [begins, model("wait::it_ends", &tests, &["one"])]);
    }

    #[test]
    fn a_macro_that_hides_models_is_refused() {
        for rules in ["() => {}", "($a:ident, $b:ident) => {}", "($a:ident) => {}; (x) => {}"] {
            let text = format!("macro_rules! models {{ {rules} }} models!(one);");
            let models = read_file("wait", &syn::parse_file(&text).unwrap(), &Macros::default());
            assert!(models.is_err(), "{rules}");
        }
    }

    #[test]
    fn a_list_of_mutants_has_one_form() {
        assert!(named_mutants("\nRule 1.").unwrap().is_empty());
        for list in ["`one`", "one.", "`one` and `other`.", "none.", "`one`, `one`.", ""] {
            assert!(named_mutants(&format!("\nMutants: {list}")).is_err(), "{list}");
        }
    }
}
