//! Curves of a log as SVG: one chart per figure, one below the other.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::{Map, Value};

use super::log::MetricsLog;
use crate::error::{Error, Result};

/// Width of the drawing and height of one chart, in pixels.
const SIZE: (u32, u32) = (800, 240);

/// Draws `figures` of the log `metrics` over its steps into the file `svg`. Figures that the log
/// does not have are left out.
pub fn draw_curves(metrics: &Path, figures: &[&str], svg: &Path) -> Result<()> {
    let lines = MetricsLog::read(metrics)?;
    let series: Vec<(&str, Vec<(f64, f64)>)> = figures
        .iter()
        .map(|&figure| (figure, points(&lines, figure)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let mut text = String::new();
    if !series.is_empty() && draw(&series, &mut text).is_err() {
        return Err(Error::field(metrics, "figures", "nothing that can be drawn", "finite numbers"));
    }
    fs::write(svg, text).map_err(Error::write(svg))
}

fn points(lines: &[Map<String, Value>], figure: &str) -> Vec<(f64, f64)> {
    let point = |line: &Map<String, Value>| Some((line.get("step")?.as_f64()?, line.get(figure)?.as_f64()?));
    lines.iter().filter_map(point).collect()
}

/// Drawing into memory cannot fail, so no details of an error are kept.
type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::fmt::Error>>;

fn draw(series: &[(&str, Vec<(f64, f64)>)], svg: &mut String) -> Drawn {
    let adapt = |_| DrawingAreaErrorKind::LayoutError;
    let root = SVGBackend::with_string(svg, (SIZE.0, SIZE.1 * series.len() as u32)).into_drawing_area();
    root.fill(&WHITE).map_err(adapt)?;
    for (area, (figure, points)) in root.split_evenly((series.len(), 1)).iter().zip(series) {
        chart(area, figure, points).map_err(|()| DrawingAreaErrorKind::LayoutError)?;
    }
    root.present().map_err(adapt)
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    figure: &str,
    points: &[(f64, f64)],
) -> std::result::Result<(), ()> {
    let last = points.iter().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) =
        points.iter().fold((f64::MAX, f64::MIN), |(low, high), point| (low.min(point.1), high.max(point.1)));
    // A constant curve needs a range too.
    let margin = ((high - low) * 0.05).max(high.abs() * 1e-3).max(1e-6);
    let mut chart = ChartBuilder::on(area)
        .caption(figure, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(28)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..last, low - margin..high + margin)
        .map_err(drop)?;
    chart.configure_mesh().x_desc("step").light_line_style(WHITE).draw().map_err(drop)?;
    chart.draw_series(LineSeries::new(points.iter().copied(), &BLUE)).map_err(drop)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_for_each_figure_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        let (log, svg) = (root.path().join("m.jsonl"), root.path().join("c.svg"));
        fs::write(&log, "{\"step\":1,\"loss\":3.0}\n{\"step\":2,\"loss\":3.0,\"accuracy\":0.5}\n").unwrap();
        draw_curves(&log, &["loss", "accuracy", "norm"], &svg).unwrap();
        let text = fs::read_to_string(&svg).unwrap();
        assert!(text.contains("loss") && text.contains("accuracy") && !text.contains("norm"));
    }
}
