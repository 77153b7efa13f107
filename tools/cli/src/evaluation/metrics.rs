//! Metrics of an evaluation.

use std::f64::consts::PI;
use std::time::Duration;

use electra_core::verdict;

/// Number of bins of the calibration error.
const BINS: usize = 15;
/// Quantile of the normal distribution for a two-sided 95 % interval.
const Z: f64 = 1.959_964;
/// 95th percentile of the normal distribution.
const Z_ONE_SIDED: f64 = 1.644_854;

/// Result of a model for one labelled text.
pub(crate) struct Outcome {
    pub expected: usize,
    /// Probability of each label.
    pub scores: Vec<f32>,
    /// Whether the answer is UNSURE.
    pub unsure: bool,
    pub latency: Duration,
}

impl Outcome {
    /// Returns the likeliest label and its score.
    pub(crate) fn predicted(&self) -> (usize, f32) {
        verdict::likeliest(self.scores.iter().copied()).unwrap_or((0, 0.0))
    }
}

/// Metrics of one label.
pub(crate) struct ClassMetrics {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// The answers that are not UNSURE.
pub(crate) struct Answered {
    pub texts: usize,
    /// Their accuracy, 0 if there are none, and Wilson's score interval of it at 95 %.
    pub accuracy: f64,
    pub interval: (f64, f64),
}

/// Answers whose scores lie in the same bin.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bin {
    pub texts: f64,
    /// Sum of the scores.
    pub confidence: f64,
    /// Variance of the number of right answers if the scores are exact.
    pub variance: f64,
    /// Number of right answers.
    pub right: f64,
}

/// Calibration error of a model that is calibrated perfectly: a text with score `s` is right with
/// probability `s`. It is above 0 because the number of right answers per bin varies from one
/// sample of texts to the next. A calibration error below [`Chance::usual`] is no evidence of a
/// fault of the scores.
pub(crate) struct Chance {
    pub mean: f64,
    /// 95th percentile, with the sum over the bins taken as normal, which is a few percent too low.
    pub usual: f64,
}

/// Metrics of an evaluation.
pub(crate) struct Metrics {
    pub labels: Vec<String>,
    pub texts: usize,
    pub accuracy: f64,
    /// Wilson's score interval of the accuracy at 95 %.
    pub interval: (f64, f64),
    /// The answers that are not UNSURE.
    pub answered: Answered,
    pub classes: Vec<ClassMetrics>,
    pub macro_f1: f64,
    /// `confusion[expected][predicted]`
    pub confusion: Vec<Vec<u64>>,
    /// Expected calibration error (Naeini et al. 2015): mean absolute difference between confidence
    /// and accuracy in bins of equal width, weighted by the number of texts per bin.
    pub calibration_error: f64,
    /// Calibration error by chance.
    pub chance: Chance,
    /// 50th, 90th and 99th percentile and mean, in milliseconds.
    pub latency_ms: [f64; 4],
}

impl Metrics {
    /// Computes the metrics. `outcomes` must not be empty.
    pub(crate) fn new(labels: &[String], outcomes: &[Outcome]) -> Self {
        let mut confusion = vec![vec![0; labels.len()]; labels.len()];
        for outcome in outcomes {
            confusion[outcome.expected][outcome.predicted().0] += 1;
        }
        let right: u64 = (0..labels.len()).map(|label| confusion[label][label]).sum();
        let classes: Vec<_> = (0..labels.len()).map(|label| class_metrics(&confusion, label)).collect();
        Self {
            labels: labels.to_vec(),
            texts: outcomes.len(),
            accuracy: right as f64 / outcomes.len() as f64,
            interval: wilson(right as f64, outcomes.len() as f64),
            answered: answered(outcomes),
            macro_f1: classes.iter().map(|class| class.f1).sum::<f64>() / classes.len() as f64,
            classes,
            confusion,
            calibration_error: calibration_error(outcomes),
            chance: chance(outcomes),
            latency_ms: latencies(outcomes),
        }
    }
}

fn answered(outcomes: &[Outcome]) -> Answered {
    let answers: Vec<_> = outcomes.iter().filter(|outcome| !outcome.unsure).collect();
    let right = answers.iter().filter(|outcome| outcome.predicted().0 == outcome.expected).count() as f64;
    let texts = answers.len();
    match texts {
        0 => Answered { texts, accuracy: 0.0, interval: (0.0, 1.0) },
        _ => Answered { texts, accuracy: right / texts as f64, interval: wilson(right, texts as f64) },
    }
}

fn class_metrics(confusion: &[Vec<u64>], label: usize) -> ClassMetrics {
    let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let right = confusion[label][label];
    let expected = confusion[label].iter().sum();
    let predicted = confusion.iter().map(|row| row[label]).sum();
    ClassMetrics {
        precision: ratio(right, predicted),
        recall: ratio(right, expected),
        f1: ratio(2 * right, expected + predicted),
    }
}

/// Computes the score interval of Wilson, "Probable Inference, the Law of Succession, and
/// Statistical Inference" (1927).
pub(crate) fn wilson(right: f64, texts: f64) -> (f64, f64) {
    let share = right / texts;
    let z2 = Z * Z / texts;
    let centre = (share + z2 / 2.0) / (1.0 + z2);
    let half = Z * (share * (1.0 - share) / texts + z2 / (4.0 * texts)).sqrt() / (1.0 + z2);
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

fn calibration_error(outcomes: &[Outcome]) -> f64 {
    let difference = |bin: &Bin| (bin.confidence - bin.right).abs();
    bins(outcomes).iter().map(difference).sum::<f64>() / outcomes.len() as f64
}

/// Computes the calibration error by chance for the scores of `outcomes`. It is the distribution
/// that Broecker and Smith, "Increasing the Reliability of Reliability Diagrams" (2007), draw
/// samples from, with the difference of each bin taken as normal. The variance of that difference
/// is the sum of `s (1 - s)`. The absolute value of a normal variable with variance `v` has the
/// mean `sqrt(2 v / pi)` and the variance `v (1 - 2 / pi)`.
fn chance(outcomes: &[Outcome]) -> Chance {
    let bins = bins(outcomes);
    let texts = outcomes.len() as f64;
    let mean = bins.iter().map(|bin| (bin.variance * 2.0 / PI).sqrt()).sum::<f64>() / texts;
    let variance = bins.iter().map(|bin| bin.variance * (1.0 - 2.0 / PI)).sum::<f64>();
    Chance { mean, usual: mean + Z_ONE_SIDED * variance.sqrt() / texts }
}

/// Divides the answers into bins of equal width by their scores.
pub(crate) fn bins(outcomes: &[Outcome]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for outcome in outcomes {
        let (predicted, score) = outcome.predicted();
        let bin = &mut bins[((score * BINS as f32) as usize).min(BINS - 1)];
        let score = f64::from(score);
        bin.texts += 1.0;
        bin.confidence += score;
        bin.variance += score * (1.0 - score);
        bin.right += if predicted == outcome.expected { 1.0 } else { 0.0 };
    }
    bins
}

/// Returns the 50th, 90th and 99th percentile by nearest rank, and the mean, in milliseconds.
fn latencies(outcomes: &[Outcome]) -> [f64; 4] {
    let mut sorted: Vec<f64> = outcomes.iter().map(|outcome| 1e3 * outcome.latency.as_secs_f64()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
    [at(0.5), at(0.9), at(0.99), sorted.iter().sum::<f64>() / sorted.len() as f64]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(expected: usize, positive: f32, ms: u64) -> Outcome {
        let latency = Duration::from_millis(ms);
        Outcome { expected, scores: vec![1.0 - positive, positive], unsure: positive < 0.4, latency }
    }

    #[test]
    fn figures_of_a_small_case_by_hand() {
        let labels = ["N".to_owned(), "P".to_owned()];
        let outcomes = [
            outcome(1, 0.9, 1),
            outcome(1, 0.8, 2),
            outcome(0, 0.7, 3),
            outcome(0, 0.1, 4),
            outcome(1, 0.3, 10),
        ];
        let metrics = Metrics::new(&labels, &outcomes);
        assert_eq!(metrics.confusion, [[1, 1], [1, 2]]);
        assert!((metrics.accuracy - 0.6).abs() < 1e-12);
        // Without 0.1 and 0.3.
        assert_eq!(metrics.answered.texts, 3);
        assert!((metrics.answered.accuracy - 2.0 / 3.0).abs() < 1e-12);
        assert!((metrics.classes[1].precision - 2.0 / 3.0).abs() < 1e-12);
        assert!((metrics.classes[0].f1 - 0.5).abs() < 1e-12);
        assert!((metrics.macro_f1 - (0.5 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        // Wilson's interval of 3 in 5, computed by hand from its formula.
        assert!((metrics.interval.0 - 0.2307).abs() < 5e-4 && (metrics.interval.1 - 0.8824).abs() < 5e-4);
        // Bins of width 1/15: 0.9 twice, both right; 0.8, right; 0.7 twice, both wrong.
        assert!((metrics.calibration_error - (0.2 + 0.2 + 1.4) / 5.0).abs() < 1e-6);
        assert_eq!(metrics.latency_ms, [3.0, 10.0, 10.0, 4.0]);
    }

    /// The oracle draws which answers are right, each with the probability that its score gives.
    #[test]
    fn calibration_error_by_chance_is_that_of_drawn_answers() {
        let mut state = 1_u64;
        let mut draw = || {
            // Lehmer's generator with the constants of Park and Miller (1988).
            state = state * 48_271 % 0x7fff_ffff;
            state as f32 / 2_147_483_647.0
        };
        let scores: Vec<f32> = (0..600).map(|_| 0.5 + 0.5 * draw().sqrt()).collect();
        let mut found: Vec<f64> = (0..2000)
            .map(|_| {
                let answers: Vec<_> =
                    scores.iter().map(|&score| outcome(usize::from(draw() < score), score, 1)).collect();
                calibration_error(&answers)
            })
            .collect();
        found.sort_unstable_by(f64::total_cmp);
        let answers: Vec<_> = scores.iter().map(|&score| outcome(1, score, 1)).collect();
        let chance = chance(&answers);
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        assert!((chance.mean / mean - 1.0).abs() < 0.02, "{} {mean}", chance.mean);
        // The sum over the bins is skewed, so the normal approximation is a little low.
        let ratio = chance.usual / found[1900];
        assert!((0.95..1.0).contains(&ratio), "{} {}", chance.usual, found[1900]);
    }
}
