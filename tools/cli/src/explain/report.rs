//! The explanation as text and as JSON.

use std::ops::Range;

use serde_json::{Value, json};

use super::shapley::Contribution;
use crate::output::one_line;

/// A part of the text with its contribution.
#[derive(Clone, Debug)]
pub(crate) struct ExplainedPart {
    /// Range of bytes in the text.
    pub range: Range<usize>,
    pub contribution: Contribution,
}

/// The explanation of one text.
#[derive(Clone, Debug)]
pub(crate) struct Report<'a> {
    pub text: &'a str,
    /// Label whose score is explained.
    pub label: &'a str,
    /// Score of the label for the text.
    pub score: f32,
    /// Score of the label for the empty text.
    pub empty_score: f32,
    pub parts: Vec<ExplainedPart>,
    /// Number of words in the parts.
    pub words: usize,
    /// Number of permutations that were drawn; 0 if the contributions are exact.
    pub samples: usize,
    /// Number of texts that were run.
    pub runs: usize,
    /// Windows of the whole text.
    pub windows: usize,
    /// Tokens of the text that were run, if the text was cut.
    pub cut: Option<usize>,
}

impl Report<'_> {
    /// Returns the contribution of a part as a share of the largest one, -1 to 1.
    pub(crate) fn share(&self, part: &ExplainedPart) -> f64 {
        let largest = self.parts.iter().map(|part| part.contribution.value.abs()).fold(0.0, f64::max);
        if largest > 0.0 { part.contribution.value / largest } else { 0.0 }
    }

    pub(crate) fn json(&self) -> Value {
        let part = |part: &ExplainedPart| {
            json!({
                "text": &self.text[part.range.clone()],
                "start": part.range.start,
                "end": part.range.end,
                "contribution": part.contribution.value,
                "standard_error": part.contribution.standard_error,
            })
        };
        json!({
            "text": self.text,
            "label": self.label,
            "score": self.score,
            "empty_score": self.empty_score,
            "parts": self.parts.iter().map(part).collect::<Vec<_>>(),
            "samples": self.samples,
            "runs": self.runs,
            "windows": self.windows,
            "truncated": self.cut.is_some(),
        })
    }

    /// Returns the lines for a terminal. `times` is the duration of all runs as a multiple of that
    /// of the whole text.
    pub(crate) fn lines(&self, times: f64, coloured: bool) -> String {
        let mut lines = vec![self.summary(times), self.marked_text(coloured), String::new()];
        lines.extend(self.parts.iter().map(|part| self.row(part, coloured)));
        if self.parts.is_empty() {
            lines.pop();
        }
        lines.join("\n")
    }

    fn summary(&self, times: f64) -> String {
        let Self { score, empty_score, runs, windows, .. } = self;
        let mut line = format!("[{}] (Score: {score:.4}", one_line(self.label));
        if *windows > 1 {
            line.push_str(&format!("; {windows} windows"));
        }
        if let Some(tokens) = self.cut {
            line.push_str(&format!("; cut to {tokens} tokens"));
        }
        line.push_str(&format!("; empty text: {empty_score:.4}) {runs} texts run"));
        if self.words > self.parts.len() {
            line.push_str(&format!(" for {} parts of {} words", self.parts.len(), self.words));
        }
        line + &format!(", {times:.1} times the time of the text")
    }

    /// Returns the text on one line, with the parts on coloured ground.
    fn marked_text(&self, coloured: bool) -> String {
        let mut line = String::new();
        let mut end = 0;
        for part in &self.parts {
            line.push_str(&one_line(&self.text[end..part.range.start]));
            line.push_str(&mark(&one_line(&self.text[part.range.clone()]), self.share(part), coloured));
            end = part.range.end;
        }
        line + &one_line(&self.text[end..])
    }

    fn row(&self, part: &ExplainedPart, coloured: bool) -> String {
        const BAR: f64 = 12.0;
        let Contribution { value, standard_error } = part.contribution;
        let error = standard_error.map_or_else(|| " ".repeat(8), |error| format!("± {error:.4}"));
        let share = self.share(part);
        let length = (share.abs() * BAR).round() as usize;
        let (against, supports) = if share < 0.0 {
            ("-".repeat(length), String::new())
        } else {
            (String::new(), "+".repeat(length))
        };
        let text = mark(&shortened(&one_line(&self.text[part.range.clone()])), share, coloured);
        format!("  {value:+.4} {error}  {against:>12}|{supports:<12}  {text}")
    }
}

/// Shortens a phrase to the characters that fit beside its contribution.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let length = text.chars().count();
    if length <= MOST {
        return text.to_owned();
    }
    let half = (MOST - 5) / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    format!("{start} ... {end}")
}

/// Grounds of the 256 colours of a terminal, from light to strong.
const GREENS: [u8; 5] = [194, 157, 120, 83, 46];
const REDS: [u8; 5] = [224, 217, 210, 203, 196];

/// Puts a text on green ground if it supports the label, and on red ground if it speaks against it.
/// Shares below a tenth of the largest stay without colour.
fn mark(text: &str, share: f64, coloured: bool) -> String {
    if !coloured || share.abs() < 0.1 {
        return text.to_owned();
    }
    let grounds = if share < 0.0 { REDS } else { GREENS };
    let level = ((share.abs() * grounds.len() as f64) as usize).min(grounds.len() - 1);
    // Black on the ground, then back to the colours before.
    format!("\x1b[30;48;5;{}m{text}\x1b[39;49m", grounds[level])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report<'_> {
        let part = |(range, value): (Range<usize>, f64)| ExplainedPart {
            range,
            contribution: Contribution { value, standard_error: Some(0.01) },
        };
        let parts = vec![part((1..4, 0.5)), part((5..8, -0.25)), part((9..12, 0.01))];
        Report {
            text,
            label: "GOOD\u{1b}",
            score: 0.75,
            empty_score: 0.49,
            parts,
            words: 3,
            samples: 0,
            runs: 8,
            windows: 1,
            cut: None,
        }
    }

    #[test]
    fn parts_are_coloured_by_their_share() {
        let lines = report(" abc def ghi\n").lines(3.25, true);
        let expected = " \u{1b}[30;48;5;46mabc\u{1b}[39;49m \u{1b}[30;48;5;210mdef\u{1b}[39;49m ghi ";
        assert_eq!(lines.lines().nth(1), Some(expected));
        assert_eq!(lines.matches("\u{1b}[39;49m").count(), 4);
    }

    #[test]
    fn the_table_has_a_row_per_part() {
        let expected = "\
[GOOD ] (Score: 0.7500; empty text: 0.4900) 8 texts run, 3.2 times the time of the text
 abc d f ghi

  +0.5000 ± 0.0100              |++++++++++++  abc
  -0.2500 ± 0.0100        ------|              d f
  +0.0100 ± 0.0100              |              ghi";
        assert_eq!(report(" abc d\u{7}f ghi").lines(3.21, false), expected);
    }

    #[test]
    fn long_phrases_are_shortened() {
        assert_eq!(shortened(&"é".repeat(60)), "é".repeat(60));
        let shorter = shortened(&format!("a{}z", "é".repeat(60)));
        assert_eq!(shorter.chars().count(), 59);
        assert!(shorter.starts_with("aé") && shorter.contains("é ... é") && shorter.ends_with("éz"));
    }
}
