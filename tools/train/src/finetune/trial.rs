//! Trial of a fine-tuning: trains with one seed, from the pre-trained encoder to the best
//! classifier on dev.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use super::batches::batches_of_epoch;
use super::objective::Objective;
use super::settings::FinetuneSettings;
use crate::batch::LabelledBatch;
use crate::checkpoint::{Checkpoints, write_folder};
use crate::classification::{EncodedExample, TextClassifier};
use crate::data::WordPieceTokenizer;
use crate::distributed::Processes;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::Parameters;
use crate::model::folder::{Folder, Tensors};
use crate::optimizer::{AdamW, linear_schedule, zero_gradients};
use crate::random::seed_torch;
use crate::run::{MetricsLog, Progress, check_weights, load_state, save_state};
use crate::texts::{Part, Texts};

/// File name of a trial's log, in the trial's folder.
pub const METRICS: &str = "metrics.jsonl";
/// Name of the folder with the best classifier of a trial, in the trial's folder.
pub const MODEL: &str = "model";
const CHECKPOINTS: &str = "checkpoints";
const BEST: &str = "best_parameters";
const MEAN: &str = "mean_parameters";

/// Inputs that all trials share.
#[derive(Debug)]
pub struct Task {
    /// Name of the command, for the display.
    pub command: &'static str,
    /// Settings of the fine-tuning.
    pub settings: FinetuneSettings,
    /// Loss and metrics.
    pub objective: Box<dyn Objective>,
    /// Model to begin with.
    pub folder: Folder,
    /// Tokenizer of that model.
    pub tokenizer: WordPieceTokenizer,
    /// Texts to learn from.
    pub train: Texts,
    /// Texts that decide which classifier is the best.
    pub dev: Vec<EncodedExample>,
    /// Device to compute on.
    pub device: Device,
    /// Processes that share the updates.
    pub processes: Processes,
}

/// Best result of a trial on dev.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Seed of the trial.
    pub seed: u64,
    /// Number of updates until this result.
    pub step: u64,
    /// Metrics on dev.
    pub dev: Metrics,
}

/// Contents of a checkpoint besides the tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counters {
    step: u64,
    best: Option<Outcome>,
    /// Evaluations on dev since the best one.
    without_improvement: u64,
    finished: bool,
    /// Number of updates in the mean of the weights.
    #[serde(default)]
    averaged: u64,
}

/// A trial in progress.
pub struct Trial<'a> {
    task: &'a Task,
    seed: u64,
    output: PathBuf,
    classifier: TextClassifier,
    optimizer: AdamW,
    checkpoints: Checkpoints,
    /// `None` except in the first process, which alone has the metrics in `counters`.
    log: Option<MetricsLog>,
    counters: Counters,
    best: Tensor,
    /// Mean of the trained weights over the last updates.
    mean: Option<Tensor>,
    epoch: Option<(u64, Vec<Vec<usize>>)>,
    /// Step with loss and gradient norm of every step since the last line of the log. Loss and norm
    /// are on the device.
    unread: Vec<(u64, Tensor)>,
    tokens: u64,
    since: Instant,
}

impl<'a> Trial<'a> {
    /// Fails if a trial has ended in the folder and its checkpoints are gone.
    pub fn refuse_ended(output: &Path) -> Result<()> {
        Checkpoints::new(output.join(CHECKPOINTS)).refuse_ended(&output.join(MODEL))
    }

    /// Begins a trial with `seed` in the folder `output`, or continues from the last checkpoint
    /// there.
    pub fn begin(task: &'a Task, seed: u64, output: PathBuf) -> Result<Self> {
        let settings = &task.settings;
        let labels = &settings.data.labels;
        let precision = settings.training.precision;
        let mut classifier = TextClassifier::new(&task.folder, labels, task.device, precision, seed)?;
        classifier.freeze(settings.training.freeze_layers as i64);
        let mut optimizer = AdamW::new(&classifier.parameters, settings.optimizer.clone())?;
        let checkpoints = Checkpoints::new(output.join(CHECKPOINTS));
        let mut counters =
            Counters { step: 0, best: None, without_improvement: 0, finished: false, averaged: 0 };
        let mut best = classifier.parameters.flat().f_zeros_like()?;
        let leads = task.processes.world().leads();
        let mut mean = match leads && settings.training.average_share > 0.0 {
            true => Some(zero_gradients(&classifier.parameters)?),
            false => None,
        };
        let mut last = None;
        if leads {
            Self::refuse_ended(&output)?;
            last = checkpoints.last()?;
        }
        if let Some((_, folder)) = &last {
            let (found, mut tensors): (Counters, Tensors) =
                load_state(folder, &classifier.parameters, &mut optimizer)?;
            counters = found;
            if let Some(tensor) = tensors.remove(BEST) {
                best.f_copy_(&tensor)?;
            }
            if let (Some(mean), Some(tensor)) = (&mut mean, tensors.remove(MEAN)) {
                mean.f_copy_(&tensor)?;
            }
        }
        let mut log = None;
        if leads {
            std::fs::create_dir_all(&output).map_err(Error::write(&output))?;
            log = Some(MetricsLog::open(&output.join(METRICS), last.map(|(step, _)| step))?);
        }
        counters.step = task.processes.share_number(counters.step)?;
        counters.finished = task.processes.share_number(u64::from(counters.finished))? != 0;
        task.processes.share_state(&classifier.parameters, &optimizer)?;
        Ok(Self {
            task,
            seed,
            output,
            classifier,
            optimizer,
            checkpoints,
            log,
            counters,
            best,
            mean,
            epoch: None,
            unread: Vec::new(),
            tokens: 0,
            since: Instant::now(),
        })
    }

    /// Trains until the last update or until dev stops improving, and writes the best classifier.
    /// Returns the result in the first process and `None` in the others.
    pub fn train(mut self) -> Result<Option<Outcome>> {
        let training = &self.task.settings.training;
        let world = self.task.processes.world();
        let texts: usize = self.task.train.parts.iter().map(Part::count).sum();
        let per_epoch = texts.div_ceil(self.texts_of_update()) as u64;
        let steps = training.epochs.saturating_mul(per_epoch).min(training.steps.unwrap_or(u64::MAX));
        let warmup = (steps as f64 * training.warmup_share) as u64;
        let evaluate_every = per_epoch.min(steps).div_ceil(training.evaluations_per_epoch);
        let title = format!("{}, seed {}", self.task.command, self.seed);
        let mut progress = match world.leads() {
            true => Progress::new(&title, steps, self.counters.step),
            false => Progress::silent(),
        };
        self.since = Instant::now();
        while !self.counters.finished {
            self.one_step(linear_schedule(self.counters.step + 1, warmup, steps), per_epoch)?;
            let step = self.counters.step;
            if step > steps - (steps as f64 * training.average_share).ceil() as u64 {
                self.average()?;
            }
            progress.step(step);
            let evaluate = step == steps || step.is_multiple_of(evaluate_every);
            if evaluate || step.is_multiple_of(self.task.settings.run.log_every) {
                progress.report(step, &self.write_figures()?);
            }
            if evaluate {
                if world.leads() {
                    progress.note(&self.look_at_dev(steps)?);
                }
                // The flag is set before the checkpoint, which stores it, and in every process.
                let finished = u64::from(self.counters.finished);
                self.counters.finished = self.task.processes.share_number(finished)? != 0;
                if world.leads() {
                    self.write_checkpoint()?;
                }
                self.since = Instant::now();
            }
        }
        if world.leads() { self.finish().map(Some) } else { Ok(None) }
    }

    /// Returns the number of texts in an update of all processes together.
    fn texts_of_update(&self) -> usize {
        let processes = self.task.processes.world().size as usize;
        self.task.settings.training.texts_of_update().saturating_mul(processes)
    }

    fn one_step(&mut self, rate: f64, per_epoch: u64) -> Result<()> {
        let training = &self.task.settings.training;
        let step = self.counters.step;
        let epoch = step / per_epoch;
        if self.epoch.as_ref().is_none_or(|(current, _)| *current != epoch) {
            let Texts { examples, parts, .. } = &self.task.train;
            let batches = batches_of_epoch(examples, parts, self.texts_of_update(), self.seed, epoch);
            self.epoch = Some((epoch, batches));
        }
        let indices = match &self.epoch {
            Some((_, batches)) => &batches[(step % per_epoch) as usize],
            None => unreachable!("the order was just made"),
        };
        let world = self.task.processes.world();
        let parameters = &self.classifier.parameters;
        let mut sums: Option<(Tensor, Tensor)> = None;
        let rows = |of: &[usize]| of.iter().map(|&it| self.task.train.examples[it].rows()).sum::<usize>();
        let first = step * training.accumulate * world.size;
        for (number, pass) in (0..).zip(indices.chunks(training.batch_size)) {
            // Passes are numbered as if one process made all of them. Each pass then draws the same
            // random numbers as in that process.
            if number % world.size != world.rank {
                continue;
            }
            seed_torch(self.seed, first + number);
            let examples = pass.iter().map(|&index| &self.task.train.examples[index]);
            let batch = LabelledBatch::new(examples, self.task.tokenizer.special.pad, self.task.device)?;
            self.tokens += batch.ids.numel() as u64;
            // The sum of the shares is the mean over all rows of the update, as in a single pass.
            let share = rows(pass) as f64 / rows(indices) as f64;
            let loss = self.task.objective.loss(&self.classifier, &batch)?.f_mul_scalar(share)?;
            let gradients = parameters.gradients(&loss)?;
            let loss = loss.f_detach()?;
            sums = Some(match sums {
                Some((mut sum, losses)) => (sum.f_add_(&gradients)?, losses.f_add(&loss)?),
                None => (gradients, loss),
            });
        }
        let (gradients, loss) = match sums {
            Some(sums) => sums,
            // The last update of an epoch may have fewer passes than there are processes.
            None => (zero_gradients(parameters)?, Tensor::f_zeros([], (Kind::Float, self.task.device))?),
        };
        self.task.processes.sum(&gradients)?;
        self.task.processes.sum(&loss)?;
        self.counters.step += 1;
        let norm = self.optimizer.step(parameters, &gradients, self.counters.step, rate)?;
        self.unread.push((self.counters.step, Tensor::f_stack(&[loss, norm], 0)?));
        Ok(())
    }

    /// Adds the current weights to their mean.
    fn average(&mut self) -> Result<()> {
        let Some(mean) = &mut self.mean else { return Ok(()) };
        self.counters.averaged += 1;
        let weights = trained(&self.classifier.parameters)?;
        let _ = mean.f_lerp_(&weights, 1.0 / self.counters.averaged as f64)?;
        Ok(())
    }

    /// Replaces the weights with their mean, if there is one. Returns the replaced weights.
    fn take_mean(&self) -> Result<Option<Tensor>> {
        let Some(mean) = self.mean.as_ref().filter(|_| self.counters.averaged > 0) else { return Ok(None) };
        let mut weights = trained(&self.classifier.parameters)?;
        let before = weights.f_clone(&weights.f_empty_like()?)?;
        weights.f_copy_(mean)?;
        self.classifier.parameters.refresh()?;
        Ok(Some(before))
    }

    /// Logs the mean of the losses since the last line, and returns it for display. Fails if a loss
    /// or norm is not finite.
    fn write_figures(&mut self) -> Result<String> {
        let unread = std::mem::take(&mut self.unread);
        let (mut loss, mut norm) = (0.0, 0.0);
        for (step, values) in &unread {
            let values: Vec<f64> = Vec::try_from(values.f_to_kind(Kind::Double)?)?;
            for (what, &found) in ["loss", "gradient_norm"].into_iter().zip(&values) {
                if !found.is_finite() {
                    let kept = self.checkpoints.describe_last();
                    return Err(Error::NotFinite { step: *step, what, found, kept });
                }
            }
            loss += values[0] / unread.len() as f64;
            norm += values[1] / unread.len() as f64;
        }
        let processes = self.task.processes.world().size;
        let speed = (self.tokens * processes) as f64 / self.since.elapsed().as_secs_f64();
        (self.tokens, self.since) = (0, Instant::now());
        let line = json!({
            "step": self.counters.step,
            "loss": loss,
            "gradient_norm": norm,
            "tokens_per_second": speed.round(),
        });
        if let Some(log) = &mut self.log {
            log.write(&line)?;
        }
        Ok(format!("loss {loss:.4}, {speed:.0} tokens/s"))
    }

    fn look_at_dev(&mut self, steps: u64) -> Result<String> {
        let padding = self.task.tokenizer.special.pad;
        let weights = self.take_mean()?;
        let dev = self.task.objective.evaluate(&self.classifier, &self.task.dev, padding)?;
        let step = self.counters.step;
        let line = json!({
            "step": step,
            "dev_accuracy": dev.accuracy,
            "dev_loss": dev.loss,
            "dev_macro_f1": dev.macro_f1,
            "dev_macro_recall": dev.macro_recall,
            "dev_calibration_error": dev.calibration_error,
        });
        if let Some(log) = &mut self.log {
            log.write(&line)?;
        }
        let (low, high) = dev.interval;
        let line = format!(
            "seed {} step {step}: dev accuracy {:.2} % ({:.1} to {:.1}), loss {:.4}, calibration error {:.2} %",
            self.seed,
            dev.accuracy * 100.0,
            low * 100.0,
            high * 100.0,
            dev.loss,
            dev.calibration_error * 100.0
        );
        let better = |best: &Outcome| (dev.accuracy, -dev.loss) > (best.dev.accuracy, -best.dev.loss);
        if self.counters.best.as_ref().is_none_or(better) {
            self.counters.best = Some(Outcome { seed: self.seed, step, dev });
            self.counters.without_improvement = 0;
            self.best.f_copy_(self.classifier.parameters.flat())?;
        } else {
            self.counters.without_improvement += 1;
        }
        if let Some(weights) = weights {
            trained(&self.classifier.parameters)?.f_copy_(&weights)?;
            self.classifier.parameters.refresh()?;
        }
        let patience = self.task.settings.training.patience;
        self.counters.finished = step == steps || self.counters.without_improvement >= patience;
        Ok(line)
    }

    fn write_checkpoint(&self) -> Result<()> {
        check_weights(&self.classifier.parameters, self.counters.step, &self.checkpoints)?;
        self.checkpoints.write(self.counters.step, |folder| {
            let mut more = Tensors::from([(BEST.to_owned(), self.best.shallow_clone())]);
            more.extend(self.mean.as_ref().map(|mean| (MEAN.to_owned(), mean.shallow_clone())));
            save_state(folder, &self.classifier.parameters, &self.optimizer, &self.counters, more)
        })
    }

    fn finish(self) -> Result<Outcome> {
        self.classifier.parameters.flat().shallow_clone().f_copy_(&self.best)?;
        self.classifier.parameters.refresh()?;
        let vocabulary = self.task.tokenizer.file();
        write_folder(&self.output.join(MODEL), |path| self.classifier.write(path, vocabulary))?;
        match self.counters.best {
            Some(best) => Ok(best),
            None => unreachable!("a trial ends with a look at dev"),
        }
    }
}

/// Returns a view of the weights that are trained.
fn trained(parameters: &Parameters) -> Result<Tensor> {
    let range = parameters.trained();
    Ok(parameters.flat().f_narrow(0, range.start, range.end - range.start)?)
}
