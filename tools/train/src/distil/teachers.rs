//! Who teaches: a classifier, or several whose probabilities are averaged.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::settings::DistilSettings;
use crate::classification::{EncodedExample, LabelledBatch, TextClassifier, Trace, metrics_of};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::Mode;
use crate::model::config::Head;
use crate::model::folder::Folder;

/// Classifiers with the same labels and vocabulary.
#[derive(Debug)]
pub struct Teachers {
    /// Whose hidden states are learnt.
    pub first: TextClassifier,
    /// Folder of the first.
    pub folder: Folder,
    others: Vec<TextClassifier>,
}

impl Teachers {
    /// Those that `settings` name; refuses other labels and other vocabularies.
    pub fn read(settings: &DistilSettings, device: Device) -> Result<Self> {
        let (names, precision) = (&settings.data.labels, settings.training.precision);
        let read = |path: &Path| {
            let folder = Folder::read(path)?;
            if folder.head != Head::Classification(names.clone()) {
                let found = match &folder.head {
                    Head::Classification(names) => names.join(", "),
                    _ => "no classifier".to_owned(),
                };
                let expected = format!("the labels of data.labels, {}", names.join(", "));
                return Err(Error::field(path, "labels", found, expected));
            }
            let classifier = TextClassifier::new(&folder, names, device, precision, 0)?;
            Ok((folder, classifier))
        };
        let (folder, first) = read(&settings.teacher.folder)?;
        let mut others = Vec::new();
        for path in &settings.teacher.others {
            let (other, classifier) = read(path)?;
            other.same_vocabulary(&folder)?;
            others.push(classifier);
        }
        Ok(Self { first, folder, others })
    }

    /// Longest text in tokens that all of them take.
    pub fn longest(&self) -> i64 {
        let all = [&self.first].into_iter().chain(&self.others);
        all.map(|it| it.config.longest_input()).min().unwrap_or(0)
    }

    /// What the first one's forward pass went through, and the logarithms of the mean of all teachers' probabilities
    /// `[batch, labels]`, f32, their logits divided by `temperature`.
    pub fn teach(&self, batch: &LabelledBatch, temperature: f64) -> Result<(Trace, Tensor)> {
        let _guard = tch::no_grad_guard();
        let trace = self.first.trace(batch, Mode::Evaluate)?;
        let soft = |logits: &Tensor| logits.f_div_scalar(temperature)?.f_log_softmax(-1, Kind::Float);
        let mut all = vec![soft(&trace.logits)?];
        for other in &self.others {
            all.push(soft(&other.logits(batch, Mode::Evaluate)?)?);
        }
        let mean = mean_of_probabilities(all)?;
        Ok((trace, mean))
    }

    /// Figures of all of them together.
    pub fn evaluate(&self, examples: &[EncodedExample], padding: u16) -> Result<Metrics> {
        let mut all = Vec::new();
        for teacher in [&self.first].into_iter().chain(&self.others) {
            let logits = teacher.logits_of_all(examples, padding, None)?.concat();
            let logits = Tensor::f_from_slice(&logits)?.f_view([-1, teacher.labels.len() as i64])?;
            all.push(logits.f_log_softmax(-1, Kind::Double)?);
        }
        let flat: Vec<f64> = Vec::try_from(mean_of_probabilities(all)?.f_flatten(0, -1)?)?;
        let logits: Vec<Vec<f64>> = flat.chunks(self.first.labels.len()).map(<[f64]>::to_vec).collect();
        Ok(metrics_of(&logits, examples))
    }
}

/// Of logarithms of probabilities, one tensor a teacher, the logarithms of their mean.
fn mean_of_probabilities(mut all: Vec<Tensor>) -> Result<Tensor> {
    match (all.pop(), all.len()) {
        (Some(only), 0) => Ok(only),
        (Some(last), others) => {
            all.push(last);
            let sum = Tensor::f_stack(&all, 0)?.f_logsumexp([0_i64].as_slice(), false)?;
            Ok(sum.f_sub_scalar(((others + 1) as f64).ln())?)
        }
        (None, _) => unreachable!("there is a first teacher"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_averaged_not_logits() {
        let rows = [[0.9_f64, 0.1], [0.5, 0.5], [0.1, 0.9]];
        let all = rows.map(|row| Tensor::from_slice(&row).log().view([1, 2]));
        let mean: Vec<f64> = Vec::try_from(
            mean_of_probabilities(all[..2].iter().map(Tensor::shallow_clone).collect())
                .unwrap()
                .exp()
                .view(2),
        )
        .unwrap();
        assert!((mean[0] - 0.7).abs() < 1e-12 && (mean[1] - 0.3).abs() < 1e-12, "{mean:?}");
        let one = mean_of_probabilities(vec![all[0].shallow_clone()]).unwrap();
        assert_eq!(one, all[0]);
    }
}
