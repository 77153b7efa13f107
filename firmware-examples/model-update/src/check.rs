//! The checks of a new model, and the runs of a model.

use electra_core::tokenizer::Tokenizer;
use electra_core::{Engine, Kernels, Model};
use electra_signature::{PublicKey, Signature};
use session::verdict::Verdict;

use crate::answer::{Answer, Refusal};

/// Longest sequence in tokens, including `[CLS]` and `[SEP]`. Longer texts are truncated. A model
/// with fewer positions has shorter sequences.
pub const MAX_TOKENS: usize = 64;

/// The announcement of the sender, and the demands of the device on a new model.
#[derive(Debug)]
pub struct Demands<'d> {
    /// The key of the owner.
    pub key: &'d PublicKey,
    /// The signature of the model.
    pub signature: &'d Signature<'d>,
    /// The version that was announced.
    pub version: u32,
    /// The model in use, if there is one. The new one must have the same labels.
    pub model: Option<&'d Model<'d>>,
}

impl Demands<'_> {
    /// Verifies the signature of the bytes of a model file.
    ///
    /// # Errors
    /// [`Refusal::Signature`].
    pub fn check_signature(&self, file: &[u8]) -> Result<(), Refusal> {
        self.key.verify(file, self.signature).map_err(Refusal::Signature)
    }

    /// Opens the model, compares it with these demands, and runs its golden sentences.
    ///
    /// # Errors
    /// The first demand that is not met.
    pub fn check_model(&self, file: &[u8], arena: &mut [u8]) -> Result<(), Refusal> {
        let model = Model::open(file).map_err(Refusal::Model)?;
        if model.version() != Some(self.version) {
            return Err(Refusal::Version { found: model.version(), announced: self.version });
        }
        // A detector of replaced words has one label.
        if model.config().num_labels < 2 {
            return Err(Refusal::Head);
        }
        if self.model.is_some_and(|in_use| !in_use.labels().eq(model.labels())) {
            return Err(Refusal::Labels);
        }
        for label in model.labels() {
            model.threshold(label).map_err(Refusal::Model)?;
        }
        match run_golden(&model, arena)? {
            0 => Err(Refusal::NoGolden),
            _ => Ok(()),
        }
    }
}

/// Runs all golden sentences of a model and compares the bits of their logits. Returns the number
/// of sentences.
///
/// # Errors
/// [`Refusal::Run`] and [`Refusal::Golden`].
pub fn run_golden(model: &Model<'_>, arena: &mut [u8]) -> Result<usize, Refusal> {
    let mut runner = Runner::new(model, arena)?;
    let mut count = 0;
    for golden in model.golden() {
        let (logits, _) = runner.run(golden.text)?;
        golden.check(logits).map_err(Refusal::Golden)?;
        count += 1;
    }
    Ok(count)
}

/// Classifies a text.
///
/// # Errors
/// [`Refusal::Run`], [`Refusal::Logits`], and [`Refusal::Model`] for a bad threshold.
pub fn classify<'m>(model: &Model<'m>, arena: &mut [u8], text: &str) -> Result<Answer<'m>, Refusal> {
    let mut runner = Runner::new(model, arena)?;
    let max_tokens = runner.max_tokens;
    let (logits, truncated) = runner.run(text)?;
    let verdict = Verdict::new(logits).ok_or(Refusal::Logits)?;
    let label = model.labels().nth(verdict.label).ok_or(Refusal::Logits)?;
    let threshold = model.threshold(label).map_err(Refusal::Model)?;
    let truncated = truncated.then_some(max_tokens);
    Ok(Answer::Classified { label: verdict.answer(label, threshold), score: verdict.score, truncated })
}

/// An engine and a tokenizer. They are made for each line, because the same arena serves the model
/// in use and the one that is checked. This costs no more than the division of the arena.
struct Runner<'a, 'm> {
    tokenizer: Tokenizer<'m>,
    engine: Engine<'a, 'm>,
    max_tokens: usize,
}

impl<'a, 'm> Runner<'a, 'm> {
    fn new(model: &'a Model<'m>, arena: &'a mut [u8]) -> Result<Self, Refusal> {
        let max_tokens = MAX_TOKENS.min(model.config().max_position_embeddings);
        let engine = Engine::new(model, Kernels::detect(), arena, max_tokens).map_err(Refusal::Run)?;
        Ok(Self { tokenizer: Tokenizer::new(*model.vocabulary()), engine, max_tokens })
    }

    /// Returns the logits of a text, and whether the text was truncated.
    fn run(&mut self, text: &str) -> Result<(&[f32], bool), Refusal> {
        let mut ids = [0; MAX_TOKENS];
        let ids = ids.get_mut(..self.max_tokens).unwrap_or_default();
        let encoding = self.tokenizer.encode(text, ids).map_err(|_| Refusal::Text)?;
        let used = ids.get(..encoding.len).unwrap_or_default();
        Ok((self.engine.run(used).map_err(Refusal::Run)?, encoding.truncated))
    }
}
