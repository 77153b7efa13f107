//! The metadata of a model file: its name, version, thresholds and golden sentences.

use electra_core::model::parse_share;
use electra_core::tokenizer::Tokenizer;
use electra_core::{Engine, Kernels, Model, RunError, arena_bytes};

use crate::model_file::PackError;

/// Most tokens of a golden sentence, with the two special tokens. A microcontroller with a small
/// arena can run it.
const GOLDEN_TOKENS: usize = 32;
/// Golden sentences of a model for which none are named. Any text serves, also one in another
/// language than the model's, because every text uses all layers.
const GOLDEN_TEXTS: [&str; 3] = [
    "ELECTRA is surprisingly fast and accurate.",
    "The screen is dull, the buttons stick, and nobody answers the phone.",
    "I paid 35 euros; it isn't what I expected?",
];

/// Entries of the metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub name: Option<String>,
    pub language: Option<String>,
    pub version: Option<u32>,
    /// Labels and their thresholds.
    pub thresholds: Vec<(String, String)>,
    /// Golden sentences; some of our own if there are none.
    pub golden: Vec<String>,
}

impl Notes {
    /// Returns the lines `key=value`, in a fixed order. Entries that these notes do not state keep
    /// the value of `existing`. `labels` are the labels of the model.
    ///
    /// # Errors
    /// Fails if a value cannot be stored, or if a threshold belongs to no label.
    pub(crate) fn lines(
        &self,
        existing: &str,
        labels: &[String],
    ) -> Result<Vec<(String, String)>, PackError> {
        let kept = |key: &str| {
            let mut lines = existing.lines().filter_map(|line| line.split_once('='));
            lines.find(|(found, _)| *found == key).map(|(_, value)| value.to_owned())
        };
        let mut lines = Vec::new();
        let mut add = |key: &str, value: Option<String>| {
            lines.extend(value.or_else(|| kept(key)).map(|value| (key.to_owned(), value)));
        };
        add("name", self.name.clone());
        add("packer", Some(concat!("electra ", env!("CARGO_PKG_VERSION")).to_owned()));
        add("language", self.language.clone());
        add("version", self.version.map(|version| version.to_string()));
        if let Some((label, _)) = self.thresholds.iter().find(|(label, _)| !labels.contains(label)) {
            return Err(PackError::ThresholdLabel { label: label.clone(), labels: labels.to_vec() });
        }
        for label in labels {
            let of_label = self.thresholds.iter().rev().find(|(found, _)| found == label);
            if let Some((_, share)) = of_label.filter(|(_, share)| parse_share(share).is_none()) {
                return Err(PackError::Threshold { label: label.clone(), found: share.clone() });
            }
            add(&format!("threshold.{label}"), of_label.map(|(_, share)| share.clone()));
        }
        Ok(lines)
    }

    /// Runs the golden sentences on a packed model and returns their lines for the metadata.
    ///
    /// # Errors
    /// Fails if a sentence that was named is too long, has a line break, or if its logits are not
    /// finite.
    pub(crate) fn golden_lines(&self, model: &Model<'_>) -> Result<Vec<(String, String)>, PackError> {
        let existing: Vec<&str> = model.golden().map(|golden| golden.text).collect();
        let named: Vec<&str> = self.golden.iter().map(String::as_str).collect();
        let (texts, are_named) = match (&named[..], &existing[..]) {
            ([], []) => (&GOLDEN_TEXTS[..], false),
            ([], existing) => (existing, true),
            (named, _) => (named, true),
        };
        let max_tokens = GOLDEN_TOKENS.min(model.config().max_position_embeddings);
        let mut arena = AlignedBytes::zeroed(arena_bytes(model.config(), max_tokens));
        let run_error = |error: RunError| PackError::Golden(error.to_string());
        let mut engine =
            Engine::new(model, Kernels::detect(), arena.as_mut_slice(), max_tokens).map_err(run_error)?;
        let tokenizer = Tokenizer::new(*model.vocabulary());
        let mut lines = Vec::new();
        for text in texts {
            let mut ids = vec![0; max_tokens];
            let encoding =
                tokenizer.encode(text, &mut ids).map_err(|error| PackError::Golden(error.to_string()))?;
            if (encoding.truncated || text.contains(['\n', '\r'])) && are_named {
                let expected = format!("one line of at most {max_tokens} tokens");
                return Err(PackError::Golden(format!("{text:?} found, expected {expected}")));
            }
            let logits = engine.run(&ids[..encoding.len]).map_err(run_error)?;
            let is_finite = logits.iter().all(|logit| logit.is_finite());
            match (encoding.truncated, is_finite) {
                (false, true) => lines.push(("golden".to_owned(), golden_value(text, logits))),
                (_, false) if are_named => {
                    return Err(PackError::Golden(format!("{text:?} has logits that are not finite")));
                }
                // One of our own sentences does not suit this model.
                _ => {}
            }
        }
        Ok(lines)
    }
}

fn golden_value(text: &str, logits: &[f32]) -> String {
    let bits: Vec<String> = logits.iter().map(|logit| format!("{:08x}", logit.to_bits())).collect();
    format!("{} {text}", bits.join(","))
}

/// Bytes that begin at a multiple of 64, as the runtime wants them.
pub(crate) struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBytes {
    const ALIGNMENT: usize = 64;

    pub(crate) fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + Self::ALIGNMENT];
        let start = bytes.as_ptr().align_offset(Self::ALIGNMENT).min(Self::ALIGNMENT);
        Self { bytes, start }
    }

    pub(crate) fn of(content: &[u8]) -> Self {
        let mut it = Self::zeroed(content.len());
        it.as_mut_slice().copy_from_slice(content);
        it
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.bytes.len() - Self::ALIGNMENT + self.start]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        let end = self.bytes.len() - Self::ALIGNMENT + self.start;
        &mut self.bytes[self.start..end]
    }
}
