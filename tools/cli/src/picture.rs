//! The picture of the arena: one bar a sequence length, stacked by part.

use plotters::prelude::*;

use crate::commands::footprint::{Part, phase_name};
use electra_core::Phase;

const SIZE: (u32, u32) = (900, 560);

/// Draws what is alive through a run and, above it, the parts of the phase that needs most; other phases use the
/// same bytes again. `columns` pairs a sequence length with its parts.
pub(crate) fn arena(columns: &[(usize, Vec<Part>)]) -> Result<String, String> {
    let mut svg = String::new();
    draw(columns, &mut svg).map_err(|error| format!("picture: {error}"))?;
    Ok(svg)
}

fn draw(
    columns: &[(usize, Vec<Part>)],
    svg: &mut String,
) -> Result<(), DrawingAreaErrorKind<std::fmt::Error>> {
    // The error of a drawing into memory cannot occur; its type is adapted to one that says nothing more.
    let adapt = |_| DrawingAreaErrorKind::LayoutError;
    let stacks: Vec<(usize, Vec<&Part>)> =
        columns.iter().map(|(tokens, parts)| (*tokens, stack(parts))).collect();
    let tallest = stacks.iter().map(|(_, parts)| kib(parts)).fold(1.0, f64::max);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(adapt)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Arena by part and longest sequence", ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0f64..stacks.len() as f64, 0f64..tallest * 1.05)
        .map_err(adapt)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc("KiB")
        .x_desc("tokens")
        .draw()
        .map_err(adapt)?;
    let mut names: Vec<String> = Vec::new();
    for (column, (tokens, parts)) in stacks.iter().enumerate() {
        let (left, mut bottom) = (column as f64 + 0.15, 0.0);
        for part in parts {
            let name = format!("{}: {}", phase_name(part.phase), part.name);
            let known = names.iter().position(|other| *other == name);
            let index = known.unwrap_or(names.len());
            let colour = Palette99::pick(index).mix(0.9);
            let top = bottom + part.bytes as f64 / 1024.0;
            let bar = Rectangle::new([(left, bottom), (left + 0.7, top)], colour.filled());
            let series = chart.draw_series(std::iter::once(bar)).map_err(adapt)?;
            if known.is_none() {
                series
                    .label(&name)
                    .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
                names.push(name);
            }
            bottom = top;
        }
        let label = format!("{tokens} tokens, {bottom:.0} KiB");
        let place = (column as f64 + 0.08, bottom + tallest * 0.02);
        chart.draw_series(std::iter::once(Text::new(label, place, ("sans-serif", 12)))).map_err(adapt)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 11))
        .draw()
        .map_err(adapt)?;
    root.present().map_err(adapt)
}

/// The parts of the whole run and of its largest phase, small ones left out.
fn stack(parts: &[Part]) -> Vec<&Part> {
    let of = |phase: Phase| parts.iter().filter(move |part| part.phase == phase);
    let size = |phase: &Phase| of(*phase).map(|part| part.bytes).sum::<usize>();
    let largest = Phase::ALL[1..].iter().copied().max_by_key(size).unwrap_or(Phase::FeedForward);
    let total = size(&Phase::Run) + size(&largest);
    of(Phase::Run).chain(of(largest)).filter(|part| part.bytes * 100 > total).collect()
}

fn kib(parts: &[&Part]) -> f64 {
    parts.iter().map(|part| part.bytes).sum::<usize>() as f64 / 1024.0
}
