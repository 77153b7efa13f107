//! Reads `config.json` as `ElectraConfig.save_pretrained` writes it.

use std::path::Path;

use electra_formats::json::{Document, Object};
use serde_json::{Value, json};

use crate::checkpoint::{Config, Head};
use crate::error::Error;

const CLASSIFICATION: &str = "ElectraForSequenceClassification";
const REPLACED_TOKEN_DETECTION: &str = "ElectraForPreTraining";

/// Reads and checks `file`. An absent field has the default of Hugging Face's `ElectraConfig`, as
/// in `transformers`.
pub(crate) fn read(file: &Path) -> Result<Config, Error> {
    parse(&Document::read(file.to_path_buf())?)
}

/// Checks a `config.json` that was already parsed; see [`super::read`].
///
/// # Errors
///
/// Returns an error that names the field if the runtime does not support a size or a setting.
pub fn parse(document: &Document) -> Result<Config, Error> {
    let fields = document.root();
    fields.require("model_type", &json!("electra"))?;
    let classification = is_classification(&fields)?;
    fields.allow("hidden_act", &[json!("gelu")])?;
    fields.allow("position_embedding_type", &[json!("absolute")])?;
    fields.allow("is_decoder", &[json!(false)])?;
    fields.allow("add_cross_attention", &[json!(false)])?;

    let head = if classification {
        // The runtime takes the softmax of the logits. Other problem types need sigmoids or no
        // activation.
        fields.allow("problem_type", &[json!("single_label_classification")])?;
        Head::Classification { labels: labels(&fields)? }
    } else {
        Head::ReplacedTokenDetection
    };
    let size = |name, default| Ok::<_, Error>(fields.unsigned(name)?.unwrap_or(default));
    let config = Config {
        vocab_size: size("vocab_size", 30_522)?,
        embedding_size: size("embedding_size", 128)?,
        hidden_size: size("hidden_size", 256)?,
        num_hidden_layers: size("num_hidden_layers", 12)?,
        num_attention_heads: size("num_attention_heads", 4)?,
        intermediate_size: size("intermediate_size", 1024)?,
        max_position_embeddings: size("max_position_embeddings", 512)?,
        type_vocab_size: size("type_vocab_size", 2)?,
        layer_norm_eps: fields.number("layer_norm_eps")?.unwrap_or(1e-12) as f32,
        head,
    };
    config.check(&document.file)?;
    Ok(config)
}

fn is_classification(fields: &Object) -> Result<bool, Error> {
    match fields.array("architectures")? {
        [Value::String(name)] if name == CLASSIFICATION => Ok(true),
        [Value::String(name)] if name == REPLACED_TOKEN_DETECTION => Ok(false),
        _ => {
            let expected =
                format!("[\"{CLASSIFICATION}\"] or [\"{REPLACED_TOKEN_DETECTION}\"], the supported ones");
            Err(fields.refuse("architectures", expected).into())
        }
    }
}

/// Returns the names of the labels in the order of their ids.
fn labels(fields: &Object) -> Result<Vec<String>, Error> {
    let count = fields.unsigned("num_labels")?;
    let Some(by_id) = fields.object("id2label")? else {
        // `save_pretrained` omits id2label if it equals the default of two labels.
        let count = count.unwrap_or(2);
        // The limit on labels is checked later. The cap here prevents the creation of billions of
        // names before that check.
        return Ok((0..count.min(1 << 16)).map(|id| format!("LABEL_{id}")).collect());
    };
    let total = by_id.entries().len();
    if count.is_some_and(|count| count != total) {
        let expected = format!("{total}, the number of names in id2label");
        return Err(fields.refuse("num_labels", expected).into());
    }
    let name = |id: usize| match by_id.get(&id.to_string()) {
        Some(Value::String(name)) => Ok(name.clone()),
        _ => {
            let expected = format!("a name for each id from 0 to {}", total - 1);
            Err(by_id.refuse(&id.to_string(), expected).into())
        }
    };
    (0..total).map(name).collect()
}
