//! `docs/public-api.txt`, and which of its methods have no row.

use std::collections::BTreeSet;

/// The listing of the public API, which `cargo xtask api` compares with the source.
const LISTING: &str = include_str!("../../docs/public-api.txt");

/// Methods without a row, by their ends, and why.
pub(crate) const WITHOUT_A_ROW: [(&str, &[&str]); 2] = [
    (
        "plain data: what is derived for it calls nothing but what it is given",
        &[
            "ChildError::",
            "Overflow::",
            "Refused::",
            "Stopped::",
            "Unbalanced::",
            "Unfinished::",
            "Unlimited::",
        ],
    ),
    ("the blanket implementation of a trait that has a row", &["F::until", "S::until"]),
];

/// The methods that call no foreign code, though it is there, and why: each type with its methods.
const QUIET: [(&str, &[(&str, &str)]); 4] = [
    (
        "they look, and rule 18: a query runs no foreign code",
        &[
            ("CancelScope", "token"),
            ("CancelToken", "check deadline eq hash is_cancelled reason value"),
            ("Canceller", "eq hash token"),
            ("ErrGroup", "group"),
            ("Errors", "dropped first into_iter iter panics source"),
            ("Holders", "as_ref first into_iter is_empty iter len"),
            ("Signal", "get is_closed"),
            (
                "TaskGroup",
                "closing holders is_cancelled is_closed is_drained is_empty len limit panics token",
            ),
            ("TaskGuard", "closing group id is_cancelled is_closed token"),
            ("WaitDrained", "is_terminated"),
            ("WaitErrors", "is_terminated"),
            ("WaitGroup", "count is_idle"),
            ("WaitRoom", "is_terminated"),
            ("WaitValue", "is_terminated"),
        ],
    ),
    (
        "they make or copy a handle or a wait, which nothing has waited for yet, or count in",
        &[
            ("CancelScope", "canceller"),
            ("CancelToken", "clone never shielded"),
            ("Canceller", "child clone"),
            ("ErrGroup", "clone default new"),
            ("Errors", "clone"),
            ("Holder", "clone"),
            ("Holders", "clone default"),
            ("Signal", "default new typed"),
            ("TaskGroup", "builder child child_err child_err_with clone default guard new"),
            ("TaskGuard", "clone"),
            ("WaitDrained", "clone"),
            ("WaitErrors", "clone"),
            ("WaitGroup", "add default new"),
            ("WaitRoom", "clone"),
            ("WaitValue", "clone"),
        ],
    ),
    (
        "they block in a wait that is over, or for no time, and hold no pointer of the user's",
        &[
            ("WaitAny", "block"),
            ("WaitCancelled", "block"),
            ("WaitDrained", "block block_for block_slice block_until"),
            ("WaitErrors", "block"),
            ("WaitReason", "block"),
            ("WaitRoom", "block_for block_slice block_until"),
            ("WaitValue", "block block_for block_slice block_until"),
        ],
    ),
    ("it leaves the callback where it is", &[("Registration", "detach")]),
];

/// `QUIET` as names.
pub(crate) fn quiet() -> BTreeSet<String> {
    let types = QUIET.iter().flat_map(|(_, types)| *types);
    types
        .flat_map(|(of, methods)| methods.split(' ').map(move |method| format!("{of}::{method}")))
        .collect()
}

/// `Type::method` of a line of the listing that has a method.
fn name(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("pub ")?;
    let rest = rest.strip_prefix("const ").unwrap_or(rest).strip_prefix("fn ")?;
    let mut depth = 0_usize;
    let mut path = String::new();
    for letter in rest.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            '(' if depth == 0 => break,
            _ if depth == 0 => path.push(letter),
            _ => {}
        }
    }
    let mut parts = path.rsplit("::");
    let (method, of) = (parts.next()?, parts.next()?);
    Some(format!("{of}::{method}"))
}

/// The methods of the build that this test is in.
pub(crate) fn methods() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for section in LISTING.split("\n## ").skip(1) {
        let (title, lines) = section.split_once('\n').expect("a title");
        let applies = match title {
            "Default features" => true,
            "Without features" => cfg!(not(feature = "std")),
            title => {
                assert!(
                    title.contains("holders"),
                    "a section that the test does not know: {title}"
                );
                cfg!(feature = "holders")
            }
        };
        for line in lines.lines().filter(|_| applies) {
            match (name(line), line.starts_with('-')) {
                (Some(name), true) => drop(names.remove(&name)),
                (Some(name), false) => drop(names.insert(name)),
                (None, _) => {}
            }
        }
    }
    names
}
