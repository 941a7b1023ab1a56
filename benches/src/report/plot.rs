//! Lines on logarithmic axes, one panel a table.

use core::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::palette::{INK, color};
use crate::results::{Side, Table};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The size of a panel, and how much of it is for the names at its right.
const PANEL: (u32, u32) = (520, 330);
const NAMES: u32 = 190;
const LETTERS: u32 = 11;

/// Draws two panels beside one another, and as many rows as it takes.
pub(super) fn draw(path: &Path, tables: &[&Table]) -> Result<()> {
    let columns = tables.len().min(2);
    let rows = tables.len().div_ceil(columns);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    for (table, area) in tables.iter().zip(root.split_evenly((rows, columns))) {
        panel(&area, table).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    }
    root.present().map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// One contender's line.
struct Line<'a> {
    name: &'a str,
    points: Vec<(f64, f64)>,
}

fn lines(table: &Table) -> Vec<Line<'_>> {
    let all = table.contenders().into_iter().map(|name| {
        // A logarithm has no zero: less than the clock can tell is drawn at its edge.
        let points = table.line(name).into_iter().map(|(x, y)| (x, y.max(0.01))).collect();
        Line { name, points }
    });
    all.filter(|line| !line.points.is_empty()).collect()
}

fn panel(area: &Area<'_>, table: &Table) -> Result<(), Box<dyn core::error::Error>> {
    let lines = lines(table);
    let axis = table.axis.as_deref().unwrap_or_default();
    let points = || lines.iter().flat_map(|line| &line.points);
    let base = if axis == "threads" { 2.0 } else { 10.0 };
    let x = range(points().map(|it| it.0)).log_scale().base(base);
    let y = decades(range(points().map(|it| it.1))).log_scale();
    // A caption of the chart's would be centred, and cut off at the left if it is long.
    let title = ("sans-serif", LETTERS + 2, FontStyle::Bold, &INK).into_text_style(area);
    area.draw(&Text::new(&*table.title, (8, 6), title))?;
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_top(26)
        .margin_right(NAMES)
        .x_label_area_size(34)
        .y_label_area_size(50)
        .build_cartesian_2d(x, y)?;
    mesh(&mut chart, axis, &table.unit)?;
    for line in &lines {
        let style = color(line.name).stroke_width(width(line.name));
        let points = line.points.iter().copied();
        if Side::of(line.name) == Side::Floor {
            chart.draw_series(DashedLineSeries::new(points, 5, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(points, style))?;
            let dots = line
                .points
                .iter()
                .map(|at| Circle::new(*at, width(line.name) + 1, color(line.name).filled()));
            chart.draw_series(dots)?;
        }
    }
    let ends =
        lines.iter().filter_map(|line| Some((line.name, chart.backend_coord(line.points.last()?))));
    names(area, ends.collect())
}

fn width(contender: &str) -> u32 {
    if Side::of(contender) == Side::Ours { 3 } else { 1 }
}

fn range(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    least..values.fold(0.0, f64::max)
}

/// From one power of ten to another: a part of a decade would have a single tick.
fn decades(range: Range<f64>) -> Range<f64> {
    let least = range.start.log10().floor();
    10_f64.powf(least)..10_f64.powf(range.end.log10().ceil().max(least + 1.0))
}

type Axes = Cartesian2d<LogCoord<f64>, LogCoord<f64>>;

fn mesh(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Axes>,
    x: &str,
    y: &str,
) -> Result<(), Box<dyn core::error::Error>> {
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(INK.mix(0.25))
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", LETTERS, &INK))
        .axis_desc_style(("sans-serif", LETTERS, &INK))
        .x_desc(x)
        .y_desc(y)
        .x_labels(8)
        .y_labels(8)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    Ok(())
}

/// A tick: as few letters as it takes.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1000.0.. => format!("{}k", value / 1000.0),
        _ => format!("{value}"),
    }
}

/// Writes each name where its line ends, and moves names apart that would stand on one another.
fn names(
    area: &Area<'_>,
    mut ends: Vec<(&str, (i32, i32))>,
) -> Result<(), Box<dyn core::error::Error>> {
    let gap = LETTERS as i32 + 1;
    let (_, top) = area.get_base_pixel();
    ends.sort_by_key(|(_, (_, y))| *y);
    let last = ends.len().saturating_sub(1) as i32;
    let lowest = top + PANEL.1 as i32 - gap;
    let mut free = top + gap;
    for (nth, (_, (_, y))) in ends.iter_mut().enumerate() {
        // Those below need their places too.
        let below = gap * (last - nth as i32);
        *y = (*y).min(lowest - below).max(free);
        free = *y + gap;
    }
    for (name, (_, y)) in ends {
        let style = if Side::of(name) == Side::Ours { FontStyle::Bold } else { FontStyle::Normal };
        let paint = color(name);
        let text = ("sans-serif", LETTERS, style, &paint).into_text_style(area);
        let text = text.pos(Pos::new(HPos::Left, VPos::Center));
        let x = (PANEL.0 - NAMES) as i32 + 4;
        area.draw(&Text::new(name, (x, y - top), text))?;
    }
    Ok(())
}
