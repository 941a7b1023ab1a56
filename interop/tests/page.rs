//! The page shows what the tests run.

use std::collections::BTreeSet;

#[test]
fn the_blocks_of_the_page_are_the_files_of_this_crate() {
    let root = env!("CARGO_MANIFEST_DIR");
    let page = std::fs::read_to_string(format!("{root}/../docs/interop.md")).unwrap();
    let shown: BTreeSet<String> = page
        .split("```rust\n")
        .skip(1)
        .map(|it| it.split("```").next().unwrap().trim().to_owned())
        .collect();
    let mut files = BTreeSet::new();
    for file in std::fs::read_dir(format!("{root}/src")).unwrap() {
        let path = file.unwrap().path();
        if !path.ends_with("lib.rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let code: Vec<_> = text.lines().filter(|it| !it.starts_with("//!")).collect();
            files.insert(code.join("\n").trim().to_owned());
        }
    }
    let differ: Vec<_> = files.symmetric_difference(&shown).collect();
    assert!(differ.is_empty(), "in one of the two alone:\n{}", differ[0]);
}
