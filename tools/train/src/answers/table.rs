//! Answers as a table: a text and a probability for each label in a line.

use std::path::Path;

use super::{Answer, Keys};
use crate::data::{WordPieceTokenizer, open_text};
use crate::error::{Error, Result};

/// Column of the text.
const TEXT: &str = "text";
/// What the probabilities of a line may be off 1 by: they are rounded.
const ROUNDING: f64 = 0.02;

/// Whether a file's name is a table's.
pub(super) fn is_table(file: &Path) -> bool {
    delimiter(file).is_some()
}

fn delimiter(file: &Path) -> Option<u8> {
    let name = file.to_string_lossy().to_lowercase();
    let name = name.trim_end_matches(".zst");
    [(".tsv", b'\t'), (".csv", b',')].iter().find(|(end, _)| name.ends_with(end)).map(|&(_, sign)| sign)
}

/// Which of `labels` the table knows, and its answers.
pub(super) fn read(
    file: &Path,
    labels: &[String],
    tokenizer: &WordPieceTokenizer,
    longest: usize,
) -> Result<(Vec<bool>, Vec<Answer>)> {
    let sign = delimiter(file).unwrap_or(b'\t');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(sign)
        .quoting(sign == b',')
        .flexible(true)
        .from_reader(open_text(file)?);
    let refuse = |error: csv::Error| Error::field(file, "content", error.to_string(), "a table in UTF-8");
    let header: Vec<String> = reader.headers().map_err(refuse)?.iter().map(str::to_owned).collect();
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
    for record in reader.records() {
        let record = record.map_err(refuse)?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let found = format!("{} fields", record.len());
            return Err(Error::field(
                file,
                format!("line {line}"),
                found,
                format!("{} as in line 1", header.len()),
            ));
        }
        let mut probabilities = vec![0.0_f32; labels.len()];
        let mut sum = 0.0;
        for (probability, &column) in probabilities.iter_mut().zip(&columns) {
            let Some(column) = column else { continue };
            let number = record[column].parse().ok().filter(|it: &f64| (0.0..=1.0).contains(it));
            let Some(number) = number else {
                let field = format!("line {line}, {}", header[column]);
                return Err(Error::field(file, field, &record[column], "a probability, 0 to 1"));
            };
            *probability = number as f32;
            sum += number;
        }
        if (sum - 1.0).abs() > ROUNDING {
            let found = format!("probabilities of {sum} together");
            return Err(Error::field(file, format!("line {line}"), found, "1"));
        }
        let key = keys.of_text(&tokenizer.encode_framed(&record[text], longest)?);
        answers.push(Answer { key, probabilities: probabilities.iter().map(|it| it / sum as f32).collect() });
    }
    Ok((columns.iter().map(Option::is_some).collect(), answers))
}
