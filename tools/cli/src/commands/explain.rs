//! `electra explain`.

use std::io::{self, IsTerminal};
use std::ops::Range;
use std::time::Instant;

use electra::{Classification, Classifier, ClassifierOptions, ModelFile};
use electra_core::HeadKind;
use electra_core::tokenizer::Tokenizer;
use electra_formats::labels::{Kind as ValueKind, Labels};
use electra_formats::output_file::{Kind, OutputFile};

use crate::args::{ExplainArgs, open_model};
use crate::commands::classify::{ROWS_TOGETHER, classifiers_of};
use crate::explain::{ExplainedPart, Game, Report, draw, estimate, kept, parts, words};
use crate::failure::Failure;
use crate::output::Output;
use crate::workers;

pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let picture = args.svg.as_ref().map(|path| OutputFile::new(path, Kind::Svg)).transpose()?;
    let text = args.text.single()?;
    let file = open_model(args.engine.model.as_ref())?;
    expect_classifier(&file)?;
    let words = words(&text, |c| is_word(file.tokenizer(), c));
    let parts = if args.words { words.clone() } else { parts(&text, &words) };
    let mut subsets = Subsets::new(args, &file, &text, &parts)?;

    let start = Instant::now();
    // The first run brings the weights into memory, so the second one is measured.
    let empty = subsets.classify("")?;
    let before = start.elapsed();
    let whole = subsets.classify(&text)?;
    let once = start.elapsed() - before;
    subsets.label = label(args.label.as_deref(), &whole)?;
    let score = |answer: &Classification| answer.scores[subsets.label].score;
    let (score, empty_score) = (score(&whole), score(&empty));
    let game = Game { players: parts.len(), empty: empty_score.into(), whole: score.into() };
    let estimate = estimate(game, args.samples, args.seed, |sets| subsets.scores(sets))?;
    let times = start.elapsed().as_secs_f64() / once.as_secs_f64().max(1e-9);

    let part =
        |(range, contribution): (&Range<usize>, _)| ExplainedPart { range: range.clone(), contribution };
    let report = Report {
        text: &text,
        label: &whole.scores[subsets.label].label,
        score,
        empty_score,
        parts: parts.iter().zip(estimate.contributions).map(part).collect(),
        words: words.len(),
        samples: estimate.samples,
        runs: estimate.evaluated + 2,
        windows: whole.windows,
        cut: whole.truncated.then_some(whole.tokens),
    };
    if let Some(picture) = picture {
        picture.write(draw(&report).map_err(Failure::run)?.as_bytes())?;
    }
    let mut output = Output::new();
    let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    output
        .line(&if args.print.json { report.json().to_string() } else { report.lines(times, coloured) }, 0)?;
    Ok(output.finish()?)
}

/// Refuses a model that has no labels of texts.
fn expect_classifier(file: &ModelFile) -> Result<(), Failure> {
    let (found, expected) = (file.model().config().head, HeadKind::Classification);
    if found == expected {
        return Ok(());
    }
    let error = electra::Error::Head { path: file.path().to_path_buf(), found, expected };
    Err(Failure::run(format_args!("{error}; 'electra detect' shows which words look replaced")))
}

/// Returns whether the tokenizer makes each such character a word, whatever its neighbours are.
fn is_word(tokenizer: &Tokenizer<'_>, c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    // Of two letters that belong to one word, the second one continues the word.
    let continues = |id| tokenizer.vocabulary().token(id).is_some_and(|token| token.starts_with("##"));
    let twice = String::from_iter([c, c]);
    let second = tokenizer.pieces(&twice).ok().and_then(|mut pieces| pieces.nth(1));
    second.is_some_and(|token| !continues(token.id))
}

/// Returns the index of the label to explain: the one with this name, or the answer.
fn label(name: Option<&str>, answer: &Classification) -> Result<usize, Failure> {
    let names: Vec<String> = answer.scores.iter().map(|entry| entry.label.to_string()).collect();
    let wanted = name.unwrap_or(&answer.label);
    Labels::new(&names).label(wanted, ValueKind::Name).ok_or_else(|| {
        Failure::Usage(format!("--label: found {wanted}, expected one of {}", names.join(", ")))
    })
}

/// Scores of a label for the text with only some of its parts.
struct Subsets<'a> {
    classifiers: Vec<Classifier>,
    text: &'a str,
    parts: &'a [Range<usize>],
    /// Index of the label among those that can be the answer.
    label: usize,
}

impl<'a> Subsets<'a> {
    fn new(
        args: &ExplainArgs,
        file: &ModelFile,
        text: &'a str,
        parts: &'a [Range<usize>],
    ) -> Result<Self, Failure> {
        let mut engine = args.engine.options();
        // As for `electra classify`: an arena of a given size holds one text at a time.
        engine.max_sequences = if args.engine.arena_bytes.is_none() { Some(ROWS_TOGETHER) } else { None };
        let options = ClassifierOptions::new()
            .engine(engine)
            .truncate(args.long_texts.truncate)
            .without(args.without.without.clone())
            // The label to explain is the likeliest one, even if its score is low.
            .min_score(0.0);
        let classifiers = classifiers_of(file, &options, args.workers.count(&args.engine, 1)?)?;
        Ok(Self { classifiers, text, parts, label: 0 })
    }

    /// Classifies one text with the first worker.
    fn classify(&mut self, text: &str) -> Result<Classification, Failure> {
        let classifier = self.classifiers.first_mut().ok_or_else(|| Failure::run("no worker"))?;
        Ok(classifier.classify(text)?)
    }

    /// Returns the score of the label for each set of parts.
    fn scores(&mut self, sets: &[Vec<bool>]) -> Result<Vec<f64>, Failure> {
        let texts: Vec<String> = sets.iter().map(|set| kept(self.text, self.parts, set)).collect();
        let classify = |classifier: &mut Classifier, texts: &[String]| {
            classifier.classify_all(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let together = texts.len().div_ceil(self.classifiers.len()).max(1);
        let answers = workers::run_batch(&mut self.classifiers, &texts, together, &classify)?;
        answers.into_iter().map(|answer| Ok(answer?.scores[self.label].score.into())).collect()
    }
}
