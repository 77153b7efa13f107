//! `electra evaluate`.

use std::time::{Duration, Instant};

use electra::{Classification, Classifier, ClassifierOptions, UNSURE};
use electra_formats::output_file::{Kind, OutputFile};
use serde_json::json;

use crate::args::{EvaluateArgs, open_model};
use crate::commands::classify::open_classifiers;
use crate::evaluation::curve;
use crate::evaluation::label_column::LabelColumn;
use crate::evaluation::metrics::{Metrics, Outcome};
use crate::evaluation::thresholds::{Threshold, thresholds};
use crate::failure::Failure;
use crate::input::{Row, Rows};
use crate::output::{Output, one_line};
use crate::workers;

pub(crate) fn run(args: &EvaluateArgs) -> Result<(), Failure> {
    let Some(path) = &args.input.input else {
        return Err(Failure::Usage("--input is missing".to_owned()));
    };
    let source = args.input.source(path, Some(&args.label_column));
    if !source.format()?.has_fields() {
        return Err(Failure::Usage(
            "a .txt input has no labels, expected .csv, .tsv or .jsonl, or --format".to_owned(),
        ));
    }
    let name = source.name();
    let rows = source.rows()?;
    let mut classifiers = open_classifiers(
        args.engine.model.as_ref(),
        &args
            .answers
            .apply(ClassifierOptions::new().engine(args.engine.options()).truncate(args.long_texts.truncate)),
        args.workers.count(&args.engine, 1)?,
    )?;
    let names: Vec<String> =
        classifiers.first().map_or_else(Vec::new, |one| one.labels().iter().map(|l| l.to_string()).collect());
    let file = open_model(args.engine.model.as_ref())?;
    let all: Vec<String> = file.model().labels().map(str::to_owned).collect();
    let survey = |rows: &mut dyn Iterator<Item = Result<Row, Failure>>| {
        LabelColumn::survey(rows, &names, &all, args.label_as, &name, &args.label_column)
    };
    let (column, rows) = if source.can_be_read_again() {
        (survey(&mut { rows })?, source.rows()?)
    } else {
        let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
        (survey(&mut rows.iter().cloned().map(Ok))?, Rows::in_memory(rows))
    };
    let picture = args.curve.as_deref().map(|path| OutputFile::new(path, Kind::Svg)).transpose()?;
    let mut output = Output::of_rows(&rows);
    let mut outcomes = Vec::new();
    let mut bad = 0u64;
    workers::run(&mut classifiers, rows, 1, classify_row, |item| {
        let Some((row, result)) = item else { return Ok(()) };
        let outcome = row.content.and_then(|content| {
            let (classification, latency) = result?;
            let expected = column.label(content.label.as_deref().unwrap_or_default());
            let (scores, unsure) = (scores(&classification), classification.unsure);
            Ok(expected.map(|expected| Outcome { expected, scores, unsure, latency }))
        });
        match outcome {
            Ok(Some(outcome)) => {
                outcomes.push(outcome);
                output.tick();
            }
            // The survey has already reported the value.
            Ok(None) => {
                bad += 1;
                output.tick();
            }
            Err(problem) => {
                bad += 1;
                output.bad_row(&name, row.line, &problem);
            }
        }
        Ok(())
    })?;
    if outcomes.is_empty() {
        return Err(Failure::run(format_args!("{name}: no row could be evaluated")));
    }
    let metrics = Metrics::new(&names, &outcomes);
    let thresholds = args.target_accuracy.map(|target| thresholds(names.len(), &outcomes, target));
    let thresholds = thresholds.as_deref();
    let rendered = match args.print.json {
        true => render_json(&metrics, thresholds, bad),
        false => render(&metrics, thresholds),
    };
    output.line(&rendered, 0)?;
    if let Some(picture) = picture {
        picture.write(curve::draw(&outcomes).map_err(Failure::run)?.as_bytes())?;
    }
    output.finish()?;
    match bad {
        0 => Ok(()),
        _ => Err(Failure::Partly(format!("{bad} of {} rows were left out", outcomes.len() as u64 + bad))),
    }
}

/// Classifies the texts one at a time, so that each latency belongs to one text.
fn classify_row(
    classifier: &mut Classifier,
    rows: &[Row],
) -> Vec<Result<(Classification, Duration), String>> {
    let timed = |row: &Row| {
        let content = row.content.as_ref().map_err(Clone::clone)?;
        let start = Instant::now();
        let classification = classifier.classify(&content.text).map_err(|error| error.to_string())?;
        Ok((classification, start.elapsed()))
    };
    rows.iter().map(timed).collect()
}

fn scores(classification: &Classification) -> Vec<f32> {
    classification.scores.iter().map(|entry| entry.score).collect()
}

fn render(metrics: &Metrics, thresholds: Option<&[Threshold]>) -> String {
    let (low, high) = metrics.interval;
    let mut lines = vec![
        format!("texts        {}", metrics.texts),
        format!(
            "accuracy     {:.2} %  (95 % interval {:.2} to {:.2})",
            100.0 * metrics.accuracy,
            100.0 * low,
            100.0 * high
        ),
        format!("macro F1     {:.4}", metrics.macro_f1),
        format!(
            "calibration  {:.2} %  (expected calibration error, 15 bins; by chance {:.2} %, seldom above {:.2} %)",
            100.0 * metrics.calibration_error,
            100.0 * metrics.chance.mean,
            100.0 * metrics.chance.usual
        ),
        format!(
            "latency      p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, mean {:.2} ms",
            metrics.latency_ms[0], metrics.latency_ms[1], metrics.latency_ms[2], metrics.latency_ms[3]
        ),
    ];
    let answered = &metrics.answered;
    if answered.texts < metrics.texts {
        lines.insert(
            2,
            format!(
                "answered     {} of {}, accuracy {:.2} %  (95 % interval {:.2} to {:.2}); the others are {UNSURE}",
                answered.texts,
                metrics.texts,
                100.0 * answered.accuracy,
                100.0 * answered.interval.0,
                100.0 * answered.interval.1,
            ),
        );
    }
    let labels: Vec<String> = metrics.labels.iter().map(|label| one_line(label)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(9);
    let header: String = labels.iter().map(|label| format!(" {label:>width$}")).collect();
    lines.push(format!("{:width$} {header}  precision  recall      F1", "true \\ is"));
    for (index, label) in labels.iter().enumerate() {
        let counts: String =
            metrics.confusion[index].iter().map(|count| format!(" {count:>width$}")).collect();
        let class = &metrics.classes[index];
        lines.push(format!(
            "{label:width$} {counts}     {:.4}  {:.4}  {:.4}",
            class.precision, class.recall, class.f1
        ));
    }
    lines.extend(thresholds.into_iter().flat_map(|thresholds| render_thresholds(&labels, thresholds)));
    lines.join("\n")
}

fn render_thresholds(labels: &[String], thresholds: &[Threshold]) -> Vec<String> {
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(9);
    let line = |(label, found): (&String, &Threshold)| match found.score {
        Some(score) => format!(
            "{label:width$} {score:>9}  {} of {} answers, accuracy {:.2} %  (95 % interval {:.2} to {:.2})",
            found.kept,
            found.answers,
            100.0 * found.accuracy,
            100.0 * found.interval.0,
            100.0 * found.interval.1,
        ),
        None => format!("{label:width$} {:>9}  none of {} answers", "1", found.answers),
    };
    let mut lines = vec![format!("{:width$} threshold", "label")];
    lines.extend(labels.iter().zip(thresholds).map(line));
    let option = |(label, found): (&String, &Threshold)| match found.score {
        Some(0.0) => None,
        Some(score) => Some(format!(" --threshold {label}={score}")),
        None => Some(format!(" --threshold {label}=1")),
    };
    let options: String = labels.iter().zip(thresholds).filter_map(option).collect();
    if !options.is_empty() {
        lines.push(format!("for electra pack:{options}"));
    }
    lines
}

fn render_json(metrics: &Metrics, thresholds: Option<&[Threshold]>, bad: u64) -> String {
    let threshold = |(label, found): (&String, &Threshold)| {
        json!({
            "label": label,
            "threshold": found.score,
            "answered": found.kept,
            "answers": found.answers,
            "accuracy": found.accuracy,
            "accuracy_interval_95": [found.interval.0, found.interval.1],
        })
    };
    let thresholds =
        thresholds.map(|found| metrics.labels.iter().zip(found).map(threshold).collect::<Vec<_>>());
    let classes: Vec<_> = metrics
        .labels
        .iter()
        .zip(&metrics.classes)
        .map(|(label, class)| {
            json!({ "label": label, "precision": class.precision, "recall": class.recall, "f1": class.f1 })
        })
        .collect();
    json!({
        "texts": metrics.texts,
        "left_out": bad,
        "accuracy": metrics.accuracy,
        "accuracy_interval_95": [metrics.interval.0, metrics.interval.1],
        "answered": metrics.answered.texts,
        "answered_accuracy": metrics.answered.accuracy,
        "answered_accuracy_interval_95": [metrics.answered.interval.0, metrics.answered.interval.1],
        "thresholds": thresholds,
        "macro_f1": metrics.macro_f1,
        "classes": classes,
        "labels": metrics.labels,
        "confusion": metrics.confusion,
        "expected_calibration_error": metrics.calibration_error,
        "calibration_error_by_chance": { "mean": metrics.chance.mean, "p95": metrics.chance.usual },
        "latency_ms": {
            "p50": metrics.latency_ms[0],
            "p90": metrics.latency_ms[1],
            "p99": metrics.latency_ms[2],
            "mean": metrics.latency_ms[3],
        },
    })
    .to_string()
}
