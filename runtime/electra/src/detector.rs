//! Detection of replaced tokens in a text.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use electra_core::{HeadKind, verdict};

use crate::engine::{Engine, EngineOptions};
use crate::error::Error;
use crate::model_file::ModelFile;
use crate::windows::Windows;

/// Judges for each token of a text whether it is original or was replaced, which is ELECTRA's
/// pre-training task.
pub struct Detector {
    engine: Engine,
    windows: Windows,
}

/// Result of [`Detector::detect`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Detection {
    /// One verdict per token, in text order.
    pub tokens: Vec<TokenVerdict>,
    /// Number of windows that were run; 1 unless the text is long.
    pub windows: usize,
}

/// Verdict on one token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenVerdict {
    /// The token as the vocabulary spells it.
    pub piece: String,
    /// Bytes of the text from which it comes.
    pub span: Range<usize>,
    /// Probability that it was replaced, 0 to 1.
    pub probability: f32,
}

/// Verdict on one token, as [`Detector::detect_each`] reports it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenVerdictRef<'a> {
    /// The token as the vocabulary spells it.
    pub piece: &'a str,
    /// Bytes of the text from which it comes.
    pub span: Range<usize>,
    /// Probability that it was replaced, 0 to 1.
    pub probability: f32,
}

impl TokenVerdict {
    /// Returns whether the token was more likely replaced than not. The rule is that of
    /// [`verdict::is_replaced`], which the firmware uses.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.probability > 0.5
    }
}

impl Detector {
    /// Opens a model file with the default engine for the model's longest sequence.
    ///
    /// # Errors
    /// When the file cannot be opened, is not an intact model or has another head, or when memory
    /// is short.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(&ModelFile::open(path)?, &EngineOptions::default())
    }

    /// Creates a detector for an opened model.
    ///
    /// # Errors
    /// When the model has no head for replaced-token detection, or the engine cannot be made.
    pub fn new(file: &ModelFile, options: &EngineOptions) -> Result<Self, Error> {
        file.expect_head(HeadKind::ReplacedTokenDetection)?;
        let engine = Engine::new(file, options)?;
        let windows = Windows::new(engine.max_tokens());
        Ok(Self { engine, windows })
    }

    /// Judges every token of one text. Where windows of a long text overlap, a token is judged in
    /// the window that gives it more context.
    ///
    /// # Errors
    /// When the text is longer than 4 GiB, or its logits are not finite.
    pub fn detect(&mut self, text: &str) -> Result<Detection, Error> {
        let mut tokens = Vec::new();
        let windows = self.detect_each(text, |verdict| {
            let TokenVerdictRef { piece, span, probability } = verdict;
            tokens.push(TokenVerdict { piece: piece.to_owned(), span, probability });
        })?;
        Ok(Detection { tokens, windows })
    }

    /// Calls `report` with the verdicts of [`Detector::detect`], in text order, and returns the
    /// number of windows. Allocates nothing after the first call.
    ///
    /// # Errors
    /// As [`Detector::detect`]. Verdicts of earlier windows may have been reported then.
    pub fn detect_each(
        &mut self,
        text: &str,
        mut report: impl FnMut(TokenVerdictRef<'_>),
    ) -> Result<usize, Error> {
        let Self { engine, windows } = self;
        let file = engine.file().clone();
        let vocabulary = file.model().vocabulary();
        let coverage = windows.each(file.tokenizer(), text, false, |window| {
            let from = window.repeated / 2;
            let to = window.tokens.len() - (window.to_repeat - window.to_repeat / 2);
            let logits = engine.run(window.ids)?;
            // The first logit belongs to [CLS].
            for (token, logit) in window.tokens.iter().zip(&logits[1..]).take(to).skip(from) {
                let piece = vocabulary.token(token.id).unwrap_or_default();
                let span = token.start as usize..token.end as usize;
                report(TokenVerdictRef { piece, span, probability: verdict::probability(*logit) });
            }
            Ok(())
        })?;
        Ok(coverage.windows)
    }

    /// Returns the engine that runs the model.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector").field("engine", &self.engine).finish_non_exhaustive()
    }
}
