//! What a run has measured, as plain data: it comes from the run itself or from a file.

/// The contender that all others are compared with: what the hardware asks for at least.
pub(crate) const FLOOR: &str = "floor";

/// One run on one machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Results {
    /// Names and values, in the order in which they are shown.
    pub(crate) machine: Vec<(String, String)>,
    pub(crate) tables: Vec<Table>,
}

impl Results {
    /// What the run says about its machine, or a dash.
    pub(crate) fn about(&self, key: &str) -> &str {
        let found = self.machine.iter().find(|(name, _)| name == key);
        found.map_or("–", |(_, value)| value)
    }

    pub(crate) fn table(&self, title: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.title == title)
    }
}

/// An operation in several settings (columns), by several contenders. Less is better everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// Tables of one chapter follow one another.
    pub(crate) chapter: String,
    pub(crate) title: String,
    pub(crate) unit: String,
    /// What the columns count, if it can be drawn as an axis: `threads`, `waiters`.
    pub(crate) axis: Option<String>,
    /// What is inside the timed part, and what the floor is.
    pub(crate) what: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) heading: String,
    /// Where it is on the axis.
    pub(crate) x: Option<f64>,
}

/// One contender in one setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) contender: String,
    /// An index of the table's columns.
    pub(crate) column: usize,
    /// One number a round; a single one if it was counted and not timed.
    pub(crate) samples: Vec<f64>,
}

impl Table {
    /// The column with this heading, which is made if there is none.
    pub(crate) fn column(&mut self, heading: &str, x: Option<f64>) -> usize {
        let found = self.columns.iter().position(|it| it.heading == heading);
        found.unwrap_or_else(|| {
            self.columns.push(Column { heading: heading.to_owned(), x });
            self.columns.len() - 1
        })
    }

    /// Adds a number that was counted and not timed.
    pub(crate) fn record(&mut self, contender: &str, heading: &str, value: f64) {
        let column = self.column(heading, None);
        let (contender, samples) = (contender.to_owned(), vec![value]);
        self.cells.push(Cell { contender, column, samples });
    }

    pub(crate) fn cell(&self, contender: &str, column: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.contender == contender && cell.column == column)
    }

    /// Each name once, in the order of their first cells.
    pub(crate) fn contenders(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| &*cell.contender))
    }

    /// The columns in which there is a cell.
    pub(crate) fn used_columns(&self) -> Vec<usize> {
        let used = |column: &usize| self.cells.iter().any(|cell| cell.column == *column);
        (0..self.columns.len()).filter(used).collect()
    }

    /// The places and medians of one contender, for those columns that have a place on the axis.
    pub(crate) fn line(&self, contender: &str) -> Vec<(f64, f64)> {
        let cells = self.cells.iter().filter(|cell| cell.contender == contender);
        cells
            .filter_map(|cell| {
                let x = self.columns[cell.column].x?;
                Some((x, Summary::of(&cell.samples)?.median))
            })
            .collect()
    }
}

/// On which side a contender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Rival,
    /// No library: the least that the hardware, the kernel or the runtime asks for.
    Floor,
}

impl Side {
    pub(crate) fn of(contender: &str) -> Self {
        if contender.starts_with("winddown") {
            Self::Ours
        } else if contender.starts_with(FLOOR) {
            Self::Floor
        } else {
            Self::Rival
        }
    }
}

/// What the samples of a cell say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// `None` without samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |part: f64| sorted[(last as f64 * part).round() as usize];
        Some(Self { min: at(0.0), low: at(0.25), median: at(0.5), high: at(0.75), max: at(1.0) })
    }
}

/// One contender's numbers in units of another's in the same rounds.
pub(crate) fn ratios(cell: &Cell, unit: &Cell) -> Option<Summary> {
    let both = cell.samples.iter().zip(&unit.samples);
    let ratios: Vec<f64> =
        both.map(|(own, unit)| if own == unit { 1.0 } else { own / unit }).collect();
    Summary::of(&ratios)
}

/// The median of [`ratios`].
pub(crate) fn ratio(cell: &Cell, unit: &Cell) -> Option<f64> {
    ratios(cell, unit).map(|it| it.median)
}

/// Each once, in the order of their first.
pub(crate) fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

/// Three digits that count.
pub(crate) fn digits(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        f64::INFINITY => "∞".to_owned(),
        0.0..0.01 => format!("{value:.4}"),
        0.01..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => thousands(value.round() as usize),
    }
}

/// The number with commas.
pub(crate) fn thousands(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (above, rest) => format!("{},{rest:03}", thousands(above)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_020_304), "1,020,304");
    }

    #[test]
    fn a_ratio_is_taken_inside_each_round() {
        let cell = |samples: &[f64]| Cell {
            contender: String::new(),
            column: 0,
            samples: samples.to_vec(),
        };
        let (own, unit) = (cell(&[2.0, 40.0, 6.0]), cell(&[1.0, 20.0, 2.0]));
        assert_eq!(ratio(&own, &unit), Some(2.0));
    }
}
