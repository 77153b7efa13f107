//! The picture of an evaluation: accuracy against coverage, and reliability.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::metrics::{Bin, Outcome, bins, wilson};

const SIZE: (u32, u32) = (1000, 480);
/// Most points of a curve.
const POINTS: usize = 400;
const CURVE: RGBColor = RGBColor(0x1f, 0x5a, 0xa6);

/// The accuracy of the answers with the greatest scores.
#[derive(Debug, PartialEq)]
pub(crate) struct Point {
    /// Their share of all texts, 0 to 1.
    pub coverage: f64,
    pub accuracy: f64,
    /// Wilson's score interval of the accuracy at 95 %.
    pub interval: (f64, f64),
}

/// Returns the accuracy at each coverage, the smallest coverage first. Answers with equal scores
/// are in the same point.
pub(crate) fn coverage(outcomes: &[Outcome]) -> Vec<Point> {
    let mut answers: Vec<(f32, bool)> = outcomes
        .iter()
        .map(|outcome| {
            let (label, score) = outcome.predicted();
            (score, label == outcome.expected)
        })
        .collect();
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut right = 0;
    let mut points = Vec::new();
    for (index, (score, is_right)) in answers.iter().enumerate() {
        right += u64::from(*is_right);
        if answers.get(index + 1).is_none_or(|next| next.0 < *score) {
            let count = (index + 1) as f64;
            let coverage = count / answers.len() as f64;
            let interval = wilson(right as f64, count);
            points.push(Point { coverage, accuracy: right as f64 / count, interval });
        }
    }
    points
}

/// Draws both charts as SVG.
pub(crate) fn draw(outcomes: &[Outcome]) -> Result<String, String> {
    let mut svg = String::new();
    draw_both(outcomes, &mut svg).map_err(|error| format!("picture: {error}"))?;
    Ok(svg)
}

type Drawn = Result<(), DrawingAreaErrorKind<std::fmt::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_both(outcomes: &[Outcome], svg: &mut String) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(adapt)?;
    let halves = root.split_evenly((1, 2));
    draw_coverage(&halves[0], &coverage(outcomes))?;
    draw_reliability(&halves[1], &bins(outcomes))?;
    root.present().map_err(adapt)
}

/// Drawing into memory cannot fail. The error type is converted to one without content.
fn adapt<E: std::error::Error + Send + Sync>(
    _: DrawingAreaErrorKind<E>,
) -> DrawingAreaErrorKind<std::fmt::Error> {
    DrawingAreaErrorKind::LayoutError
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws the axes of percentages and one line per label.
fn draw_mesh(chart: &mut Chart<'_>, x: &str) -> Drawn {
    let percent = |value: &f64| format!("{value:.0}");
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x).y_desc("accuracy, %").x_label_formatter(&percent).y_label_formatter(&percent);
    mesh.max_light_lines(1).draw().map_err(adapt)
}

fn draw_coverage(area: &Area<'_>, points: &[Point]) -> Drawn {
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let shown: Vec<&Point> = points
        .iter()
        .enumerate()
        .filter(|(index, _)| index % step == 0 || *index == last)
        .map(|(_, p)| p)
        .collect();
    // The first points have wide intervals, which would hide the rest of the curve.
    let lowest = shown.iter().map(|point| point.accuracy).fold(1.0, f64::min);
    let bottom = 100.0 * (lowest - 0.05).clamp(0.0, 0.95);
    let mut chart = ChartBuilder::on(area)
        .caption("Accuracy of the surest answers", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0f64..100.0, bottom..100.0)
        .map_err(adapt)?;
    draw_mesh(&mut chart, "coverage, %")?;
    let at = |point: &Point, accuracy: f64| (100.0 * point.coverage, (100.0 * accuracy).max(bottom));
    let upper = shown.iter().map(|point| at(point, point.interval.1));
    let lower = shown.iter().rev().map(|point| at(point, point.interval.0));
    let band: Vec<_> = upper.chain(lower).collect();
    chart.draw_series([Polygon::new(band, CURVE.mix(0.2))]).map_err(adapt)?;
    let line: Vec<_> = shown.iter().map(|point| at(point, point.accuracy)).collect();
    chart.draw_series([PathElement::new(line, CURVE.stroke_width(2))]).map_err(adapt)?;
    Ok(())
}

fn draw_reliability(area: &Area<'_>, bins: &[Bin]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .caption("Reliability of the scores", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0f64..100.0, 0f64..100.0)
        .map_err(adapt)?;
    draw_mesh(&mut chart, "score, %")?;
    chart.draw_series([PathElement::new([(0.0, 0.0), (100.0, 100.0)], BLACK.mix(0.4))]).map_err(adapt)?;
    for bin in bins.iter().filter(|bin| bin.texts > 0.0) {
        let (score, accuracy) = (100.0 * bin.confidence / bin.texts, 100.0 * bin.right / bin.texts);
        let (low, high) = wilson(bin.right, bin.texts);
        let bar = [(score, 100.0 * low), (score, 100.0 * high)];
        chart.draw_series([PathElement::new(bar, CURVE.stroke_width(1))]).map_err(adapt)?;
        chart.draw_series([Circle::new((score, accuracy), 4, CURVE.filled())]).map_err(adapt)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcome(expected: usize, positive: f32) -> Outcome {
        Outcome { expected, scores: vec![1.0 - positive, positive], unsure: false, latency: Duration::ZERO }
    }

    #[test]
    fn coverage_by_hand() {
        let outcomes = [outcome(1, 0.9), outcome(0, 0.8), outcome(1, 0.8), outcome(1, 0.3)];
        let found: Vec<_> =
            coverage(&outcomes).iter().map(|point| (point.coverage, point.accuracy)).collect();
        // The answers with score 0.8 belong together; the last answer has score 0.7 and is wrong.
        assert_eq!(found, [(0.25, 1.0), (0.75, 2.0 / 3.0), (1.0, 0.5)]);
    }

    #[test]
    fn every_number_of_texts_can_be_drawn() {
        for texts in [1, 2, 1000] {
            let outcomes: Vec<_> =
                (0..texts).map(|index| outcome(index % 2, (index as f32 + 0.5) / texts as f32)).collect();
            let svg = draw(&outcomes).unwrap();
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
            assert!(svg.contains("coverage") && svg.contains("Reliability"), "{svg}");
        }
    }
}
