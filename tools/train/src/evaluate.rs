//! The command `evaluate`: evaluates the classifier in a folder on a labelled file, in f32 or as
//! the int8 runtime computes it.

use std::path::Path;

use crate::classification::{TextClassifier, check_logits, encode, labels_of, metrics_of, tokenizer_of};
use crate::data::Source;
use crate::device::DeviceChoice;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::Int8;
use crate::model::folder::Folder;

/// Computes the metrics of the classifier in `path` on `source`. Its labels in `without` are left
/// out. Texts are cut to `max_length` tokens, by default to the longest input of the model. With
/// `int8` the weights are quantized as `electra pack` quantizes them, and the logits are computed
/// as the runtime computes them.
pub fn evaluate(
    path: &Path,
    source: &Source,
    without: &[String],
    max_length: Option<usize>,
    device: DeviceChoice,
    int8: bool,
) -> Result<Metrics> {
    let folder = Folder::read(path)?;
    let labels = labels_of(&folder)?;
    if int8 {
        folder.check_for_runtime()?;
    }
    if let Some(name) = without.iter().find(|name| !labels.contains(name)) {
        let expected = format!("one of {}", labels.join(", "));
        return Err(Error::field(Path::new("--without"), "label", name, expected));
    }
    let knows = labels.iter().filter(|name| !without.contains(name)).cloned().collect();
    let source = Source { knows, ..source.clone() };
    let examples = source.read(labels)?;
    let tokenizer = tokenizer_of(&folder)?;
    let longest = folder.config.longest_input() as usize;
    let max_length = max_length.unwrap_or(longest);
    if !(3..=longest).contains(&max_length) {
        let expected = format!("3 to {longest}, the longest input of the model");
        return Err(Error::field(Path::new("--max-length"), "tokens", max_length.to_string(), expected));
    }
    let known = source.known(labels)?;
    let examples = encode(&examples, &tokenizer, max_length, known.as_ref())?;
    let classifier = TextClassifier::read(&folder, device.find()?)?;
    let int8 = int8.then_some(Int8::Everything);
    let logits = classifier.logits_of_all(&examples, tokenizer.special.pad, int8)?;
    check_logits(&logits, &folder)?;
    Ok(metrics_of(&logits, &examples))
}
