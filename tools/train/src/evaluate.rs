//! The command `evaluate`: a folder on a labelled file, in f32. What int8 makes of it, `electra evaluate` tells.

use std::path::Path;

use crate::classification::{TextClassifier, encode, tokenizer_of};
use crate::data::Source;
use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::config::Head;
use crate::model::folder::{CONFIG, Folder};

/// Figures of the classifier in `path` on `source`; texts are cut to `max_length` tokens, or to what the model takes.
pub fn evaluate(
    path: &Path,
    source: &Source,
    max_length: Option<usize>,
    device: DeviceChoice,
) -> Result<Metrics> {
    let folder = Folder::read(path)?;
    let Head::Classification(labels) = &folder.head else {
        let expected = "a classifier, as `electra-train finetune` writes it";
        return Err(Error::field(&path.join(CONFIG), "architectures", "another model", expected));
    };
    let examples = source.read(labels)?;
    let tokenizer = tokenizer_of(&folder)?;
    let longest = folder.config.max_position_embeddings as usize;
    let examples = encode(&examples, &tokenizer, max_length.unwrap_or(longest).clamp(2, longest))?;
    let classifier = TextClassifier::new(&folder, labels, device.find()?, Precision::F32, 0)?;
    classifier.evaluate(&examples, tokenizer.special.pad)
}
