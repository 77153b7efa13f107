//! The command `finetune`: runs one trial per seed and summarizes the trials.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::objective::HardLabels;
use super::settings::{Data, FinetuneSettings};
use super::trial::{MODEL, Outcome, Task, refuse_ended_trial, run_trial};
use crate::classification::{EncodedExample, tokenizer_of};
use crate::data::WordPieceTokenizer;
use crate::error::{Error, Result};
use crate::metrics::median;
use crate::model::config::Head;
use crate::model::folder::{CONFIG, Folder};
use crate::run::{METRICS, RunContext, draw_curves};
use crate::texts::{Reading, Texts, read_texts, read_whole};

const SUMMARY: &str = "summary.json";
const CURVES: [&str; 4] = ["loss", "dev_accuracy", "dev_loss", "dev_calibration_error"];

/// Results of the trials of a fine-tuning, written as `summary.json`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Best result on dev, per seed.
    pub trials: Vec<Outcome>,
    /// Median accuracy over the seeds, which is the accuracy to expect of another seed.
    pub median_accuracy: f64,
    /// Smallest and largest accuracy.
    pub range: (f64, f64),
    /// Folder of the classifier that was best on dev.
    pub best: PathBuf,
}

/// Fine-tunes into the folder `output`, or continues the run that stopped in that folder.
///
/// Under `torchrun` several processes share every update. Only the first of them uses `output` and
/// returns a summary.
pub fn finetune(settings: &Path, overrides: &[String], output: &Path) -> Result<Option<Summary>> {
    let together =
        RunContext::begin(settings, overrides, output, |it: &FinetuneSettings| it.run.shared.device)?;
    let RunContext { mut settings, device, processes, .. } = together;
    settings.data.find_labels()?;
    let leads = processes.world().leads();
    if leads {
        settings.training.own.precision.warn_where_slow(device);
        for seed in &settings.training.own.seeds {
            refuse_ended_trial(&output.join(format!("seed-{seed}")))?;
        }
    }
    let folder = Folder::read(&settings.model.folder)?;
    if let (true, Head::Classification(labels)) = (leads, &folder.head)
        && *labels != settings.data.labels
    {
        eprintln!(
            "warning: {}: its head for {} is replaced with a new one for {}",
            settings.model.folder.display(),
            labels.join(", "),
            settings.data.labels.join(", ")
        );
    }
    let (frozen, layers) = (settings.training.own.freeze_layers, folder.config.num_hidden_layers as u64);
    if frozen > layers {
        let (found, expected) = (frozen.to_string(), format!("at most the model's {layers} layers"));
        return Err(Error::field(&folder.file(CONFIG), "training.freeze_layers", found, expected));
    }
    let tokenizer = tokenizer_of(&folder)?;
    let (train, dev) = read_data(&settings.data, &folder, &tokenizer)?;
    let objective =
        HardLabels::new(&settings.training.shared, &train.examples, settings.data.labels.len(), device)?;
    let objective = Box::new(objective);
    let command = "finetune";
    let task = Task { command, settings, objective, folder, tokenizer, train, dev, device, processes };
    let mut trials = Vec::new();
    for &seed in &task.settings.training.own.seeds {
        let path = output.join(format!("seed-{seed}"));
        trials.extend(run_trial(&task, seed, &path)?);
        if leads {
            draw_curves(&path.join(METRICS), &CURVES, &path.join("curves.svg"))?;
        }
    }
    if leads { summarize(trials, output).map(Some) } else { Ok(None) }
}

/// Reads the training texts and the dev texts, cut to `data.max_length` and to the longest input of
/// the model in `folder`.
pub fn read_data(
    data: &Data,
    folder: &Folder,
    tokenizer: &WordPieceTokenizer,
) -> Result<(Texts, Vec<EncodedExample>)> {
    let reading = Reading {
        labels: &data.labels,
        tokenizer,
        longest: data.max_length.min(folder.config.longest_input() as usize),
        labelled: true,
        kept_back: data.dev_share,
    };
    let mut train = read_texts(&data.train, &reading)?;
    let mut dev = std::mem::take(&mut train.kept_back);
    dev.extend(read_whole(&data.dev, &reading)?);
    Ok((train, dev))
}

fn summarize(trials: Vec<Outcome>, output: &Path) -> Result<Summary> {
    let accuracies: Vec<f64> = trials.iter().map(|trial| trial.dev.accuracy).collect();
    let better = |a: &&Outcome, b: &&Outcome| {
        a.dev.accuracy.total_cmp(&b.dev.accuracy).then(b.dev.loss.total_cmp(&a.dev.loss))
    };
    let best = trials.iter().max_by(better).map_or(0, |trial| trial.seed);
    let summary = Summary {
        median_accuracy: median(&accuracies),
        range: accuracies.iter().fold((1.0, 0.0), |(low, high), &it| (it.min(low), it.max(high))),
        best: output.join(format!("seed-{best}")).join(MODEL),
        trials,
    };
    let file = output.join(SUMMARY);
    let text = serde_json::to_string_pretty(&summary)
        .map_err(|error| Error::field(&file, "summary", error.to_string(), "JSON"))?;
    fs::write(&file, text + "\n").map_err(Error::write(&file))?;
    Ok(summary)
}
