//! Charts with a logarithmic x axis and markers, as SVG.

use std::fs;
use std::ops::Range;
use std::path::Path;

use plotters::element::{DynElement, IntoDynElement};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

/// Width and height of a chart, in pixels.
const SIZE: (u32, u32) = (800, 480);
const FONT: &str = "sans-serif";
/// Factor by which the axis extends beyond the outermost points. Its square is at least 2.5, the
/// largest ratio of two neighbouring ticks, so even the axis of a single point has a tick.
const BESIDE: f64 = 1.6;
/// Half the width of a bar's ends, as a share of the axis.
const BAR_END: f64 = 0.006;
const RADIUS: i32 = 5;

/// Titles and data of a chart.
pub(super) struct Chart<'a> {
    pub(super) x_title: &'a str,
    pub(super) y_title: &'a str,
    /// Formats the label of a tick.
    pub(super) x_tick: fn(f64) -> String,
    /// At most three series, each with a colour and a marker of its own.
    pub(super) series: Vec<Series>,
}

/// Points that belong together.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    /// Whether a line connects them.
    pub(super) connected: bool,
}

/// One marker.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    /// Ends of a vertical bar; `None` for no bar.
    pub(super) bar: Option<(f64, f64)>,
    /// Text beside the marker, or empty.
    pub(super) label: String,
}

/// Colours that people with a red-green colour deficiency can tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];

impl Chart<'_> {
    /// Draws the chart into the file `svg`.
    pub(super) fn write(&self, svg: &Path) -> Result<()> {
        let refuse = |found: &str| Error::field(svg, "points", found, "finite ones, with x above 0");
        let points = || self.series.iter().flat_map(|series| &series.points);
        if points().next().is_none() {
            return Err(refuse("none"));
        }
        if points().any(|it| !(it.x.is_finite() && it.x > 0.0 && it.y.is_finite())) {
            return Err(refuse("one that is not finite or has x <= 0"));
        }
        let mut text = String::new();
        self.draw(&mut text).map_err(|()| refuse("points that cannot be drawn"))?;
        fs::write(svg, text).map_err(Error::write(svg))
    }

    /// Draws the chart into memory. An error there has no details.
    fn draw(&self, svg: &mut String) -> std::result::Result<(), ()> {
        let (x_range, y_range) = (self.x_range(), self.y_range());
        let decades = (x_range.end / x_range.start).log10();
        let beside = |x: f64, share: f64| x * 10_f64.powf(decades * share);
        let middle = beside(x_range.start, 0.5);
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(drop)?;
        let x_axis = x_range.clone().log_scale().with_key_points(ticks(&x_range));
        let mut chart = ChartBuilder::on(&root)
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(x_axis, y_range)
            .map_err(drop)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(self.x_title)
            .y_desc(self.y_title)
            .x_label_formatter(&|x| (self.x_tick)(*x))
            .y_label_formatter(&|y| format!("{y:.1}"))
            .label_style((FONT, 14))
            .axis_desc_style((FONT, 15))
            .draw()
            .map_err(drop)?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            if series.connected {
                let line = series.points.iter().map(|it| (it.x, it.y));
                chart.draw_series(LineSeries::new(line, colour.stroke_width(2))).map_err(drop)?;
            }
            let bars = series.points.iter().filter_map(|it| Some((it.x, it.bar?)));
            let bars = bars.flat_map(|(x, (low, high))| {
                let end = |y| vec![(beside(x, -BAR_END), y), (beside(x, BAR_END), y)];
                [vec![(x, low), (x, high)], end(low), end(high)]
            });
            chart.draw_series(bars.map(|path| PathElement::new(path, colour))).map_err(drop)?;
            chart
                .draw_series(series.points.iter().map(|it| marker(index, (it.x, it.y))))
                .map_err(drop)?
                .label(series.name.as_str())
                .legend(move |at| marker(index, at));
            let labels = series.points.iter().filter(|it| !it.label.is_empty()).map(|it| {
                // The text is on the side of the middle, where there is room.
                let (side, away) = if it.x > middle { (HPos::Right, -10) } else { (HPos::Left, 10) };
                let style = TextStyle::from((FONT, 14)).pos(Pos::new(side, VPos::Center));
                EmptyElement::at((it.x, it.y)) + Text::new(it.label.clone(), (away, 0), style)
            });
            chart.draw_series(labels).map_err(drop)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .border_style(BLACK.mix(0.4))
            .label_font((FONT, 14))
            .draw()
            .map_err(drop)?;
        root.present().map_err(drop)
    }

    fn x_range(&self) -> Range<f64> {
        let all = self.series.iter().flat_map(|series| &series.points).map(|it| it.x);
        let (low, high) = ends(all);
        low / BESIDE..high * BESIDE
    }

    fn y_range(&self) -> Range<f64> {
        let of = |it: &Point| [it.y, it.bar.map_or(it.y, |bar| bar.0), it.bar.map_or(it.y, |bar| bar.1)];
        let (low, high) = ends(self.series.iter().flat_map(|series| &series.points).flat_map(of));
        // Ticks have one decimal, so they would repeat in a smaller range.
        let margin = ((high - low) * 0.1).max(0.5);
        low - margin..high + margin
    }
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
}

/// Returns a circle, a triangle or a cross.
fn marker<'a, C: Clone + 'static>(index: usize, at: C) -> DynElement<'static, SVGBackend<'a>, C> {
    let colour = COLOURS[index % COLOURS.len()];
    match index % COLOURS.len() {
        0 => Circle::new(at, RADIUS, colour.filled()).into_dyn(),
        1 => TriangleMarker::new(at, RADIUS + 2, colour.filled()).into_dyn(),
        _ => Cross::new(at, RADIUS, colour.stroke_width(3)).into_dyn(),
    }
}

/// Returns 1, 2 and 5 times the powers of ten in `range`. If the enclosing powers of ten are more
/// than five decades apart, returns the powers only.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let (first, last) = (range.start.log10().floor() as i32, range.end.log10().ceil() as i32);
    let digits: &[u8] = if last - first > 5 { &[1] } else { &[1, 2, 5] };
    // Ticks are parsed from text: a product with a power could differ from the decimal number in
    // the last digit.
    let tick = |exponent: i32, digit: &u8| format!("{digit}e{exponent}").parse().unwrap_or(f64::NAN);
    let all = (first..=last).flat_map(|exponent| digits.iter().map(move |digit| tick(exponent, digit)));
    all.filter(|tick| range.contains(tick)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_inside() {
        let texts = |range: Range<f64>| -> Vec<String> {
            ticks(&range).iter().map(|tick| format!("{tick:e}")).collect()
        };
        assert_eq!(texts(0.9e15..6e15), ["1e15", "2e15", "5e15"]);
        assert_eq!(texts(3.0e22..2.1e23), ["5e22", "1e23", "2e23"]);
        assert_eq!(texts(0.5..2e6), ["1e0", "1e1", "1e2", "1e3", "1e4", "1e5", "1e6"]);
        // The shortest possible axis, at any position.
        for start in 10..100 {
            let start = f64::from(start) * 1e14;
            assert!(!ticks(&(start / BESIDE..start * BESIDE)).is_empty(), "{start}");
        }
    }
}
