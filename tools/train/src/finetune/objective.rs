//! Loss of a trial, and the metrics by which it is judged.

use std::fmt::Debug;

use tch::{Device, Tensor};

use super::trial_settings::{ClassWeights, TrialSettings};
use crate::batch::LabelledBatch;
use crate::classification::{EncodedExample, TextClassifier};
use crate::error::Result;
use crate::losses::{copy_divergence, cross_entropy_sum};
use crate::metrics::Metrics;
use crate::model::Mode;

/// Loss of a trial, and its metrics on dev.
pub trait Objective: Debug {
    /// Returns the loss over `batch`, a scalar.
    fn loss(&self, classifier: &TextClassifier, batch: &LabelledBatch) -> Result<Tensor>;
    /// Computes the metrics that decide which classifier of a trial is the best. `padding` is the
    /// id that fills short rows.
    fn evaluate(
        &self,
        classifier: &TextClassifier,
        examples: &[EncodedExample],
        padding: u16,
    ) -> Result<Metrics>;
}

/// Cross-entropy with the labels of the texts, plus the distance between the answers to a text and
/// to its copies.
#[derive(Debug)]
pub struct HardLabels {
    weights: Option<Tensor>,
    smoothing: f64,
    consistency: f64,
}

impl HardLabels {
    /// Prepares the loss for `labels` labels. Class weights follow from the frequency of the labels
    /// in `examples`.
    pub fn new(
        settings: &TrialSettings,
        examples: &[EncodedExample],
        labels: usize,
        device: Device,
    ) -> Result<Self> {
        let weights = class_weights(settings.class_weights, examples, labels, device)?;
        Ok(Self { weights, smoothing: settings.label_smoothing, consistency: settings.consistency })
    }

    /// Computes the mean cross-entropy over the rows of `logits` `[rows, labels]`, a scalar.
    pub fn cross_entropy(&self, logits: &Tensor, batch: &LabelledBatch) -> Result<Tensor> {
        // libtorch's weighted mean is divided by the weights in the batch, so the weight of a
        // batch's only label would have no effect.
        let sum = cross_entropy_sum(logits, batch, self.weights.as_ref(), self.smoothing)?;
        Ok(sum.f_div_scalar(batch.labels.size()[0] as f64)?)
    }

    /// Computes the weighted distance between the answers to copies and those to their texts, a
    /// scalar. `logits` are `[rows, labels]`.
    pub fn consistency(&self, logits: &Tensor, batch: &LabelledBatch) -> Result<Tensor> {
        Ok(copy_divergence(logits, batch)?.f_mul_scalar(self.consistency)?)
    }
}

impl Objective for HardLabels {
    fn loss(&self, classifier: &TextClassifier, batch: &LabelledBatch) -> Result<Tensor> {
        let logits = classifier.logits(batch, Mode::Train)?;
        Ok(self.cross_entropy(&logits, batch)?.f_add(&self.consistency(&logits, batch)?)?)
    }

    fn evaluate(
        &self,
        classifier: &TextClassifier,
        examples: &[EncodedExample],
        padding: u16,
    ) -> Result<Metrics> {
        classifier.evaluate(examples, padding)
    }
}

/// Returns weights `[labels]` that are inverse to the frequency of the labels and have a mean of 1
/// over the texts.
fn class_weights(
    choice: ClassWeights,
    examples: &[EncodedExample],
    labels: usize,
    device: Device,
) -> Result<Option<Tensor>> {
    if choice == ClassWeights::None {
        return Ok(None);
    }
    let mut counts = vec![0_u32; labels];
    for example in examples {
        counts[example.label] += 1;
    }
    let weight = |&count: &u32| (examples.len() as f64 / (labels as f64 * f64::from(count.max(1)))) as f32;
    let weights: Vec<f32> = counts.iter().map(weight).collect();
    Ok(Some(Tensor::f_from_slice(&weights)?.f_to_device(device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_labels_weigh_more() {
        let examples: Vec<EncodedExample> =
            [0, 0, 0, 1].map(|label| EncodedExample::new(vec![1], label)).to_vec();
        let weights = class_weights(ClassWeights::Balanced, &examples, 2, Device::Cpu).unwrap().unwrap();
        let weights: Vec<f32> = Vec::try_from(weights).unwrap();
        assert!((weights[0] - 2.0 / 3.0).abs() < 1e-6 && (weights[1] - 2.0).abs() < 1e-6, "{weights:?}");
    }
}
