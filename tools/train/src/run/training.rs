//! The loop of every training: updates, figures, evaluations, log, checkpoints, and continuation
//! after an interruption.

use std::path::Path;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use super::log::MetricsLog;
use super::progress::Progress;
use super::state::{check_weights, load_state, save_state};
use crate::checkpoint::Checkpoints;
use crate::distributed::Processes;
use crate::error::{Error, Result};
use crate::memory::release_freed_memory;
use crate::model::Parameters;
use crate::model::folder::Tensors;
use crate::optimizer::{self, AdamW, linear_schedule, zero_gradients};

/// File name of a run's log, in the run's folder.
pub const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";

/// The part of a training that differs between the commands.
pub trait Training {
    /// State besides the weights, their moments and the step.
    type State: Serialize + DeserializeOwned;

    /// Returns the parameters that are trained.
    fn parameters(&self) -> &Parameters;

    /// Returns the names of the figures of an update, the loss first.
    fn figures(&self) -> &'static [&'static str];

    /// Computes the gradients of the update after `step` finished ones: this process's share of the
    /// passes.
    fn update(&mut self, step: u64, sums: &mut Sums) -> Result<()>;

    /// Is called when the weights have been updated for the `step`th time.
    fn updated(&mut self, _step: u64) -> Result<()> {
        Ok(())
    }

    /// Returns the actions after `step`. They are the same in every process.
    fn due(&self, step: u64) -> Due;

    /// Evaluates the model after `step` updates, in the first process.
    fn evaluate(&mut self, step: u64) -> Result<Evaluation>;

    /// Returns whether the training ends before its last step. It is asked in the first process,
    /// after an evaluation.
    fn is_stopped(&self) -> bool {
        false
    }

    /// Returns further figures for the log, given the tokens per second of all processes.
    fn more_figures(&self, _step: u64, _speed: f64) -> Map<String, Value> {
        Map::new()
    }

    /// Describes the means of the figures for the display.
    fn describe(&self, means: &[f64]) -> String;

    /// Returns the state and the tensors for a checkpoint.
    fn state(&self) -> (Self::State, Tensors);

    /// Takes the state and the tensors of the checkpoint in `folder`.
    fn restore(&mut self, folder: &Path, state: Self::State, tensors: Tensors) -> Result<()>;

    /// Is called in the first process when a checkpoint has been written.
    fn checkpoint_written(&self) -> Result<()> {
        Ok(())
    }
}

/// Gradients and figures of the passes of an update.
#[derive(Debug, Default)]
pub struct Sums {
    gradients: Option<Tensor>,
    figures: Option<Tensor>,
    tokens: u64,
}

impl Sums {
    /// Adds a pass over `tokens` tokens, padding included: the gradients of `loss`, and `figures`,
    /// a vector.
    pub fn add(
        &mut self,
        parameters: &Parameters,
        loss: &Tensor,
        figures: Tensor,
        tokens: usize,
    ) -> Result<()> {
        let gradients = parameters.gradients(loss)?;
        self.tokens += tokens as u64;
        self.gradients = Some(match self.gradients.take() {
            Some(mut sum) => sum.f_add_(&gradients)?,
            None => gradients,
        });
        self.figures = Some(match self.figures.take() {
            Some(sum) => sum.f_add(&figures)?,
            None => figures,
        });
        Ok(())
    }
}

/// Actions that are due after a step.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Whether the figures are written. They are always written before an evaluation and a
    /// checkpoint.
    pub log: bool,
    /// Whether the model is evaluated.
    pub evaluate: bool,
    /// Whether a checkpoint is written.
    pub checkpoint: bool,
}

/// Result of an evaluation.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// Figures for the log.
    pub figures: Map<String, Value>,
    /// Line for the display; none if it is empty.
    pub line: String,
}

/// Length of a training, and the weight of a pass in it.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Number of updates.
    pub steps: u64,
    /// Updates until the learning rate reaches its maximum.
    pub warmup: u64,
    /// Factor of the summed gradients and figures, for example 1 over the number of passes of all
    /// processes.
    pub share: f64,
}

/// A training in progress.
pub struct Loop<'a, T> {
    training: T,
    schedule: Schedule,
    processes: &'a Processes,
    optimizer: AdamW,
    checkpoints: Checkpoints,
    /// `None` except in the first process.
    log: Option<MetricsLog>,
    step: u64,
    is_stopped: bool,
    /// Step with figures and gradient norm of every step since the last line of the log. They are
    /// on the device, because reading them would make the CPU wait.
    unread: Vec<(u64, Tensor)>,
    tokens: u64,
    since: Instant,
}

/// Content of a checkpoint besides the tensors.
#[derive(Serialize, Deserialize)]
struct Counters<S> {
    step: u64,
    #[serde(default)]
    finished: bool,
    #[serde(flatten)]
    state: S,
}

impl<'a, T: Training> Loop<'a, T> {
    /// Begins a training in the folder `output`, or continues from the last checkpoint there. Fails
    /// if one of `results`, names in `output`, exists without a checkpoint.
    pub fn begin(
        mut training: T,
        schedule: Schedule,
        optimizer: &optimizer::Settings,
        processes: &'a Processes,
        output: &Path,
        results: &[&str],
    ) -> Result<Self> {
        let mut optimizer = AdamW::new(training.parameters(), optimizer.clone())?;
        let checkpoints = Checkpoints::new(output.join(CHECKPOINTS));
        let (mut step, mut is_stopped, mut log) = (0, false, None);
        if processes.world().leads() {
            refuse_ended(output, results)?;
            let last = checkpoints.last()?;
            if let Some((_, folder)) = &last {
                let (counters, tensors): (Counters<T::State>, Tensors) =
                    load_state(folder, training.parameters(), &mut optimizer)?;
                (step, is_stopped) = (counters.step, counters.finished);
                training.restore(folder, counters.state, tensors)?;
            }
            std::fs::create_dir_all(output).map_err(Error::write(output))?;
            log = Some(MetricsLog::open(&output.join(METRICS), last.map(|(step, _)| step))?);
        }
        let step = processes.share_number(step)?;
        let is_stopped = processes.share_number(u64::from(is_stopped))? != 0;
        processes.share_state(training.parameters(), &optimizer)?;
        Ok(Self {
            training,
            schedule,
            processes,
            optimizer,
            checkpoints,
            log,
            step,
            is_stopped,
            unread: Vec::new(),
            tokens: 0,
            since: Instant::now(),
        })
    }

    /// Returns the number of finished steps.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Returns the training.
    pub fn training(&self) -> &T {
        &self.training
    }

    /// Returns the training, to complete its state before the first step.
    pub fn training_mut(&mut self) -> &mut T {
        &mut self.training
    }

    /// Evaluates the model before the first step, in the first process.
    pub fn evaluate_at_start(&mut self, progress: &Progress) -> Result<()> {
        if self.step > 0 || !self.processes.world().leads() {
            return Ok(());
        }
        let Evaluation { mut figures, line } = self.training.evaluate(0)?;
        figures.insert("step".to_owned(), json!(0));
        self.write(figures)?;
        progress.note(&line);
        Ok(())
    }

    /// Trains until the last step, or until the training stops. Returns the training and the number
    /// of finished steps.
    pub fn run(mut self, mut progress: Progress) -> Result<(T, u64)> {
        self.since = Instant::now();
        while self.step < self.schedule.steps && !self.is_stopped {
            self.one_step()?;
            progress.step(self.step);
            let due = self.training.due(self.step);
            if due.log || due.evaluate || due.checkpoint {
                self.report(due.evaluate, &mut progress)?;
            }
            if due.evaluate {
                // The flag is set before the checkpoint, which stores it, and in every process.
                let stops = self.processes.world().leads() && self.training.is_stopped();
                self.is_stopped = self.processes.share_number(u64::from(stops))? != 0;
            }
            if due.checkpoint {
                check_weights(self.training.parameters(), self.step, &self.checkpoints)?;
                if self.processes.world().leads() {
                    self.write_checkpoint()?;
                }
            }
            if due.evaluate || due.checkpoint {
                release_freed_memory();
                self.since = Instant::now();
            }
        }
        Ok((self.training, self.step))
    }

    /// Updates the weights once, in the same way in every process.
    fn one_step(&mut self) -> Result<()> {
        let mut sums = Sums::default();
        self.training.update(self.step, &mut sums)?;
        let parameters = self.training.parameters();
        let device = parameters.flat().device();
        // The last update of an epoch may have fewer passes than there are processes.
        let mut gradients = match sums.gradients {
            Some(gradients) => gradients,
            None => zero_gradients(parameters)?,
        };
        let figures = match sums.figures {
            Some(figures) => figures.f_mul_scalar(self.schedule.share)?,
            None => Tensor::f_zeros([self.training.figures().len() as i64], (Kind::Float, device))?,
        };
        self.tokens += sums.tokens;
        self.processes.sum(&gradients)?;
        if self.schedule.share < 1.0 {
            gradients = gradients.f_mul_scalar_(self.schedule.share)?;
        }
        self.step += 1;
        let rate = linear_schedule(self.step, self.schedule.warmup, self.schedule.steps);
        let norm = self.optimizer.step(parameters, &gradients, self.step, rate)?;
        // The figures are summed over all processes later. The norm is the same in all of them, so
        // each adds its share.
        let norm = norm.f_div_scalar(self.processes.world().size as f64)?.f_unsqueeze(0)?;
        self.unread.push((self.step, Tensor::f_cat(&[figures, norm], 0)?));
        self.training.updated(self.step)
    }

    /// Writes a line of the log with the means of the figures since the last one, and with the
    /// figures of an evaluation if one is due. Fails if a figure is not finite.
    fn report(&mut self, evaluate: bool, progress: &mut Progress) -> Result<()> {
        let names = || self.training.figures().iter().copied().chain(["gradient_norm"]);
        let unread = std::mem::take(&mut self.unread);
        let mut means = vec![0.0; names().count()];
        for (step, values) in &unread {
            self.processes.sum(values)?;
            let values: Vec<f64> = Vec::try_from(values.f_to_kind(Kind::Double)?)?;
            for (what, &found) in names().zip(&values) {
                if !found.is_finite() {
                    let kept = self.checkpoints.describe_last();
                    return Err(Error::NotFinite { step: *step, what, found, kept });
                }
            }
            for (mean, value) in means.iter_mut().zip(&values) {
                *mean += value / unread.len() as f64;
            }
        }
        let mut line: Map<String, Value> =
            names().zip(&means).map(|(name, mean)| (name.to_owned(), json!(mean))).collect();
        let tokens = self.tokens * self.processes.world().size;
        let speed = tokens as f64 / self.since.elapsed().as_secs_f64();
        line.insert("step".to_owned(), json!(self.step));
        line.insert("tokens_per_second".to_owned(), json!(speed.round()));
        line.extend(self.training.more_figures(self.step, speed));
        let figures = format!("{}, {speed:.0} tokens/s", self.training.describe(&means));
        progress.report(self.step, &figures);
        if evaluate && self.processes.world().leads() {
            let evaluation = self.training.evaluate(self.step)?;
            line.extend(evaluation.figures);
            if !evaluation.line.is_empty() {
                progress.note(&evaluation.line);
            }
        }
        self.write(line)?;
        (self.tokens, self.since) = (0, Instant::now());
        Ok(())
    }

    fn write(&mut self, line: Map<String, Value>) -> Result<()> {
        match &mut self.log {
            Some(log) => log.write(&Value::Object(line)),
            None => Ok(()),
        }
    }

    fn write_checkpoint(&self) -> Result<()> {
        let (state, tensors) = self.training.state();
        let finished = self.is_stopped || self.step >= self.schedule.steps;
        let counters = Counters { step: self.step, finished, state };
        self.checkpoints.write(self.step, |folder| {
            save_state(folder, self.training.parameters(), &self.optimizer, &counters, tensors)
        })?;
        self.training.checkpoint_written()
    }
}

/// Fails if one of `results` exists in `output` without a checkpoint: the run would train anew over
/// its result.
pub fn refuse_ended(output: &Path, results: &[&str]) -> Result<()> {
    let checkpoints = Checkpoints::new(output.join(CHECKPOINTS));
    results.iter().try_for_each(|result| checkpoints.refuse_ended(&output.join(result)))
}

/// Returns whether the run in `output` has a checkpoint.
pub fn has_checkpoint(output: &Path) -> Result<bool> {
    Ok(Checkpoints::new(output.join(CHECKPOINTS)).last()?.is_some())
}
