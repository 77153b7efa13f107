//! `electra classify`.

use std::num::NonZeroUsize;

use electra::{Classification, Classifier, ClassifierOptions, ModelFile};
use electra_formats::labels::{Kind, Labels};
use serde_json::{Value, json};

use crate::args::{ClassifyArgs, open_model};
use crate::failure::Failure;
use crate::input::{self, Row};
use crate::output::{Output, one_line};
use crate::workers;

pub(crate) fn run(args: &ClassifyArgs) -> Result<(), Failure> {
    let rows = args.text.rows()?;
    let default = if args.text.input.input.is_some() { workers::cores() } else { 1 };
    let mut engine = args.engine.options();
    // An arena of a given size holds one text at a time. `electra footprint` computes it in the
    // same way.
    engine.max_sequences = if args.engine.arena_bytes.is_none() { Some(ROWS_TOGETHER) } else { None };
    let mut classifiers = open_classifiers(
        args.engine.model.as_ref(),
        &args.answers.apply(ClassifierOptions::new().engine(engine).truncate(args.long_texts.truncate)),
        args.workers.count(&args.engine, default)?,
    )?;
    let mut output = Output::of_rows(&rows);
    let source = input::display_name(args.text.input.input.as_deref());
    let (mut good, mut bad) = (0u64, 0u64);
    workers::run(&mut classifiers, rows, ROWS_TOGETHER, classify_rows, |item| {
        let Some((row, result)) = item else { return Ok(output.flush()?) };
        let line = args.text.input.line_number(row.line);
        let rendered = row.content.and_then(|content| Ok(render(args, line, &content.text, &result?)));
        match rendered {
            Ok(rendered) => {
                good += 1;
                output.line(&rendered, 1)?;
            }
            Err(problem) => {
                bad += 1;
                output.bad_row(&source, row.line, &problem);
            }
        }
        Ok(())
    })?;
    output.finish()?;
    match bad {
        0 => Ok(()),
        _ => Err(Failure::Partly(format!("{bad} of {} rows could not be classified", good + bad))),
    }
}

/// Opens one classifier per worker. All share one mapping of the model.
pub(crate) fn open_classifiers(
    model: Option<&std::path::PathBuf>,
    options: &ClassifierOptions,
    count: usize,
) -> Result<Vec<Classifier>, Failure> {
    classifiers_of(&open_model(model)?, options, count)
}

/// Creates one classifier per worker.
pub(crate) fn classifiers_of(
    file: &ModelFile,
    options: &ClassifierOptions,
    count: usize,
) -> Result<Vec<Classifier>, Failure> {
    let options = options.clone().without(label_names(file, &options.without));
    (0..count).map(|_| Ok(Classifier::new(file, &options)?)).collect()
}

/// Replaces each label with its spelling in the model. Unknown labels stay unchanged and are
/// refused later.
fn label_names(file: &ModelFile, wanted: &[String]) -> Vec<String> {
    let names: Vec<String> = file.model().labels().map(str::to_owned).collect();
    let labels = Labels::new(&names);
    let name = |label: &String| match labels.label(label, Kind::Name) {
        Some(index) => names[index].clone(),
        None => label.clone(),
    };
    wanted.iter().map(name).collect()
}

/// Rows that a worker takes at a time. Short rows run together.
pub(crate) const ROWS_TOGETHER: usize = 8;

fn classify_rows(classifier: &mut Classifier, rows: &[Row]) -> Vec<Result<Classification, String>> {
    let texts: Vec<_> =
        rows.iter().filter_map(|row| row.content.as_ref().ok()).map(|content| &*content.text).collect();
    let mut answers = classifier.classify_all(&texts).into_iter();
    let answer = |row: &Row| match &row.content {
        Ok(_) => answers
            .next()
            .map_or_else(|| Err("no answer".to_owned()), |answer| answer.map_err(|e| e.to_string())),
        Err(problem) => Err(problem.clone()),
    };
    rows.iter().map(answer).collect()
}

/// Formats one answer. `number` is the line of the input, with which JSON answers can be joined to
/// it.
fn render(args: &ClassifyArgs, number: Option<u64>, text: &str, classification: &Classification) -> String {
    if args.print.json {
        let mut answer = render_json(text, classification, args.top_k);
        set_line(&mut answer, number);
        return answer.to_string();
    }
    let mut line = format!(
        "[{}] {} (Score: {:.4}",
        one_line(&classification.label),
        one_line(text),
        classification.score
    );
    // The label of an unsure answer does not say to which label the score belongs.
    let (first, last) = match (classification.unsure, args.top_k) {
        (true, top_k) => (0, top_k.map_or(usize::MAX, NonZeroUsize::get)),
        (false, top_k) => (1, top_k.map_or(1, NonZeroUsize::get)),
    };
    for entry in classification.ranked().iter().take(last).skip(first) {
        line.push_str(&format!("; {} {:.4}", one_line(&entry.label), entry.score));
    }
    if classification.windows > 1 {
        line.push_str(&format!("; {} windows", classification.windows));
    }
    if classification.truncated {
        line.push_str(&format!("; cut to {} tokens", classification.tokens));
    }
    line.push(')');
    line
}

/// Adds the line of the input to an answer.
pub(crate) fn set_line(answer: &mut Value, line: Option<u64>) {
    if let Some(line) = line {
        answer["line"] = line.into();
    }
}

/// Returns one JSON object with all scores or the first `top_k`.
pub(crate) fn render_json(text: &str, classification: &Classification, top_k: Option<NonZeroUsize>) -> Value {
    json!({
        "text": text,
        "label": &*classification.label,
        "score": classification.score,
        "scores": render_scores(classification, top_k),
        "tokens": classification.tokens,
        "windows": classification.windows,
        "truncated": classification.truncated,
    })
}

/// Returns a JSON array with all labels and scores or the first `top_k`, the likeliest first.
pub(crate) fn render_scores(classification: &Classification, top_k: Option<NonZeroUsize>) -> Value {
    let ranked = classification.ranked();
    let shown = top_k.map_or(ranked.len(), NonZeroUsize::get);
    let entries = ranked.iter().take(shown);
    entries.map(|entry| json!({ "label": &*entry.label, "score": entry.score })).collect()
}
