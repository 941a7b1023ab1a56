//! What `docs/design.md` defines.

use std::collections::{BTreeMap, BTreeSet};

use super::cited::{Citation, Cited};
use super::markdown::{Document, spans_of};
use super::references::resolve;
use super::{DESIGN, Problem};

#[derive(Debug, Default)]
pub(super) struct Design {
    rules: BTreeSet<usize>,
    conditions: BTreeSet<usize>,
    /// The letters, and the files of the crate that carry each.
    edges: BTreeMap<char, BTreeSet<String>>,
    /// Where they are defined.
    lines: BTreeMap<char, usize>,
}

impl Design {
    /// The definitions, and what is wrong with them.
    pub(super) fn read(document: &Document, files: &BTreeSet<String>) -> (Self, Vec<Problem>) {
        let mut design = Self::default();
        let mut problems = Vec::new();
        for (title, kind, numbers) in [
            ("Rules", "rule", &mut design.rules),
            ("Conditions", "condition", &mut design.conditions),
        ] {
            for line in document.section(title) {
                let Some((number, _)) = line.it.split_once(". ") else { continue };
                let Ok(number) = number.parse() else { continue };
                if !numbers.insert(number) {
                    let text = format!("{kind} {number} is defined twice");
                    problems.push(Problem::new(DESIGN, line.line, text));
                }
            }
        }
        for row in document.rows() {
            let (Some(edge), Some(places)) = (row.it.cell("edge"), row.it.cell("where")) else {
                continue;
            };
            let letter = edge.strip_prefix("**").and_then(|it| it.chars().next());
            let Some(letter) = letter.filter(char::is_ascii_uppercase) else {
                let text = format!("an edge begins with its letter, as in `**A** leave`: {edge}");
                problems.push(Problem::new(DESIGN, row.line, text));
                continue;
            };
            let mut carry = BTreeSet::new();
            for place in spans_of(places) {
                let in_src = resolve(place, files).filter(|it| it.starts_with("src/"));
                match in_src.collect::<Vec<_>>()[..] {
                    [file] => _ = carry.insert(file.to_owned()),
                    ref all => {
                        let text = format!(
                            "edge {letter}: `{place}` is the name of {} files in src, not of one",
                            all.len()
                        );
                        problems.push(Problem::new(DESIGN, row.line, text));
                    }
                }
            }
            design.lines.insert(letter, row.line);
            if design.edges.insert(letter, carry).is_some() {
                let text = format!("edge {letter} is defined twice");
                problems.push(Problem::new(DESIGN, row.line, text));
            }
        }
        (design, problems)
    }

    /// The edges that are said to be of a file which does not carry their letters.
    pub(super) fn stale(&self, citations: &BTreeMap<String, Vec<Citation>>) -> Vec<Problem> {
        let carries = |file: &String, edge: char| {
            let is_it = |it: &Citation| it.what == Cited::Edge { letter: edge, is_label: true };
            citations.get(file).is_some_and(|all| all.iter().any(is_it))
        };
        let places = self.edges.iter().flat_map(|(edge, all)| all.iter().map(|it| (*edge, it)));
        let stale = places.filter(|(edge, file)| !carries(file, *edge));
        stale
            .map(|(edge, file)| {
                let text = format!("edge {edge} is said to be of {file}, which has no such letter");
                Problem::new(DESIGN, self.lines.get(&edge).copied().unwrap_or(1), text)
            })
            .collect()
    }

    /// Why this citation in `file` leads nowhere, if it does.
    pub(super) fn problem_of(&self, it: &Citation, file: &str, has_edges: bool) -> Option<String> {
        let undefined = match it.what {
            Cited::Rule(number) => {
                (!self.rules.contains(&number)).then(|| format!("rule {number}"))
            }
            Cited::Condition(number) => {
                (!self.conditions.contains(&number)).then(|| format!("condition {number}"))
            }
            Cited::Edge { .. } if !has_edges => None,
            Cited::Edge { letter, is_label } => {
                let Some(carry) = self.edges.get(&letter) else {
                    return Some(format!("edge {letter} is not defined in {DESIGN}"));
                };
                if is_label && file.starts_with("src/") && !carry.contains(file) {
                    return Some(format!("edge {letter} is not of this file, by {DESIGN}"));
                }
                None
            }
        };
        undefined.map(|it| format!("{it} is not defined in {DESIGN}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
## Rules
### Counting
1. **No count wraps.** It
   goes on.
2. Another.
## Edges
| edge | what | where |
|---|---|---|
| **A** leave | work | `word.rs`, `other.rs` |
## Conditions
1. One.
1. One again.
";

    fn files() -> BTreeSet<String> {
        ["src/park/word.rs", "src/other.rs", "docs/design.md"].map(String::from).into()
    }

    #[test]
    fn citations_are_looked_up() {
        let (design, problems) = Design::read(&Document::read(TEXT), &files());
        assert_eq!(problems.len(), 1, "{problems:?}");
        let problem = |what, file| {
            design.problem_of(&Citation { line: 1, what }, file, file.starts_with("src/"))
        };
        assert_eq!(problem(Cited::Rule(2), "tests/a.rs"), None);
        assert!(problem(Cited::Rule(3), "tests/a.rs").unwrap().contains("rule 3 is not defined"));
        assert!(problem(Cited::Condition(2), "src/a.rs").unwrap().contains("condition 2"));
        let edge = |letter, is_label| Cited::Edge { letter, is_label };
        assert_eq!(problem(edge('A', true), "src/park/word.rs"), None);
        assert!(problem(edge('A', true), "src/lib.rs").unwrap().contains("not of this file"));
        assert_eq!(problem(edge('A', false), "src/lib.rs"), None);
        assert!(problem(edge('B', false), "src/lib.rs").unwrap().contains("edge B is not defined"));
        assert_eq!(problem(edge('B', false), "tests/a.rs"), None);
    }

    #[test]
    fn an_edge_is_carried_by_the_files_that_it_is_said_to_be_of() {
        let (design, _) = Design::read(&Document::read(TEXT), &files());
        let cited = |what| vec![Citation { line: 1, what }];
        let edge = |is_label| cited(Cited::Edge { letter: 'A', is_label });
        let in_word = ("src/park/word.rs".to_owned(), edge(true));
        let stale = design.stale(&[in_word, ("src/other.rs".to_owned(), edge(false))].into());
        assert_eq!(stale.len(), 1);
        assert!(stale[0].text.contains("src/other.rs") && stale[0].line == 10, "{stale:?}");
    }

    #[test]
    fn an_edge_that_is_defined_twice_or_nowhere_is_a_problem() {
        let text = "| edge | where |\n|---|---|\n| **A** | `gone.rs` |\n| **A** | |\n| B | |\n";
        let (_, problems) = Design::read(&Document::read(text), &files());
        let texts: Vec<_> = problems.into_iter().map(|it| (it.line, it.text)).collect();
        assert!(texts[0].1.contains("0 files"), "{texts:?}");
        assert!(texts[1].1.contains("defined twice") && texts[2].1.contains("begins"), "{texts:?}");
    }
}
