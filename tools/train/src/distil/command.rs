//! The command `distil`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::batches::Batches;
use super::losses::{Distillation, FIGURES};
use super::settings::DistilSettings;
use super::student::{give_answers, new_student, students_tokenizer};
use super::teachers::Teachers;
use crate::batch::LabelledBatch;
use crate::checkpoint::write_folder;
use crate::classification::{EncodedExample, TextClassifier};
use crate::data::WordPieceTokenizer;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::Parameters;
use crate::model::config::Head;
use crate::model::folder::{CONFIG, Folder, Tensors};
use crate::random::seed_torch;
use crate::run::{
    Due, Evaluation, Joined, Keep, Loop, METRICS, Progress, RunContext, Schedule, Sums, Training,
    UpdateSettings, draw_curves, has_checkpoint,
};
use crate::texts::{Reading, Texts, read_texts, read_whole};

const MODEL: &str = "model";
const SUMMARY: &str = "summary.json";
const BEST: &str = "best_parameters";
const CURVES: [&str; 7] = [
    "soft_loss",
    "hard_loss",
    "hidden_loss",
    "relation_loss",
    "consistency_loss",
    "dev_accuracy",
    "dev_loss",
];

/// Result of a distillation, written as `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Metrics of the teacher on dev, if the teacher itself is available.
    pub teacher: Option<Metrics>,
    /// Metrics on dev of the student that was kept.
    pub student: Metrics,
    /// Number of updates of that student.
    pub step: u64,
    /// Folder of the student.
    pub model: PathBuf,
}

/// Distils into the folder `output`, or continues the run that stopped in that folder.
///
/// Under `torchrun` several processes share every step. Only the first of them uses `output` and
/// returns a summary.
pub fn distil(settings: &Path, overrides: &[String], output: &Path) -> Result<Option<Summary>> {
    let together =
        RunContext::begin(settings, overrides, output, |it: &DistilSettings| it.run.shared.device)?;
    let RunContext { settings, device, processes, .. } = together;
    let leads = processes.world().leads();
    let begun = settings.student.folder.as_deref().map(Folder::read).transpose()?;
    let (config, origin) = match &begun {
        Some(begun) => (&begun.config, begun.file(CONFIG)),
        None => (&settings.model, PathBuf::from("model")),
    };
    if leads {
        settings.training.shared.precision.warn_where_slow(device);
        config.warn_where_not_packed(&Head::Classification(settings.data.labels.clone()), &origin);
    }
    let tokenizer = students_tokenizer(&settings, begun.as_ref())?;
    let labels = &settings.data.labels;
    let precision = settings.training.shared.precision;
    let mut teachers = Teachers::read(&settings.teacher.folders(), labels, &tokenizer, precision, device)?;
    let longest = config.longest_input().min(teachers.longest()) as usize;
    let max_length = settings.data.max_length;
    let reading =
        Reading { labels, tokenizer: &tokenizer, longest: max_length, labelled: false, kept_back: 0.0 };
    let dev = read_whole(&settings.data.dev, &Reading { longest: max_length.min(longest), ..reading })?;
    let mut texts = read_texts(&settings.data.train, &reading)?;
    give_answers(&settings, &mut teachers, &tokenizer, &mut texts)?;
    let Texts { examples, parts, .. } = texts;
    // If set, the student's weights come from the checkpoint or from the first process.
    let goes_on = !leads || has_checkpoint(output)?;
    let student = new_student(&settings, begun, &teachers, &examples, &tokenizer, device, goes_on)?;
    let batches =
        Batches::new(&examples, parts, settings.training.own.batch_tokens, settings.training.own.seed);
    let world = processes.world();
    let UpdateSettings { steps, accumulate, .. } = settings.training.shared;
    let share = 1.0 / (accumulate * world.size) as f64;
    let schedule = Schedule { steps, warmup: settings.warmup(), share };
    let best = student.parameters.flat().f_zeros_like()?;
    let distillation = Distillation::new(&teachers, &student, &settings.losses)?;
    let run = DistilRun {
        settings: &settings,
        output,
        world,
        device,
        student: &student,
        distillation,
        tokenizer: &tokenizer,
        texts: examples,
        dev,
        batches,
        state: State::default(),
        best,
    };
    let mut begun = Loop::begin(run, schedule, &settings.optimizer, &processes, output, &[MODEL])?;
    if leads && begun.step() == 0 {
        let run = begun.training_mut();
        run.state.teacher = teachers.evaluate(&run.dev, tokenizer.special.pad)?;
    }
    let progress = match leads {
        true => Progress::new("distil", steps, begun.step()),
        false => Progress::silent(),
    };
    progress.note(&begun.training().introduction());
    begun.evaluate_at_start(&progress)?;
    let (run, step) = begun.run(progress)?;
    if leads { run.finish(step).map(Some) } else { Ok(None) }
}

/// State of a distillation in a checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    teacher: Option<Metrics>,
    best: Option<(u64, Metrics)>,
}

struct DistilRun<'a> {
    settings: &'a DistilSettings,
    output: &'a Path,
    world: &'a World,
    device: Device,
    student: &'a TextClassifier,
    distillation: Distillation<'a>,
    tokenizer: &'a WordPieceTokenizer,
    texts: Vec<EncodedExample>,
    dev: Vec<EncodedExample>,
    batches: Batches,
    state: State,
    /// Weights of the best student on dev.
    best: Tensor,
}

impl DistilRun<'_> {
    /// Describes the run at its begin.
    fn introduction(&self) -> String {
        format!(
            "{} texts, {} steps per epoch{}",
            self.texts.len(),
            self.batches.per_epoch(),
            match &self.state.teacher {
                Some(teacher) => format!("; the teacher on dev: {:.2} %", teacher.accuracy * 100.0),
                None => String::new(),
            }
        )
    }

    fn write_student(&self) -> Result<PathBuf> {
        let model = self.output.join(MODEL);
        write_folder(&model, |path| self.student.write(path, self.tokenizer.file()))?;
        Ok(model)
    }

    /// Writes the student to keep. `last_step` is the number of finished steps.
    fn finish(self, last_step: u64) -> Result<Summary> {
        let Some((mut step, mut student)) = self.state.best.clone() else {
            unreachable!("a run begins with an evaluation on dev")
        };
        match self.settings.run.own.keep {
            Keep::Best => {
                let parameters = &self.student.parameters;
                parameters.flat().shallow_clone().f_copy_(&self.best)?;
                parameters.refresh()?;
            }
            Keep::Last => {
                step = last_step;
                student = self.student.evaluate(&self.dev, self.tokenizer.special.pad)?;
            }
        }
        let model = self.write_student()?;
        let summary = Summary { teacher: self.state.teacher, student, step, model };
        let file = self.output.join(SUMMARY);
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| Error::field(&file, "summary", error.to_string(), "JSON"))?;
        fs::write(&file, text + "\n").map_err(Error::write(&file))?;
        Ok(summary)
    }
}

impl Training for DistilRun<'_> {
    type State = State;

    fn parameters(&self) -> &Parameters {
        &self.student.parameters
    }

    fn figures(&self) -> &'static [&'static str] {
        &FIGURES
    }

    fn update(&mut self, step: u64, sums: &mut Sums) -> Result<()> {
        let Joined { shared, own } = &self.settings.training;
        for pass in step * shared.accumulate..(step + 1) * shared.accumulate {
            // Passes are numbered as if one process made all of them. Each pass then draws the same
            // random numbers as in that process.
            let pass = pass * self.world.size + self.world.rank;
            let examples = self.batches.of_step(pass).iter().map(|&index| &self.texts[index]);
            let batch = LabelledBatch::new(examples, self.tokenizer.special.pad, self.device)?;
            seed_torch(own.seed, pass);
            let (loss, figures) = self.distillation.losses(&batch)?;
            sums.add(&self.student.parameters, &loss, figures, batch.ids.numel())?;
        }
        Ok(())
    }

    fn due(&self, step: u64) -> Due {
        let Joined { shared, own } = &self.settings.run;
        let is_last = step == self.settings.training.shared.steps;
        let evaluate = is_last || step.is_multiple_of(own.evaluate_every);
        Due { log: step.is_multiple_of(shared.log_every), evaluate, checkpoint: evaluate }
    }

    fn evaluate(&mut self, step: u64) -> Result<Evaluation> {
        let dev = self.student.evaluate(&self.dev, self.tokenizer.special.pad)?;
        let line = format!("step {step}: dev {dev}");
        let figures = dev.dev_figures();
        if self.state.best.as_ref().is_none_or(|(_, best)| dev.is_better_than(best)) {
            self.state.best = Some((step, dev));
            self.best.f_copy_(self.student.parameters.flat())?;
        }
        Ok(Evaluation { figures, line })
    }

    fn describe(&self, means: &[f64]) -> String {
        let [loss, soft, hard, hidden, relations, consistency, ..] = means else { return String::new() };
        format!(
            "loss {loss:.3} (soft {soft:.4}, hard {hard:.3}, hidden {hidden:.3}, relations {relations:.3}, \
             consistency {consistency:.4})"
        )
    }

    fn state(&self) -> (State, Tensors) {
        (self.state.clone(), Tensors::from([(BEST.to_owned(), self.best.shallow_clone())]))
    }

    fn restore(&mut self, _folder: &Path, state: State, mut tensors: Tensors) -> Result<()> {
        self.state = state;
        if let Some(tensor) = tensors.remove(BEST) {
            self.best.f_copy_(&tensor)?;
        }
        Ok(())
    }

    /// Draws the curves and writes the student, for use before the run ends.
    fn checkpoint_written(&self) -> Result<()> {
        draw_curves(&self.output.join(METRICS), &CURVES, &self.output.join("curves.svg"))?;
        self.write_student().map(drop)
    }
}
