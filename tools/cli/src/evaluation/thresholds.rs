//! Thresholds of the labels for a wanted accuracy.

use super::metrics::{Outcome, wilson};

/// Decimals of a threshold in a model file.
const DECIMALS: i32 = 6;

/// The threshold of a label, with which answers of this label have the wanted accuracy.
#[derive(Debug, PartialEq)]
pub(crate) struct Threshold {
    /// The threshold, or `None` if the accuracy is lower with every threshold.
    pub score: Option<f64>,
    /// Number of answers at or above the threshold.
    pub kept: usize,
    /// Number of answers of the label without a threshold.
    pub answers: usize,
    /// Accuracy of the answers that are kept, and Wilson's score interval of it at 95 %.
    pub accuracy: f64,
    pub interval: (f64, f64),
}

/// Returns for each label the smallest threshold with which its answers are right in at least
/// `target` of the cases, 0 to 1.
pub(crate) fn thresholds(labels: usize, outcomes: &[Outcome], target: f64) -> Vec<Threshold> {
    (0..labels).map(|label| threshold(label, outcomes, target)).collect()
}

fn threshold(label: usize, outcomes: &[Outcome], target: f64) -> Threshold {
    let of_label = outcomes.iter().filter(|outcome| outcome.predicted().0 == label);
    let mut answers: Vec<(f32, bool)> =
        of_label.map(|outcome| (outcome.predicted().1, outcome.expected == label)).collect();
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut kept, mut kept_right, mut right) = (0, 0, 0);
    for (index, (score, is_right)) in answers.iter().enumerate() {
        right += usize::from(*is_right);
        // Equal scores are kept or dropped together.
        let is_last = answers.get(index + 1).is_none_or(|next| next.0 < *score);
        if is_last && right as f64 >= target * (index + 1) as f64 {
            (kept, kept_right) = (index + 1, right);
        }
    }
    let score = match (kept, answers.get(kept)) {
        (0, Some(_)) => None,
        (_, None) => Some(0.0),
        (_, Some(dropped)) => Some(shortest_between(f64::from(dropped.0), f64::from(answers[kept - 1].0))),
    };
    let (accuracy, interval) = match kept {
        0 => (0.0, (0.0, 1.0)),
        _ => (kept_right as f64 / kept as f64, wilson(kept_right as f64, kept as f64)),
    };
    Threshold { score, kept, answers: answers.len(), accuracy, interval }
}

/// Returns a number with few decimals that is above `low` and at most `high`.
fn shortest_between(low: f64, high: f64) -> f64 {
    let rounded = |decimals| (high * 10f64.powi(decimals)).floor() / 10f64.powi(decimals);
    (2..=DECIMALS).map(rounded).find(|found| *found > low).unwrap_or(rounded(DECIMALS))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcomes(of: &[(usize, f32)]) -> Vec<Outcome> {
        let outcome = |&(expected, positive): &(usize, f32)| Outcome {
            expected,
            scores: vec![1.0 - positive, positive],
            unsure: false,
            latency: Duration::ZERO,
        };
        of.iter().map(outcome).collect()
    }

    #[test]
    fn the_smallest_threshold_keeps_most_answers() {
        // Answers 1 in order of their score: right, right, wrong, right, wrong.
        let found = outcomes(&[(1, 0.9), (1, 0.8), (0, 0.7), (1, 0.65), (0, 0.6), (0, 0.2)]);
        let at = |target| threshold(1, &found, target);
        assert_eq!((at(1.0).score, at(1.0).kept, at(1.0).accuracy), (Some(0.8), 2, 1.0));
        assert_eq!((at(0.75).score, at(0.75).kept, at(0.75).accuracy), (Some(0.64), 4, 0.75));
        assert_eq!((at(0.6).score, at(0.6).kept, at(0.6).answers), (Some(0.0), 5, 5));
        assert_eq!(threshold(0, &found, 0.99).score, Some(0.0));
    }

    #[test]
    fn no_threshold_suffices_if_the_surest_answers_are_wrong() {
        let found = outcomes(&[(0, 0.9), (1, 0.9), (1, 0.8)]);
        // The two best answers have the same score, and one of them is wrong.
        assert_eq!(threshold(1, &found, 0.7).score, None);
        assert_eq!(threshold(1, &found, 0.6).score, Some(0.0));
        let none = threshold(1, &[], 0.9);
        assert_eq!((none.score, none.answers), (Some(0.0), 0));
    }

    #[test]
    fn a_threshold_lies_between_the_scores_that_it_divides() {
        assert_eq!(shortest_between(0.5, 0.9), 0.9);
        assert_eq!(shortest_between(0.7112, 0.7114), 0.7114);
        let (low, high) = (f64::from(0.711_391_5f32), f64::from(0.711_393_f32));
        let between = shortest_between(low, high);
        assert!(low < between && between <= high, "{between}");
    }
}
