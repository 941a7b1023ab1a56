//! The accesses to atomics in a file: the calls that are given an `Ordering`, and the fences.

use std::fmt;

use super::super::tokens::Token;

/// One call with its orderings, in their order: of a failure last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// The name of the function: `load`, `fetch_or`, `step`, `fence`.
    pub(super) call: String,
    pub(super) orderings: Vec<Order>,
    /// Where the call begins in its file.
    pub(super) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Relaxed,
    Acquire,
    Release,
    AcqRel,
    SeqCst,
}

impl Order {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            // By this name a function has it once for several calls.
            "Relaxed" | "relaxed" => Self::Relaxed,
            "Acquire" => Self::Acquire,
            "Release" => Self::Release,
            "AcqRel" => Self::AcqRel,
            "SeqCst" => Self::SeqCst,
            _ => return None,
        })
    }

    /// What is one step weaker.
    pub(super) fn weaker(self) -> &'static [Self] {
        match self {
            Self::Relaxed => &[],
            Self::Acquire | Self::Release => &[Self::Relaxed],
            Self::AcqRel => &[Self::Acquire, Self::Release],
            Self::SeqCst => &[Self::AcqRel],
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The accesses among `tokens`, in their order.
pub(super) fn read(tokens: &[Token]) -> Vec<Access> {
    let mut accesses = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        let [name, open] = pair else { continue };
        if open.text() != "(" || !is_name(name.text()) {
            continue;
        }
        let orderings = orderings(&tokens[index + 2..]);
        if !orderings.is_empty() {
            let call = name.text().to_owned();
            accesses.push(Access { call, orderings, at: name.bytes.start });
        }
    }
    accesses
}

fn is_name(text: &str) -> bool {
    let is_keyword = matches!(text, "in" | "let" | "match" | "return");
    text.starts_with(|first: char| first.is_ascii_lowercase()) && !is_keyword
}

/// The orderings among the arguments that `tokens` begin with, up to the end of the call.
fn orderings(tokens: &[Token]) -> Vec<Order> {
    let (mut depth, mut orderings, mut argument) = (0_usize, Vec::new(), Vec::new());
    for token in tokens {
        let text = token.text();
        if depth == 0 && matches!(text, "," | ")") {
            orderings.extend(order(&argument));
            argument.clear();
            if text == ")" {
                break;
            }
            continue;
        }
        match text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        argument.push(text);
    }
    orderings
}

/// The ordering that an argument is; the weakest, where a mutant chooses by an `if`.
fn order(argument: &[&str]) -> Option<Order> {
    match *argument {
        ["if", ref rest @ ..] => rest.windows(4).filter_map(order).min(),
        ["Ordering", ":", ":", name] => Order::named(name),
        ["relaxed"] => Some(Order::Relaxed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tokens;
    use super::*;

    #[test]
    fn calls_with_an_ordering_are_found_also_inside_of_each_other() {
        let text = "
            let (now, relaxed) = (self.word.load(Ordering::Acquire), Ordering::Relaxed);
            step(&self.word, self.word.load(relaxed), Ordering::AcqRel, relaxed, |now| f(now, 1));
            fence(Ordering::Acquire); // load(Ordering::SeqCst)
        ";
        let found: Vec<_> = read(&tokens::read(text).unwrap())
            .into_iter()
            .map(|it| (it.call, it.orderings))
            .collect();
        let expected = [
            ("load".to_owned(), vec![Order::Acquire]),
            ("step".to_owned(), vec![Order::AcqRel, Order::Relaxed]),
            ("load".to_owned(), vec![Order::Relaxed]),
            ("fence".to_owned(), vec![Order::Acquire]),
        ];
        assert_eq!(found, expected);
    }
}
