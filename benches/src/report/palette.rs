//! One colour a contender, the same in all plots, for light and for dark pages: a page in the dark
//! mode of GitHub shows the same file.

use plotters::style::RGBColor;

use crate::results::Side;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0x7a, 0x80, 0x88);

/// Ours are blue to violet, and thick; floors are grey; each rival has another colour.
const COLORS: [(&str, RGBColor); 21] = [
    ("winddown Signal", RGBColor(0x2f, 0x81, 0xe8)),
    ("winddown WaitGroup", RGBColor(0x0e, 0x8f, 0xb3)),
    ("winddown WaitGroup, Arc", RGBColor(0x2e, 0x8a, 0x9e)),
    ("winddown CancelToken", RGBColor(0x7c, 0x6c, 0xf0)),
    ("winddown CancelScope", RGBColor(0x55, 0x75, 0xd8)),
    ("winddown TaskGroup", RGBColor(0x2f, 0x81, 0xe8)),
    ("winddown TaskGroup, child", RGBColor(0x7c, 0x6c, 0xf0)),
    ("winddown TaskGroup, closed", RGBColor(0x55, 0x75, 0xd8)),
    ("winddown TaskGroup, drained", RGBColor(0x9a, 0x62, 0xe0)),
    ("winddown ErrGroup", RGBColor(0x9a, 0x62, 0xe0)),
    ("CancellationToken", RGBColor(0xdd, 0x60, 0x20)),
    ("TaskTracker", RGBColor(0xd9, 0x48, 0x48)),
    ("TaskTracker + CancellationToken", RGBColor(0xdd, 0x60, 0x20)),
    ("event-listener", RGBColor(0xa0, 0x80, 0x10)),
    ("futures-intrusive", RGBColor(0x2c, 0x93, 0x48)),
    ("triggered", RGBColor(0xcc, 0x4c, 0x90)),
    ("crossbeam-utils", RGBColor(0x9a, 0x75, 0x50)),
    ("waitgroup", RGBColor(0x5f, 0x8f, 0x20)),
    ("wg", RGBColor(0xb8, 0x5c, 0x70)),
    ("wg (future)", RGBColor(0xb0, 0x70, 0x30)),
    ("JoinSet", RGBColor(0x2c, 0x93, 0x48)),
];

pub(super) fn color(contender: &str) -> RGBColor {
    let known = COLORS.iter().find(|(name, _)| *name == contender);
    known.map_or_else(
        || match Side::of(contender) {
            Side::Ours => COLORS[0].1,
            Side::Floor => INK,
            Side::Rival => RGBColor(0x2c, 0x93, 0x48),
        },
        |(_, color)| *color,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The luminance of WCAG 2.
    fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
        let linear = |channel: u8| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.040_45 {
                channel / 12.92
            } else {
                ((channel + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    #[test]
    fn every_color_can_be_read_on_white_and_on_black() {
        let pages = [RGBColor(0xff, 0xff, 0xff), RGBColor(0x0d, 0x11, 0x17)];
        for (name, color) in COLORS.iter().copied().chain([("ink", INK)]) {
            for page in pages {
                let (one, other) = (luminance(color) + 0.05, luminance(page) + 0.05);
                let contrast = one.max(other) / one.min(other);
                assert!(contrast >= 3.5, "{name} on {page:?} has a contrast of {contrast:.2}");
            }
        }
    }
}
