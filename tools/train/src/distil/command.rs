//! The command `distil`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use super::batches::Batches;
use super::losses::{Distillation, FIGURES};
use super::settings::{DistilSettings, Keep};
use super::student::{give_answers, new_student, students_tokenizer};
use super::teachers::Teachers;
use crate::batch::LabelledBatch;
use crate::checkpoint::{Checkpoints, write_folder};
use crate::classification::{EncodedExample, TextClassifier};
use crate::data::WordPieceTokenizer;
use crate::distributed::Processes;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::config::Head;
use crate::model::folder::{CONFIG, Folder, Tensors};
use crate::optimizer::{AdamW, linear_schedule};
use crate::random::seed_torch;
use crate::run::{MetricsLog, Progress, Together, check_weights, draw_curves, load_state, save_state};
use crate::texts::{Part, Reading, Texts, read_texts, read_whole};

const METRICS: &str = "metrics.jsonl";
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

/// Contents of a checkpoint besides the tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counters {
    step: u64,
    teacher: Option<Metrics>,
    best: Option<(u64, Metrics)>,
}

/// Distils into the folder `output`, or continues the run that stopped in that folder.
///
/// Under `torchrun` several processes share every step. Only the first of them uses `output` and
/// returns a summary.
pub fn distil(settings: &Path, overrides: &[String], output: &Path) -> Result<Option<Summary>> {
    let together = Together::begin(settings, overrides, output, |it: &DistilSettings| it.run.device)?;
    let Together { settings, device, processes, .. } = together;
    let leads = processes.world().leads();
    let begun = settings.student.folder.as_deref().map(Folder::read).transpose()?;
    let (config, origin) = match &begun {
        Some(begun) => (&begun.config, begun.file(CONFIG)),
        None => (&settings.model, PathBuf::from("model")),
    };
    if leads {
        settings.training.precision.warn_where_slow(device);
        config.warn_where_not_packed(&Head::Classification(settings.data.labels.clone()), &origin);
    }
    let tokenizer = students_tokenizer(&settings, begun.as_ref())?;
    let labels = &settings.data.labels;
    let precision = settings.training.precision;
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
    let goes_on = !leads || Checkpoints::new(output.join("checkpoints")).last()?.is_some();
    let student = new_student(&settings, begun, &teachers, &examples, &tokenizer, device, goes_on)?;
    Run::begin(&settings, output, &processes, &teachers, &student, &tokenizer, examples, parts, dev)?.train()
}

struct Run<'a> {
    settings: &'a DistilSettings,
    output: &'a Path,
    processes: &'a Processes,
    teachers: &'a Teachers,
    student: &'a TextClassifier,
    tokenizer: &'a WordPieceTokenizer,
    texts: Vec<EncodedExample>,
    dev: Vec<EncodedExample>,
    batches: Batches,
    optimizer: AdamW,
    checkpoints: Checkpoints,
    /// `None` except in the first process, which alone evaluates on dev.
    log: Option<MetricsLog>,
    counters: Counters,
    best: Tensor,
    /// Step and figures of every step since the last line of the log. The figures are on the
    /// device.
    unread: Vec<(u64, Tensor)>,
    tokens: u64,
    since: Instant,
}

impl<'a> Run<'a> {
    #[allow(clippy::too_many_arguments)]
    fn begin(
        settings: &'a DistilSettings,
        output: &'a Path,
        processes: &'a Processes,
        teachers: &'a Teachers,
        student: &'a TextClassifier,
        tokenizer: &'a WordPieceTokenizer,
        texts: Vec<EncodedExample>,
        parts: Vec<Part>,
        dev: Vec<EncodedExample>,
    ) -> Result<Self> {
        let training = &settings.training;
        let mut optimizer = AdamW::new(&student.parameters, settings.optimizer.clone())?;
        let checkpoints = Checkpoints::new(output.join("checkpoints"));
        let mut best = student.parameters.flat().f_zeros_like()?;
        let leads = processes.world().leads();
        let mut last = None;
        if leads {
            // The model is written at every evaluation on dev, after a checkpoint.
            checkpoints.refuse_ended(&output.join(MODEL))?;
            last = checkpoints.last()?;
        }
        let mut counters = match &last {
            Some((_, folder)) => {
                let (counters, mut tensors): (Counters, Tensors) =
                    load_state(folder, &student.parameters, &mut optimizer)?;
                if let Some(tensor) = tensors.remove(BEST) {
                    best.f_copy_(&tensor)?;
                }
                counters
            }
            None => {
                let teacher = if leads { teachers.evaluate(&dev, tokenizer.special.pad)? } else { None };
                Counters { step: 0, teacher, best: None }
            }
        };
        let mut log = None;
        if leads {
            log = Some(MetricsLog::open(&output.join(METRICS), last.map(|(step, _)| step))?);
        }
        counters.step = processes.share_number(counters.step)?;
        processes.share_state(&student.parameters, &optimizer)?;
        Ok(Self {
            batches: Batches::new(&texts, parts, training.batch_tokens, training.seed),
            settings,
            output,
            processes,
            teachers,
            student,
            tokenizer,
            texts,
            dev,
            optimizer,
            checkpoints,
            log,
            counters,
            best,
            unread: Vec::new(),
            tokens: 0,
            since: Instant::now(),
        })
    }

    fn train(mut self) -> Result<Option<Summary>> {
        let steps = self.settings.training.steps;
        let leads = self.processes.world().leads();
        let mut progress = match leads {
            true => Progress::new("distil", steps, self.counters.step),
            false => Progress::silent(),
        };
        progress.note(&format!(
            "{} texts, {} steps an epoch{}",
            self.texts.len(),
            self.batches.per_epoch(),
            match &self.counters.teacher {
                Some(teacher) => format!("; the teacher on dev: {:.2} %", teacher.accuracy * 100.0),
                None => String::new(),
            }
        ));
        let distillation = Distillation::new(self.teachers, self.student, &self.settings.losses)?;
        if self.counters.step == 0 && leads {
            progress.note(&self.look_at_dev()?);
        }
        self.since = Instant::now();
        while self.counters.step < steps {
            self.one_step(&distillation)?;
            let step = self.counters.step;
            progress.step(step);
            let evaluate = step == steps || step.is_multiple_of(self.settings.run.evaluate_every);
            if evaluate || step.is_multiple_of(self.settings.run.log_every) {
                progress.report(step, &self.write_figures()?);
            }
            if evaluate && leads {
                progress.note(&self.look_at_dev()?);
                self.write_checkpoint()?;
            }
            if evaluate {
                self.since = Instant::now();
            }
        }
        if leads { self.finish().map(Some) } else { Ok(None) }
    }

    fn one_step(&mut self, distillation: &Distillation) -> Result<()> {
        let training = &self.settings.training;
        let parameters = &self.student.parameters;
        let device = parameters.flat().device();
        let (rank, size) = (self.processes.world().rank, self.processes.world().size);
        let mut sums: Option<(Tensor, Tensor)> = None;
        for pass in self.counters.step * training.accumulate..(self.counters.step + 1) * training.accumulate {
            // Passes are numbered as if one process made all of them. Each pass then draws the same
            // random numbers as in that process.
            let pass = pass * size + rank;
            let examples = self.batches.of_step(pass).iter().map(|&index| &self.texts[index]);
            let batch = LabelledBatch::new(examples, self.tokenizer.special.pad, device)?;
            self.tokens += batch.ids.numel() as u64;
            seed_torch(training.seed, pass);
            let (loss, figures) = distillation.losses(&batch)?;
            let gradients = parameters.gradients(&loss)?;
            sums = Some(match sums {
                Some((mut sum, all)) => (sum.f_add_(&gradients)?, all.f_add(&figures)?),
                None => (gradients, figures),
            });
        }
        let Some((mut gradients, figures)) = sums else { unreachable!("a step has passes") };
        self.processes.sum(&gradients)?;
        let share = 1.0 / (training.accumulate * size) as f64;
        if share < 1.0 {
            gradients = gradients.f_mul_scalar_(share)?;
        }
        self.counters.step += 1;
        let rate = linear_schedule(self.counters.step, training.warmup(), training.steps);
        let norm = self.optimizer.step(parameters, &gradients, self.counters.step, rate)?;
        // The figures are summed over all processes later. The norm is the same in all of them, so
        // each adds its share.
        let norm = norm.f_div_scalar(size as f64)?.f_unsqueeze(0)?;
        self.unread.push((self.counters.step, Tensor::f_cat(&[figures.f_mul_scalar(share)?, norm], 0)?));
        Ok(())
    }

    /// Logs the means of the figures since the last line, and returns them for display. Fails if a
    /// figure is not finite.
    fn write_figures(&mut self) -> Result<String> {
        let unread = std::mem::take(&mut self.unread);
        let mut means = [0.0; FIGURES.len() + 1];
        for (step, values) in &unread {
            self.processes.sum(values)?;
            let values: Vec<f64> = Vec::try_from(values.f_to_kind(Kind::Double)?)?;
            for (what, &found) in FIGURES.into_iter().chain(["gradient_norm"]).zip(&values) {
                if !found.is_finite() {
                    let kept = self.checkpoints.describe_last();
                    return Err(Error::NotFinite { step: *step, what, found, kept });
                }
            }
            for (mean, value) in means.iter_mut().zip(&values) {
                *mean += value / unread.len() as f64;
            }
        }
        let tokens = self.tokens * self.processes.world().size;
        let speed = tokens as f64 / self.since.elapsed().as_secs_f64();
        (self.tokens, self.since) = (0, Instant::now());
        let mut line = Map::new();
        line.insert("step".to_owned(), json!(self.counters.step));
        for (name, mean) in FIGURES.into_iter().chain(["gradient_norm"]).zip(means) {
            line.insert(name.to_owned(), json!(mean));
        }
        line.insert("tokens_per_second".to_owned(), json!(speed.round()));
        if let Some(log) = &mut self.log {
            log.write(&Value::Object(line))?;
        }
        let [loss, soft, hard, hidden, relations, consistency, _] = means;
        Ok(format!(
            "loss {loss:.3} (soft {soft:.4}, hard {hard:.3}, hidden {hidden:.3}, relations {relations:.3}, \
             consistency {consistency:.4}), {speed:.0} tokens/s"
        ))
    }

    fn look_at_dev(&mut self) -> Result<String> {
        let dev = self.student.evaluate(&self.dev, self.tokenizer.special.pad)?;
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
        let line = format!(
            "step {step}: dev accuracy {:.2} %, loss {:.4}, calibration error {:.2} %",
            dev.accuracy * 100.0,
            dev.loss,
            dev.calibration_error * 100.0
        );
        let better = |best: &(u64, Metrics)| (dev.accuracy, -dev.loss) > (best.1.accuracy, -best.1.loss);
        if self.counters.best.as_ref().is_none_or(better) {
            self.counters.best = Some((step, dev));
            self.best.f_copy_(self.student.parameters.flat())?;
        }
        Ok(line)
    }

    fn write_checkpoint(&self) -> Result<()> {
        check_weights(&self.student.parameters, self.counters.step, &self.checkpoints)?;
        self.checkpoints.write(self.counters.step, |folder| {
            let best = [(BEST.to_owned(), self.best.shallow_clone())].into();
            save_state(folder, &self.student.parameters, &self.optimizer, &self.counters, best)
        })?;
        draw_curves(&self.output.join(METRICS), &CURVES, &self.output.join("curves.svg"))?;
        // The student so far, for use before the run ends.
        let model = self.output.join(MODEL);
        write_folder(&model, |path| self.student.write(path, self.tokenizer.file()))
    }

    fn finish(self) -> Result<Summary> {
        let Some((mut step, mut student)) = self.counters.best else {
            unreachable!("a run begins with a look at dev")
        };
        match self.settings.run.keep {
            Keep::Best => {
                let parameters = &self.student.parameters;
                parameters.flat().shallow_clone().f_copy_(&self.best)?;
                parameters.refresh()?;
            }
            Keep::Last => {
                step = self.counters.step;
                student = self.student.evaluate(&self.dev, self.tokenizer.special.pad)?;
            }
        }
        let model = self.output.join(MODEL);
        write_folder(&model, |path| self.student.write(path, self.tokenizer.file()))?;
        let summary = Summary { teacher: self.counters.teacher, student, step, model };
        let file = self.output.join(SUMMARY);
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| Error::field(&file, "summary", error.to_string(), "JSON"))?;
        fs::write(&file, text + "\n").map_err(Error::write(&file))?;
        Ok(summary)
    }
}
