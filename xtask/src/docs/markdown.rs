//! The parts of a Markdown file that refer to something.

use std::collections::BTreeSet;

/// A file without its code blocks.
#[derive(Debug)]
pub(super) struct Document {
    /// As long as the file, so that lines keep their numbers.
    text: String,
}

/// Something of a document, with the number of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) it: T,
}

/// A code span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) text: String,
    /// The word before it; if other spans and "and" or a comma are between, the word before those.
    pub(super) word_before: String,
}

/// A row of a table, its header apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) header: Vec<String>,
    pub(super) cells: Vec<String>,
}

impl Row {
    /// The cell in the column of this name, or of its plural.
    pub(super) fn cell(&self, column: &str) -> Option<&str> {
        let is_it = |it: &String| it == column || it.strip_suffix('s') == Some(column);
        let place = self.header.iter().position(is_it)?;
        self.cells.get(place).map(String::as_str)
    }
}

impl Document {
    pub(super) fn read(text: &str) -> Self {
        let mut fence: Option<&str> = None;
        let blank = |line: &str| {
            let start = line.trim_start();
            let marks = ["```", "~~~"].into_iter().find(|marks| start.starts_with(marks));
            let is_code = fence.is_some() || marks.is_some();
            match (fence, marks) {
                (None, _) => fence = marks,
                (Some(open), Some(marks)) if open == marks => fence = None,
                _ => {}
            }
            if is_code { " ".repeat(line.len()) } else { line.to_owned() }
        };
        let lines: Vec<_> = text.split('\n').map(blank).collect();
        Self { text: lines.join("\n") }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn line_at(&self, at: usize) -> usize {
        1 + self.text[..at].matches('\n').count()
    }

    /// The code spans.
    pub(super) fn spans(&self) -> Vec<At<Span>> {
        let mut spans = Vec::<At<Span>>::new();
        let (mut end_of_last, mut last_word) = (0, String::new());
        for (start, end, code) in code_spans(&self.text) {
            let between = &self.text[end_of_last..start];
            let is_same_list = !spans.is_empty()
                && ["", ",", "and", ", and", "or", ", or"].contains(&between.trim());
            if !is_same_list {
                last_word = between
                    .split(|it: char| !it.is_alphanumeric())
                    .rfind(|it| !it.is_empty())
                    .unwrap_or("")
                    .to_lowercase();
            }
            let text = code.trim().replace('\n', " ");
            let span = Span { text, word_before: last_word.clone() };
            spans.push(At { line: self.line_at(start), it: span });
            end_of_last = end;
        }
        spans
    }

    /// Where the links, and the images, lead.
    pub(super) fn links(&self) -> Vec<At<String>> {
        let text = without_code(&self.text);
        let ends: [(&str, &[char]); 4] = [
            ("](", &[')', ' ', '\n']),
            ("src=\"", &['"']),
            ("href=\"", &['"']),
            ("srcset=\"", &['"', ' ']),
        ];
        let mut links = Vec::new();
        for (open, close) in ends {
            for (at, _) in text.match_indices(open) {
                let rest = &text[at + open.len()..];
                if let Some((target, _)) = rest.split_once(close) {
                    let target = target.trim_matches(['<', '>']).to_owned();
                    links.push(At { line: self.line_at(at), it: target });
                }
            }
        }
        for (number, line) in text.lines().enumerate() {
            let definition = line.strip_prefix('[').and_then(|it| it.split_once("]: "));
            if let Some((_, target)) = definition {
                let target = target.split_whitespace().next().unwrap_or("").to_owned();
                links.push(At { line: number + 1, it: target });
            }
        }
        links
    }

    /// The headings, as a link within a page names them.
    pub(super) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.text.lines().filter_map(heading);
        headings.map(|(_, title)| anchor(title)).collect()
    }

    /// The lines below the heading of this title, up to the next heading of its level.
    pub(super) fn section(&self, title: &str) -> Vec<At<&str>> {
        let mut level = None;
        let mut lines = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            match (heading(line), level) {
                (Some((at, it)), None) if it == title => level = Some(at),
                (Some((at, _)), Some(open)) if at <= open => break,
                (_, Some(_)) => lines.push(At { line: number + 1, it: line }),
                (_, None) => {}
            }
        }
        lines
    }

    /// The rows of all tables.
    pub(super) fn rows(&self) -> Vec<At<Row>> {
        let mut rows = Vec::new();
        let mut header: Option<Vec<String>> = None;
        for (number, line) in self.text.lines().enumerate() {
            let Some(cells) = cells(line) else {
                header = None;
                continue;
            };
            let is_rule =
                cells.iter().all(|it| it.contains('-') && it.trim_matches([':', '-']).is_empty());
            match &header {
                None => header = Some(cells.iter().map(|it| it.to_lowercase()).collect()),
                Some(_) if is_rule => {}
                Some(header) => {
                    let row = Row { header: header.clone(), cells };
                    rows.push(At { line: number + 1, it: row });
                }
            }
        }
        rows
    }
}

/// The spans of a cell, or of another text without lines.
pub(super) fn spans_of(text: &str) -> impl Iterator<Item = &str> {
    code_spans(text).into_iter().map(|(_, _, code)| code.trim())
}

/// `text` with blanks in place of its code spans.
pub(super) fn without_code(text: &str) -> String {
    let mut blanked = text.to_owned();
    for (start, end, _) in code_spans(text) {
        let blank: String =
            text[start..end].bytes().map(|it| if it == b'\n' { '\n' } else { ' ' }).collect();
        blanked.replace_range(start..end, &blank);
    }
    blanked
}

/// Start, end and content of each code span. One does not reach into another paragraph.
fn code_spans(text: &str) -> Vec<(usize, usize, &str)> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find('`').map(|it| from + it) {
        let ticks = text[start..].bytes().take_while(|it| *it == b'`').count();
        let inside = start + ticks;
        let paragraph = text[inside..].find("\n\n").map_or(text.len(), |it| inside + it);
        let mut at = inside;
        let close = loop {
            let Some(next) = text[at..paragraph].find('`').map(|it| at + it) else { break None };
            let run = text[next..paragraph].bytes().take_while(|it| *it == b'`').count();
            if run == ticks {
                break Some(next);
            }
            at = next + run;
        };
        from = inside;
        if let Some(close) = close {
            spans.push((start, close + ticks, &text[inside..close]));
            from = close + ticks;
        }
    }
    spans
}

/// The level and the title.
fn heading(line: &str) -> Option<(usize, &str)> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    (level > 0 && title.starts_with(' ')).then(|| (level, title.trim()))
}

/// As GitHub makes it.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|it| it.is_alphanumeric() || [' ', '-', '_'].contains(it));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

/// The cells of a row.
fn cells(line: &str) -> Option<Vec<String>> {
    let line = line.trim().strip_prefix('|')?;
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut in_code, mut is_escaped) = (false, false);
    for it in line.chars() {
        match it {
            '|' if !in_code && !is_escaped => cells.push(std::mem::take(&mut cell).trim().into()),
            _ => cell.push(it),
        }
        in_code ^= it == '`';
        is_escaped = it == '\\';
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().into());
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str) -> Vec<(usize, String, String)> {
        let spans = Document::read(document).spans();
        spans.into_iter().map(|it| (it.line, it.it.text, it.it.word_before)).collect()
    }

    #[test]
    fn spans_have_the_word_before_their_list() {
        let spans = texts("Mutants `a-b`,\n`c` and `d`; see `e`.\n");
        let span = |line, text: &str, word: &str| (line, text.into(), word.into());
        let expected =
            [span(1, "a-b", "mutants"), span(2, "c", "mutants"), span(2, "d", "mutants")];
        assert_eq!(spans[..3], expected);
        assert_eq!(spans[3], span(2, "e", "see"));
    }

    #[test]
    fn code_blocks_and_open_ticks_are_no_spans() {
        assert_eq!(texts("```text\n`a`\n```\n~~~\n```\n`b`\n~~~\n").len(), 0);
        assert_eq!(texts("an open ` here\n\nand `a` there"), [(3, "a".into(), "and".into())]);
        assert_eq!(texts("``a ` b``"), [(1, "a ` b".into(), String::new())]);
    }

    #[test]
    fn links_of_all_forms_are_found() {
        let text = "[a](one.md#x \"title\") `[b](two.md)`\n<img src=\"three.svg\">\n[c]: four.md\n";
        let links = Document::read(text).links();
        let links: Vec<_> = links.iter().map(|it| (it.line, it.it.as_str())).collect();
        assert_eq!(links, [(1, "one.md#x"), (2, "three.svg"), (3, "four.md")]);
    }

    #[test]
    fn a_row_knows_its_columns() {
        let text = "| id | Tests |\n|---|:--|\n| 1 | `a|b` c |\n\n| x |\n|---|\n";
        let rows = Document::read(text).rows();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].line, rows[0].it.cell("test")), (3, Some("`a|b` c")));
        assert_eq!(rows[0].it.cell("x"), None);
    }

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        let document = Document::read("# A\n## B\n1. one\n### C\n2. two\n## D\n3. three\n");
        let lines: Vec<_> = document.section("B").iter().map(|it| (it.line, it.it)).collect();
        assert_eq!(lines, [(3, "1. one"), (4, "### C"), (5, "2. two")]);
        assert!(document.anchors().contains("b"));
        assert_eq!(anchor("What was tried, and `when`"), "what-was-tried-and-when");
    }
}
