//! Finds the label for a value of a label column. A column holds names of labels or indices from 0.
//!
//! The kind is decided for the whole column. A decision per value would read "1" in a column of
//! indices as a label named "1".

use std::collections::HashMap;

/// The kind of values in a label column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Names of labels.
    Name,
    /// Indices of labels from 0.
    Index,
}

/// The labels of a model, in the order of its logits.
#[derive(Clone, Debug)]
pub struct Labels {
    names: Vec<String>,
    exact: HashMap<String, usize>,
    /// Indices by folded name; `None` if several labels share the folded name.
    folded: HashMap<String, Option<usize>>,
}

/// Result of [`Labels::detect_kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetectedKind {
    /// Kind of the values in the column.
    pub kind: Kind,
    /// Whether the other kind also fits all rows and gives different labels.
    pub ambiguous: bool,
}

impl Labels {
    /// Creates the labels from their names, in the order of the logits.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let exact = names.iter().cloned().zip(0..).collect();
        let mut folded = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            folded.entry(fold(name)).and_modify(|label| *label = None).or_insert(Some(index));
        }
        Self { names: names.to_vec(), exact, folded }
    }

    /// Returns the names, in the order of the logits.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Decides the kind of a column from its `values`, each with its number of rows. The kind that
    /// fits more rows wins. In a tie, names win.
    pub fn detect_kind<'v>(&self, values: impl IntoIterator<Item = (&'v str, u64)>) -> DetectedKind {
        let (mut rows, mut names, mut indices, mut differ) = (0, 0, 0, false);
        for (value, count) in values {
            let as_both = (self.label(value, Kind::Name), self.label(value, Kind::Index));
            rows += count;
            names += if as_both.0.is_some() { count } else { 0 };
            indices += if as_both.1.is_some() { count } else { 0 };
            differ |= as_both.0 != as_both.1;
        }
        let kind = if indices > names { Kind::Index } else { Kind::Name };
        DetectedKind { kind, ambiguous: names == rows && indices == rows && differ }
    }

    /// Returns the index of the label that `value` stands for in a column of this kind. White space
    /// around the value is ignored. A name that matches exactly wins. Otherwise a name that differs
    /// only in case matches, if it is the only one.
    #[must_use]
    pub fn label(&self, value: &str, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Index => index(value.trim()).filter(|&index| index < self.names.len()),
            Kind::Name => {
                let exact = [value, value.trim()].into_iter().find_map(|value| self.exact.get(value));
                exact.copied().or_else(|| self.folded.get(&fold(value)).copied().flatten())
            }
        }
    }

    /// Describes the values that [`Labels::label`] accepts, for messages.
    #[must_use]
    pub fn expected(&self, kind: Kind) -> String {
        const SHOWN: usize = 8;
        match kind {
            Kind::Index => format!("0 to {}, the indices of the labels", self.names.len().saturating_sub(1)),
            Kind::Name => {
                let shown = self.names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
                match self.names.len().saturating_sub(SHOWN) {
                    0 => format!("one of {shown}"),
                    more => format!("one of {shown} and {more} more"),
                }
            }
        }
    }
}

/// Folds case beyond ASCII: "STRASSE" and "straße" are equal. The conversion to upper case comes
/// first, because it can turn one letter into two (Unicode 3.13, default caseless matching; only a
/// few letters of Cherokee differ).
fn fold(name: &str) -> String {
    name.trim().to_uppercase().to_lowercase()
}

/// Parses the index in `value`. It accepts "1.0" too, because tables with missing values write
/// integers as floats.
fn index(value: &str) -> Option<usize> {
    let whole = match value.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => value,
    };
    whole.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Labels {
        Labels::new(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    fn read(labels: &Labels, values: &[&str]) -> (DetectedKind, Vec<Option<usize>>) {
        let detected = labels.detect_kind(values.iter().map(|&value| (value, 1)));
        (detected, values.iter().map(|value| labels.label(value, detected.kind)).collect())
    }

    #[test]
    fn a_column_is_read_as_one_kind() {
        let numbers = labels(&["1", "2", "3"]);
        let sure = |kind| DetectedKind { kind, ambiguous: false };
        assert_eq!(read(&numbers, &["0", "1", "2"]), (sure(Kind::Index), vec![Some(0), Some(1), Some(2)]));
        assert_eq!(read(&numbers, &["1", "2", "3"]), (sure(Kind::Name), vec![Some(0), Some(1), Some(2)]));
        let both = DetectedKind { kind: Kind::Name, ambiguous: true };
        assert_eq!(read(&numbers, &["1", "2"]), (both, vec![Some(0), Some(1)]));
        assert_eq!(read(&labels(&["0", "1"]), &["1", "0"]), (sure(Kind::Name), vec![Some(1), Some(0)]));
        let words = labels(&["NEGATIVE", "POSITIVE"]);
        assert_eq!(
            read(&words, &["0", "1.0", "POSITIVE", "2"]),
            (sure(Kind::Index), vec![Some(0), Some(1), None, None])
        );
        assert_eq!(read(&words, &["positive", "1"]), (sure(Kind::Name), vec![Some(1), None]));
    }

    #[test]
    fn case_and_white_space_do_not_count_unless_labels_differ_in_them() {
        let label = |labels: &Labels, value| labels.label(value, Kind::Name);
        let countries = labels(&["us", "US", "uk"]);
        let expected = [("us", Some(0)), ("US ", Some(1)), ("Us", None), ("UK", Some(2))];
        for (value, index) in expected {
            assert_eq!(label(&countries, value), index, "{value}");
        }
        let words = labels(&["NÉGATIF", "Straße", "positive"]);
        for (value, index) in
            [("négatif", Some(0)), ("STRASSE", Some(1)), (" Positive\u{a0}", Some(2)), ("positif", None)]
        {
            assert_eq!(label(&words, value), index, "{value}");
        }
        assert_eq!(label(&labels(&["a", " a"]), " a"), Some(1));
    }

    #[test]
    fn indices_are_digits() {
        let three = labels(&["a", "b", "c"]);
        for (value, index) in [
            ("2", Some(2)),
            (" 1 ", Some(1)),
            ("02", Some(2)),
            ("1.00", Some(1)),
            ("3", None),
            ("+1", None),
            ("-0", None),
            ("1.", None),
            ("1.5", None),
            ("", None),
            (".0", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(three.label(value, Kind::Index), index, "{value}");
        }
    }
}
