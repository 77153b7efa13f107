//! The table of all results, in Markdown.

use std::fmt::Write;

use crate::campaign::Cell;

const HEAD: &str = "\
| part | flipped bits | found by the checksum | refused by the parser | other tokens | other label | no logits | change of a logit, median | largest |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// Returns the table. Counts that are 0 are empty.
pub(crate) fn render(cells: &[Cell]) -> String {
    let mut text = HEAD.to_owned();
    for cell in cells {
        let counts = [cell.refused, cell.other_tokens, cell.other_label, cell.failed].map(count);
        let [refused, tokens, label, failed] = counts;
        let mut changes = cell.changes.clone();
        changes.sort_by(f32::total_cmp);
        let median = change(changes.get(changes.len() / 2));
        let largest = change(changes.last());
        let (part, flips, found) = (cell.part, cell.flips, cell.found);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {part} | {flips} | {found} | {refused} | {tokens} | {label} | {failed} | {median} | {largest} |"
        );
    }
    text
}

fn count(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

fn change(change: Option<&f32>) -> String {
    match change {
        None => String::new(),
        Some(0.0) => "0".to_owned(),
        Some(change) if *change < 1e-4 || *change >= 1e4 => format!("{change:.0e}"),
        Some(change) => format!("{change:.4}"),
    }
}
