//! Results of the runs of `experiments/why-electra/run`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::chart::{Chart, Point, Series};
use super::statistics::{mean, mean_interval};
use crate::error::{Error, Result};
use crate::finetune::Outcome;
use crate::metrics::median;
use crate::operations::{operations_of_run, tokens_of_run};
use crate::pretrain::{Objective, PretrainSettings};
use crate::run::{MetricsLog, SAVED_SETTINGS, read_settings};

const RESULTS: &str = "results.json";
const CHART: &str = "accuracy-against-compute.svg";
/// Folder of the pre-training in a run's folder.
const PRETRAIN: &str = "pretrain";
/// Prefix of the folders of the fine-tunings beside it.
const FINETUNE: &str = "finetune-";
/// Factor of x between the points of one budget, so that their bars do not hide each other.
const APART: f64 = 1.02;
const OBJECTIVES: [Objective; 3] = [Objective::Rtd, Objective::Rtd15, Objective::Mlm];

/// Results of all runs, written as `results.json`.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Runs, ordered by objective and then by operations.
    pub runs: Vec<PretrainingResult>,
    /// Folders in which no fine-tuning has ended. They are left out.
    pub unfinished: Vec<PathBuf>,
}

/// A pre-training and its fine-tunings. Accuracies are shares of SST-2 dev.
#[derive(Debug, Serialize)]
pub struct PretrainingResult {
    /// Objective of the pre-training.
    pub objective: Objective,
    /// Floating-point operations of the pre-training, see [`crate::operations`].
    pub operations: u64,
    /// Tokens of the pre-training.
    pub tokens: u64,
    /// Updates of the pre-training.
    pub steps: u64,
    /// Losses of the pre-training on held-out texts.
    pub losses: Losses,
    /// Fine-tunings, ordered by seed.
    pub seeds: Vec<Seed>,
    /// Median of the seeds' accuracies.
    pub median: f64,
    /// Mean of the seeds' accuracies.
    pub mean: f64,
    /// Student's 95 % interval of the mean over the seeds of the fine-tuning; `None` for one seed.
    /// The pre-training has one seed, so the effect of another one is not included.
    pub interval_over_seeds: Option<(f64, f64)>,
    /// Half of Wilson's 95 % interval of a seed's accuracy, as the mean over the seeds. It is the
    /// effect of another dev set of this size.
    pub dev_half_width: f64,
    /// Number of texts in dev.
    pub dev_texts: usize,
}

/// Losses in nats at the end of a pre-training. They are comparable within one objective only.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Loss of the generator, or of the model itself if that predicts the masked tokens.
    #[serde(rename = "validation_mlm_loss")]
    pub mlm: Option<f64>,
    /// Loss of the discriminator.
    #[serde(rename = "validation_rtd_loss")]
    pub rtd: Option<f64>,
}

/// One fine-tuning.
#[derive(Debug, PartialEq, Serialize)]
pub struct Seed {
    /// Seed of the trial.
    pub seed: u64,
    /// Accuracy on dev.
    pub accuracy: f64,
}

/// The needed part of the `summary.json` of `finetune`.
#[derive(Deserialize)]
struct Summary {
    trials: Vec<Outcome>,
}

/// Reads every run in `folder` and writes `results.json` and `accuracy-against-compute.svg` there.
pub fn collect(folder: &Path) -> Result<Results> {
    let (mut runs, mut unfinished) = (Vec::new(), Vec::new());
    for path in subfolders(folder)? {
        if !path.join(PRETRAIN).join(SAVED_SETTINGS).exists() {
            continue;
        }
        match read_run(&path)? {
            Some(run) => runs.push(run),
            None => unfinished.push(path),
        }
    }
    if runs.is_empty() {
        let expected = "OBJECTIVE-TOKENS/finetune-SEED/summary.json, as `run` writes them";
        return Err(Error::field(folder, "runs", "none that is finished", expected));
    }
    runs.sort_by_key(|run| (place(run.objective), run.operations));
    let results = Results { runs, unfinished };
    let file = folder.join(RESULTS);
    let text = serde_json::to_string_pretty(&results)
        .map_err(|error| Error::field(&file, "results", error.to_string(), "JSON"))?;
    fs::write(&file, text + "\n").map_err(Error::write(&file))?;
    results.chart().write(&folder.join(CHART))?;
    Ok(results)
}

/// Reads a run. Returns `None` if no fine-tuning has ended.
fn read_run(folder: &Path) -> Result<Option<PretrainingResult>> {
    let pretrain = folder.join(PRETRAIN);
    let settings: PretrainSettings = read_settings(&pretrain.join(SAVED_SETTINGS), &[])?;
    let mut trials = Vec::new();
    for path in subfolders(folder)? {
        let summary = path.join("summary.json");
        let is_finetuning = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FINETUNE));
        if is_finetuning && summary.exists() {
            trials.extend(read_summary(&summary)?.trials);
        }
    }
    trials.sort_by_key(|trial| trial.seed);
    let Some(first) = trials.first() else { return Ok(None) };
    let dev_texts = first.dev.texts;
    let accuracies: Vec<f64> = trials.iter().map(|trial| trial.dev.accuracy).collect();
    let half_widths: Vec<f64> =
        trials.iter().map(|trial| (trial.dev.interval.1 - trial.dev.interval.0) / 2.0).collect();
    Ok(Some(PretrainingResult {
        objective: settings.training.own.objective,
        operations: operations_of_run(&settings),
        tokens: tokens_of_run(&settings),
        steps: settings.training.shared.steps,
        losses: read_losses(&pretrain, settings.training.shared.steps)?,
        seeds: trials.iter().map(|trial| Seed { seed: trial.seed, accuracy: trial.dev.accuracy }).collect(),
        median: median(&accuracies),
        mean: mean(&accuracies),
        interval_over_seeds: mean_interval(&accuracies),
        dev_half_width: mean(&half_widths),
        dev_texts,
    }))
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut list = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        if path.is_dir() {
            list.push(path);
        }
    }
    list.sort();
    Ok(list)
}

fn read_summary(file: &Path) -> Result<Summary> {
    let text = fs::read_to_string(file).map_err(Error::read(file))?;
    serde_json::from_str(&text)
        .map_err(|error| Error::field(file, "summary", error.to_string(), "the output of `finetune`"))
}

/// Reads the losses of the last step. Fails if the log ends before it, because the run is then
/// incomplete.
fn read_losses(pretrain: &Path, steps: u64) -> Result<Losses> {
    let file = pretrain.join("metrics.jsonl");
    let line = MetricsLog::read(&file)?.pop().unwrap_or_default();
    let found = line.get("step").map_or("none".to_owned(), ToString::to_string);
    if found != steps.to_string() {
        return Err(Error::field(&file, "last step", found, steps.to_string()));
    }
    serde_json::from_value(line.into())
        .map_err(|error| Error::field(&file, "losses", error.to_string(), "numbers"))
}

impl Results {
    /// Returns a Markdown table with a header and one row per run.
    pub fn to_markdown(&self) -> String {
        let columns = [
            "pre-training",
            "operations",
            "tokens",
            "steps",
            "accuracy of each seed, %",
            "median, %",
            "mean, % (95 % over seeds)",
            "95 % by dev's size",
            "held-out loss",
        ];
        let mut text = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
        for run in &self.runs {
            // Writing into memory does not fail.
            let _ = writeln!(text, "| {} |", run.cells().join(" | "));
        }
        text
    }

    fn chart(&self) -> Chart<'static> {
        let series = |objective| {
            let apart = APART.powi(place(objective) as i32 - 1);
            let runs = self.runs.iter().filter(|run| run.objective == objective);
            let point = |run: &PretrainingResult| {
                let accuracies = || run.seeds.iter().map(|seed| seed.accuracy * 100.0);
                let bar = (accuracies().fold(100.0, f64::min), accuracies().fold(0.0, f64::max));
                Point {
                    x: run.operations as f64 * apart,
                    y: run.median * 100.0,
                    bar: Some(bar),
                    label: String::new(),
                }
            };
            Series { name: name(objective).to_owned(), points: runs.map(point).collect(), connected: true }
        };
        Chart {
            x_title: "floating-point operations of the pre-training",
            y_title: "accuracy on SST-2 dev, % (median and range of the seeds)",
            x_tick: |operations| format!("{operations:e}"),
            series: OBJECTIVES.into_iter().map(series).collect(),
        }
    }
}

impl PretrainingResult {
    fn cells(&self) -> [String; 9] {
        let percent = |share: f64| format!("{:.2}", share * 100.0);
        let interval = match self.interval_over_seeds {
            Some((low, high)) => format!("{} to {}", percent(low), percent(high)),
            None => "one seed".to_owned(),
        };
        let loss = |what: &str, loss: Option<f64>| loss.map(|loss| format!("{what} {loss:.3}"));
        let losses = [loss("rtd", self.losses.rtd), loss("mlm", self.losses.mlm)];
        [
            name(self.objective).to_owned(),
            format!("{:.3e}", self.operations as f64),
            self.tokens.to_string(),
            self.steps.to_string(),
            self.seeds.iter().map(|seed| percent(seed.accuracy)).collect::<Vec<_>>().join(", "),
            percent(self.median),
            format!("{} ({interval})", percent(self.mean)),
            format!("± {} ({} texts)", percent(self.dev_half_width), self.dev_texts),
            losses.into_iter().flatten().collect::<Vec<_>>().join(", "),
        ]
    }
}

fn place(objective: Objective) -> usize {
    OBJECTIVES.iter().position(|&it| it == objective).unwrap_or(OBJECTIVES.len())
}

fn name(objective: Objective) -> &'static str {
    match objective {
        Objective::Rtd => "rtd",
        Objective::Rtd15 => "rtd-15",
        Objective::Mlm => "mlm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// Writes a run as the script leaves it, with one fine-tuning per value of `accuracies`, over
    /// 1,000 texts.
    fn write_run(root: &Path, objective: &str, steps: u64, accuracies: &[f64]) {
        let folder = root.join(format!("{objective}-{steps}"));
        let pretrain = folder.join(PRETRAIN);
        fs::create_dir_all(&pretrain).unwrap();
        let settings = format!(
            "[data]\ntexts = [\"/a.txt\"]\nvocabulary = \"/v.txt\"\ncache = \"/c\"\n\
             [training]\nobjective = \"{objective}\"\nsteps = {steps}\nwarmup_steps = 1\nbatch_size = 10\n"
        );
        fs::write(pretrain.join(SAVED_SETTINGS), settings).unwrap();
        let rtd = if objective == "mlm" { "" } else { ",\"validation_rtd_loss\":0.25" };
        let log =
            format!("{{\"step\":1,\"loss\":9.0}}\n{{\"step\":{steps},\"validation_mlm_loss\":4.5{rtd}}}\n");
        fs::write(pretrain.join("metrics.jsonl"), log).unwrap();
        for (index, &accuracy) in accuracies.iter().enumerate() {
            let seed = index as u64 + 1;
            let path = folder.join(format!("{FINETUNE}{seed}"));
            fs::create_dir_all(&path).unwrap();
            let right = (accuracy * 1000.0).round() as usize;
            let scores = vec![vec![0.9, 0.1]; 1000];
            let expected: Vec<usize> = (0..1000).map(|text| usize::from(text >= right)).collect();
            let trial = Outcome { seed, step: 5, dev: Metrics::new(&scores, &expected) };
            let summary = serde_json::json!({"trials": [trial], "median_accuracy": accuracy});
            fs::write(path.join("summary.json"), summary.to_string()).unwrap();
        }
    }

    #[test]
    fn runs_by_objective_and_budget() {
        let root = tempfile::tempdir().unwrap();
        write_run(root.path(), "mlm", 20, &[0.8]);
        write_run(root.path(), "rtd", 200, &[0.9, 0.86, 0.85]);
        write_run(root.path(), "rtd", 20, &[0.81, 0.82]);
        write_run(root.path(), "rtd-15", 20, &[]);
        fs::create_dir(root.path().join("cache")).unwrap();
        let results = collect(root.path()).unwrap();
        assert_eq!(results.unfinished, [root.path().join("rtd-15-20")]);
        let runs: Vec<_> = results.runs.iter().map(|run| (run.objective, run.steps)).collect();
        assert_eq!(runs, [(Objective::Rtd, 20), (Objective::Rtd, 200), (Objective::Mlm, 20)]);
        let large = &results.runs[1];
        assert_eq!((large.tokens, large.median, large.dev_texts), (200 * 10 * 128, 0.86, 1000));
        assert_eq!(large.losses, Losses { mlm: Some(4.5), rtd: Some(0.25) });
        assert_eq!(large.seeds[0], Seed { seed: 1, accuracy: 0.9 });
        // Mean 0.87, standard error 0.01528, times 4.303.
        let (low, high) = large.interval_over_seeds.unwrap();
        assert!((large.mean - 0.87).abs() < 1e-9 && (high - low - 0.1315).abs() < 1e-3, "{low} to {high}");
        // 1.96 √(0.87 · 0.13 / 1000), approximately.
        assert!((large.dev_half_width - 0.0208).abs() < 2e-4, "{}", large.dev_half_width);

        let table = results.to_markdown();
        assert_eq!(table.lines().count(), 5, "{table}");
        assert!(table.contains("| 90.00, 86.00, 85.00 | 86.00 | 87.00 (80.43 to 93.57) | ± 2.0"), "{table}");
        assert!(table.contains("(one seed)") && table.ends_with("| mlm 4.500 |\n"), "{table}");
        assert!(root.path().join(RESULTS).exists());
        let svg = fs::read_to_string(root.path().join(CHART)).unwrap();
        for part in ["\nrtd\n", "\nmlm\n", "\n2e12\n", "\n1e13\n"] {
            assert!(svg.contains(part), "{part:?} in {svg}");
        }
    }

    #[test]
    fn missing_results_are_named() {
        let root = tempfile::tempdir().unwrap();
        let refused = || collect(root.path()).unwrap_err().to_string();
        assert!(refused().contains("runs: found none that is finished"));
        write_run(root.path(), "rtd", 20, &[0.8]);
        let pretrain = root.path().join("rtd-20").join(PRETRAIN);
        fs::write(pretrain.join("metrics.jsonl"), "{\"step\":10}\n").unwrap();
        assert!(refused().contains("metrics.jsonl: last step: found 10, expected 20"), "{}", refused());
    }
}
