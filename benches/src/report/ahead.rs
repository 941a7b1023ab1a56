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

/// Columns that follow one another, in which the same rival is furthest ahead of one of ours.
struct Behind<'a> {
    headings: Vec<&'a str>,
    best: &'a str,
    /// By how much, least and most.
    by: [f64; 2],
    /// How many more are ahead, at most.
    others: usize,
}

impl<'a> Behind<'a> {
    /// Appends `next`, or gives it back if another rival is ahead there.
    fn join(&mut self, next: Behind<'a>) -> Option<Behind<'a>> {
        if self.best != next.best {
            return Some(next);
        }
        self.headings.extend(next.headings);
        self.by = [self.by[0].min(next.by[0]), self.by[1].max(next.by[1])];
        self.others = self.others.max(next.others);
        None
    }

    fn text(&self) -> String {
        let times = |by: f64| {
            if by.is_finite() { format!("×{}", digits(by)) } else { "0 there".to_owned() }
        };
        let [least, most] = self.by.map(times);
        let by = if least == most { least } else { format!("{least} to {most}") };
        let more = if self.others == 0 { String::new() } else { format!(" (+{})", self.others) };
        let columns = match *self.headings {
            [only] => only.to_owned(),
            [first, .., last] => format!("{first} to {last}"),
            [] => String::new(),
        };
        format!("{columns}: {} {by}{more}", self.best)
    }
}

fn rivals(table: &Table, column: usize) -> impl Iterator<Item = &Cell> {
    let cells = table.cells.iter().filter(move |cell| cell.column == column);
    cells.filter(|cell| Side::of(&cell.contender) == Side::Rival)
}

fn behind<'a>(table: &'a Table, ours: &'a Cell) -> Option<Behind<'a>> {
    let is_ahead = |rival: &&Cell| standing(ours, rival) == Some(Standing::Behind);
    let ahead = rivals(table, ours.column).filter(is_ahead);
    let mut ahead: Vec<(f64, &Cell)> =
        ahead.filter_map(|rival| Some((ratios(ours, rival)?.median, rival))).collect();
    ahead.sort_by(|one, other| other.0.total_cmp(&one.0));
    let ((by, best), others) = (*ahead.first()?, ahead.len() - 1);
    let headings = vec![&*table.columns[ours.column].heading];
    Some(Behind { headings, best: &best.contender, by: [by; 2], others })
}

/// All columns of one of ours, from left to right.
fn all_behind<'a>(table: &'a Table, contender: &str) -> Vec<Behind<'a>> {
    let mut all: Vec<Behind<'a>> = Vec::new();
    // A range ends where nobody is ahead, and where the columns have no order.
    let mut adjacent = false;
    for column in table.used_columns() {
        let next = table.cell(contender, column).and_then(|cell| behind(table, cell));
        let is_behind = next.is_some();
        let is_placed = table.columns[column].x.is_some();
        let rest = match (next, all.last_mut().filter(|_| adjacent && is_placed)) {
            (Some(next), Some(last)) => last.join(next),
            (next, _) => next,
        };
        all.extend(rest);
        adjacent = is_behind;
    }
    all
}

/// A line for each of ours in each table, if a rival is ahead of it in any column.
pub(super) fn list(results: &Results) -> String {
    let mut text = "| table | of winddown | rivals ahead |\n\
         |---|---|---|\n"
        .to_owned();
    for table in &results.tables {
        for contender in ours(table) {
            let all: Vec<String> = all_behind(table, contender).iter().map(Behind::text).collect();
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
    fn columns_with_the_same_rival_are_told_once() {
        let mut table = Table::default();
        for (heading, ours, rival) in [("1", 20.0, 10.0), ("2", 30.0, 10.0), ("4", 10.0, 10.0)] {
            let column = table.column(heading, Some(ours));
            for (contender, time) in [("winddown", ours), ("rival", rival)] {
                table.cells.push(Cell { column, ..cell(contender, &[time]) });
            }
        }
        let texts: Vec<String> = all_behind(&table, "winddown").iter().map(Behind::text).collect();
        assert_eq!(texts, ["1 to 2: rival ×2.00 to ×3.00"]);
    }

    #[test]
    fn a_rival_that_takes_nothing_is_ahead() {
        let (ours, rival) = (cell("winddown", &[136.0]), cell("rival", &[0.0]));
        assert_eq!(standing(&ours, &rival), Some(Standing::Behind));
    }
}
