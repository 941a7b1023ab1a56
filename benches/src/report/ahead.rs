//! Where a rival is ahead, and how often.

use crate::results::{Cell, Results, Side, Table, digits, ratios};

/// Less than this is called level.
const MARGIN: f64 = 1.05;

/// How one of ours stands to one rival in one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ahead,
    Level,
    Behind,
}

/// `None` if there is nothing to compare.
fn standing(ours: &Cell, rival: &Cell) -> Option<Standing> {
    let it = ratios(ours, rival)?;
    Some(if it.median > MARGIN && it.low > 1.0 {
        Standing::Behind
    } else if it.median < 1.0 / MARGIN && it.high < 1.0 {
        Standing::Ahead
    } else {
        Standing::Level
    })
}

/// One of ours in one column, beside the rivals that are ahead of it there.
struct Behind<'a> {
    heading: &'a str,
    ours: &'a Cell,
    /// The one that is furthest ahead.
    best: &'a Cell,
    others: usize,
}

impl Behind<'_> {
    fn text(&self) -> String {
        let by = match ratios(self.ours, self.best) {
            Some(it) if it.median.is_finite() => format!("×{}", digits(it.median)),
            _ => "0 there".to_owned(),
        };
        let more = if self.others == 0 { String::new() } else { format!(" (+{})", self.others) };
        format!("{}: {} {by}{more}", self.heading, self.best.contender)
    }
}

fn rivals(table: &Table, column: usize) -> impl Iterator<Item = &Cell> {
    let cells = table.cells.iter().filter(move |cell| cell.column == column);
    cells.filter(|cell| Side::of(&cell.contender) == Side::Rival)
}

fn behind<'a>(table: &'a Table, ours: &'a Cell) -> Option<Behind<'a>> {
    let is_ahead = |rival: &&Cell| standing(ours, rival) == Some(Standing::Behind);
    let mut ahead: Vec<&Cell> = rivals(table, ours.column).filter(is_ahead).collect();
    let by = |rival: &Cell| ratios(ours, rival).map_or(0.0, |it| it.median);
    ahead.sort_by(|one, other| by(other).total_cmp(&by(one)));
    let (best, others) = (*ahead.first()?, ahead.len() - 1);
    Some(Behind { heading: &table.columns[ours.column].heading, ours, best, others })
}

/// A line for each of ours in each table, if a rival is ahead of it in any column.
pub(super) fn list(results: &Results) -> String {
    let mut text =
        "| table | of winddown | where: which rival, and how many times as much ours takes |\n\
         |---|---|---|\n"
            .to_owned();
    for table in &results.tables {
        for contender in ours(table) {
            let cells = table.cells.iter().filter(|cell| cell.contender == contender);
            let all: Vec<String> =
                cells.filter_map(|cell| Some(behind(table, cell)?.text())).collect();
            if !all.is_empty() {
                let name = contender.trim_start_matches("winddown ");
                text += &format!("| {} | {name} | {} |\n", table.title, all.join("; "));
            }
        }
    }
    text
}

fn ours(table: &Table) -> impl Iterator<Item = &str> {
    table.contenders().into_iter().filter(|it| Side::of(it) == Side::Ours)
}

/// How often ours are ahead of, level with and behind the best rival of a column, by chapter.
pub(super) fn score(results: &Results, chapters: &[&str]) -> String {
    let mut text =
        "| chapter | ahead of every rival | level with the best | behind one at least |\n\
                    |---|--:|--:|--:|\n"
            .to_owned();
    for chapter in chapters {
        let mut counts = [0; 3];
        let tables = results.tables.iter().filter(|table| table.chapter == *chapter);
        for (table, cell) in tables.flat_map(|table| table.cells.iter().map(move |it| (table, it)))
        {
            if Side::of(&cell.contender) == Side::Ours {
                let all = rivals(table, cell.column).filter_map(|rival| standing(cell, rival));
                if let Some(worst) = all.max_by_key(|it| *it as usize) {
                    counts[worst as usize] += 1;
                }
            }
        }
        let [ahead, level, behind] = counts;
        text += &format!("| {chapter} | {ahead} | {level} | {behind} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(contender: &str, samples: &[f64]) -> Cell {
        Cell { contender: contender.to_owned(), column: 0, samples: samples.to_vec() }
    }

    #[test]
    fn a_rival_is_ahead_if_most_rounds_say_so() {
        let ours = cell("winddown", &[20.0, 22.0, 21.0, 20.0]);
        let rival = cell("rival", &[10.0, 11.0, 10.0, 30.0]);
        assert_eq!(standing(&ours, &rival), Some(Standing::Behind));
        assert_eq!(standing(&rival, &ours), Some(Standing::Ahead));
    }

    #[test]
    fn what_the_rounds_do_not_agree_about_is_level() {
        let ours = cell("winddown", &[20.0, 10.0, 10.0, 20.0]);
        let rival = cell("rival", &[10.0, 20.0, 20.0, 10.0]);
        assert_eq!(standing(&ours, &rival), Some(Standing::Level));
        assert_eq!(standing(&ours, &ours), Some(Standing::Level));
    }

    #[test]
    fn a_rival_that_takes_nothing_is_ahead() {
        let (ours, rival) = (cell("winddown", &[136.0]), cell("rival", &[0.0]));
        assert_eq!(standing(&ours, &rival), Some(Standing::Behind));
    }
}
