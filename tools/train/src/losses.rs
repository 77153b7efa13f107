//! Losses on logits that several commands share.

use tch::{Kind, Reduction, Tensor};

use crate::batch::LabelledBatch;
use crate::error::Result;

/// Logit of a label that does not count. Its probability is 0, and its product with 0 is defined.
pub const ABSENT: f64 = -1e4;

/// Returns `logits` `[rows, labels]` with [`ABSENT`] where `known`, of the same shape, is false.
/// Their softmax is over the other labels only.
pub fn among_known(logits: &Tensor, known: Option<&Tensor>) -> Result<Tensor> {
    match known {
        Some(known) => Ok(logits.f_masked_fill(&known.f_logical_not()?, ABSENT)?),
        None => Ok(logits.shallow_clone()),
    }
}

/// Computes the cross-entropy with the labels of `batch`, summed over the rows that have one. Each
/// row counts only the labels that its source covers. `weights` `[labels]` weigh the labels;
/// `smoothing` is the share of a target that is spread over the covered labels.
pub fn cross_entropy_sum(
    logits: &Tensor,
    batch: &LabelledBatch,
    weights: Option<&Tensor>,
    smoothing: f64,
) -> Result<Tensor> {
    let Some(known) = &batch.known else {
        let ignored = LabelledBatch::NO_LABEL;
        return Ok(logits.f_cross_entropy_loss(
            &batch.labels,
            weights,
            Reduction::Sum,
            ignored,
            smoothing,
        )?);
    };
    let found = among_known(logits, Some(known))?.f_log_softmax(-1, Kind::Float)?;
    let labelled = batch.labels.f_ne(LabelledBatch::NO_LABEL)?.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
    let chosen =
        found.f_zeros_like()?.f_scatter_value(-1, &batch.labels.f_clamp_min(0)?.f_unsqueeze(-1)?, 1.0)?;
    let known = known.f_to_kind(Kind::Float)?;
    let spread = known.f_div(&known.f_sum_dim_intlist(-1, true, Kind::Float)?)?;
    let target = chosen.f_mul_scalar(1.0 - smoothing)?.f_add(&spread.f_mul_scalar(smoothing)?)?;
    let target = match weights {
        Some(weights) => target.f_mul(weights)?,
        None => target,
    };
    Ok(target.f_mul(&found)?.f_mul(&labelled)?.f_sum(Kind::Float)?.f_neg()?)
}

/// Computes the distance between the answers to texts and to their changed copies: the mean of both
/// Kullback-Leibler divergences, over the copies, in nats. It is zero without copies.
pub fn copy_divergence(logits: &Tensor, batch: &LabelledBatch) -> Result<Tensor> {
    let Some(originals) = &batch.originals else {
        return Ok(Tensor::f_zeros([], (Kind::Float, logits.device()))?);
    };
    let logs = logits.f_log_softmax(-1, Kind::Float)?;
    let of_texts = logs.f_index_select(0, originals)?;
    let of_copies = logs.f_narrow(0, batch.texts(), originals.size()[0])?;
    // KL(p, q) + KL(q, p) is the sum of (p - q) (log p - log q).
    let both = of_texts.f_exp()?.f_sub(&of_copies.f_exp()?)?.f_mul(&of_texts.f_sub(&of_copies)?)?;
    Ok(both.f_sum_dim_intlist(-1, false, Kind::Float)?.f_mean(Kind::Float)?.f_mul_scalar(0.5)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tch::Device;

    use super::*;
    use crate::classification::EncodedExample;

    fn batch(examples: &[EncodedExample]) -> LabelledBatch {
        LabelledBatch::new(examples.iter(), 0, Device::Cpu).unwrap()
    }

    #[test]
    fn losses_are_among_the_labels_known() {
        let partial: Arc<[bool]> = [true, false, true].into();
        let of = |label, known: Option<&Arc<[bool]>>| EncodedExample {
            known: known.cloned(),
            ..EncodedExample::new(vec![1, 2], label)
        };
        let unlabelled = of(crate::classification::UNLABELLED, Some(&partial));
        let batch = batch(&[of(2, Some(&partial)), of(1, None), unlabelled]);
        let rows = [[0.5_f64, 3.0, 1.5], [0.2, 0.1, -0.4], [0.0, 0.0, 0.0]];
        let logits = Tensor::from_slice2(&rows).to_kind(Kind::Float);
        let log_sum = |of: &[f64]| of.iter().map(|it| it.exp()).sum::<f64>().ln();
        let logs = [rows[0].map(|it| it - log_sum(&[0.5, 1.5])), rows[1].map(|it| it - log_sum(&rows[1]))];
        let found = |weights: Option<&Tensor>, smoothing| {
            cross_entropy_sum(&logits, &batch, weights, smoothing).unwrap().double_value(&[])
        };
        assert!((found(None, 0.0) + logs[0][2] + logs[1][1]).abs() < 1e-5);
        let smooth = 0.8 * logs[0][2]
            + 0.1 * (logs[0][0] + logs[0][2])
            + 0.8 * logs[1][1]
            + 0.2 / 3.0 * logs[1].iter().sum::<f64>();
        assert!((found(None, 0.2) + smooth).abs() < 1e-5);
        let weights = Tensor::from_slice(&[2.0_f32, 3.0, 5.0]);
        let weighted = 5.0 * logs[0][2] + 3.0 * logs[1][1];
        assert!((found(Some(&weights), 0.0) + weighted).abs() < 1e-4);
    }

    /// Compares with libtorch's cross-entropy where all labels are covered.
    #[test]
    fn a_mask_that_hides_nothing_changes_nothing() {
        let all: Arc<[bool]> = [true; 3].into();
        let of = |known| EncodedExample { known, ..EncodedExample::new(vec![1], 1) };
        let (with, without) = (batch(&[of(Some(all))]), batch(&[of(None)]));
        let logits = Tensor::from_slice2(&[[0.5_f32, 3.0, 1.5]]);
        let weights = Tensor::from_slice(&[2.0_f32, 3.0, 5.0]);
        for smoothing in [0.0, 0.3] {
            let of = |batch: &LabelledBatch| {
                cross_entropy_sum(&logits, batch, Some(&weights), smoothing).unwrap().double_value(&[])
            };
            assert!((of(&with) - of(&without)).abs() < 1e-5);
        }
    }

    #[test]
    fn copies_are_compared_with_their_texts() {
        let mut first = EncodedExample::new(vec![1, 2], 0);
        first.copies = vec![vec![1, 3, 2]];
        let batch = batch(&[EncodedExample::new(vec![4], 1), first]);
        assert_eq!((batch.texts(), batch.labels.size()), (2, vec![3]));
        assert_eq!(Vec::<i64>::try_from(&batch.labels).unwrap(), [1, 0, 0]);
        let (p, q) = ([0.2_f64, 0.8], [0.5_f64, 0.5]);
        let logits = Tensor::from_slice2(&[[0.9_f64, 0.1], p, q]).log().to_kind(Kind::Float);
        let divergence =
            |a: [f64; 2], b: [f64; 2]| (0..2).map(|it| a[it] * (a[it] / b[it]).ln()).sum::<f64>();
        let expected = (divergence(p, q) + divergence(q, p)) / 2.0;
        assert!((copy_divergence(&logits, &batch).unwrap().double_value(&[]) - expected).abs() < 1e-6);
        assert_eq!(
            batch.spread(&Tensor::from_slice(&[7_i64, 8])).unwrap(),
            Tensor::from_slice(&[7_i64, 8, 8])
        );
        let alone = batch.of_texts().unwrap();
        assert_eq!(alone.ids.size(), [2, 3]);
        assert_eq!(copy_divergence(&logits.narrow(0, 0, 2), &alone).unwrap().double_value(&[]), 0.0);
    }
}
