//! Turns logits into a label and its score.

use core::fmt;

use electra_core::verdict::{self, UNSURE};

/// The most probable label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Index of the label; the first of equal scores.
    pub label: usize,
    /// Its probability, for printing.
    pub score: Score,
    probability: f32,
}

impl Verdict {
    /// Returns label and score by the rules of the host's library.
    ///
    /// Returns `None` if there are fewer than two logits, or if one is not finite.
    #[must_use]
    pub fn new(logits: &[f32]) -> Option<Self> {
        if logits.len() < 2 {
            return None;
        }
        let logits = verdict::finite(logits).ok()?;
        let (label, probability) = verdict::likeliest(verdict::softmax(logits).map(|score| score as f32))?;
        Some(Self { label, score: Score::new(f64::from(probability)), probability })
    }

    /// Returns the answer: `label`, or `UNSURE` if the probability is lower than the threshold of
    /// this label. The probability is compared before it is rounded for printing.
    #[must_use]
    pub fn answer<'l>(&self, label: &'l str, threshold: f32) -> &'l str {
        if self.probability < threshold { UNSURE } else { label }
    }
}

/// A probability in steps of 1/10,000. It is printed with integers, because formatting a float
/// would need more code than the rest of this program and its UART together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score(u16);

impl Score {
    fn new(probability: f64) -> Self {
        // The probability is from 0 to 1, so the product fits. The conversion also saturates.
        Self((probability * 10_000.0 + 0.5) as u16)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::ToString;

    use super::*;

    #[test]
    fn two_labels_follow_the_logistic_function() {
        for step in -200..=200 {
            let difference = step as f32 / 16.0;
            let verdict = Verdict::new(&[0.5, 0.5 + difference]).unwrap();
            // The softmax of two logits, computed with another function of the standard library.
            let second = 0.5 + 0.5 * (f64::from(difference) / 2.0).tanh();
            let expected = format!("{:.4}", second.max(1.0 - second));
            assert_eq!(verdict.score.to_string(), expected, "difference {difference}");
            assert_eq!(verdict.label, usize::from(difference > 0.0));
        }
    }

    #[test]
    fn equal_logits_share() {
        let verdict = Verdict::new(&[3.0; 4]).unwrap();
        assert_eq!((verdict.label, verdict.score.to_string().as_str()), (0, "0.2500"));
    }

    #[test]
    fn scores_that_are_equal_in_f32_are_equal() {
        let verdict = Verdict::new(&[0.125, f32::from_bits(0.125f32.to_bits() + 1)]).unwrap();
        assert_eq!((verdict.label, verdict.score.to_string().as_str()), (0, "0.5000"));
    }

    #[test]
    fn a_score_below_the_threshold_is_unsure_even_if_it_prints_the_same() {
        // The probability is 0.500075.
        let verdict = Verdict::new(&[0.0, 0.000_3]).unwrap();
        assert_eq!(verdict.score.to_string(), "0.5001");
        let answers = [0.0, 0.500_07, 0.500_1, 1.0].map(|threshold| verdict.answer("YES", threshold));
        assert_eq!(answers, ["YES", "YES", "UNSURE", "UNSURE"]);
        assert_eq!(Verdict::new(&[0.0, 200.0]).unwrap().answer("YES", 1.0), "YES");
    }

    #[test]
    fn no_verdict_on_one_label_or_on_not_a_number() {
        assert_eq!(Verdict::new(&[]), None);
        assert_eq!(Verdict::new(&[1.0]), None);
        assert_eq!(Verdict::new(&[1.0, f32::NAN]), None);
        assert_eq!(Verdict::new(&[1.0, f32::INFINITY]), None);
    }
}
