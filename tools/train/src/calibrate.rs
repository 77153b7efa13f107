//! The command `calibrate`: scales the scores of a classifier so that they match its accuracy.
//!
//! One temperature divides all logits (Guo et al., "On Calibration of Modern Neural Networks",
//! 2017). It is folded into the weights of the last layer, so inference does not compute it. No
//! predicted label changes.

use std::path::Path;

use crate::checkpoint::write_folder;
use crate::classification::{TextClassifier, check_logits, encode, labels_of, metrics_of, tokenizer_of};
use crate::data::Source;
use crate::device::DeviceChoice;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::folder::Folder;

/// Lowest and highest temperature of the search.
const RANGE: (f64, f64) = (0.05, 20.0);

/// Result of a calibration.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Temperature by which the logits were divided.
    pub temperature: f64,
    /// Metrics before, on the texts that determined the temperature.
    pub before: Metrics,
    /// Metrics after, on the same texts.
    pub after: Metrics,
}

/// Finds the temperature at which the classifier in `path` has the smallest loss on `source`, and
/// writes the classifier with that temperature into `output`. The classifier should not have been
/// trained on these texts, because it is overconfident on them.
pub fn calibrate(path: &Path, source: &Source, output: &Path, device: DeviceChoice) -> Result<Calibration> {
    let folder = Folder::read(path)?;
    folder.check_output(output)?;
    let tokenizer = tokenizer_of(&folder)?;
    let longest = folder.config.longest_input() as usize;
    let labels = labels_of(&folder)?;
    let known = source.known(labels)?;
    let examples = encode(&source.read(labels)?, &tokenizer, longest, known.as_ref())?;
    let classifier = TextClassifier::read(&folder, device.find()?)?;
    let logits = classifier.logits_of_all(&examples, tokenizer.special.pad, None)?;
    check_logits(&logits, &folder)?;
    let at = |temperature: f64| {
        let divided: Vec<Vec<f64>> =
            logits.iter().map(|text| text.iter().map(|logit| logit / temperature).collect()).collect();
        metrics_of(&divided, &examples)
    };
    let temperature = minimum(|temperature| at(temperature).loss);
    if RANGE.0 * 1.01 > temperature || temperature > RANGE.1 / 1.01 {
        eprintln!(
            "warning: {temperature:.3} is at the end of the range; check the labels, and that the model was \
             not trained on these texts"
        );
    }
    classifier.divide_logits(temperature)?;
    write_folder(output, |folder| classifier.write(folder, tokenizer.file()))?;
    Ok(Calibration { temperature, before: at(1.0), after: at(temperature) })
}

/// Finds a minimum by golden-section search over the logarithm of the temperature. The loss has one
/// minimum in the range.
fn minimum(loss: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    while high - low > 1e-4 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if loss(left.exp()) < loss(right.exp()) {
            high = right;
        } else {
            low = left;
        }
    }
    ((low + high) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_found() {
        assert!((minimum(|it| (it / 3.0).ln().powi(2)) - 3.0).abs() < 1e-3);
    }
}
