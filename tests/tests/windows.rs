//! Tests long texts: how they are divided into windows, and how the answers of the windows are
//! combined.
#![forbid(unsafe_code)]

use std::ops::Range;

use electra::{
    Classification, Classifier, ClassifierOptions, Detector, Engine, EngineKind, EngineOptions, Error,
    ModelFile,
};
use electra_core::HeadKind;
use electra_core::tokenizer::Token;
use electra_tests::{Random, Sizes, model_file, pack};

const LENGTHS: [usize; 6] = [3, 4, 8, 9, 64, 512];

fn file(labels: Option<usize>) -> ModelFile {
    model_file(&pack(&Sizes { labels, ..Sizes::TINY }.checkpoint(62)))
}

fn engine_options(max_tokens: usize) -> EngineOptions {
    EngineOptions::new().max_tokens(max_tokens)
}

fn classifier(file: &ModelFile, max_tokens: usize, truncate: bool) -> Classifier {
    let options = ClassifierOptions::new().engine(engine_options(max_tokens)).truncate(truncate);
    Classifier::new(file, &options).unwrap_or_else(|error| panic!("{error}"))
}

fn classify(classifier: &mut Classifier, text: &str) -> Classification {
    classifier.classify(text).unwrap_or_else(|error| panic!("{error}"))
}

fn tokens(file: &ModelFile, text: &str) -> Vec<Token> {
    file.tokenizer().pieces(text).unwrap_or_else(|error| panic!("{error}")).collect()
}

/// Returns the windows over `tokens` tokens. All but the last are full. Each begins with the last
/// quarter of the previous one.
fn windows(tokens: usize, max_tokens: usize) -> Vec<Range<usize>> {
    let full = max_tokens - 2;
    let next = |last: &Range<usize>| {
        (last.end < tokens).then(|| {
            let start = last.end - full / 4;
            start..tokens.min(start + full)
        })
    };
    std::iter::successors(Some(0..tokens.min(full)), next).collect()
}

fn sequence(file: &ModelFile, tokens: &[Token]) -> Vec<u16> {
    let special = file.model().vocabulary().special();
    let mut ids = vec![special.cls];
    ids.extend(tokens.iter().map(|token| token.id));
    ids.push(special.sep);
    ids
}

fn logits(engine: &mut Engine, ids: &[u16]) -> Vec<f64> {
    let logits = engine.run(ids).unwrap_or_else(|error| panic!("{error}"));
    logits.iter().map(|logit| f64::from(*logit)).collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / total).collect()
}

/// Returns a text of `words` words and punctuation marks, some of them in other scripts.
fn text(words: usize, seed: u64) -> String {
    const WORDS: [&str; 14] = [
        "the",
        "film",
        "is",
        "not",
        "good",
        "badly",
        ",",
        ".",
        "Élan",
        "naïve",
        "字",
        "🙂",
        "a\u{300}\u{301}b",
        "x9",
    ];
    let mut random = Random::new(seed);
    (0..words).flat_map(|_| [WORDS[random.below(WORDS.len())], " "]).collect()
}

fn assert_scores(found: &Classification, expected: &[f64]) {
    assert_eq!(found.scores.len(), expected.len());
    for (found, expected) in found.scores.iter().zip(expected) {
        assert!(
            (f64::from(found.score) - expected).abs() < 1e-6,
            "{} found, {expected} expected",
            found.score
        );
    }
    let total: f64 = found.scores.iter().map(|label| f64::from(label.score)).sum();
    assert!((total - 1.0).abs() < 1e-6);
    let best = found.scores.iter().map(|label| label.score).fold(0.0, f32::max);
    assert_eq!(found.score, best);
    let of_label = found.scores.iter().find(|label| label.label == found.label);
    assert_eq!(of_label.map(|label| label.score), Some(best));
    let ranked = found.ranked();
    assert!(ranked.is_sorted_by(|a, b| a.score >= b.score) && ranked.len() == found.scores.len());
    assert_eq!(ranked[0].score, best);
}

#[test]
fn a_text_that_fits_is_the_softmax_of_its_logits() {
    let file = file(Some(3));
    let mut engine = Engine::new(&file, &engine_options(512)).unwrap_or_else(|error| panic!("{error}"));
    let mut classifier = classifier(&file, 512, false);
    let names: Vec<_> = classifier.labels().iter().map(|label| label.to_string()).collect();
    assert_eq!(names, ["label 0", "label 1", "label 2"]);
    let mut best = [0; 3];
    for seed in 0..40 {
        let text = text(seed as usize * 2, seed);
        let tokens = tokens(&file, &text);
        let found = classify(&mut classifier, &text);
        assert_eq!((found.tokens, found.windows, found.truncated), (tokens.len(), 1, false));
        let expected = softmax(&logits(&mut engine, &sequence(&file, &tokens)));
        assert_scores(&found, &expected);
        let labels: Vec<_> = found.scores.iter().map(|label| label.label.to_string()).collect();
        assert_eq!(labels, names);
        best[names.iter().position(|name| **name == *found.label).unwrap_or(3)] += 1;
    }
    assert!(best.iter().filter(|count| **count > 0).count() > 1, "one label for all texts: {best:?}");
}

#[test]
fn a_text_without_tokens_is_one_window() {
    let file = file(Some(3));
    let mut engine = Engine::new(&file, &engine_options(8)).unwrap_or_else(|error| panic!("{error}"));
    let expected = softmax(&logits(&mut engine, &sequence(&file, &[])));
    for max_tokens in LENGTHS {
        for truncate in [false, true] {
            let mut classifier = classifier(&file, max_tokens, truncate);
            for text in ["", " ", "\n\t \u{3000}\u{a0}", "\u{0}\u{fffd}\u{200b}"] {
                let found = classify(&mut classifier, text);
                assert_eq!((found.tokens, found.windows, found.truncated), (0, 1, false), "{text:?}");
                assert_scores(&found, &expected);
            }
        }
    }
}

#[test]
fn windows_are_weighted_by_the_tokens_they_add() {
    let file = file(Some(3));
    for max_tokens in LENGTHS {
        let mut engine =
            Engine::new(&file, &engine_options(max_tokens)).unwrap_or_else(|error| panic!("{error}"));
        let mut windowed = classifier(&file, max_tokens, false);
        let mut truncated = classifier(&file, max_tokens, true);
        let around = max_tokens / 2..max_tokens + 3;
        for words in around.step_by(1 + max_tokens / 20).chain([1, 2 * max_tokens, 3 * max_tokens, 700]) {
            let text = text(words, words as u64);
            let tokens = tokens(&file, &text);
            let windows = windows(tokens.len(), max_tokens);
            let mut expected = vec![0.0; 3];
            let mut seen = 0;
            for window in &windows {
                let scores = softmax(&logits(&mut engine, &sequence(&file, &tokens[window.clone()])));
                let weight = (window.end - seen) as f64 / tokens.len() as f64;
                expected.iter_mut().zip(scores).for_each(|(sum, score)| *sum += weight * score);
                seen = window.end;
            }
            let found = classify(&mut windowed, &text);
            let counts = (found.tokens, found.windows, found.truncated);
            assert_eq!(counts, (tokens.len(), windows.len(), false), "{max_tokens} tokens, {words} words");
            assert_scores(&found, &expected);

            let found = classify(&mut truncated, &text);
            let first = &tokens[windows[0].clone()];
            let counts = (found.tokens, found.windows, found.truncated);
            assert_eq!(counts, (first.len(), 1, windows.len() > 1), "{max_tokens} tokens, {words} words");
            assert_scores(&found, &softmax(&logits(&mut engine, &sequence(&file, first))));
        }
    }
}

/// Tests the token counts around the boundaries at which another window is needed.
#[test]
fn a_window_more_begins_with_the_first_token_that_does_not_fit() {
    let file = file(Some(3));
    for (max_tokens, step) in [(3, 1), (6, 3), (10, 6), (66, 48)] {
        let mut classifier = classifier(&file, max_tokens, false);
        for more in 0..4 {
            let last_that_fits = max_tokens - 2 + more * step;
            for (tokens, windows) in [(last_that_fits, more + 1), (last_that_fits + 1, more + 2)] {
                let found = classify(&mut classifier, &"the ".repeat(tokens));
                assert_eq!((found.tokens, found.windows), (tokens, windows), "{max_tokens} tokens a window");
            }
        }
    }
}

#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn a_megabyte_is_classified() {
    let sizes = Sizes { embedding: 16, hidden: 16, layers: 1, heads: 1, intermediate: 16, ..Sizes::TINY };
    let file = model_file(&pack(&sizes.checkpoint(62)));
    let text = text(250_000, 63);
    assert!(text.len() > 1_000_000, "{}", text.len());
    let count = tokens(&file, &text).len();
    for kind in EngineKind::ALL {
        let engine = EngineOptions::new().engine(*kind);
        let classifier = Classifier::new(&file, &ClassifierOptions::new().engine(engine).truncate(false));
        let found = classify(&mut classifier.unwrap_or_else(|error| panic!("{error}")), &text);
        assert_eq!((found.tokens, found.windows), (count, windows(count, 512).len()));
        assert!((found.scores.iter().map(|label| label.score).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    // One word of a megabyte is one token.
    let found = classify(&mut classifier(&file, 512, false), &"a".repeat(1 << 20));
    assert_eq!((found.tokens, found.windows), (1, 1));
}

#[test]
fn every_token_is_judged_once_where_it_has_most_context() {
    let file = file(None);
    for max_tokens in LENGTHS {
        let mut engine =
            Engine::new(&file, &engine_options(max_tokens)).unwrap_or_else(|error| panic!("{error}"));
        let detector = Detector::new(&file, &engine_options(max_tokens));
        let mut detector = detector.unwrap_or_else(|error| panic!("{error}"));
        for words in [0, 1, 2, 5, max_tokens / 2, max_tokens, 3 * max_tokens, 300] {
            let text = text(words, words as u64 + 7);
            let tokens = tokens(&file, &text);
            let windows = windows(tokens.len(), max_tokens);
            let judged: Vec<Vec<f64>> = windows
                .iter()
                .map(|window| logits(&mut engine, &sequence(&file, &tokens[window.clone()])))
                .collect();
            let found = detector.detect(&text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((found.tokens.len(), found.windows), (tokens.len(), windows.len()));
            let mut before = 0;
            for (index, (verdict, token)) in found.tokens.iter().zip(&tokens).enumerate() {
                let window = most_context(index, tokens.len(), &windows);
                // The first logit is that of [CLS].
                let logit = judged[window][index - windows[window].start + 1];
                let expected = 1.0 / (1.0 + (-logit).exp());
                assert!(
                    (f64::from(verdict.probability) - expected).abs() < 1e-6,
                    "token {index} of {}, {max_tokens} tokens a window",
                    tokens.len()
                );
                assert_eq!(verdict.is_replaced(), verdict.probability > 0.5);
                assert_eq!(file.model().vocabulary().token(token.id), Some(verdict.piece.as_str()));
                assert_eq!(verdict.span, token.start as usize..token.end as usize);
                assert!(text.get(verdict.span.clone()).is_some_and(|part| !part.is_empty()));
                assert!(verdict.span.start >= before);
                before = verdict.span.start;
            }
        }
    }
}

/// Returns the index of the window in which the token is furthest from a cut; the later one of
/// equals.
fn most_context(token: usize, tokens: usize, windows: &[Range<usize>]) -> usize {
    let context = |window: &Range<usize>| {
        let left = if window.start == 0 { usize::MAX } else { token - window.start };
        let right = if window.end == tokens { usize::MAX } else { window.end - 1 - token };
        left.min(right)
    };
    let candidates = windows.iter().enumerate().filter(|(_, window)| window.contains(&token));
    candidates.max_by_key(|(_, window)| context(window)).map_or(usize::MAX, |(index, _)| index)
}

#[test]
fn the_other_head_is_refused() {
    let (classifies, detects) = (file(Some(3)), file(None));
    match Classifier::new(&detects, &ClassifierOptions::default()) {
        Err(Error::Head { found, expected, .. }) => {
            assert_eq!((found, expected), (HeadKind::ReplacedTokenDetection, HeadKind::Classification));
        }
        other => panic!("{:?}", other.err()),
    }
    match Detector::new(&classifies, &EngineOptions::default()) {
        Err(Error::Head { found, expected, .. }) => {
            assert_eq!((found, expected), (HeadKind::Classification, HeadKind::ReplacedTokenDetection));
        }
        other => panic!("{:?}", other.err()),
    }
}
