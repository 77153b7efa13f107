//! Objective of the training: the int8 model learns the f32 outputs of a teacher.

use tch::{Reduction, Tensor};

use crate::batch::LabelledBatch;
use crate::classification::{EncodedExample, TextClassifier, metrics_of};
use crate::error::Result;
use crate::finetune::{HardLabels, Objective};
use crate::metrics::Metrics;
use crate::model::{Int8, Mode};

/// Divergence from the teacher's probabilities, mixed with the cross-entropy of the texts' labels.
/// There is no dropout: its noise would be larger than the rounding that is to be learnt.
#[derive(Debug)]
pub(super) struct Int8Objective {
    pub(super) teacher: TextClassifier,
    /// Weight of the teacher, from 0 (labels only) to 1 (teacher only).
    pub(super) teacher_weight: f64,
    pub(super) hard: HardLabels,
}

impl Objective for Int8Objective {
    fn loss(&self, classifier: &TextClassifier, batch: &LabelledBatch) -> Result<Tensor> {
        let logits = classifier.logits_int8(batch, Int8::Everything)?;
        let weight = self.teacher_weight;
        if weight == 0.0 {
            let hard = self.hard.cross_entropy(&logits, batch)?;
            return Ok(hard.f_add(&self.hard.consistency(&logits, batch)?)?);
        }
        let taught = tch::no_grad(|| self.teacher.logits(&batch.of_texts()?, Mode::Evaluate))?;
        let soft = divergence(&logits, &batch.spread(&taught)?)?;
        let soft = soft.f_mul_scalar(weight)?.f_add(&self.hard.consistency(&logits, batch)?)?;
        if weight == 1.0 {
            return Ok(soft);
        }
        let hard = self.hard.cross_entropy(&logits, batch)?;
        Ok(soft.f_add(&hard.f_mul_scalar(1.0 - weight)?)?)
    }

    fn evaluate(
        &self,
        classifier: &TextClassifier,
        examples: &[EncodedExample],
        padding: u16,
    ) -> Result<Metrics> {
        let logits = classifier.logits_of_all(examples, padding, Some(Int8::Everything))?;
        Ok(metrics_of(&logits, examples))
    }
}

/// Computes the Kullback-Leibler divergence of the probabilities of `logits` from those of
/// `taught`, both `[batch, labels]`: the mean over the rows, in nats.
fn divergence(logits: &Tensor, taught: &Tensor) -> Result<Tensor> {
    let texts = logits.size()[0] as f64;
    let kind = logits.kind();
    let (found, taught) = (logits.f_log_softmax(-1, kind)?, taught.f_log_softmax(-1, kind)?);
    Ok(found.f_kl_div(&taught, Reduction::Sum, true)?.f_div_scalar(texts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_of_two_texts_by_hand() {
        let logarithms = |rows: [[f64; 2]; 2]| Tensor::from_slice2(&rows.map(|row| row.map(f64::ln)));
        let found = logarithms([[0.5, 0.5], [0.9, 0.1]]);
        let taught = logarithms([[0.25, 0.75], [0.9, 0.1]]);
        let expected = (0.25 * (0.25_f64 / 0.5).ln() + 0.75 * (0.75_f64 / 0.5).ln()) / 2.0;
        assert!((divergence(&found, &taught).unwrap().double_value(&[]) - expected).abs() < 1e-12);
    }
}
