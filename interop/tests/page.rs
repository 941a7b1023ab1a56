//! The pages show what the tests run.

use std::collections::BTreeSet;

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The text of a file without the lines that say what it is.
fn code(text: &str) -> String {
    let code: Vec<_> = text.lines().filter(|it| !it.starts_with("//!")).collect();
    code.join("\n").trim().to_owned()
}

#[test]
fn the_blocks_of_the_page_are_the_files_of_this_crate() {
    let page = read("../docs/interop.md");
    let shown: BTreeSet<String> = page
        .split("```rust\n")
        .skip(1)
        .map(|it| it.split("```").next().unwrap().trim().to_owned())
        .collect();
    let mut files = BTreeSet::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let path = file.unwrap().path();
        if !path.ends_with("lib.rs") {
            let text = std::fs::read_to_string(path).unwrap();
            files.insert(code(&text));
        }
    }
    let differ: Vec<_> = files.symmetric_difference(&shown).collect();
    assert!(differ.is_empty(), "in one of the two alone:\n{}", differ[0]);
}

#[test]
fn the_server_of_the_page_about_shutdown_is_the_program_of_this_crate() {
    let program = code(&read("bin/server.rs"));
    assert!(read("../docs/shutdown.md").contains(&format!("```rust,no_run\n{program}\n```")));
}

/// `cargo xtask executors` builds and runs it.
#[test]
fn the_device_of_the_page_about_embedded_targets_is_an_example_of_the_executors() {
    let program = code(&read("../executors/examples/embassy_device.rs"));
    assert!(read("../docs/embedded.md").contains(&format!("```rs\n{program}\n```")));
}
