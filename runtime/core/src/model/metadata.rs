//! Entries of the metadata that the runtime uses.

use super::{Golden, Model, ModelError};

/// Key of a label's threshold, before the name of the label.
const THRESHOLD: &str = "threshold.";
/// Key of the version of a model.
const VERSION: &str = "version";
/// Key of a golden sentence.
const GOLDEN: &str = "golden";
/// Most digits of a threshold after the decimal point.
const DIGITS: usize = 6;

impl<'m> Model<'m> {
    /// Returns the value of the first line of this key in [`Model::metadata`].
    #[must_use]
    pub fn metadata_value(&self, key: &str) -> Option<&'m str> {
        values(self.metadata(), key).next()
    }

    /// Returns the version of the model, if the file states one. Newer versions of a model have
    /// larger numbers.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        self.metadata_value(VERSION)?.parse().ok()
    }

    /// Returns the threshold of a label, 0 to 1: if the label is the likeliest one and its score is
    /// lower, the answer is `UNSURE`. It is 0 unless the file states another one.
    ///
    /// # Errors
    /// When the file states something else than a number from 0 to 1 with at most six decimals.
    pub fn threshold(&self, label: &str) -> Result<f32, ModelError> {
        let value = |line: &'m str| line.strip_prefix(THRESHOLD)?.strip_prefix(label)?.strip_prefix('=');
        match self.metadata().lines().find_map(value) {
            Some(value) => parse_share(value).ok_or(ModelError::Threshold),
            None => Ok(0.0),
        }
    }

    /// Returns the golden sentences of the file, see [`Golden`].
    pub fn golden(&self) -> impl Iterator<Item = Golden<'m>> + use<'m> {
        values(self.metadata(), GOLDEN).map(Golden::new)
    }
}

/// Returns the values of all lines of a key.
fn values<'m, 'k>(lines: &'m str, key: &'k str) -> impl Iterator<Item = &'m str> + use<'m, 'k> {
    lines.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
}

/// Returns the number that `text` stands for: `0`, `1`, or `0.` or `1.` with one to six digits, at
/// most 1. It is the nearest f32, because both parts of the division are exact. The parser of the
/// standard library would take as much flash as the tokenizer.
#[must_use]
pub fn parse_share(text: &str) -> Option<f32> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, "0"));
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let scale = 10u32.pow(digits.len() as u32);
    let digits: u32 = digits.parse().ok()?;
    match whole {
        "0" => Some(digits as f32 / scale as f32),
        "1" if digits == 0 => Some(1.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_standard_library() {
        for number in (0..=1_000_000u32).step_by(37).chain([1, 999_999, 1_000_000]) {
            let text = std::format!("{}.{:06}", number / 1_000_000, number % 1_000_000);
            assert_eq!(parse_share(&text), text.parse().ok(), "{text}");
        }
        assert_eq!(["0", "1", "0.5", "1.0"].map(parse_share), [0.0, 1.0, 0.5, 1.0].map(Some));
        for bad in ["", ".", "0.", ".5", "-0.5", "+0", "1.5", "2", "0,5", "0.1234567", "0.5 ", "5e-1", "nan"]
        {
            assert_eq!(parse_share(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_a_whole_key() {
        let lines = "name=a=b\nnames=c\nname=d\n\nversion\n";
        assert_eq!(values(lines, "name").collect::<std::vec::Vec<_>>(), ["a=b", "d"]);
        assert_eq!(values(lines, "version").next(), None);
    }
}
