//! The ledger of orderings: each access to an atomic, what its ordering is for, and what notices if it is weaker.
//!
//! The page that is written, `docs/orderings.md`, is made of the source, of its comments and of the list of mutants.
//! An ordering that no mutant weakens is an error: either a model shows what it is for, or a mutant says why none can.
//! So is a mutant whose reason begins with an edge that the comment beside the access does not name.

mod accesses;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use xshell::Shell;

use super::list::{List, Mutant};
use super::source::Source;
use accesses::{Access, Order};

/// What to do with the ledger.
#[derive(Debug, Default, Args)]
pub(crate) struct LedgerArgs {
    /// Write the page, and do not compare it.
    #[arg(long)]
    bless: bool,
}

const PAGE: &str = "docs/orderings.md";

/// Checks that each ordering has its mutants, and that the page is up to date.
pub(crate) fn ledger(_: &Shell, args: &LedgerArgs) -> Result<()> {
    let source = Source::read(&crate::root().join("src"))?;
    let list = fs::read_to_string(crate::root().join("loom-tests/mutants.toml"))?;
    let list: List = toml::from_str(&list).context("mutants.toml")?;
    let ledger = Ledger::new(&source, &list)?;

    let (missing, unnamed) = (ledger.missing(), ledger.unnamed());
    missing.iter().chain(&unnamed).for_each(|it| println!("{it}"));
    let page = crate::root().join(PAGE);
    if args.bless {
        fs::write(&page, ledger.page())?;
    } else {
        let is_new = fs::read_to_string(&page).is_ok_and(|old| old == ledger.page());
        ensure!(is_new, "{PAGE} is out of date: run `cargo xtask ledger --bless`");
    }
    ensure!(
        missing.is_empty(),
        "{} orderings could be weaker, and no mutant tries it",
        missing.len()
    );
    ensure!(unnamed.is_empty(), "{} comments do not name an edge of their access", unnamed.len());
    Ok(())
}

/// All accesses, by item.
struct Ledger<'a> {
    items: Vec<Entry<'a>>,
}

/// The accesses of one item.
struct Entry<'a> {
    file: &'a Path,
    item: String,
    accesses: Vec<Tried<'a>>,
}

/// An access, and the mutants that weaken it.
struct Tried<'a> {
    access: Access,
    line: usize,
    /// The letters of the edges in the comment above it.
    edges: String,
    weakened: BTreeMap<Weakening, Vec<&'a Mutant>>,
}

/// What a mutant does to an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weakening {
    /// The ordering of this number is this one.
    Order(usize, Order),
    /// It is gone, or is another call.
    Gone,
}

impl<'a> Ledger<'a> {
    fn new(source: &'a Source, list: &'a List) -> Result<Self> {
        let mut items = Vec::new();
        for (file, text) in source.texts() {
            // The model's own `Arc` is that of the standard library, and no part of the crate.
            if !file.starts_with("sync/model") && !file.ends_with("sync/model.rs") {
                items.extend(entries(source, file, text)?);
            }
        }
        let mut ledger = Self { items };
        for mutant in &list.mutants {
            ledger.try_mutant(source, mutant)?;
        }
        Ok(ledger)
    }

    /// Notes what `mutant` does to the accesses.
    fn try_mutant(&mut self, source: &Source, mutant: &'a Mutant) -> Result<()> {
        for changed in source.changed(mutant.changes()?)? {
            let mut after = Source::default();
            after.add(changed.path, changed.after)?;
            let found = by_item(&after, changed.path)?;
            for entry in self.items.iter_mut().filter(|it| it.file == changed.path) {
                let empty = Vec::new();
                entry.compare(found.get(&entry.item).unwrap_or(&empty), mutant);
            }
        }
        Ok(())
    }

    /// The weakenings that no mutant tries.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for Entry { file, item, accesses } in &self.items {
            for tried in accesses {
                for weakening in tried.wanted() {
                    if tried.mutants(weakening).is_empty() {
                        let (line, call) = (tried.line, &tried.access.call);
                        let file = file.display();
                        let what = tried.name(weakening);
                        missing.push(format!(
                            "src/{file}:{line}: {item}: `{call}`: {what}: no mutant"
                        ));
                    }
                }
            }
        }
        missing
    }

    /// The edges that a mutant breaks by a weaker ordering, and that the comment beside the access does not name.
    fn unnamed(&self) -> Vec<String> {
        let mut unnamed = Vec::new();
        for Entry { file, item, accesses } in &self.items {
            for tried in accesses {
                let named = |letter: &&str| tried.edges.split(", ").any(|it| it == *letter);
                for mutant in tried.wanted().into_iter().flat_map(|it| tried.mutants(it)) {
                    for letter in mutant.edges().filter(|it| !named(it)) {
                        let (file, line, name) = (file.display(), tried.line, &mutant.name);
                        unnamed.push(format!(
                            "src/{file}:{line}: {item}: no edge {letter}, which `{name}` breaks"
                        ));
                    }
                }
            }
        }
        unnamed
    }

    fn page(&self) -> String {
        let mut page = String::from(HEAD);
        let mut file = None;
        for entry in &self.items {
            if file != Some(entry.file) {
                file = Some(entry.file);
                let _ = write!(page, "\n## `src/{}`\n\n{TABLE}", entry.file.display());
            }
            entry.accesses.iter().for_each(|tried| page += &tried.row(&entry.item));
        }
        page
    }
}

const HEAD: &str = "# The ledger of orderings

Written by `cargo xtask ledger --bless` from the source, its comments and `loom-tests/mutants.toml`; `cargo xtask test`
checks that it is up to date. Each access to an atomic, each fence, and for each ordering what is one step weaker: the
mutant that makes it so, and the first of the models that fail then. *Survives* is a mutant that no model can show; the
list of mutants says why. The edges are those of [design.md](design.md#edges); an access without a letter has the
reason for its ordering in the comment beside it. `step` and `replace` are the loop around a compare-and-swap of
`sync/step.rs`; where two orderings stand, the second is that of a failure.
";
const TABLE: &str =
    "| in | access | orderings | edges | weaker by a step: noticed by |\n|---|---|---|---|---|\n";

impl<'a> Entry<'a> {
    /// Compares the accesses with those that a mutant leaves.
    fn compare(&mut self, after: &[Access], mutant: &'a Mutant) {
        let calls = |access: &Access| (access.call.clone(), access.orderings.len());
        let before: Vec<_> = self.accesses.iter().map(|it| calls(&it.access)).collect();
        let is_same = before.iter().cloned().eq(after.iter().map(calls));
        for (index, tried) in self.accesses.iter_mut().enumerate() {
            if is_same {
                let now = &after[index].orderings;
                for (number, (old, new)) in tried.access.orderings.iter().zip(now).enumerate() {
                    if old.weaker().contains(new) {
                        let weakening = Weakening::Order(number, *new);
                        tried.weakened.entry(weakening).or_default().push(mutant);
                    }
                }
            } else {
                let left = after.iter().filter(|it| calls(it) == before[index]).count();
                let had = before.iter().filter(|it| **it == before[index]).count();
                if left < had {
                    tried.weakened.entry(Weakening::Gone).or_default().push(mutant);
                }
            }
        }
    }
}

impl<'a> Tried<'a> {
    /// The weakenings that a mutant must try.
    fn wanted(&self) -> Vec<Weakening> {
        if self.access.call == "fence" {
            return vec![Weakening::Gone];
        }
        let orderings = self.access.orderings.iter().enumerate();
        orderings
            .flat_map(|(number, order)| {
                order.weaker().iter().map(move |it| Weakening::Order(number, *it))
            })
            .collect()
    }

    fn mutants(&self, weakening: Weakening) -> &[&'a Mutant] {
        self.weakened.get(&weakening).map_or(&[], Vec::as_slice)
    }

    fn name(&self, weakening: Weakening) -> String {
        match weakening {
            Weakening::Order(0, order) => order.to_string(),
            Weakening::Order(_, order) => format!("{order} on failure"),
            Weakening::Gone => "removed".into(),
        }
    }

    fn row(&self, item: &str) -> String {
        let orderings: Vec<_> = self.access.orderings.iter().map(Order::to_string).collect();
        let tried: Vec<_> = self.wanted().into_iter().map(|it| self.tried(it)).collect();
        format!(
            "| `{}` | `{}` | {} | {} | {} |\n",
            without_modules(item),
            self.access.call,
            orderings.join(", "),
            self.edges,
            tried.join("; ")
        )
    }

    fn tried(&self, weakening: Weakening) -> String {
        let mutants = self.mutants(weakening).iter();
        let name = self.name(weakening);
        // One that is killed says more. There are several where one access stores different values.
        let mut told: Vec<_> = mutants.clone().filter(|it| it.is_killed()).collect();
        if told.is_empty() {
            told.extend(mutants.clone().next());
        }
        let told: Vec<_> = told.iter().map(|it| it.told()).collect();
        if told.is_empty() {
            format!("{name}: none")
        } else {
            format!("{name}: {}", told.join(" and "))
        }
    }
}

/// The name of an item without its modules, which its file says.
fn without_modules(item: &str) -> &str {
    let mut rest = item;
    while let Some((module, inner)) = rest.split_once("::") {
        if !module.starts_with(|first: char| first.is_ascii_lowercase()) {
            break;
        }
        rest = inner;
    }
    rest
}

/// The entries of a file.
fn entries<'a>(source: &'a Source, file: &'a Path, text: &str) -> Result<Vec<Entry<'a>>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut end = 0;
    for (item, access) in in_items(source, file)? {
        let line = text[..access.at].lines().count();
        let edges = edges(&text[end..access.at]);
        end = access.at;
        let tried = Tried { access, line, edges, weakened: BTreeMap::new() };
        match entries.iter_mut().find(|it| it.item == item) {
            Some(entry) => entry.accesses.push(tried),
            None => entries.push(Entry { file, item, accesses: vec![tried] }),
        }
    }
    Ok(entries)
}

fn by_item(source: &Source, file: &Path) -> Result<BTreeMap<String, Vec<Access>>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (item, access) in in_items(source, file)? {
        found.entry(item).or_default().push(access);
    }
    Ok(found)
}

/// The accesses of a file, each with the item that it is in.
fn in_items(source: &Source, file: &Path) -> Result<Vec<(String, Access)>> {
    let accesses = accesses::read(source.tokens(file).context("no such file")?);
    let item_of = |access: &Access| source.item_at(file, access.at);
    let found = accesses.into_iter().filter_map(|access| Some((item_of(&access)?, access)));
    Ok(found.filter(|(item, _)| !item.contains("::tests::")).collect())
}

/// The letters of the edges in the comments of `text`, which ends at an access.
fn edges(text: &str) -> String {
    let comments = text.lines().filter_map(|line| line.trim_start().strip_prefix("// "));
    let comments: Vec<_> = comments.collect();
    let words: Vec<_> = comments.iter().flat_map(|line| line.split_whitespace()).collect();
    let mut letters = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let Some(letter) = word.strip_suffix(':').filter(|it| is_letter(it)) else { continue };
        // `B, C: …`
        let before = words[..index].iter().rev();
        let more: Vec<_> =
            before.map_while(|it| it.strip_suffix(',').filter(|it| is_letter(it))).collect();
        letters.extend(more.into_iter().rev());
        letters.push(letter);
    }
    letters.sort_unstable();
    letters.dedup();
    letters.join(", ")
}

fn is_letter(word: &str) -> bool {
    matches!(word.as_bytes(), [b'A'..=b'Z'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "
        impl Word {
            fn leave(&self) {
                // A, B: publishes.
                step(&self.0, self.0.load(Ordering::Relaxed), Ordering::AcqRel, Ordering::Acquire, f)
            }
            fn last(&self) {
                // A: acquires.
                fence(Ordering::Acquire);
            }
        }
    ";
    const MUTANTS: &str = "
        [[mutant]]
        name = 'acquired'
        why = 'A'
        in = 'Word::leave'
        find = 'Ordering::AcqRel'
        replace = 'Ordering::Release'
        models = ['word::it_ends']

        [[mutant]]
        name = 'last'
        why = 'A'
        in = 'Word::last'
        find = 'fence(Ordering::Acquire);'
        replace = ''
        models = ['word::it_ends']
        survives = 'B'
    ";

    fn ledger(mutants: &str, check: impl FnOnce(Ledger<'_>)) {
        let mut source = Source::default();
        source.add(Path::new("word.rs"), WORD.into()).unwrap();
        let list = toml::from_str(mutants).unwrap();
        check(Ledger::new(&source, &list).unwrap());
    }

    #[test]
    fn an_ordering_that_no_mutant_weakens_is_missing() {
        ledger(MUTANTS, |ledger| {
            let expected = [
                "src/word.rs:5: word::Word::leave: `step`: Acquire: no mutant",
                "src/word.rs:5: word::Word::leave: `step`: Relaxed on failure: no mutant",
            ];
            assert_eq!(ledger.missing(), expected);
        });
    }

    #[test]
    fn a_row_names_edges_mutants_and_models() {
        ledger(MUTANTS, |ledger| {
            let page = ledger.page();
            let row = "| `Word::leave` | `step` | AcqRel, Acquire | A, B | Acquire: none; \
                Release: `acquired`, `word::it_ends`; Relaxed on failure: none |";
            assert!(page.contains(row), "{page}");
            assert!(
                page.contains("| `fence` | Acquire | A | removed: `last` *survives* |"),
                "{page}"
            );
        });
    }

    #[test]
    fn the_edges_that_a_mutant_breaks_are_named() {
        let mutants = MUTANTS.replacen("why = 'A'", "why = 'A, N: two are lost'", 1);
        ledger(&mutants, |ledger| {
            let expected = ["src/word.rs:5: word::Word::leave: no edge N, which `acquired` breaks"];
            assert_eq!(ledger.unnamed(), expected);
        });
        ledger(&mutants.replacen("A, N: two", "Not A, N: two", 1), |ledger| {
            assert!(ledger.unnamed().is_empty());
        });
    }
}
