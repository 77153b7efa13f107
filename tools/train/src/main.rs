//! The command `electra-train`.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use electra_train::data::Source;
use electra_train::device::DeviceChoice;
use electra_train::distributed::World;
use electra_train::error::Result;
use electra_train::metrics::Metrics;

/// Tokenizers allocate on all threads at once. With the single arena that libtorch needs
/// (memory.rs), glibc's allocator serves one thread at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes ELECTRA models: pre-training, fine-tuning, distillation, quantization, evaluation.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pre-train by replaced-token detection, or by masked language modelling for comparison.
    Pretrain(RunArguments),
    /// Make a classifier of a pre-trained ELECTRA, BERT or MPNet folder, once per seed.
    Finetune(RunArguments),
    /// Teach a small ELECTRA classifier the outputs of a larger one: ELECTRA, BERT or MPNet.
    Distil(RunArguments),
    /// Write the answers of classifiers to texts into a file, for students to learn from.
    Label(LabelArguments),
    /// Continue the training of a classifier in the arithmetic of the int8 runtime, and report the
    /// effect of int8 before and after.
    Quantize(RunArguments),
    /// Divide a classifier's logits by the temperature that fits a labelled file, so that its
    /// scores match its accuracy.
    Calibrate(CalibrateArguments),
    /// Write a classifier or a discriminator as an ONNX file.
    ExportOnnx(ExportArguments),
    /// Average the weights of models that were trained from the same weights.
    Average(AverageArguments),
    /// Make a fine-tuned model from its base model and the changes of the fine-tuning.
    AddChanges(ChangesArguments),
    /// Round a model's weights to f16, which halves their bytes.
    Half(HalfArguments),
    /// Show pre-training by replaced-token detection on one text: every token is masked, guessed,
    /// replaced and judged.
    WalkThrough(WalkThroughArguments),
    /// Measure a classifier on a labelled file; texts are cut to the longest input of the model.
    Evaluate(EvaluateArguments),
}

#[derive(Args)]
struct RunArguments {
    /// Settings file of the run, TOML.
    settings: PathBuf,
    /// Folder of the run: settings, log, checkpoints, result. An interrupted run continues from its
    /// last checkpoint.
    #[arg(short, long)]
    output: PathBuf,
    /// Change one setting, for example `training.steps=1000`.
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    overrides: Vec<String>,
}

#[derive(Args)]
struct LabelArguments {
    /// Folders of classifiers in the Hugging Face layout: ELECTRA, BERT or MPNet. The mean of their
    /// probabilities is written.
    #[arg(required = true)]
    teachers: Vec<PathBuf>,
    /// Settings file that names the texts, TOML.
    settings: PathBuf,
    /// File to write. If an interrupted run has written it, the run continues.
    #[arg(short, long)]
    output: PathBuf,
    /// Change one setting, for example `run.batch_tokens=2048`.
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    overrides: Vec<String>,
}

#[derive(Args)]
struct CalibrateArguments {
    /// Folder of the classifier in the Hugging Face layout.
    model: PathBuf,
    /// Labelled texts that the classifier was not trained on: .tsv, .csv or .jsonl, optionally with
    /// .zst appended.
    file: PathBuf,
    /// Folder to write.
    #[arg(short, long)]
    output: PathBuf,
    /// Column or key of the text.
    #[arg(long, default_value = "text")]
    text: String,
    /// Column or key of the label.
    #[arg(long, default_value = "label")]
    label: String,
    /// Device to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
}

#[derive(Args)]
struct ExportArguments {
    /// Folder of the model in the Hugging Face layout.
    model: PathBuf,
    /// File to write.
    file: PathBuf,
    /// Quantize the model dynamically, as ONNX Runtime's `quantize_dynamic` does, instead of in
    /// f32.
    #[arg(long)]
    int8: bool,
}

#[derive(Args)]
struct AverageArguments {
    /// Folders of the models in the Hugging Face layout.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Folder to write.
    #[arg(short, long)]
    output: PathBuf,
}

#[derive(Args)]
struct ChangesArguments {
    /// Folder of the base model in the Hugging Face layout.
    base: PathBuf,
    /// Folder with the changes: `config.json` and `fine-tuned.safetensors.zst`.
    changes: PathBuf,
    /// Folder to write.
    #[arg(short, long)]
    output: PathBuf,
}

#[derive(Args)]
struct HalfArguments {
    /// Folder of the model in the Hugging Face layout.
    model: PathBuf,
    /// Folder to write.
    #[arg(short, long)]
    output: PathBuf,
}

#[derive(Args)]
struct WalkThroughArguments {
    /// Folder of a run of `pretrain`, with `generator` and `discriminator` in it.
    run: PathBuf,
    /// The text.
    text: String,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct EvaluateArguments {
    /// Folder of the classifier in the Hugging Face layout.
    model: PathBuf,
    /// Labelled texts: .tsv, .csv or .jsonl, optionally with .zst appended.
    file: PathBuf,
    /// Column or key of the text.
    #[arg(long, default_value = "text")]
    text: String,
    /// Column or key of the label.
    #[arg(long, default_value = "label")]
    label: String,
    /// Cut texts to this number of tokens.
    #[arg(long)]
    max_length: Option<usize>,
    /// Leave out a label, and divide its probability among the others.
    #[arg(long, value_name = "LABEL")]
    without: Vec<String>,
    /// Device to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
    /// Quantize the model as `electra pack` does and compute as the runtime does, instead of in
    /// f32.
    #[arg(long)]
    int8: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    electra_train::startup::restart_with_settings();
    electra_train::memory::keep_freed_memory();
    let said = run(Arguments::parse().command).map(|text| io::stdout().lock().write_all(text.as_bytes()));
    match said {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // The reader of the output has closed it.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: standard output: cannot be written: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command and returns the text to print.
fn run(command: Command) -> Result<String> {
    let in_one_process = match &command {
        Command::Pretrain(_)
        | Command::Finetune(_)
        | Command::Distil(_)
        | Command::Label(_)
        | Command::Quantize(_) => None,
        Command::Calibrate(_) => Some("calibrate"),
        Command::ExportOnnx(_) => Some("export-onnx"),
        Command::Average(_) => Some("average"),
        Command::AddChanges(_) => Some("add-changes"),
        Command::Half(_) => Some("half"),
        Command::WalkThrough(_) => Some("walk-through"),
        Command::Evaluate(_) => Some("evaluate"),
    };
    in_one_process.map_or(Ok(()), World::only_one)?;
    let said = match command {
        Command::Pretrain(it) => {
            let folders = electra_train::pretrain::pretrain(&it.settings, &it.overrides, &it.output)?;
            folders.iter().map(|folder| format!("{}\n", folder.display())).collect()
        }
        Command::Finetune(it) => {
            let summary = electra_train::finetune::finetune(&it.settings, &it.overrides, &it.output)?;
            summary.map_or_else(String::new, |summary| {
                let accuracy = match summary.trials.len() {
                    1 => format!("{:.2} %", summary.median_accuracy * 100.0),
                    seeds => format!(
                        "median of {seeds} seeds {:.2} %, {:.2} to {:.2}",
                        summary.median_accuracy * 100.0,
                        summary.range.0 * 100.0,
                        summary.range.1 * 100.0
                    ),
                };
                format!("dev accuracy: {accuracy}; the best: {}\n", summary.best.display())
            })
        }
        Command::Distil(it) => {
            let summary = electra_train::distil::distil(&it.settings, &it.overrides, &it.output)?;
            summary.map_or_else(String::new, |summary| {
                let teacher = summary.teacher.as_ref();
                let teacher =
                    teacher.map_or_else(String::new, |it| format!(", teacher {:.2} %", it.accuracy * 100.0));
                let student = summary.student.accuracy * 100.0;
                format!("dev accuracy: student {student:.2} %{teacher}; {}\n", summary.model.display())
            })
        }
        Command::Label(it) => {
            let labelled =
                electra_train::label::label(&it.teachers, &it.settings, &it.overrides, &it.output)?;
            labelled.map_or_else(String::new, |labelled| {
                let (texts, now, tokens) = (labelled.texts, labelled.now, labelled.tokens);
                format!(
                    "{texts} texts, {now} labelled in this run ({tokens} tokens); {}\n",
                    it.output.display()
                )
            })
        }
        Command::Quantize(it) => {
            let report = electra_train::quantize::quantize(&it.settings, &it.overrides, &it.output)?;
            report.map_or_else(String::new, |report| report.to_string())
        }
        Command::Calibrate(it) => {
            let source = Source { text: it.text, label: it.label, ..Source::new(it.file) };
            let found = electra_train::calibrate::calibrate(&it.model, &source, &it.output, it.device)?;
            format!(
                "temperature {:.3}: calibration error {:.2} % to {:.2} %, loss {:.4} to {:.4}; {}\n",
                found.temperature,
                found.before.calibration_error * 100.0,
                found.after.calibration_error * 100.0,
                found.before.loss,
                found.after.loss,
                it.output.display()
            )
        }
        Command::ExportOnnx(it) => {
            electra_train::onnx::export(&it.model, &it.file, it.int8)?;
            format!("{}\n", it.file.display())
        }
        Command::Average(it) => {
            electra_train::average::average(&it.models, &it.output)?;
            format!("{}\n", it.output.display())
        }
        Command::AddChanges(it) => {
            electra_train::changes::add_changes(&it.base, &it.changes, &it.output)?;
            format!("{}\n", it.output.display())
        }
        Command::Half(it) => {
            electra_train::half_precision::convert(&it.model, &it.output)?;
            format!("{}\n", it.output.display())
        }
        Command::WalkThrough(it) => {
            let found = electra_train::walk_through::walk_through(&it.run, &it.text)?;
            match it.json {
                true => format!("{}\n", serde_json::json!(found)),
                false => found.to_string(),
            }
        }
        Command::Evaluate(it) => {
            let source = Source { text: it.text, label: it.label, ..Source::new(it.file) };
            let metrics = electra_train::evaluate::evaluate(
                &it.model,
                &source,
                &it.without,
                it.max_length,
                it.device,
                it.int8,
            )?;
            match it.json {
                true => format!("{}\n", serde_json::json!(metrics)),
                false => table(&metrics),
            }
        }
    };
    Ok(said)
}

fn table(metrics: &Metrics) -> String {
    let (low, high) = metrics.interval;
    format!(
        "texts              {}\n\
         accuracy           {:.2} % (95 %: {:.2} to {:.2})\n\
         macro F1           {:.2} %\n\
         macro recall       {:.2} %\n\
         calibration error  {:.2} %\n\
         loss               {:.4}\n",
        metrics.texts,
        metrics.accuracy * 100.0,
        low * 100.0,
        high * 100.0,
        metrics.macro_f1 * 100.0,
        metrics.macro_recall * 100.0,
        metrics.calibration_error * 100.0,
        metrics.loss
    )
}
