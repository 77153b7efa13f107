//! The command `pretrain`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use super::batches::Batches;
use super::objective::{Pretraining, figures};
use super::settings::{Objective, PretrainSettings};
use super::start::begin;
use crate::checkpoint::{Checkpoints, write_folder};
use crate::data::{IdCache, WordPieceTokenizer};
use crate::distributed::{Processes, World};
use crate::error::{Error, Result};
use crate::model::config::Head;
use crate::model::folder::{self, Tensors};
use crate::model::{GENERATOR, Mode, Parameters};
use crate::operations::operations_of_input;
use crate::optimizer::{AdamW, linear_schedule, zero_gradients};
use crate::random::seed_torch;
use crate::run::{MetricsLog, Progress, Together, check_weights, draw_curves, load_state, save_state};

/// File name of a run's log, in the run's folder.
const METRICS: &str = "metrics.jsonl";

/// Pre-trains into the folder `output`, or continues the run that stopped in that folder. Returns
/// the folders of the models that were written.
///
/// Under `torchrun` several processes share every step. Only the first of them uses `output`.
pub fn pretrain(settings: &Path, overrides: &[String], output: &Path) -> Result<Vec<PathBuf>> {
    let together = Together::begin(settings, overrides, output, |it: &PretrainSettings| it.run.device)?;
    let Together { settings, device, processes, .. } = together;
    let leads = processes.world().leads();
    if leads {
        settings.training.precision.warn_where_slow(device);
        if settings.training.objective != Objective::Mlm {
            settings.model.warn_where_not_packed(&Head::ReplacedTokenDetection, Path::new("model"));
        }
    }
    let mut run = Run::begin(settings, output, device, processes)?;
    run.train()?;
    if !leads {
        return Ok(Vec::new());
    }
    let models = run.write_models()?;
    let svg = output.join("curves.svg");
    draw_curves(&output.join(METRICS), &CURVES, &svg)?;
    Ok(models)
}

const CURVES: [&str; 6] =
    ["mlm_loss", "rtd_loss", "rtd_accuracy", "validation_mlm_loss", "validation_rtd_loss", "learning_rate"];

/// Contents of a checkpoint besides the tensors. The last two are absent in checkpoints of older
/// versions.
#[derive(Serialize, Deserialize)]
struct Counters {
    step: u64,
    /// Number of processes that share a step.
    processes: Option<u64>,
    /// Tokens of all texts.
    tokens: Option<u64>,
}

impl Counters {
    /// Fails if the run would continue as a different training. `folder` is that of the checkpoint.
    fn check(&self, folder: &Path, world: &World, tokens: u64) -> Result<()> {
        let now = [("processes", self.processes, world.size), ("tokens of data.texts", self.tokens, tokens)];
        for (field, before, now) in now {
            if let Some(before) = before.filter(|&before| before != now) {
                let expected = format!("{before}, with which the run began, or another --output");
                return Err(Error::field(folder, field, now.to_string(), expected));
            }
        }
        Ok(())
    }
}

struct Run {
    settings: PretrainSettings,
    output: PathBuf,
    device: Device,
    processes: Processes,
    parameters: Parameters,
    models: Pretraining,
    optimizer: AdamW,
    batches: Batches,
    checkpoints: Checkpoints,
    /// `None` except in the first process.
    log: Option<MetricsLog>,
    /// Tokens of all texts.
    tokens: u64,
    /// Number of finished steps.
    step: u64,
    /// Step with figures and gradient norm of every step since the last line of the log. They are
    /// on the device, because reading them would make the CPU wait.
    unread: Vec<(u64, Tensor)>,
    since: Instant,
}

impl Run {
    fn begin(
        settings: PretrainSettings,
        output: &Path,
        device: Device,
        processes: Processes,
    ) -> Result<Self> {
        let tokenizer = WordPieceTokenizer::read(&settings.data.vocabulary)?;
        if tokenizer.size() as i64 > settings.model.vocab_size {
            let found = format!("{} tokens", tokenizer.size());
            let expected = format!("at most model.vocab_size, {}", settings.model.vocab_size);
            return Err(Error::field(&settings.data.vocabulary, "lines", found, expected));
        }
        let data = &settings.data;
        let cache = IdCache { folder: &data.cache, texts: &data.texts, tokenizer: &tokenizer };
        let ids = processes.one_before_others(|| cache.open())?;
        let tokens = ids.len() as u64;
        let batches = Batches::new(ids, tokenizer.special, &settings, device, &data.texts[0])?;
        let training = &settings.training;
        let list = Pretraining::parameters(&settings);
        let parameters = Parameters::new(list, device, training.precision, training.seed)?;
        begin(&settings, &parameters)?;
        let models = Pretraining::new(&parameters, &settings, tokenizer.special.mask);
        let mut optimizer = AdamW::new(&parameters, settings.optimizer.clone())?;
        let checkpoints = Checkpoints::new(output.join("checkpoints"));
        let (mut step, mut log) = (0, None);
        if processes.world().leads() {
            for result in ["discriminator", "language-model"] {
                checkpoints.refuse_ended(&output.join(result))?;
            }
            let last = checkpoints.last()?;
            if let Some((_, folder)) = &last {
                let (counters, _): (Counters, _) = load_state(folder, &parameters, &mut optimizer)?;
                counters.check(folder, processes.world(), tokens)?;
                step = counters.step;
            }
            log = Some(MetricsLog::open(&output.join(METRICS), last.map(|(step, _)| step))?);
        }
        let step = processes.share_number(step)?;
        processes.share_state(&parameters, &optimizer)?;
        Ok(Self {
            output: output.to_path_buf(),
            device,
            processes,
            parameters,
            models,
            optimizer,
            batches,
            checkpoints,
            log,
            tokens,
            step,
            unread: Vec::new(),
            since: Instant::now(),
            settings,
        })
    }

    fn train(&mut self) -> Result<()> {
        let steps = self.settings.training.steps;
        let world = self.processes.world().clone();
        let mut progress = match world.leads() {
            true => Progress::new("pretrain", steps, self.step),
            false => Progress::silent(),
        };
        progress.note(&format!(
            "{} parameters, {} tokens an epoch, {:?}, {}from step {}",
            self.parameters.count(),
            self.batches.epoch_tokens(),
            self.device,
            if world.size > 1 { format!("{} processes, ", world.size) } else { String::new() },
            self.step
        ));
        self.since = Instant::now();
        let run = self.settings.run.clone();
        while self.step < steps {
            self.one_step()?;
            progress.step(self.step);
            let last = self.step == steps;
            let checkpoint = last || self.step.is_multiple_of(run.checkpoint_every);
            let validate = last || self.step.is_multiple_of(run.validate_every);
            // This condition is the same in every process, because the figures are summed over all
            // of them.
            if checkpoint || validate || self.step.is_multiple_of(run.log_every) {
                let line = self.write_figures(validate)?;
                progress.report(self.step, &line);
            }
            if checkpoint {
                check_weights(&self.parameters, self.step, &self.checkpoints)?;
                if world.leads() {
                    self.write_checkpoint()?;
                }
                self.since = Instant::now();
            }
        }
        Ok(())
    }

    /// Updates the parameters once, in the same way in every process.
    fn one_step(&mut self) -> Result<()> {
        let training = &self.settings.training;
        let (accumulate, seed) = (training.accumulate, training.seed);
        let rate = linear_schedule(self.step + 1, training.warmup_steps, training.steps);
        let mut gradients = zero_gradients(&self.parameters)?;
        let mut sum: Option<Tensor> = None;
        let (rank, size) = (self.processes.world().rank, self.processes.world().size);
        for pass in self.step * accumulate..(self.step + 1) * accumulate {
            // Passes are numbered as if one process made all of them. Each pass then draws the same
            // random numbers as in that process.
            let pass = pass * size + rank;
            let batch = self.batches.training(pass)?;
            seed_torch(seed, pass);
            let (loss, figures) = self.models.losses(&batch, Mode::Train)?;
            gradients = gradients.f_add_(&self.parameters.gradients(&loss)?)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&figures)?,
                None => figures,
            });
        }
        self.processes.sum(&gradients)?;
        if accumulate * size > 1 {
            gradients = gradients.f_mul_scalar_(1.0 / (accumulate * size) as f64)?;
        }
        self.step += 1;
        let norm = self.optimizer.step(&self.parameters, &gradients, self.step, rate)?;
        if let Some(sum) = sum {
            // The figures are summed over all processes later. The norm is the same in all of them,
            // so each adds its share.
            let share = sum.f_mul_scalar(1.0 / (accumulate * size) as f64)?;
            let norm = norm.f_mul_scalar(1.0 / size as f64)?.f_unsqueeze(0)?;
            self.unread.push((self.step, Tensor::f_cat(&[share, norm], 0)?));
        }
        Ok(())
    }

    /// Logs the means of the figures since the last line, over the steps and the processes, and
    /// returns them for display. Fails if a figure is not finite.
    fn write_figures(&mut self, validate: bool) -> Result<String> {
        let names = figures(self.settings.training.objective);
        let mut means = vec![0.0; names.len() + 1];
        let unread = std::mem::take(&mut self.unread);
        for (step, values) in &unread {
            self.processes.sum(values)?;
            let values = read(values)?;
            let losses = names.iter().copied().chain(["gradient_norm"]).zip(&values);
            for (what, &found) in losses {
                if !found.is_finite() {
                    let kept = self.checkpoints.describe_last();
                    return Err(Error::NotFinite { step: *step, what, found, kept });
                }
            }
            for (mean, value) in means.iter_mut().zip(&values) {
                *mean += value / unread.len() as f64;
            }
        }
        let training = &self.settings.training;
        let step_tokens = training.accumulate * self.processes.world().size * self.batches.tokens();
        let tokens = unread.len() as u64 * step_tokens;
        let speed = tokens as f64 / self.since.elapsed().as_secs_f64();
        let mut line = Map::new();
        line.insert("step".to_owned(), json!(self.step));
        for (name, mean) in names.iter().zip(&means) {
            line.insert((*name).to_owned(), json!(mean));
        }
        line.insert("gradient_norm".to_owned(), json!(means[names.len()]));
        let rate = linear_schedule(self.step, training.warmup_steps, training.steps);
        line.insert("learning_rate".to_owned(), json!(rate * self.settings.optimizer.learning_rate));
        line.insert("tokens".to_owned(), json!(self.step * step_tokens));
        line.insert("tokens_per_second".to_owned(), json!(speed.round()));
        let operations = operations_of_input(&self.settings, training.objective) as f64;
        let operations = speed / self.settings.data.sequence_length as f64 * operations;
        line.insert("operations_per_second".to_owned(), json!(operations.round()));
        if validate && self.log.is_some() {
            for (name, value) in names.iter().zip(self.validate()?) {
                line.insert(format!("validation_{name}"), json!(value));
            }
        }
        if let Some(log) = &mut self.log {
            log.write(&Value::Object(line))?;
        }
        self.since = Instant::now();
        Ok(match training.objective {
            Objective::Mlm => format!("loss {:.3}, {speed:.0} tokens/s", means[0]),
            _ => format!(
                "loss {:.3} (mlm {:.3}, rtd {:.4}), {:.1} % right, {speed:.0} tokens/s",
                means[0],
                means[1],
                means[3],
                means[4] * 100.0
            ),
        })
    }

    /// Returns the means of the figures over the held-out inputs; empty if there are none.
    fn validate(&self) -> Result<Vec<f64>> {
        let _guard = tch::no_grad_guard();
        let mut means = vec![0.0; figures(self.settings.training.objective).len()];
        let mut inputs = 0.0;
        for batch in self.batches.validation() {
            let batch = batch?;
            let (_, values) = self.models.losses(&batch, Mode::Evaluate)?;
            let rows = batch.ids.size()[0] as f64;
            for (mean, value) in means.iter_mut().zip(read(&values)?) {
                *mean += value * rows;
            }
            inputs += rows;
        }
        Ok(if inputs == 0.0 { Vec::new() } else { means.into_iter().map(|mean| mean / inputs).collect() })
    }

    fn write_checkpoint(&self) -> Result<()> {
        let counters = Counters {
            step: self.step,
            processes: Some(self.processes.world().size),
            tokens: Some(self.tokens),
        };
        self.checkpoints.write(self.step, |folder| {
            save_state(folder, &self.parameters, &self.optimizer, &counters, Tensors::new())
        })
    }

    /// Writes the models in the Hugging Face layout, and returns their folders.
    fn write_models(&self) -> Result<Vec<PathBuf>> {
        let all = self.parameters.tensors()?;
        let vocabulary = &self.settings.data.vocabulary;
        let write = |name: &str, config, head: Head, tensors: Tensors| -> Result<PathBuf> {
            let path = self.output.join(name);
            write_folder(&path, |path| folder::write(path, config, &head, &tensors, vocabulary))?;
            Ok(path)
        };
        if self.settings.training.objective == Objective::Mlm {
            let path = write("language-model", &self.settings.model, Head::MaskedLanguageModel, all)?;
            return Ok(vec![path]);
        }
        let (mut discriminator, mut generator) = (Tensors::new(), Tensors::new());
        for (name, tensor) in all {
            if let Some(name) = name.strip_prefix(GENERATOR) {
                generator.insert(name.to_owned(), tensor);
                continue;
            }
            if name.starts_with("electra.embeddings.") {
                generator.insert(name.clone(), tensor.shallow_clone());
            }
            discriminator.insert(name, tensor);
        }
        Ok(vec![
            write("discriminator", &self.settings.model, Head::ReplacedTokenDetection, discriminator)?,
            write("generator", &self.settings.generator(), Head::MaskedLanguageModel, generator)?,
        ])
    }
}

fn read(values: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::try_from(values.f_to_kind(Kind::Double)?)?)
}
