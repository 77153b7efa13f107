//! The command `quantize`: trains a classifier in int8 and reports the effect.

use std::path::Path;

use tch::Device;

use super::objective::Int8Objective;
use super::report::Report;
use super::settings::QuantizeSettings;
use crate::classification::{TextClassifier, labels_of, tokenizer_of};
use crate::data::{WordPieceTokenizer, piece_map};
use crate::error::{Error, Result};
use crate::finetune::{HardLabels, MODEL, Task, read_data, run_trial};
use crate::model::folder::{CONFIG, Folder};
use crate::run::{METRICS, RunContext, draw_curves};

const REPORT: &str = "report.json";
const CURVES: [&str; 4] = ["loss", "dev_accuracy", "dev_loss", "dev_calibration_error"];

/// Continues the training of a classifier in int8 into the folder `output`, or continues the run
/// that stopped in that folder. Reports the effect of int8 before and after the training. The
/// result, `model`, holds f32 weights, from which `electra pack` makes the int8 weights of the
/// training.
///
/// Under `torchrun` several processes share every update. Only the first of them uses `output` and
/// returns a report.
pub fn quantize(settings: &Path, overrides: &[String], output: &Path) -> Result<Option<Report>> {
    let together =
        RunContext::begin(settings, overrides, output, |it: &QuantizeSettings| it.run.shared.device)?;
    let RunContext { settings, device, processes, .. } = together;
    let folder = Folder::read(&settings.model.folder)?;
    folder.check_for_runtime()?;
    let labels = &settings.data.labels;
    check_labels(&folder, labels)?;
    let before = TextClassifier::read(&folder, device)?;
    let tokenizer = tokenizer_of(&folder)?;
    let (train, dev) = read_data(&settings.data, &folder, &tokenizer)?;
    let longest = train.examples.iter().map(|it| it.ids.len()).max().unwrap_or(0);
    let teacher = match &settings.model.teacher {
        Some(path) => teacher(path, &tokenizer, labels, longest, device)?,
        None => TextClassifier::read(&folder, device)?,
    };
    let hard = HardLabels::new(&settings.training.shared, &train.examples, labels.len(), device)?;
    let objective =
        Box::new(Int8Objective { teacher, teacher_weight: settings.training.own.teacher_weight, hard });
    let leads = processes.world().leads();
    let task = Task {
        command: "quantize",
        settings: settings.of_trial(),
        objective,
        folder,
        tokenizer,
        train,
        dev,
        device,
        processes,
    };
    run_trial(&task, settings.training.own.seed, output)?;
    if !leads {
        return Ok(None);
    }
    draw_curves(&output.join(METRICS), &CURVES, &output.join("curves.svg"))?;

    let trained = TextClassifier::read(&Folder::read(&output.join(MODEL))?, device)?;
    let padding = task.tokenizer.special.pad;
    let report = Report::measure(&before, &trained, &task.dev, padding, settings.run.own.sensitivity_texts)?;
    report.write(&output.join(REPORT))?;
    Ok(Some(report))
}

/// Reads the classifier in `path`. Fails if its labels are not `labels`, or if it does not take
/// texts of `longest` tokens that `tokenizer` has encoded.
fn teacher(
    path: &Path,
    tokenizer: &WordPieceTokenizer,
    labels: &[String],
    longest: usize,
    device: Device,
) -> Result<TextClassifier> {
    let teacher = Folder::read(path)?;
    check_labels(&teacher, labels)?;
    let numbers = piece_map(tokenizer, &tokenizer_of(&teacher)?)?;
    let positions = teacher.config.longest_input();
    if positions < longest as i64 {
        let expected = format!("at least {longest}, the tokens of the longest text");
        let file = teacher.file(CONFIG);
        return Err(Error::field(&file, "max_position_embeddings", positions.to_string(), expected));
    }
    let mut classifier = TextClassifier::read(&teacher, device)?;
    if let Some(numbers) = numbers {
        classifier.renumber(&numbers)?;
    }
    Ok(classifier)
}

fn check_labels(folder: &Folder, expected: &[String]) -> Result<()> {
    let found = labels_of(folder)?;
    if found == expected {
        return Ok(());
    }
    let expected = format!("{}, as in data.labels", expected.join(", "));
    Err(Error::field(&folder.file(CONFIG), "id2label", found.join(", "), expected))
}
