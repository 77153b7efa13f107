//! Report on the effect of int8 on a classifier, as a file and as a table.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::comparison::{Comparison, Flips};
use crate::classification::{EncodedExample, TextClassifier, metrics_of};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::{Int8, ModelPart};
use crate::run::Progress;

/// Metrics on dev, written as `report.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The folder's classifier in f32.
    pub f32: Metrics,
    /// The same classifier in int8, with its weights quantized as `electra pack` quantizes them
    /// (post-training quantization).
    pub ptq: Quantized,
    /// The result of the training in int8 (quantization-aware training).
    pub qat: Quantized,
    /// Labels in int8 that the training changed.
    pub qat_versus_ptq: Flips,
    /// Effect of int8 in each part alone, with the rest of the model in f32.
    pub sensitivity: Vec<Sensitivity>,
}

/// A classifier in int8.
#[derive(Clone, Debug, Serialize)]
pub struct Quantized {
    /// Metrics on dev.
    pub dev: Metrics,
    /// Comparison with the folder's classifier in f32.
    pub versus_f32: Comparison,
}

/// Effect of int8 in one part.
#[derive(Clone, Debug, Serialize)]
pub struct Sensitivity {
    /// Name of the part.
    pub part: String,
    /// Number of texts of the measurement.
    pub texts: usize,
    /// Comparison with the whole model in f32.
    pub versus_f32: Comparison,
}

impl Report {
    /// Measures both classifiers on `examples`, and the sensitivity on at most `sensitivity_texts`
    /// of them. `padding` is the id that fills short rows.
    pub(super) fn measure(
        before: &TextClassifier,
        trained: &TextClassifier,
        examples: &[EncodedExample],
        padding: u16,
        sensitivity_texts: usize,
    ) -> Result<Self> {
        let everything = Some(Int8::Everything);
        let f32 = before.logits_of_all(examples, padding, None)?;
        let ptq = before.logits_of_all(examples, padding, everything)?;
        let qat = trained.logits_of_all(examples, padding, everything)?;
        let quantized = |logits: &[Vec<f64>]| Quantized {
            dev: metrics_of(logits, examples),
            versus_f32: Comparison::new(&f32, logits, examples),
        };
        Ok(Self {
            f32: metrics_of(&f32, examples),
            ptq: quantized(&ptq),
            qat: quantized(&qat),
            qat_versus_ptq: Comparison::new(&ptq, &qat, examples).flips,
            sensitivity: sensitivity(before, &spread(examples, sensitivity_texts), padding)?,
        })
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::field(file, "report", error.to_string(), "JSON"))?;
        std::fs::write(file, text + "\n").map_err(Error::write(file))
    }
}

fn sensitivity(
    classifier: &TextClassifier,
    examples: &[EncodedExample],
    padding: u16,
) -> Result<Vec<Sensitivity>> {
    if examples.is_empty() {
        return Ok(Vec::new());
    }
    let parts = ModelPart::all(&classifier.config);
    let f32 = classifier.logits_of_all(examples, padding, None)?;
    let mut progress = Progress::new("sensitivity", parts.len() as u64, 0);
    let mut found = Vec::with_capacity(parts.len());
    for (done, part) in (1..).zip(parts) {
        let logits = classifier.logits_of_all(examples, padding, Some(Int8::Only(part)))?;
        let versus_f32 = Comparison::new(&f32, &logits, examples);
        found.push(Sensitivity { part: part.to_string(), texts: examples.len(), versus_f32 });
        progress.step(done);
        progress.report(done, &part.to_string());
    }
    Ok(found)
}

/// Returns at most `count` of `examples`, evenly spread, because files are often sorted by label.
fn spread(examples: &[EncodedExample], count: usize) -> Vec<EncodedExample> {
    let count = count.min(examples.len());
    (0..count).map(|index| examples[index * examples.len() / count].clone()).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<28}{:>9}{:>10}{:>9}{:>8}{:>8}",
            "", "accuracy", "to wrong", "to right", "other", "p"
        )?;
        writeln!(out, "{:<28}{:>7.2} %", "f32", self.f32.accuracy * 100.0)?;
        for (name, it) in [("int8, as packed", &self.ptq), ("int8, trained", &self.qat)] {
            write!(out, "{name:<28}{:>7.2} %", it.dev.accuracy * 100.0)?;
            write_flips(out, &it.versus_f32.flips)?;
        }
        write!(out, "{:<37}", "  trained against packed")?;
        write_flips(out, &self.qat_versus_ptq)?;
        writeln!(out, "\n{:<28}{:>9}{:>10}{:>9}", "logits against f32", "mean", "largest", "flips")?;
        let mut line = |name: &str, it: &Comparison| {
            let (mean, largest) = (it.mean_logit_difference, it.largest_logit_difference);
            writeln!(out, "{name:<28}{mean:>9.5}{largest:>10.5}{:>9}", it.flips.count())
        };
        line("int8, as packed", &self.ptq.versus_f32)?;
        line("int8, trained", &self.qat.versus_f32)?;
        for it in &self.sensitivity {
            line(&format!("only {}", it.part), &it.versus_f32)?;
        }
        Ok(())
    }
}

/// Writes `flips` and ends the line.
fn write_flips(out: &mut fmt::Formatter<'_>, flips: &Flips) -> fmt::Result {
    let Flips { right_to_wrong, wrong_to_right, wrong_to_wrong, mcnemar_p } = flips;
    writeln!(out, "{right_to_wrong:>10}{wrong_to_right:>9}{wrong_to_wrong:>8}{mcnemar_p:>8.3}")
}
