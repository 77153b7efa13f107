//! The picture of an explanation: the words on coloured ground, with their contributions below.

use plotters::prelude::*;

use super::report::{ExplainedPart, Report};
use crate::output::one_line;

/// Width of the picture and margin around its content, in pixels.
const WIDTH: i32 = 900;
const MARGIN: i32 = 20;
/// Sizes of the fonts in pixels.
const WORD: i32 = 18;
const NUMBER: i32 = 11;
/// Distance of the lines in pixels.
const LINE: i32 = 52;
/// plotters writes this fraction of a size as the size of the font.
const SIZE: f64 = 1.24;

/// A word of the picture.
struct Word<'a> {
    text: String,
    part: &'a ExplainedPart,
    /// Whether the contribution of the part is written below it.
    is_first: bool,
    left: i32,
    width: i32,
    line: i32,
}

/// Draws the text of a report as SVG, wrapped at the width of the picture.
pub(crate) fn draw(report: &Report<'_>) -> Result<String, String> {
    let mut svg = String::new();
    draw_words(report, &words(report), &mut svg).map_err(|error| format!("picture: {error}"))?;
    Ok(svg)
}

fn draw_words(
    report: &Report<'_>,
    words: &[Word<'_>],
    svg: &mut String,
) -> Result<(), DrawingAreaErrorKind<std::fmt::Error>> {
    // Drawing into memory cannot fail. The error type is converted to one without content.
    let adapt = |_| DrawingAreaErrorKind::LayoutError;
    let lines = words.last().map_or(0, |word| word.line + 1);
    let size = (WIDTH as u32, (2 * MARGIN + LINE * (lines + 1)) as u32);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE).map_err(adapt)?;
    let text = |text: String, at: (i32, i32), size: i32| {
        Text::new(text, at, ("monospace", f64::from(size) * SIZE).into_font().color(&BLACK))
    };
    let summary =
        format!("{}: {:.4}; empty text: {:.4}", printable(report.label), report.score, report.empty_score);
    root.draw(&text(summary, (MARGIN, MARGIN), WORD - 4)).map_err(adapt)?;
    for word in words {
        let top = MARGIN + LINE * (word.line + 1);
        let area = [(word.left, top), (word.left + word.width, top + WORD + 8)];
        let share = report.share(word.part);
        let hue = if share < 0.0 { RGBColor(220, 50, 47) } else { RGBColor(60, 170, 60) };
        root.draw(&Rectangle::new(area, hue.mix(0.8 * share.abs()).filled())).map_err(adapt)?;
        root.draw(&text(word.text.clone(), (word.left + 4, top + 4), WORD)).map_err(adapt)?;
        if word.is_first {
            let at = (word.left + 4, top + WORD + 12);
            root.draw(&text(number(word.part), at, NUMBER)).map_err(adapt)?;
        }
    }
    root.present().map_err(adapt)
}

/// Places the words. A word longer than a line is divided.
fn words<'a>(report: &'a Report<'_>) -> Vec<Word<'a>> {
    const GAP: i32 = 4;
    let mut words: Vec<Word<'a>> = Vec::new();
    let (mut left, mut line) = (MARGIN, 0);
    for part in &report.parts {
        let text = printable(&report.text[part.range.clone()]);
        for (index, text) in text.split_whitespace().flat_map(pieces).enumerate() {
            let is_first = index == 0;
            let below = if is_first { width(&number(part), NUMBER) } else { 0 };
            let width = width(&text, WORD).max(below) + 8;
            if left > MARGIN && left + width > WIDTH - MARGIN {
                (left, line) = (MARGIN, line + 1);
            }
            words.push(Word { text, part, is_first, left, width, line });
            left += width + GAP;
        }
    }
    words
}

/// Divides a word that is longer than a line.
fn pieces(word: &str) -> Vec<String> {
    let most = WIDTH - 2 * MARGIN - 8;
    let mut pieces = vec![String::new()];
    for c in word.chars() {
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
            if width(piece, WORD) <= most {
                continue;
            }
            piece.pop();
        }
        pieces.push(c.to_string());
    }
    pieces
}

fn number(part: &ExplainedPart) -> String {
    format!("{:+.3}", part.contribution.value)
}

/// Estimates the width of a text in pixels: 0.6 of the size for a character, as in most monospaced
/// fonts, and the whole size for a character of East Asian scripts and for symbols.
fn width(text: &str, size: i32) -> i32 {
    let tenths = |c: char| if c >= '\u{1100}' { 10 } else { 6 };
    (text.chars().map(tenths).sum::<i32>() * size).div_euclid(10)
}

/// Replaces the characters that XML does not allow (XML 1.0, section 2.2), and those that could
/// control a terminal.
fn printable(text: &str) -> String {
    one_line(text).replace(['\u{fffe}', '\u{ffff}'], " ")
}
