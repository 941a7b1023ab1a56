//! What was measured, a row for each board.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use super::boards::Board;

/// A board in the table.
#[derive(Default)]
pub(super) struct Row {
    /// Text, data and bss of the smallest image, of this crate's part of it, and of the one of tasks.
    sizes: [[u64; 3]; 3],
    /// Heap bytes for a lone wait, and for one of a crowd.
    heap: [String; 2],
    /// The longest masked time by the number of waiters.
    masked: Vec<String>,
    passed: usize,
}

impl Row {
    pub(super) const HEAD: &str = "| target | machine | smallest image | of it winddown and event-listener | with embassy | heap per wait, alone / in a crowd | masked at most, by waiters | scenarios |";
    pub(super) const LINE: &str = "|---|---|--:|--:|--:|--:|---|--:|";

    /// Begins with what is known before a run.
    pub(super) fn of(sh: &Shell, dir: &Path) -> Result<Self> {
        let [minimal, tasks] = ["minimal", "tasks"].map(|name| dir.join(name));
        let sizes = [sections(sh, &minimal)?, symbols(sh, &minimal)?, sections(sh, &tasks)?];
        Ok(Self { sizes, ..Self::default() })
    }

    /// Takes up what `image` said.
    pub(super) fn read(&mut self, image: &str, said: &str) {
        for line in said.lines().filter_map(|line| line.strip_prefix("ok ")) {
            self.passed += 1;
            let Some((scenario, measured)) = line.split_once(": ") else { continue };
            let size = scenario.strip_prefix("signal, ").and_then(|it| it.strip_suffix(" waiting"));
            let (Some(size), "masked") = (size, image) else { continue };
            let number = |name| {
                let mut words = measured.split([' ', ',']).skip_while(|&word| word != name);
                words.nth(1).unwrap_or_default().to_owned()
            };
            self.masked.push(format!("{size}: {}", number("end")));
            self.heap[usize::from(size != "1")] = number("heap");
        }
    }

    /// The line of the table.
    pub(super) fn print(&self, board: &Board) -> String {
        let [minimal, ours, tasks] =
            self.sizes.map(|[text, data, bss]| format!("{text} / {data} / {bss}"));
        let (heap, masked) = (self.heap.join(" / "), self.masked.join(", "));
        let machine = board.machine[1];
        format!(
            "| {} | {machine} | {minimal} | {ours} | {tasks} | {heap} | {masked} | {} |",
            board.target, self.passed
        )
    }
}

/// Sizes of text (with constants), data and bss.
fn sections(sh: &Shell, image: &Path) -> Result<[u64; 3]> {
    let listed = cmd!(sh, "arm-none-eabi-size -A {image}").quiet().read()?;
    let mut sizes = [0; 3];
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(size)) = (words.next(), words.next()) else { continue };
        let kind = match name {
            ".vector_table" | ".text" | ".init.rust" | ".rodata" => 0,
            ".data" => 1,
            ".bss" => 2,
            _ => continue,
        };
        sizes[kind] += size.parse::<u64>()?;
    }
    Ok(sizes)
}

/// Sizes of what is of this crate or of event-listener by its name; what was inlined elsewhere is not.
fn symbols(sh: &Shell, image: &Path) -> Result<[u64; 3]> {
    let listed = cmd!(sh, "arm-none-eabi-nm --demangle --print-size {image}").quiet().read()?;
    let mut sizes = [0; 3];
    for line in
        listed.lines().filter(|it| it.contains("winddown::") || it.contains("event_listener::"))
    {
        let mut words = line.split_whitespace().skip(1);
        let (Some(size), Some(kind)) = (words.next(), words.next()) else { continue };
        let kind = match kind {
            "t" | "T" | "r" | "R" => 0,
            "d" | "D" => 1,
            "b" | "B" => 2,
            _ => continue,
        };
        sizes[kind] += u64::from_str_radix(size, 16)?;
    }
    Ok(sizes)
}
