//! Computes the figures of an evaluation from labelled texts and the model's scores.

pub(crate) mod curve;
pub(crate) mod label_column;
pub(crate) mod metrics;
pub(crate) mod thresholds;
