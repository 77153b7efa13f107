//! Rules that turn logits into answers. The library, the command and the firmware share them.

use crate::run_error::RunError;

/// The answer of a classifier whose likeliest label has a score below its threshold.
pub const UNSURE: &str = "UNSURE";

/// Returns the logits of one sequence if all of them are finite.
///
/// # Errors
/// [`RunError::NotFinite`] with the index of the first logit that is not finite: weights of the
/// model overflow on this sequence.
pub fn finite(logits: &[f32]) -> Result<&[f32], RunError> {
    match logits.iter().position(|logit| !logit.is_finite()) {
        Some(index) => Err(RunError::NotFinite { index }),
        None => Ok(logits),
    }
}

/// Returns the probability of each label: the softmax of finite logits. It is computed in f64 with
/// `libm`'s `exp`, so every machine gives the same bits.
pub fn softmax(logits: &[f32]) -> impl Iterator<Item = f64> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponential = move |logit: &f32| libm::exp(f64::from(*logit) - f64::from(greatest));
    let sum: f64 = logits.iter().map(exponential).sum();
    logits.iter().map(move |logit| exponential(logit) / sum)
}

/// Returns index and score of the likeliest label, or `None` where there are no labels. The first
/// of equal scores wins. Scores are compared in f32, as they are reported, even where the logits
/// behind them differ.
pub fn likeliest(scores: impl IntoIterator<Item = f32>) -> Option<(usize, f32)> {
    scores.into_iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// Returns the probability that a token was replaced: the logistic function of its logit. It is
/// computed in f64 with `libm`'s `exp`, like [`softmax`].
#[must_use]
pub fn probability(logit: f32) -> f32 {
    (1.0 / (1.0 + libm::exp(-f64::from(logit)))) as f32
}

/// Returns whether a token was more likely replaced than not: whether its [`probability`], as
/// reported, is above one half. This is so for every logit above the machine epsilon of f32.
/// Positive logits up to the epsilon have a probability that rounds to one half.
#[must_use]
pub fn is_replaced(logit: f32) -> bool {
    logit > f32::EPSILON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_above_one_half_is_replaced() {
        let epsilon = f32::EPSILON.to_bits();
        let near = (epsilon - 1000..epsilon + 1000).map(f32::from_bits);
        let others = [-0.0, 0.0, f32::MIN_POSITIVE, 1e-8, 2e-7, 0.5, 90.0, f32::MAX, -1e-3, f32::MIN];
        for logit in near.chain(others) {
            assert_eq!(is_replaced(logit), probability(logit) > 0.5, "{logit:e}");
        }
        assert_eq!((probability(f32::MIN), probability(0.0), probability(f32::MAX)), (0.0, 0.5, 1.0));
    }

    #[test]
    fn the_first_non_finite_logit_is_named() {
        assert_eq!(finite(&[]), Ok(&[][..]));
        assert_eq!(finite(&[f32::MAX, f32::MIN, -0.0]), Ok(&[f32::MAX, f32::MIN, -0.0][..]));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(finite(&[1.0, bad, bad]), Err(RunError::NotFinite { index: 1 }));
        }
    }

    #[test]
    fn the_first_of_equal_scores_wins() {
        assert_eq!(likeliest([]), None);
        assert_eq!(likeliest([0.25; 4]), Some((0, 0.25)));
        assert_eq!(likeliest([0.1, 0.4, 0.1, 0.4]), Some((1, 0.4)));
        assert_eq!(likeliest([0.0, -0.0]), Some((0, 0.0)));
    }

    #[test]
    fn logits_that_differ_by_less_than_scores_can_tell_are_equal() {
        let logits = [0.125, f32::from_bits(0.125f32.to_bits() + 1)];
        let scores: Vec<f32> = softmax(&logits).map(|score| score as f32).collect();
        assert_eq!(scores, [0.5, 0.5]);
        assert_eq!(likeliest(scores), Some((0, 0.5)));
    }

    #[test]
    fn two_labels_follow_the_logistic_function() {
        for step in -200..=200 {
            let difference = step as f32 / 16.0;
            let scores: Vec<f64> = softmax(&[0.5, 0.5 + difference]).collect();
            // The softmax of two logits, computed with another function of the standard library.
            let second = 0.5 + 0.5 * (f64::from(difference) / 2.0).tanh();
            assert!((scores[1] - second).abs() < 1e-15 && (scores[0] + second - 1.0).abs() < 1e-15);
        }
        assert_eq!(softmax(&[f32::MIN, f32::MAX]).collect::<Vec<_>>(), [0.0, 1.0]);
    }
}
