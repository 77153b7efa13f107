//! Metrics of a classifier on labelled texts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Number of bins of the calibration error.
const BINS: usize = 15;
/// Quantile of the normal distribution for a two-sided 95 % interval.
const Z: f64 = 1.959_964;

/// Metrics over a set of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of texts.
    pub texts: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of the texts with the right label.
    pub accuracy: f64,
    /// Wilson's score interval of the accuracy at 95 %.
    pub interval: (f64, f64),
    /// Mean F1 over the labels that occur or are predicted.
    pub macro_f1: f64,
    /// Mean recall over the labels that occur.
    #[serde(default)]
    pub macro_recall: f64,
    /// Expected calibration error (Naeini et al. 2015) over bins of equal width.
    pub calibration_error: f64,
}

impl Metrics {
    /// Computes the metrics. `scores` has the probabilities of all labels for each text, `expected`
    /// the index of its label.
    pub fn new(scores: &[Vec<f64>], expected: &[usize]) -> Self {
        let labels = scores.first().map_or(0, Vec::len);
        let texts = expected.len();
        let mut confusion = vec![vec![0_usize; labels]; labels];
        let mut bins = [(0.0, 0.0); BINS];
        let mut loss = 0.0;
        for (scores, &expected) in scores.iter().zip(expected) {
            let best = |best: usize, label: usize| if scores[label] > scores[best] { label } else { best };
            let predicted = (0..labels).fold(0, best);
            confusion[expected][predicted] += 1;
            loss -= scores[expected].max(f64::MIN_POSITIVE).ln();
            let bin = &mut bins[((scores[predicted] * BINS as f64) as usize).min(BINS - 1)];
            bin.0 += scores[predicted];
            bin.1 += f64::from(u8::from(predicted == expected));
        }
        let right: usize = (0..labels).map(|label| confusion[label][label]).sum();
        let count = texts.max(1) as f64;
        Self {
            texts,
            loss: loss / count,
            accuracy: right as f64 / count,
            interval: wilson(right, texts),
            macro_f1: mean((0..labels).filter_map(|label| f1(&confusion, label))),
            macro_recall: mean((0..labels).filter_map(|label| recall(&confusion, label))),
            calibration_error: bins.iter().map(|(scores, right)| (scores - right).abs()).sum::<f64>() / count,
        }
    }
}

impl Metrics {
    /// Returns whether these metrics are better than `other`: a higher accuracy, or the same
    /// accuracy and a lower loss.
    pub fn is_better_than(&self, other: &Self) -> bool {
        (self.accuracy, -self.loss) > (other.accuracy, -other.loss)
    }

    /// Returns the metrics on dev as figures of a run's log.
    pub fn dev_figures(&self) -> Map<String, Value> {
        let figures = [
            ("dev_accuracy", self.accuracy),
            ("dev_loss", self.loss),
            ("dev_macro_f1", self.macro_f1),
            ("dev_macro_recall", self.macro_recall),
            ("dev_calibration_error", self.calibration_error),
        ];
        figures.map(|(name, value)| (name.to_owned(), Value::from(value))).into_iter().collect()
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.interval;
        write!(
            f,
            "accuracy {:.2} % ({:.1} to {:.1}), loss {:.4}, calibration error {:.2} %",
            self.accuracy * 100.0,
            low * 100.0,
            high * 100.0,
            self.loss,
            self.calibration_error * 100.0
        )
    }
}

/// Returns the median of `values`: the mean of the middle two if their number is even, 0 if there
/// are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

fn wilson(right: usize, texts: usize) -> (f64, f64) {
    if texts == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (texts as f64, right as f64 / texts as f64);
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    ((centre - half) / scale, (centre + half) / scale)
}

/// Returns the F1 of a label; `None` if it neither occurs nor is predicted.
fn f1(confusion: &[Vec<usize>], label: usize) -> Option<f64> {
    let predicted: usize = confusion.iter().map(|row| row[label]).sum();
    let actual: usize = confusion[label].iter().sum();
    (predicted + actual > 0).then(|| 2.0 * confusion[label][label] as f64 / (predicted + actual) as f64)
}

/// Returns the recall of a label; `None` if it does not occur.
fn recall(confusion: &[Vec<usize>], label: usize) -> Option<f64> {
    let actual: usize = confusion[label].iter().sum();
    (actual > 0).then(|| confusion[label][label] as f64 / actual as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_texts_by_hand() {
        let scores = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]].map(|it| it.to_vec());
        let metrics = Metrics::new(&scores, &[0, 1, 1, 1]);
        assert_eq!((metrics.texts, metrics.accuracy), (4, 0.75));
        let loss = -(0.9_f64.ln() + 0.8_f64.ln() + 0.4_f64.ln() + 0.7_f64.ln()) / 4.0;
        assert!((metrics.loss - loss).abs() < 1e-12);
        // F1: NEGATIVE 2/3, POSITIVE 4/5.
        assert!((metrics.macro_f1 - (2.0 / 3.0 + 0.8) / 2.0).abs() < 1e-12);
        // NEGATIVE 1 of 1, POSITIVE 2 of 3; a third label that never occurs changes neither.
        assert!((metrics.macro_recall - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        let three = scores.clone().map(|row| [row, vec![0.0]].concat());
        let three = Metrics::new(&three, &[0, 1, 1, 1]);
        assert_eq!((three.macro_f1, three.macro_recall), (metrics.macro_f1, metrics.macro_recall));
        // Every text is in a bin of its own: 0.1, 0.2, 0.6 and 0.3 away from its outcome.
        assert!((metrics.calibration_error - 0.3).abs() < 1e-12);
        // Wilson's interval for 3 of 4, from its formula in exact numbers.
        assert!((metrics.interval.0 - 0.3006).abs() < 1e-4 && (metrics.interval.1 - 0.9544).abs() < 1e-4);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
