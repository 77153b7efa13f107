//! Teachers of a student: classifiers, and stored answers of classifiers. Their probabilities are
//! averaged.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::batch::LabelledBatch;
use crate::classification::{EncodedExample, TextClassifier, Trace, labels_of, metrics_of, tokenizer_of};
use crate::data::{WordPieceTokenizer, piece_map};
use crate::device::Precision;
use crate::error::{Error, Result};
use crate::losses::ABSENT;
use crate::metrics::Metrics;
use crate::model::Mode;
use crate::model::config::Head;
use crate::model::folder::Folder;

/// Classifiers with the same labels that take ids of one vocabulary.
#[derive(Debug)]
pub struct Teachers {
    live: Vec<Live>,
    /// For each label, whether the teachers cover it.
    pub known: Vec<bool>,
}

#[derive(Debug)]
struct Live {
    classifier: TextClassifier,
    /// For each label, the index of its logit, or the number of logits if the classifier does not
    /// cover the label; `None` if the classifier has all labels in the same order.
    columns: Option<Tensor>,
    /// The classifier's id for each id of the student, see [`piece_map`].
    numbers: Option<Vec<i64>>,
}

impl Teachers {
    /// Reads the classifiers in `folders`, of which there may be none. Their labels must be among
    /// `labels` and the same for all. They will be given ids of `tokenizer`.
    pub fn read<P: AsRef<Path>>(
        folders: &[P],
        labels: &[String],
        tokenizer: &WordPieceTokenizer,
        precision: Precision,
        device: Device,
    ) -> Result<Self> {
        let mut teachers = Self { live: Vec::new(), known: vec![true; labels.len()] };
        for path in folders {
            let path = path.as_ref();
            let folder = Folder::read(path)?;
            let refuse = |found: String, expected: String| Err(Error::field(path, "labels", found, expected));
            let Head::Classification(names) = &folder.head else {
                return refuse(
                    "no classifier".to_owned(),
                    format!("the labels of data.labels, {}", labels.join(", ")),
                );
            };
            if names.iter().any(|name| !labels.contains(name)) {
                return refuse(
                    names.join(", "),
                    format!("the labels of data.labels, or some of {}", labels.join(", ")),
                );
            }
            let known: Vec<bool> = labels.iter().map(|label| names.contains(label)).collect();
            if teachers.live.is_empty() {
                teachers.known = known;
            } else if teachers.known != known {
                return refuse(names.join(", "), "the labels of the first teacher".to_owned());
            }
            let columns = match names == labels {
                true => None,
                false => {
                    let column =
                        |label| names.iter().position(|it| it == label).unwrap_or(names.len()) as i64;
                    let columns: Vec<i64> = labels.iter().map(column).collect();
                    Some(Tensor::f_from_slice(&columns)?.f_to_device(device)?)
                }
            };
            let numbers = piece_map(tokenizer, &tokenizer_of(&folder)?)?;
            let mut classifier = TextClassifier::new(&folder, labels_of(&folder)?, device, precision, 0)?;
            if let Some(numbers) = &numbers {
                classifier.renumber(numbers)?;
            }
            teachers.live.push(Live { classifier, columns, numbers });
        }
        Ok(teachers)
    }

    /// Returns the classifier whose hidden states are learnt, and its id for each id of the student
    /// if the ids differ.
    pub fn first(&self) -> Option<(&TextClassifier, Option<&[i64]>)> {
        self.live.first().map(|it| (&it.classifier, it.numbers.as_deref()))
    }

    /// Returns the length in tokens of the longest text that all classifiers take.
    pub fn longest(&self) -> i64 {
        self.live.iter().map(|it| it.classifier.config.longest_input()).min().unwrap_or(i64::MAX)
    }

    /// Returns the states and logits of the first classifier if `trace` is set, and the logarithms
    /// of the mean of all probabilities, `[texts, labels]`, f32, at `temperature`. Stored answers
    /// in `batch` count as one additional teacher. Labels that no teacher covers have a probability
    /// of 0. `batch` must not have copies.
    pub fn teach(
        &self,
        batch: &LabelledBatch,
        temperature: f64,
        trace: bool,
    ) -> Result<(Option<Trace>, Tensor)> {
        let _guard = tch::no_grad_guard();
        let soft = |logits: &Tensor| logits.f_div_scalar(temperature)?.f_log_softmax(-1, Kind::Float);
        let (mut first, mut all) = (None, Vec::new());
        for live in &self.live {
            let logits = match trace && first.is_none() {
                true => {
                    let trace = live.classifier.trace(batch, Mode::Evaluate)?;
                    let logits = trace.logits.shallow_clone();
                    first = Some(trace);
                    logits
                }
                false => live.classifier.logits(batch, Mode::Evaluate)?,
            };
            all.push(soft(&live.in_order(&logits)?)?);
        }
        if let Some(taught) = &batch.taught {
            let nobody = taught.f_isnan()?;
            let given = soft(&taught.f_masked_fill(&nobody, 0.0)?)?;
            all.push(given.f_masked_fill(&nobody, f64::NEG_INFINITY)?);
        }
        Ok((first, mean_of_probabilities(all)?))
    }

    /// Computes the metrics of all classifiers together. Returns `None` if there are no
    /// classifiers.
    pub fn evaluate(&self, examples: &[EncodedExample], padding: u16) -> Result<Option<Metrics>> {
        let mut all = Vec::new();
        for live in &self.live {
            let logits = live.classifier.logits_of_all(examples, padding, None)?.concat();
            let columns = live.classifier.labels.len() as i64;
            let logits = Tensor::f_from_slice(&logits)?.f_view([-1, columns])?.f_to_device(live.device())?;
            all.push(live.in_order(&logits)?.f_log_softmax(-1, Kind::Double)?);
        }
        if all.is_empty() {
            return Ok(None);
        }
        let flat: Vec<f64> = Vec::try_from(mean_of_probabilities(all)?.f_flatten(0, -1)?)?;
        let logits: Vec<Vec<f64>> = flat.chunks(self.known.len()).map(<[f64]>::to_vec).collect();
        Ok(Some(metrics_of(&logits, examples)))
    }
}

impl Live {
    fn device(&self) -> Device {
        self.classifier.parameters.flat().device()
    }

    /// Reorders `logits` `[texts, own labels]` into `[texts, labels]`.
    fn in_order(&self, logits: &Tensor) -> Result<Tensor> {
        let Some(columns) = &self.columns else { return Ok(logits.shallow_clone()) };
        let unknown = logits.f_narrow(1, 0, 1)?.f_full_like(ABSENT)?;
        Ok(Tensor::f_cat(&[logits, &unknown], 1)?.f_index_select(1, columns)?)
    }
}

/// Returns the logarithms of the mean of probabilities. `all` has the logarithms of each teacher's
/// probabilities, `[texts, labels]`. A teacher that gives a text minus infinity for all labels does
/// not count for that text.
fn mean_of_probabilities(mut all: Vec<Tensor>) -> Result<Tensor> {
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            all.push(last);
            let all = Tensor::f_stack(&all, 0)?;
            let voices = all.f_amax([-1_i64].as_slice(), true)?.f_isfinite()?.f_to_kind(all.kind())?;
            let voices = voices.f_sum_dim_intlist([0_i64].as_slice(), false, all.kind())?;
            Ok(all.f_logsumexp([0_i64].as_slice(), false)?.f_sub(&voices.f_log()?)?)
        }
        (None, _) => {
            Err(Error::field(Path::new("teacher"), "answers", "none", "a folder, or answers in files"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_averaged_not_logits() {
        let rows = [[0.9_f64, 0.1], [0.5, 0.5], [0.1, 0.9]];
        let all = rows.map(|row| Tensor::from_slice(&row).log().view([1, 2]));
        let mean = |of: &[Tensor]| -> Vec<f64> {
            let mean = mean_of_probabilities(of.iter().map(Tensor::shallow_clone).collect()).unwrap();
            Vec::try_from(mean.exp().view(2)).unwrap()
        };
        let found = mean(&all[..2]);
        assert!((found[0] - 0.7).abs() < 1e-12 && (found[1] - 0.3).abs() < 1e-12, "{found:?}");
        assert!((mean(&all[..1])[0] - 0.9).abs() < 1e-12);
        let silent = Tensor::from_slice(&[f64::NEG_INFINITY; 2]).view([1, 2]);
        let found = mean(&[all[0].shallow_clone(), silent, all[1].shallow_clone()]);
        assert!((found[0] - 0.7).abs() < 1e-12, "{found:?}");
    }
}
