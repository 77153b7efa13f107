//! The label column of an input. All its values are examined before the rows are used.

use std::collections::BTreeMap;

use electra_formats::labels::{Kind, Labels};

use crate::args::LabelKind;
use crate::failure::{Failure, report};
use crate::input::Row;

/// Number of unknown values that are listed. In a wrong column every row may have one.
const LISTED: usize = 5;
/// Number of distinct values that are stored. A model cannot have more labels, so further values
/// are unknown.
const DIFFERENT: usize = 10_000;

/// Maps the values of the column to labels.
pub(crate) struct LabelColumn {
    labels: Labels,
    kind: Kind,
    /// For each label of `labels`, its index among those that are answers; `None` if all are.
    kept: Option<Vec<Option<usize>>>,
}

/// Number of rows with one value, and the line of the first one.
struct Rows {
    count: u64,
    first: u64,
}

impl LabelColumn {
    /// Examines all `rows` of the input `name`. Reports on standard error the values that are not
    /// labels, and a column that can be read both as names and as indices.
    ///
    /// `names` are the labels that are answers, and `all` those of the model. Indices count the
    /// former, as in a set that has only these labels. They count the latter if one of them is too
    /// large for that.
    pub(crate) fn survey(
        rows: impl Iterator<Item = Result<Row, Failure>>,
        names: &[String],
        all: &[String],
        asked: Option<LabelKind>,
        name: &str,
        column: &str,
    ) -> Result<Self, Failure> {
        let labels = Labels::new(names);
        let (mut values, mut more) = (BTreeMap::new(), 0);
        for row in rows {
            let Row { line, content } = row?;
            let Ok(content) = content else { continue };
            let value = content.label.unwrap_or_default();
            let room = values.len() < DIFFERENT;
            match values.entry(value) {
                std::collections::btree_map::Entry::Vacant(entry) if room => {
                    entry.insert(Rows { count: 1, first: line });
                }
                std::collections::btree_map::Entry::Vacant(_) => more += 1,
                std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().count += 1,
            }
        }
        let detected = labels.detect_kind(values.iter().map(|(value, rows)| (value.as_str(), rows.count)));
        let kind = match asked {
            Some(LabelKind::Name) => Kind::Name,
            Some(LabelKind::Index) => Kind::Index,
            None => detected.kind,
        };
        if asked.is_none() && detected.ambiguous {
            report(format_args!(
                "{name}: the values of column {column} may be names or indices of labels; they are read as \
                 names unless --label-as is index"
            ));
        }
        let of_model = Labels::new(all);
        let counts_all = |value: &String| {
            labels.label(value, Kind::Index).is_none() && of_model.label(value, Kind::Index).is_some()
        };
        let this = if kind == Kind::Index && values.keys().any(counts_all) {
            let kept = all.iter().map(|label| names.iter().position(|name| name == label)).collect();
            Self { labels: of_model, kind, kept: Some(kept) }
        } else {
            Self { labels, kind, kept: None }
        };
        this.report_foreign(&values, more, name, column);
        Ok(this)
    }

    /// Returns the index of the label that `value` stands for.
    pub(crate) fn label(&self, value: &str) -> Option<usize> {
        let index = self.labels.label(value, self.kind)?;
        self.kept.as_ref().map_or(Some(index), |kept| kept.get(index).copied().flatten())
    }

    fn report_foreign(&self, values: &BTreeMap<String, Rows>, more: u64, name: &str, column: &str) {
        let mut foreign: Vec<_> = values.iter().filter(|(value, _)| self.label(value).is_none()).collect();
        foreign.sort_by_key(|(_, rows)| rows.first);
        for (value, Rows { count, first }) in foreign.iter().take(LISTED) {
            let rows = if *count == 1 {
                format!("line {first}")
            } else {
                format!("line {first} and {} more rows", count - 1)
            };
            let value = electra_formats::error::quoted(value);
            let expected = self.labels.expected(self.kind);
            report(format_args!("{name}, {rows}: {column}: found '{value}', expected {expected}"));
        }
        let rest: u64 = foreign.iter().skip(LISTED).map(|(_, rows)| rows.count).sum::<u64>() + more;
        if rest > 0 {
            report(format_args!(
                "{name}: {rest} more rows have other values in column {column} that are not labels"
            ));
        }
    }
}
