//! The picture of the arena: one bar per sequence length, stacked by part.

use electra_core::Phase;
use plotters::prelude::*;

use super::{ArenaPart, phase_name};

const SIZE: (u32, u32) = (900, 560);

/// The arena of one sequence length.
pub(crate) struct Column {
    pub tokens: usize,
    /// Size of the whole arena in bytes.
    pub bytes: usize,
    pub parts: Vec<ArenaPart>,
}

/// Draws the arena as SVG. Each bar shows the parts that exist during the whole run and, above
/// them, the parts of the phase that needs most. The other phases reuse the same bytes.
pub(crate) fn draw(columns: &[Column]) -> Result<String, String> {
    let mut svg = String::new();
    draw_bars(columns, &mut svg).map_err(|error| format!("picture: {error}"))?;
    Ok(svg)
}

fn draw_bars(columns: &[Column], svg: &mut String) -> Result<(), DrawingAreaErrorKind<std::fmt::Error>> {
    // Drawing into memory cannot fail. The error type is converted to one without content.
    let adapt = |_| DrawingAreaErrorKind::LayoutError;
    let tallest = columns.iter().map(|column| column.bytes).max().unwrap_or(0).max(1024) as f64 / 1024.0;
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(adapt)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Arena by part and longest sequence", ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0f64..columns.len() as f64, 0f64..tallest * 1.05)
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
    for (index, column) in columns.iter().enumerate() {
        let (left, mut bottom) = (index as f64 + 0.15, 0.0);
        for (name, bytes) in stack(column) {
            let known = names.iter().position(|other| *other == name);
            let colour = Palette99::pick(known.unwrap_or(names.len())).mix(0.9);
            let top = bottom + bytes as f64 / 1024.0;
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
        let label = format!("{} tokens, {bottom:.0} KiB", column.tokens);
        let place = (index as f64 + 0.08, bottom + tallest * 0.02);
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

/// Returns the parts of the whole run and of its largest phase. Parts above one percent of the
/// arena are named; the others are added up.
fn stack(column: &Column) -> Vec<(String, usize)> {
    let of = |phase: Phase| column.parts.iter().filter(move |part| part.phase == phase);
    let size = |phase: &Phase| of(*phase).map(|part| part.bytes).sum::<usize>();
    let largest = Phase::ALL[1..].iter().copied().max_by_key(size).unwrap_or(Phase::FeedForward);
    let mut stack: Vec<_> = of(Phase::Run)
        .chain(of(largest))
        .filter(|part| part.bytes * 100 > column.bytes)
        .map(|part| (format!("{}: {}", phase_name(part.phase), part.name), part.bytes))
        .collect();
    let named: usize = stack.iter().map(|(_, bytes)| bytes).sum();
    stack.push(("smaller parts and padding".to_owned(), column.bytes - named));
    stack
}
