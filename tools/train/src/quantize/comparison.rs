//! Comparison of two classifiers on the same texts.

use serde::Serialize;

use crate::classification::EncodedExample;

/// Numbers of texts to which the second classifier gives another label than the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flips {
    /// Only the first is right.
    pub right_to_wrong: usize,
    /// Only the second is right.
    pub wrong_to_right: usize,
    /// Both are wrong.
    pub wrong_to_wrong: usize,
    /// Two-sided p-value of McNemar's exact test: the probability that texts split at least as
    /// unevenly into better and worse ones if both classifiers are equally good.
    pub mcnemar_p: f64,
}

/// Differences of the second classifier from the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Texts with another label.
    pub flips: Flips,
    /// Mean absolute difference of a logit.
    pub mean_logit_difference: f64,
    /// Largest absolute difference of a logit.
    pub largest_logit_difference: f64,
}

impl Flips {
    /// Returns the number of texts with another label.
    pub fn count(&self) -> usize {
        self.right_to_wrong + self.wrong_to_right + self.wrong_to_wrong
    }
}

impl Comparison {
    /// Compares the logits of the `first` and the `second` classifier for each of `examples`. The
    /// label of a text is chosen among those that its source covers.
    pub fn new(first: &[Vec<f64>], second: &[Vec<f64>], examples: &[EncodedExample]) -> Self {
        let mut flips = Flips::default();
        let (mut sum, mut largest, mut count) = (0.0, 0.0_f64, 0_usize);
        for ((first, second), example) in first.iter().zip(second).zip(examples) {
            let known = example.known.as_deref();
            let (before, now) = (greatest(first, known), greatest(second, known));
            match (before == example.label, now == example.label) {
                (true, false) => flips.right_to_wrong += 1,
                (false, true) => flips.wrong_to_right += 1,
                (false, false) if before != now => flips.wrong_to_wrong += 1,
                _ => {}
            }
            for (first, second) in first.iter().zip(second) {
                let difference = (first - second).abs();
                (sum, largest, count) = (sum + difference, largest.max(difference), count + 1);
            }
        }
        flips.mcnemar_p = mcnemar(flips.right_to_wrong, flips.wrong_to_right);
        Self { flips, mean_logit_difference: sum / count.max(1) as f64, largest_logit_difference: largest }
    }
}

/// Returns the index of the largest logit among the `known` labels; the first of equal ones.
fn greatest(logits: &[f64], known: Option<&[bool]>) -> usize {
    let known = |label: usize| known.is_none_or(|known| known[label]);
    let better = |best: usize, label: usize| if logits[label] > logits[best] { label } else { best };
    (0..logits.len()).filter(|&label| known(label)).reduce(better).unwrap_or(0)
}

/// Computes McNemar's exact test (1947): a two-sided binomial test of `worse` and `better` against
/// one half.
fn mcnemar(worse: usize, better: usize) -> f64 {
    let (all, fewer) = (worse + better, worse.min(better));
    // Logarithm of the probability of `count` out of `all`, computed from that of one fewer.
    let mut logarithm = -(all as f64) * std::f64::consts::LN_2;
    let mut tail = logarithm.exp();
    for count in 1..=fewer {
        logarithm += ((all - count + 1) as f64 / count as f64).ln();
        tail += logarithm.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_texts_by_hand() {
        let first =
            [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|it| it.to_vec());
        let second =
            [[0.9, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.5, 1.0]].map(|it| it.to_vec());
        let examples = [(); 4].map(|()| EncodedExample::new(vec![1], 0));
        let comparison = Comparison::new(&first, &second, &examples);
        let expected = Flips { right_to_wrong: 1, wrong_to_right: 1, wrong_to_wrong: 1, mcnemar_p: 1.0 };
        assert_eq!(comparison.flips, expected);
        assert_eq!(comparison.flips.count(), 3);
        assert!((comparison.mean_logit_difference - (0.1 + 2.0 + 2.0 + 1.5) / 12.0).abs() < 1e-12);
        assert_eq!(comparison.largest_logit_difference, 1.5);
        // The source of these texts does not cover the second label. Without it no label changes.
        let partial = examples.map(|it| EncodedExample { known: Some([true, false, true].into()), ..it });
        let expected = Flips { mcnemar_p: 1.0, ..Flips::default() };
        assert_eq!(Comparison::new(&first, &second, &partial).flips, expected);
    }

    #[test]
    fn the_test_against_its_binomial() {
        // 2 (1 + 10 + 45) / 2^10, 2 (1 + 5) / 2^5, and no texts to compare.
        assert!((mcnemar(2, 8) - 0.109_375).abs() < 1e-12);
        assert!((mcnemar(4, 1) - 0.375).abs() < 1e-12);
        assert_eq!((mcnemar(0, 0), mcnemar(3, 3)), (1.0, 1.0));
        // Here 2^-n is too small for f64. The normal approximation has z = 8.56.
        assert!((1e-19..1e-16).contains(&mcnemar(1100, 1540)));
    }
}
