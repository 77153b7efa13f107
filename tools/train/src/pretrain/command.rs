//! The command `pretrain`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use super::batches::Batches;
use super::objective::{Pretraining, figures};
use super::settings::{Objective, PretrainSettings};
use super::start::begin;
use crate::checkpoint::write_folder;
use crate::data::{IdCache, WordPieceTokenizer};
use crate::distributed::{Processes, World};
use crate::error::{Error, Result};
use crate::model::config::Head;
use crate::model::folder::{self, Tensors};
use crate::model::{GENERATOR, Mode, Parameters};
use crate::operations::operations_of_input;
use crate::optimizer::linear_schedule;
use crate::random::seed_torch;
use crate::run::{
    Due, Evaluation, Joined, Loop, METRICS, Progress, RunContext, Schedule, Sums, Training, UpdateSettings,
    draw_curves,
};

/// Names of the possible results, in the run's folder.
const RESULTS: [&str; 2] = ["discriminator", "language-model"];

/// Pre-trains into the folder `output`, or continues the run that stopped in that folder. Returns
/// the folders of the models that were written.
///
/// Under `torchrun` several processes share every step. Only the first of them uses `output`.
pub fn pretrain(settings: &Path, overrides: &[String], output: &Path) -> Result<Vec<PathBuf>> {
    let together = RunContext::begin(settings, overrides, output, |it: &PretrainSettings| it.run.device)?;
    let RunContext { settings, device, processes, .. } = together;
    let leads = processes.world().leads();
    if leads {
        settings.training.shared.precision.warn_where_slow(device);
        if settings.training.own.objective != Objective::Mlm {
            settings.model.warn_where_not_packed(&Head::ReplacedTokenDetection, Path::new("model"));
        }
    }
    let run = PretrainRun::new(&settings, output, device, &processes)?;
    let UpdateSettings { steps, accumulate, .. } = settings.training.shared;
    let share = 1.0 / (accumulate * processes.world().size) as f64;
    let schedule = Schedule { steps, warmup: settings.training.own.warmup_steps, share };
    let begun = Loop::begin(run, schedule, &settings.optimizer, &processes, output, &RESULTS)?;
    let progress = match leads {
        true => Progress::new("pretrain", steps, begun.step()),
        false => Progress::silent(),
    };
    progress.note(&begun.training().introduction(begun.step()));
    let (run, _) = begun.run(progress)?;
    if !leads {
        return Ok(Vec::new());
    }
    let models = run.write_models()?;
    draw_curves(&output.join(METRICS), &CURVES, &output.join("curves.svg"))?;
    Ok(models)
}

const CURVES: [&str; 6] =
    ["mlm_loss", "rtd_loss", "rtd_accuracy", "validation_mlm_loss", "validation_rtd_loss", "learning_rate"];

/// State of a pre-training in a checkpoint. Checkpoints of older versions have none.
#[derive(Serialize, Deserialize)]
struct State {
    /// Number of processes that share a step.
    processes: Option<u64>,
    /// Tokens of all texts.
    tokens: Option<u64>,
}

impl State {
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

struct PretrainRun<'a> {
    settings: &'a PretrainSettings,
    output: &'a Path,
    device: Device,
    world: &'a World,
    parameters: Parameters,
    models: Pretraining,
    batches: Batches,
    /// Tokens of all texts.
    tokens: u64,
}

impl<'a> PretrainRun<'a> {
    fn new(
        settings: &'a PretrainSettings,
        output: &'a Path,
        device: Device,
        processes: &'a Processes,
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
        let batches = Batches::new(ids, tokenizer.special, settings, device, &data.texts[0])?;
        let Joined { shared, own } = &settings.training;
        let list = Pretraining::parameters(settings);
        let parameters = Parameters::new(list, device, shared.precision, own.seed)?;
        begin(settings, &parameters)?;
        let models = Pretraining::new(&parameters, settings, tokenizer.special.mask);
        let world = processes.world();
        Ok(Self { settings, output, device, world, parameters, models, batches, tokens })
    }

    /// Describes the run at its begin.
    fn introduction(&self, step: u64) -> String {
        format!(
            "{} parameters, {} tokens per epoch, {:?}, {}from step {step}",
            self.parameters.count(),
            self.batches.epoch_tokens(),
            self.device,
            if self.world.size > 1 { format!("{} processes, ", self.world.size) } else { String::new() },
        )
    }

    /// Returns the means of the figures over the held-out inputs; empty if there are none.
    fn validate(&self) -> Result<Vec<f64>> {
        let _guard = tch::no_grad_guard();
        let mut means = vec![0.0; figures(self.settings.training.own.objective).len()];
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

    /// Writes the models in the Hugging Face layout, and returns their folders.
    fn write_models(&self) -> Result<Vec<PathBuf>> {
        let all = self.parameters.tensors()?;
        let vocabulary = &self.settings.data.vocabulary;
        let write = |name: &str, config, head: Head, tensors: Tensors| -> Result<PathBuf> {
            let path = self.output.join(name);
            write_folder(&path, |path| folder::write(path, config, &head, &tensors, vocabulary))?;
            Ok(path)
        };
        if self.settings.training.own.objective == Objective::Mlm {
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

impl Training for PretrainRun<'_> {
    type State = State;

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn figures(&self) -> &'static [&'static str] {
        figures(self.settings.training.own.objective)
    }

    fn update(&mut self, step: u64, sums: &mut Sums) -> Result<()> {
        let Joined { shared, own } = &self.settings.training;
        for pass in step * shared.accumulate..(step + 1) * shared.accumulate {
            // Passes are numbered as if one process made all of them. Each pass then draws the same
            // random numbers as in that process.
            let pass = pass * self.world.size + self.world.rank;
            let batch = self.batches.training(pass)?;
            seed_torch(own.seed, pass);
            let (loss, figures) = self.models.losses(&batch, Mode::Train)?;
            sums.add(&self.parameters, &loss, figures, self.batches.tokens() as usize)?;
        }
        Ok(())
    }

    fn due(&self, step: u64) -> Due {
        let run = &self.settings.run;
        let is_last = step == self.settings.training.shared.steps;
        Due {
            log: step.is_multiple_of(run.log_every),
            evaluate: is_last || step.is_multiple_of(run.validate_every),
            checkpoint: is_last || step.is_multiple_of(run.checkpoint_every),
        }
    }

    fn evaluate(&mut self, _step: u64) -> Result<Evaluation> {
        let names = self.figures().iter().map(|name| format!("validation_{name}"));
        let figures = names.zip(self.validate()?).map(|(name, value)| (name, json!(value))).collect();
        Ok(Evaluation { figures, line: String::new() })
    }

    fn more_figures(&self, step: u64, speed: f64) -> Map<String, Value> {
        let Joined { shared, own } = &self.settings.training;
        let step_tokens = shared.accumulate * self.world.size * self.batches.tokens();
        let rate = linear_schedule(step, own.warmup_steps, shared.steps);
        let operations = operations_of_input(self.settings, own.objective) as f64;
        let operations = speed / self.settings.data.sequence_length as f64 * operations;
        let figures = [
            ("learning_rate", json!(rate * self.settings.optimizer.learning_rate)),
            ("tokens", json!(step * step_tokens)),
            ("operations_per_second", json!(operations.round())),
        ];
        figures.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }

    fn describe(&self, means: &[f64]) -> String {
        match (self.settings.training.own.objective, means) {
            (Objective::Rtd | Objective::Rtd15, [loss, mlm, _, rtd, accuracy, ..]) => {
                format!("loss {loss:.3} (mlm {mlm:.3}, rtd {rtd:.4}), {:.1} % right", accuracy * 100.0)
            }
            _ => format!("loss {:.3}", means[0]),
        }
    }

    fn state(&self) -> (State, Tensors) {
        let state = State { processes: Some(self.world.size), tokens: Some(self.tokens) };
        (state, Tensors::new())
    }

    fn restore(&mut self, folder: &Path, state: State, _tensors: Tensors) -> Result<()> {
        state.check(folder, self.world, self.tokens)
    }
}

fn read(values: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::try_from(values.f_to_kind(Kind::Double)?)?)
}
