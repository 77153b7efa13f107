//! One seed of a fine-tuning, from the pre-trained encoder to the best classifier seen.

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

/// Log of a trial's figures, in its folder.
pub const METRICS: &str = "metrics.jsonl";
/// The best classifier of a trial, in its folder.
pub const MODEL: &str = "model";
const CHECKPOINTS: &str = "checkpoints";
const BEST: &str = "best_parameters";
const MEAN: &str = "mean_parameters";

/// What all trials share.
#[derive(Debug)]
pub struct Task {
    /// Name of the command, for the display.
    pub command: &'static str,
    /// See there.
    pub settings: FinetuneSettings,
    /// What is learnt.
    pub objective: Box<dyn Objective>,
    /// What to begin with.
    pub folder: Folder,
    /// Of that folder.
    pub tokenizer: WordPieceTokenizer,
    /// What is learnt from.
    pub train: Texts,
    /// What decides.
    pub dev: Vec<EncodedExample>,
    /// Where to compute.
    pub device: Device,
    /// Who shares the updates.
    pub processes: Processes,
}

/// Where a trial was best on dev.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The trial's seed.
    pub seed: u64,
    /// Updates until then.
    pub step: u64,
    /// Figures on dev.
    pub dev: Metrics,
}

/// What a checkpoint remembers besides tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counters {
    step: u64,
    best: Option<Outcome>,
    /// Looks at dev since the best one.
    without_improvement: u64,
    finished: bool,
    /// Updates whose weights are in the mean.
    #[serde(default)]
    averaged: u64,
}

/// A trial under way.
pub struct Trial<'a> {
    task: &'a Task,
    seed: u64,
    output: PathBuf,
    classifier: TextClassifier,
    optimizer: AdamW,
    checkpoints: Checkpoints,
    /// Only where this process leads, as the figures that checkpoints remember.
    log: Option<MetricsLog>,
    counters: Counters,
    best: Tensor,
    /// Mean of the weights that are trained over the last updates.
    mean: Option<Tensor>,
    epoch: Option<(u64, Vec<Vec<usize>>)>,
    /// Losses and gradient norms since the last line of the log, on the device.
    unread: Vec<(u64, Tensor)>,
    tokens: u64,
    since: Instant,
}

impl<'a> Trial<'a> {
    /// Refuses a folder in which a trial has ended whose checkpoints are gone.
    pub fn refuse_ended(output: &Path) -> Result<()> {
        Checkpoints::new(output.join(CHECKPOINTS)).refuse_ended(&output.join(MODEL))
    }

    /// Begins with `seed` in the folder `output`, or goes on from the last checkpoint there.
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

    /// Trains until the end or until dev does not improve, and writes the best classifier, which only the process that leads
    /// knows of.
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
                // Before the checkpoint, which remembers it, and in every process.
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

    /// Of all processes together.
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
            // Numbered as if one process made the passes of all, so that this draws what that would.
            if number % world.size != world.rank {
                continue;
            }
            seed_torch(self.seed, first + number);
            let examples = pass.iter().map(|&index| &self.task.train.examples[index]);
            let batch = LabelledBatch::new(examples, self.task.tokenizer.special.pad, self.task.device)?;
            self.tokens += batch.ids.numel() as u64;
            // What one pass over all of them would have as its mean.
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

    /// Adds the weights as they are to their mean.
    fn average(&mut self) -> Result<()> {
        let Some(mean) = &mut self.mean else { return Ok(()) };
        self.counters.averaged += 1;
        let weights = trained(&self.classifier.parameters)?;
        let _ = mean.f_lerp_(&weights, 1.0 / self.counters.averaged as f64)?;
        Ok(())
    }

    /// Puts the mean in the place of the weights, once there is one; returns what was there.
    fn take_mean(&self) -> Result<Option<Tensor>> {
        let Some(mean) = self.mean.as_ref().filter(|_| self.counters.averaged > 0) else { return Ok(None) };
        let mut weights = trained(&self.classifier.parameters)?;
        let before = weights.f_clone(&weights.f_empty_like()?)?;
        weights.f_copy_(mean)?;
        self.classifier.parameters.refresh()?;
        Ok(Some(before))
    }

    /// Reads the losses since the last line, refuses those that are not finite, and logs their mean.
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

/// The weights that are trained, a view of them.
fn trained(parameters: &Parameters) -> Result<Tensor> {
    let range = parameters.trained();
    Ok(parameters.flat().f_narrow(0, range.start, range.end - range.start)?)
}
