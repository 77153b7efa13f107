//! Draws the time of a run against its length: `chart RESULTS.json OUT.svg`. The chart shows the
//! results with one thread. Both axes are logarithmic.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use electra_peers::Outcome;
use plotters::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Results {
    runs: BTreeMap<String, Vec<Row>>,
}

#[derive(Deserialize)]
struct Row {
    system: String,
    threads: u32,
    tokens: u32,
    median: f64,
}

const COLOURS: [RGBColor; 7] = [
    full_palette::BLUE_700,
    full_palette::DEEPORANGE_700,
    full_palette::GREEN_700,
    full_palette::PURPLE_500,
    full_palette::BROWN_500,
    full_palette::PINK_400,
    full_palette::GREY_600,
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, picture] = arguments.as_slice() else {
        return Err("usage: chart RESULTS.json OUT.svg".into());
    };
    let text = fs::read(data).map_err(|error| format!("{data}: {error}"))?;
    let results: Results = serde_json::from_slice(&text).map_err(|error| format!("{data}: {error}"))?;
    let rows = results.runs.get("real").ok_or_else(|| format!("{data}: runs.real: missing"))?;
    draw(rows, Path::new(picture))
}

fn draw(rows: &[Row], picture: &Path) -> Outcome<()> {
    // The systems keep the order of the results, which is the order of the tables.
    let mut systems: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for row in rows.iter().filter(|row| row.threads == 1) {
        let point = (f64::from(row.tokens), row.median);
        match systems.iter_mut().find(|(name, _)| *name == row.system) {
            Some((_, points)) => points.push(point),
            None => systems.push((&row.system, vec![point])),
        }
    }
    let all = || systems.iter().flat_map(|(_, points)| points.iter().copied());
    let least = all().map(|(_, time)| time).fold(f64::INFINITY, f64::min);
    let most = all().map(|(_, time)| time).fold(0.0, f64::max);
    let longest = all().map(|(tokens, _)| tokens).fold(16.0, f64::max);

    let root = SVGBackend::new(picture, (860, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(220)
        .caption("Time of a run, one thread", ("sans-serif", 18))
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d((8.0..longest).log_scale().base(2.0), (least * 0.8..most * 1.25).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("tokens")
        .y_desc("milliseconds")
        .x_label_formatter(&|tokens| format!("{tokens:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    // A family is a name without its last word. Each family has one colour, and its second member
    // is dashed.
    let mut families: Vec<&str> = Vec::new();
    let mut labels = Vec::new();
    for (name, points) in &systems {
        let family = name.rsplit_once(' ').map_or(*name, |(family, _)| family);
        let second = families.contains(&family);
        if !second {
            families.push(family);
        }
        let index = families.iter().position(|known| *known == family).unwrap_or_default();
        let style = COLOURS[index % COLOURS.len()].stroke_width(if index == 0 { 3 } else { 2 });
        if second {
            chart.draw_series(DashedLineSeries::new(points.iter().copied(), 6, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        }
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, style.filled())))?;
        if let Some(last) = points.last() {
            labels.push((chart.backend_coord(last), *name, style.color));
        }
    }
    // Names are at the ends of the lines. They are moved apart if the ends are close together.
    labels.sort_by_key(|((_, y), ..)| *y);
    let mut free = 0;
    for ((x, y), name, colour) in labels {
        let y = y.max(free);
        free = y + 16;
        let font = ("sans-serif", 14).into_font().color(&colour);
        root.draw(&Text::new(name.to_owned(), (x + 10, y - 7), font))?;
    }
    root.present()?;
    Ok(())
}
