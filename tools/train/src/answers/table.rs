//! Answers in a table: each line has a text and one probability per label.

use std::path::Path;

use electra_formats::rows::{Format, Row, Table, read_table};

use super::{Answer, Keys};
use crate::data::{WordPieceTokenizer, open_text};
use crate::error::{Error, Result};

/// Name of the text column.
const TEXT: &str = "text";
/// Tolerance of the sum of a line's probabilities, which are rounded.
const ROUNDING: f64 = 0.02;

/// Returns whether `file` has the name of a table.
pub(super) fn is_table(file: &Path) -> bool {
    format(file).is_some()
}

fn format(file: &Path) -> Option<Format> {
    let name = file.to_string_lossy();
    let format = Format::of_name(Path::new(name.trim_end_matches(".zst"))).ok()?;
    matches!(format, Format::Csv | Format::Tsv).then_some(format)
}

/// Reads a table. Returns, for each of `labels`, whether the table covers it, and the answers.
pub(super) fn read(
    file: &Path,
    labels: &[String],
    tokenizer: &WordPieceTokenizer,
    longest: usize,
) -> Result<(Vec<bool>, Vec<Answer>)> {
    let format = format(file).unwrap_or(Format::Tsv);
    let Table { header, rows } = read_table(file.to_path_buf(), open_text(file)?, format, None)?;
    let column = |wanted: &str| header.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let columns: Vec<Option<usize>> = labels.iter().map(|label| column(label)).collect();
    let text = column(TEXT).filter(|_| columns.iter().flatten().count() >= 2);
    let Some(text) = text else {
        let found = format!("the columns {}", header.join(", "));
        let expected = format!("{TEXT}, and at least two of {}", labels.join(", "));
        return Err(Error::field(file, "line 1", found, expected));
    };
    let keys = Keys::of(tokenizer)?;
    let mut answers = Vec::new();
    for row in rows {
        let Row { line, values } = row?;
        let values = values.map_err(|problem| problem.in_file(file, line))?;
        let mut probabilities = vec![0.0_f32; labels.len()];
        let mut sum = 0.0;
        for (probability, &column) in probabilities.iter_mut().zip(&columns) {
            let Some(column) = column else { continue };
            let number = values[column].parse().ok().filter(|it: &f64| (0.0..=1.0).contains(it));
            let Some(number) = number else {
                let field = format!("line {line}, {}", header[column]);
                return Err(Error::field(file, field, &values[column], "a probability, 0 to 1"));
            };
            *probability = number as f32;
            sum += number;
        }
        if (sum - 1.0).abs() > ROUNDING {
            let found = format!("probabilities with the sum {sum}");
            return Err(Error::field(file, format!("line {line}"), found, "1"));
        }
        let key = keys.of_text(&tokenizer.encode_framed(&values[text], longest)?);
        answers.push(Answer { key, probabilities: probabilities.iter().map(|it| it / sum as f32).collect() });
    }
    Ok((columns.iter().map(Option::is_some).collect(), answers))
}
