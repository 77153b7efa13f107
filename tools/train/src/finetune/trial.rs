//! Trial of a fine-tuning: trains with one seed, from the pre-trained encoder to the best
//! classifier on dev.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::batches::batches_of_epoch;
use super::objective::Objective;
use super::settings::FinetuneSettings;
use crate::batch::LabelledBatch;
use crate::checkpoint::write_folder;
use crate::classification::{EncodedExample, TextClassifier};
use crate::data::WordPieceTokenizer;
use crate::distributed::Processes;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Parameters;
use crate::model::folder::{Folder, Tensors};
use crate::optimizer::zero_gradients;
use crate::random::seed_torch;
use crate::run::{Due, Evaluation, Joined, Keep, Loop, Progress, Schedule, Sums, Training, refuse_ended};
use crate::texts::{SourceShare, Texts};

/// Name of the folder with the best classifier of a trial, in the trial's folder.
pub const MODEL: &str = "model";
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

/// Trains with `seed` in the folder `output`, or continues from the last checkpoint there, until
/// the last update or until dev stops improving. Writes the best classifier. Returns the result in
/// the first process and `None` in the others.
pub fn run_trial(task: &Task, seed: u64, output: &Path) -> Result<Option<Outcome>> {
    let settings = &task.settings;
    let trial = Trial::new(task, seed)?;
    let steps = trial.steps;
    let schedule =
        Schedule { steps, warmup: (steps as f64 * settings.training.shared.warmup_share) as u64, share: 1.0 };
    let begun = Loop::begin(trial, schedule, &settings.optimizer, &task.processes, output, &[MODEL])?;
    let title = format!("{}, seed {seed}", task.command);
    let leads = task.processes.world().leads();
    let progress = if leads { Progress::new(&title, steps, begun.step()) } else { Progress::silent() };
    let (trial, step) = begun.run(progress)?;
    if leads { trial.finish(&output.join(MODEL), step).map(Some) } else { Ok(None) }
}

/// Fails if a trial has ended in the folder and its checkpoints are gone.
pub fn refuse_ended_trial(output: &Path) -> Result<()> {
    refuse_ended(output, &[MODEL])
}

/// State of a trial in a checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    best: Option<Outcome>,
    /// Evaluations on dev since the best one.
    without_improvement: u64,
    /// Number of updates in the mean of the weights.
    #[serde(default)]
    averaged: u64,
}

struct Trial<'a> {
    task: &'a Task,
    seed: u64,
    steps: u64,
    per_epoch: u64,
    classifier: TextClassifier,
    state: State,
    /// Weights of the best classifier on dev.
    best: Tensor,
    /// Mean of the trained weights over the last updates.
    mean: Option<Tensor>,
    epoch: Option<(u64, Vec<Vec<usize>>)>,
}

impl<'a> Trial<'a> {
    fn new(task: &'a Task, seed: u64) -> Result<Self> {
        let settings = &task.settings;
        let Joined { shared, own } = &settings.training;
        let labels = &settings.data.labels;
        let mut classifier = TextClassifier::new(&task.folder, labels, task.device, own.precision, seed)?;
        classifier.freeze(own.freeze_layers as i64);
        let leads = task.processes.world().leads();
        let mean = match leads && own.average_share > 0.0 {
            true => Some(zero_gradients(&classifier.parameters)?),
            false => None,
        };
        let texts: usize = task.train.parts.iter().map(SourceShare::count).sum();
        let per_epoch = texts.div_ceil(texts_of_update(task)) as u64;
        let steps = own.epochs.saturating_mul(per_epoch).min(shared.steps.unwrap_or(u64::MAX));
        let best = classifier.parameters.flat().f_zeros_like()?;
        Ok(Self {
            task,
            seed,
            steps,
            per_epoch,
            classifier,
            state: State::default(),
            best,
            mean,
            epoch: None,
        })
    }

    /// Returns the examples of each update of the epoch.
    fn batches(&mut self, epoch: u64) -> &[Vec<usize>] {
        if self.epoch.as_ref().is_none_or(|(current, _)| *current != epoch) {
            let Texts { examples, parts, .. } = &self.task.train;
            let batches = batches_of_epoch(examples, parts, texts_of_update(self.task), self.seed, epoch);
            self.epoch = Some((epoch, batches));
        }
        self.epoch.as_ref().map_or(&[], |(_, batches)| batches)
    }

    /// Replaces the weights with their mean, if there is one. Returns the replaced weights.
    fn take_mean(&self) -> Result<Option<Tensor>> {
        let Some(mean) = self.mean.as_ref().filter(|_| self.state.averaged > 0) else { return Ok(None) };
        let mut weights = trained(&self.classifier.parameters)?;
        let before = weights.f_clone(&weights.f_empty_like()?)?;
        weights.f_copy_(mean)?;
        self.classifier.parameters.refresh()?;
        Ok(Some(before))
    }

    /// Writes the classifier to keep. `last_step` is the number of finished updates.
    fn finish(self, model: &Path, last_step: u64) -> Result<Outcome> {
        let outcome = match self.task.settings.run.own.keep {
            Keep::Best => {
                self.classifier.parameters.flat().shallow_clone().f_copy_(&self.best)?;
                self.classifier.parameters.refresh()?;
                self.state.best
            }
            Keep::Last => {
                self.take_mean()?;
                let padding = self.task.tokenizer.special.pad;
                let dev = self.task.objective.evaluate(&self.classifier, &self.task.dev, padding)?;
                Some(Outcome { seed: self.seed, step: last_step, dev })
            }
        };
        let vocabulary = self.task.tokenizer.file();
        write_folder(model, |path| self.classifier.write(path, vocabulary))?;
        match outcome {
            Some(outcome) => Ok(outcome),
            None => unreachable!("a trial ends with an evaluation on dev"),
        }
    }
}

impl Training for Trial<'_> {
    type State = State;

    fn parameters(&self) -> &Parameters {
        &self.classifier.parameters
    }

    fn figures(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn update(&mut self, step: u64, sums: &mut Sums) -> Result<()> {
        let task = self.task;
        let training = &task.settings.training.shared;
        let world = task.processes.world();
        let at = (step % self.per_epoch) as usize;
        let indices = self.batches(step / self.per_epoch)[at].clone();
        let rows = |of: &[usize]| of.iter().map(|&it| task.train.examples[it].rows()).sum::<usize>();
        let first = step * training.accumulate * world.size;
        for (number, pass) in (0..).zip(indices.chunks(training.batch_size)) {
            // Passes are numbered as if one process made all of them. Each pass then draws the same
            // random numbers as in that process.
            if number % world.size != world.rank {
                continue;
            }
            seed_torch(self.seed, first + number);
            let examples = pass.iter().map(|&index| &task.train.examples[index]);
            let batch = LabelledBatch::new(examples, task.tokenizer.special.pad, task.device)?;
            // The sum of the shares is the mean over all rows of the update, as in a single pass.
            let share = rows(pass) as f64 / rows(&indices) as f64;
            let loss = task.objective.loss(&self.classifier, &batch)?.f_mul_scalar(share)?;
            let figures = loss.f_detach()?.f_unsqueeze(0)?;
            sums.add(&self.classifier.parameters, &loss, figures, batch.ids.numel())?;
        }
        Ok(())
    }

    /// Adds the current weights to their mean, at the end of the training.
    fn updated(&mut self, step: u64) -> Result<()> {
        let averaged = (self.steps as f64 * self.task.settings.training.own.average_share).ceil() as u64;
        let Some(mean) = self.mean.as_mut().filter(|_| step > self.steps - averaged) else { return Ok(()) };
        self.state.averaged += 1;
        let weights = trained(&self.classifier.parameters)?;
        let _ = mean.f_lerp_(&weights, 1.0 / self.state.averaged as f64)?;
        Ok(())
    }

    fn due(&self, step: u64) -> Due {
        let settings = &self.task.settings;
        let every = self.per_epoch.min(self.steps).div_ceil(settings.training.own.evaluations_per_epoch);
        let evaluate = step == self.steps || step.is_multiple_of(every);
        Due { log: step.is_multiple_of(settings.run.shared.log_every), evaluate, checkpoint: evaluate }
    }

    fn evaluate(&mut self, step: u64) -> Result<Evaluation> {
        let padding = self.task.tokenizer.special.pad;
        let weights = self.take_mean()?;
        let dev = self.task.objective.evaluate(&self.classifier, &self.task.dev, padding)?;
        let line = format!("seed {} step {step}: dev {dev}", self.seed);
        let figures = dev.dev_figures();
        if self.state.best.as_ref().is_none_or(|best| dev.is_better_than(&best.dev)) {
            self.state.best = Some(Outcome { seed: self.seed, step, dev });
            self.state.without_improvement = 0;
            self.best.f_copy_(self.classifier.parameters.flat())?;
        } else {
            self.state.without_improvement += 1;
        }
        if let Some(weights) = weights {
            trained(&self.classifier.parameters)?.f_copy_(&weights)?;
            self.classifier.parameters.refresh()?;
        }
        Ok(Evaluation { figures, line })
    }

    fn is_stopped(&self) -> bool {
        self.state.without_improvement >= self.task.settings.training.shared.patience
    }

    fn describe(&self, means: &[f64]) -> String {
        format!("loss {:.4}", means[0])
    }

    fn state(&self) -> (State, Tensors) {
        let mut tensors = Tensors::from([(BEST.to_owned(), self.best.shallow_clone())]);
        tensors.extend(self.mean.as_ref().map(|mean| (MEAN.to_owned(), mean.shallow_clone())));
        (self.state.clone(), tensors)
    }

    fn restore(&mut self, _folder: &Path, state: State, mut tensors: Tensors) -> Result<()> {
        self.state = state;
        if let Some(tensor) = tensors.remove(BEST) {
            self.best.f_copy_(&tensor)?;
        }
        if let (Some(mean), Some(tensor)) = (&mut self.mean, tensors.remove(MEAN)) {
            mean.f_copy_(&tensor)?;
        }
        Ok(())
    }
}

/// Returns the number of texts in an update of all processes together.
fn texts_of_update(task: &Task) -> usize {
    let processes = task.processes.world().size as usize;
    task.settings.training.shared.texts_of_update().saturating_mul(processes)
}

/// Returns a view of the weights that are trained.
fn trained(parameters: &Parameters) -> Result<Tensor> {
    let range = parameters.trained();
    Ok(parameters.flat().f_narrow(0, range.start, range.end - range.start)?)
}
