//! Citations of rules, edges and conditions.

use super::markdown::{Document, without_code};

/// A citation, with the number of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Citation {
    pub(super) line: usize,
    pub(super) what: Cited,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cited {
    Rule(usize),
    Condition(usize),
    /// A letter. A label says what the line beside it does: `A: publishes …`, or `(A)`.
    Edge {
        letter: char,
        is_label: bool,
    },
}

/// Those in the comments of a Rust file.
pub(super) fn in_rust(text: &str) -> Vec<Citation> {
    let mut all = Vec::new();
    // Lines of one comment are read as one text.
    let (mut comment, mut first) = (String::new(), 0);
    for (number, line) in text.lines().chain([""]).enumerate() {
        let line = line.trim_start().strip_prefix("//");
        let Some(line) = line.map(|it| it.trim_start_matches(['/', '!'])) else {
            all.extend(in_text(&std::mem::take(&mut comment), first));
            continue;
        };
        if comment.is_empty() {
            first = number + 1;
        }
        comment.push_str(line);
        comment.push('\n');
    }
    all
}

/// Those in the texts of the list of mutants, which stand in a line each.
pub(super) fn in_toml(text: &str) -> Vec<Citation> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let text = ["why = \"", "survives = \""].iter().find_map(|key| line.strip_prefix(key));
        all.extend(in_text(text.unwrap_or("").trim_end_matches('"'), number + 1));
    }
    all
}

pub(super) fn in_markdown(document: &Document) -> Vec<Citation> {
    in_text(document.text(), 1)
}

fn in_text(text: &str, first_line: usize) -> Vec<Citation> {
    let text = without_code(text);
    let line_at = |at: usize| first_line + text[..at].matches('\n').count();
    let numbers = numbers(&text).into_iter();
    let edges = edges(&text).into_iter();
    let citation = |(at, what)| Citation { line: line_at(at), what };
    numbers.chain(edges).map(citation).collect()
}

/// The numbers behind "rule" and "condition", and lists of them.
fn numbers(text: &str) -> Vec<(usize, Cited)> {
    let lower = text.to_ascii_lowercase();
    let mut all = Vec::new();
    for (word, kind) in
        [("rule", Cited::Rule as fn(usize) -> Cited), ("condition", Cited::Condition)]
    {
        for (start, _) in lower.match_indices(word) {
            if lower[..start].ends_with(|it: char| it.is_alphanumeric()) {
                continue;
            }
            let rest = &lower[start + word.len()..];
            let mut rest = rest.strip_prefix('s').unwrap_or(rest);
            while let Some((number, behind)) = number(rest) {
                all.push((lower.len() - rest.trim_start().len(), kind(number)));
                let Some(next) = next_of_list(behind) else { break };
                rest = next;
            }
        }
    }
    all
}

/// A number behind white space, and what comes after it.
fn number(text: &str) -> Option<(usize, &str)> {
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok()?;
    let rest = &text[digits..];
    let is_number = !rest.starts_with(|it: char| it.is_alphanumeric() || it == '_');
    is_number.then_some((number, rest))
}

/// What comes after a comma, an "and", or both.
fn next_of_list(text: &str) -> Option<&str> {
    let after_comma = text.strip_prefix(',').map(str::trim_start);
    let rest = after_comma.unwrap_or_else(|| text.trim_start());
    match rest.strip_prefix("and").filter(|it| it.starts_with([' ', '\n'])) {
        Some(behind) => Some(behind),
        None => after_comma,
    }
}

/// The capital letters that stand alone.
fn edges(text: &str) -> Vec<(usize, Cited)> {
    let joins = |it: char| it.is_alphanumeric() || "_-+'’&:<.".contains(it);
    let stands_alone = |at: usize| {
        let before = text[..at].chars().next_back();
        let mut behind = text[at + 1..].chars();
        let (after, next) = (behind.next(), behind.next());
        // A period or a colon may end a sentence, or stand in a name.
        let is_joined = |it: char| match it {
            '.' => next.is_some_and(char::is_alphanumeric),
            ':' => next.is_some_and(|it| it.is_alphanumeric() || it == ':'),
            _ => joins(it),
        };
        !before.is_some_and(joins) && !after.is_some_and(is_joined)
    };
    let letters =
        text.char_indices().filter(|(at, it)| it.is_ascii_uppercase() && stands_alone(*at));
    letters.map(|(at, letter)| (at, Cited::Edge { letter, is_label: is_label(text, at) })).collect()
}

/// Whether the letter is in a list that ends with a colon, in one in brackets, is bold, or is called an edge.
fn is_label(text: &str, at: usize) -> bool {
    let (before, mut rest) = (&text[..at], &text[at + 1..]);
    if before.ends_with("edge ") || before.ends_with("Edge ") {
        return true;
    }
    if before.ends_with("**") && rest.starts_with("**") {
        return true;
    }
    while let Some(behind) = [", ", " and "].iter().find_map(|it| rest.strip_prefix(it)) {
        let mut letters = behind.chars();
        let (letter, after) = (letters.next(), letters.next());
        let is_letter = letter.is_some_and(|it| it.is_ascii_uppercase());
        if !is_letter || !after.is_some_and(|it| ":), ".contains(it)) {
            break;
        }
        rest = &behind[1..];
    }
    let is_at_start = before.trim_end_matches([' ', '\n']).is_empty()
        || before.trim_end().ends_with(['.', ';', ':', ')', '?', ','])
        || before.ends_with("and ");
    (rest.starts_with(':') && is_at_start) || (before.ends_with('(') && rest.starts_with(')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_in(text: &str) -> Vec<(usize, Cited)> {
        let all = in_text(text, 1).into_iter().map(|it| (it.line, it.what));
        all.filter(|(_, it)| !matches!(it, Cited::Edge { .. })).collect()
    }

    fn letters(text: &str) -> Vec<(char, bool)> {
        let all = in_text(text, 1).into_iter();
        all.filter_map(|it| match it.what {
            Cited::Edge { letter, is_label } => Some((letter, is_label)),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn rules_are_cited_alone_and_in_lists() {
        use Cited::{Condition, Rule};
        assert_eq!(numbers_in("Rule 4: it ends"), [(1, Rule(4))]);
        assert_eq!(numbers_in("(rules 4, 5\nand 16)"), [(1, Rule(4)), (1, Rule(5)), (2, Rule(16))]);
        assert_eq!(numbers_in("rules 2 and 3, and 4."), [(1, Rule(2)), (1, Rule(3)), (1, Rule(4))]);
        assert_eq!(numbers_in("rule 8's price; condition 3"), [(1, Rule(8)), (1, Condition(3))]);
        assert_eq!(numbers_in("Rule 12, \"Reused\": three"), [(1, Rule(12))]);
        assert_eq!(numbers_in("ferrule 4, rule 5th, `rule 6`, rule of 7"), []);
        assert_eq!(numbers_in("by rule 3, and then 4 waits"), [(1, Rule(3))]);
    }

    #[test]
    fn labels_are_told_from_mentions() {
        assert_eq!(letters("A: publishes it"), [('A', true)]);
        assert_eq!(letters("As above. B, C: it"), [('B', true), ('C', true)]);
        assert_eq!(letters("D and E: both"), [('D', true), ('E', true)]);
        assert_eq!(letters("it was acquired (E), so"), [('E', true)]);
        assert_eq!(letters("Edge **Q** (pile), edge A"), [('Q', true), ('A', true)]);
        assert_eq!(
            letters("the sequences of A. Edges: B, D."),
            [('A', false), ('B', false), ('D', false)]
        );
        assert_eq!(letters("S: it. V: it"), [('S', true), ('V', true)]);
    }

    #[test]
    fn letters_of_other_words_are_none() {
        assert_eq!(letters("C++20, S1.9, `E: Error`, T::Front, a U-turn, Vec<T>, GPU, A.B"), []);
    }

    #[test]
    fn comments_are_read_and_code_is_not() {
        let text = "/// Rules 1\n/// and 2.\nfn rule() { \"rule 3\" }\n    // V: as in `claim`.\n";
        let all: Vec<_> = in_rust(text).into_iter().map(|it| (it.line, it.what)).collect();
        let vacant = Cited::Edge { letter: 'V', is_label: true };
        assert_eq!(all, [(1, Cited::Rule(1)), (2, Cited::Rule(2)), (4, vacant)]);
        let toml = "name = \"rule 1\"\nwhy = \"A, N: rule 2\"\n";
        assert_eq!(in_toml(toml).len(), 3);
        assert!(in_toml(toml).iter().all(|it| it.line == 2));
    }
}
