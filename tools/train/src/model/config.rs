//! Sizes of an encoder, as in Hugging Face's `config.json`.

use std::path::Path;

use electra_core::HeadKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Family;
use super::position_bias::BUCKETS;
use crate::error::{Error, Result};

/// Sizes and constants of an encoder. The defaults are those of ELECTRA-Small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// ELECTRA, BERT or MPNet.
    pub family: Family,
    /// Rows of the word embeddings.
    pub vocab_size: i64,
    /// Width of the embeddings. They are projected to `hidden_size` if the two differ.
    pub embedding_size: i64,
    /// Width of the encoder.
    pub hidden_size: i64,
    /// Encoder layers.
    pub num_hidden_layers: i64,
    /// Attention heads per layer; each is `hidden_size / num_attention_heads` wide.
    pub num_attention_heads: i64,
    /// Width of the feed-forward blocks.
    pub intermediate_size: i64,
    /// Rows of the position embeddings; see [`Config::longest_input`].
    pub max_position_embeddings: i64,
    /// Rows of the token type embeddings; 0 for MPNet, which has none.
    pub type_vocab_size: i64,
    /// Number that is added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// Share of the hidden values dropped in training.
    pub hidden_dropout_prob: f64,
    /// Share of the attention probabilities dropped in training.
    pub attention_probs_dropout_prob: f64,
    /// Standard deviation of the initial weights.
    pub initializer_range: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            family: Family::Electra,
            vocab_size: 30_522,
            embedding_size: 128,
            hidden_size: 256,
            num_hidden_layers: 12,
            num_attention_heads: 4,
            intermediate_size: 1024,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            initializer_range: 0.02,
        }
    }
}

/// Prediction task of a folder's model. It determines `architectures` and the names of the head's
/// tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// One label per text, from `[CLS]`. The names are in the order of the logits.
    Classification(Vec<String>),
    /// One logit per token, positive for a replaced token.
    ReplacedTokenDetection,
    /// Logits over the vocabulary at masked positions.
    MaskedLanguageModel,
    /// The encoder only, or a head that this crate does not read.
    None,
}

impl Config {
    /// Reads a parsed `config.json`. An absent field has the default of the family's class in
    /// `transformers`. `file` is for messages.
    pub fn from_json(document: &Value, file: &Path) -> Result<(Self, Head)> {
        let fields = Fields { document, file };
        let family = match fields.text("model_type")? {
            Some("electra") => Family::Electra,
            Some("bert") => Family::Bert,
            Some("mpnet") => Family::Mpnet,
            other => {
                let found = other.unwrap_or("nothing");
                return Err(Error::field(file, "model_type", found, "electra, bert or mpnet"));
            }
        };
        for (name, only) in [("hidden_act", "gelu"), ("position_embedding_type", "absolute")] {
            if let Some(found) = fields.text(name)?.filter(|&found| found != only) {
                return Err(Error::field(file, name, found, only));
            }
        }
        let small = Self::default();
        let (hidden, heads, intermediate) = match family {
            Family::Electra => (small.hidden_size, small.num_attention_heads, small.intermediate_size),
            Family::Bert | Family::Mpnet => (768, 12, 3072),
        };
        if family.has_position_bias() {
            let name = "relative_attention_num_buckets";
            let found = fields.size(name, BUCKETS)?;
            if found != BUCKETS {
                return Err(Error::field(file, name, found.to_string(), BUCKETS.to_string()));
            }
        }
        let hidden_size = fields.size("hidden_size", hidden)?;
        let config = Self {
            family,
            vocab_size: fields
                .size("vocab_size", if family == Family::Mpnet { 30_527 } else { small.vocab_size })?,
            embedding_size: match family {
                Family::Electra => fields.size("embedding_size", small.embedding_size)?,
                Family::Bert | Family::Mpnet => hidden_size,
            },
            hidden_size,
            num_hidden_layers: fields.size("num_hidden_layers", small.num_hidden_layers)?,
            num_attention_heads: fields.size("num_attention_heads", heads)?,
            intermediate_size: fields.size("intermediate_size", intermediate)?,
            max_position_embeddings: fields.size("max_position_embeddings", small.max_position_embeddings)?,
            type_vocab_size: match family {
                Family::Electra | Family::Bert => fields.size("type_vocab_size", small.type_vocab_size)?,
                Family::Mpnet => 0,
            },
            layer_norm_eps: fields.number("layer_norm_eps", small.layer_norm_eps)?,
            hidden_dropout_prob: fields.number("hidden_dropout_prob", small.hidden_dropout_prob)?,
            attention_probs_dropout_prob: fields
                .number("attention_probs_dropout_prob", small.attention_probs_dropout_prob)?,
            initializer_range: fields.number("initializer_range", small.initializer_range)?,
        };
        config.check(file)?;
        let head = fields.head()?;
        Ok((config, head))
    }

    /// Returns the length of the longest input in tokens.
    pub fn longest_input(&self) -> i64 {
        self.max_position_embeddings - self.family.first_position()
    }

    /// Fails for sizes that no model can have. `file` is for messages.
    pub fn check(&self, file: &Path) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, 65_535),
            ("embedding_size", self.embedding_size, 16_384),
            ("hidden_size", self.hidden_size, 16_384),
            ("num_hidden_layers", self.num_hidden_layers, 255),
            ("num_attention_heads", self.num_attention_heads, self.hidden_size),
            ("intermediate_size", self.intermediate_size, 65_536),
        ];
        for (name, value, largest) in sizes {
            if !(1..=largest).contains(&value) {
                return Err(Error::field(file, name, value.to_string(), format!("1 to {largest}")));
            }
        }
        let types = if self.family == Family::Mpnet { 0..=0 } else { 1..=255 };
        if !types.contains(&self.type_vocab_size) {
            let expected = format!("{} to {}", types.start(), types.end());
            return Err(Error::field(file, "type_vocab_size", self.type_vocab_size.to_string(), expected));
        }
        // [CLS], [SEP] and one token between them.
        let least = 3 + self.family.first_position();
        if !(least..=65_535).contains(&self.max_position_embeddings) {
            let found = self.max_position_embeddings.to_string();
            return Err(Error::field(file, "max_position_embeddings", found, format!("{least} to 65535")));
        }
        if self.hidden_size % self.num_attention_heads != 0 {
            let found = self.num_attention_heads.to_string();
            let expected = format!("a divisor of hidden_size, {}", self.hidden_size);
            return Err(Error::field(file, "num_attention_heads", found, expected));
        }
        let shares = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("layer_norm_eps", self.layer_norm_eps),
            ("initializer_range", self.initializer_range),
        ];
        for (name, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::field(file, name, value.to_string(), "at least 0 and below 1"));
            }
        }
        if self.family != Family::Electra && self.embedding_size != self.hidden_size {
            let found = self.embedding_size.to_string();
            let expected = format!("hidden_size, {}, as in every {}", self.hidden_size, self.family.class());
            return Err(Error::field(file, "embedding_size", found, expected));
        }
        Ok(())
    }

    /// Fails for a model that the int8 runtime does not run, and that `electra pack` therefore does
    /// not pack. `file` is for messages.
    pub fn check_for_runtime(&self, head: &Head, file: &Path) -> Result<()> {
        if self.family != Family::Electra {
            let expected = "electra: the int8 runtime supports nothing else";
            return Err(Error::field(file, "model_type", self.family.prefix(), expected));
        }
        let size = |value: i64| usize::try_from(value).unwrap_or(0);
        let (head, num_labels) = match head {
            Head::Classification(labels) => (HeadKind::Classification, labels.len()),
            _ => (HeadKind::ReplacedTokenDetection, 1),
        };
        let config = electra_core::Config {
            head,
            vocab_size: size(self.vocab_size),
            embedding_size: size(self.embedding_size),
            hidden_size: size(self.hidden_size),
            num_hidden_layers: size(self.num_hidden_layers),
            num_attention_heads: size(self.num_attention_heads),
            intermediate_size: size(self.intermediate_size),
            max_position_embeddings: size(self.max_position_embeddings),
            type_vocab_size: size(self.type_vocab_size),
            num_labels,
            layer_norm_eps: self.layer_norm_eps as f32,
        };
        config.validate().map_err(|error| {
            let expected = format!("{}: the int8 runtime supports nothing else", error.expected);
            Error::field(file, error.field, error.found.to_string(), expected)
        })
    }

    /// Prints a warning to standard error if the result of a training cannot be packed, before the
    /// long training begins. `origin` is the file or the table that the sizes come from.
    pub fn warn_where_not_packed(&self, head: &Head, origin: &Path) {
        if let Err(error) = self.check_for_runtime(head, origin) {
            eprintln!("warning: electra pack will not accept the result: {error}");
        }
    }

    /// Returns the first size or constant that differs in `other`: its name, the value in `other`
    /// and the value here. Dropout and `initializer_range` are not compared, because they belong to
    /// the training.
    pub fn first_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let fields = |config: &Self| match json!(config) {
            Value::Object(fields) => fields,
            _ => unreachable!("a struct is an object"),
        };
        let (here, there) = (fields(self), fields(other));
        let differs = |name: &&String| {
            !name.ends_with("dropout_prob") && *name != "initializer_range" && here[*name] != there[*name]
        };
        here.keys().find(differs).map(|name| (name.clone(), there[name].to_string(), here[name].to_string()))
    }

    /// Returns the `config.json` of a model with this encoder and `head`.
    pub fn to_json(&self, head: &Head) -> Value {
        let class = self.family.class();
        let architecture = match head {
            Head::Classification(_) => format!("{class}ForSequenceClassification"),
            Head::ReplacedTokenDetection => format!("{class}ForPreTraining"),
            Head::MaskedLanguageModel => format!("{class}ForMaskedLM"),
            Head::None => format!("{class}Model"),
        };
        let mut document = json!({
            "architectures": [architecture],
            "model_type": self.family.prefix(),
            "vocab_size": self.vocab_size,
            "embedding_size": self.embedding_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "type_vocab_size": self.type_vocab_size,
            "layer_norm_eps": self.layer_norm_eps,
            "hidden_dropout_prob": self.hidden_dropout_prob,
            "attention_probs_dropout_prob": self.attention_probs_dropout_prob,
            "initializer_range": self.initializer_range,
            "hidden_act": "gelu",
            "pad_token_id": 0,
            "tie_word_embeddings": true,
            "dtype": "float32",
        });
        if self.family == Family::Mpnet {
            document["relative_attention_num_buckets"] = json!(BUCKETS);
            document["bos_token_id"] = json!(0);
            document["pad_token_id"] = json!(1);
            document["eos_token_id"] = json!(2);
            if let Some(fields) = document.as_object_mut() {
                fields.retain(|name, _| name != "type_vocab_size" && name != "embedding_size");
            }
        }
        if let Head::Classification(labels) = head {
            document["problem_type"] = json!("single_label_classification");
            document["id2label"] =
                labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
            document["label2id"] =
                labels.iter().enumerate().map(|(id, label)| (label.clone(), json!(id))).collect();
        }
        document
    }
}

struct Fields<'a> {
    document: &'a Value,
    file: &'a Path,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.document.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| Error::field(self.file, name, value.to_string(), "a string"));
        text.map(Some)
    }

    fn size(&self, name: &str, default: i64) -> Result<i64> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.as_i64().ok_or_else(|| Error::field(self.file, name, value.to_string(), "a whole number"))
    }

    fn number(&self, name: &str, default: f64) -> Result<f64> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.as_f64().ok_or_else(|| Error::field(self.file, name, value.to_string(), "a number"))
    }

    fn head(&self) -> Result<Head> {
        let architecture = self.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
        Ok(match architecture {
            Some(name) if name.ends_with("ForSequenceClassification") => {
                // Other problem types use sigmoids or no function at all; this crate takes the
                // softmax of the logits.
                let single = "single_label_classification";
                match self.text("problem_type")? {
                    None => {}
                    Some(kind) if kind == single => {}
                    Some(other) => return Err(Error::field(self.file, "problem_type", other, single)),
                }
                Head::Classification(self.labels()?)
            }
            Some("ElectraForPreTraining") => Head::ReplacedTokenDetection,
            Some("ElectraForMaskedLM") => Head::MaskedLanguageModel,
            _ => Head::None,
        })
    }

    /// Returns the names of the labels. `transformers` leaves `id2label` out if it equals the
    /// default of two labels.
    fn labels(&self) -> Result<Vec<String>> {
        let Some(names) = self.get("id2label").and_then(Value::as_object) else {
            return Ok(vec!["LABEL_0".to_owned(), "LABEL_1".to_owned()]);
        };
        let name = |id: usize| match names.get(&id.to_string()).and_then(Value::as_str) {
            Some(name) => Ok(name.to_owned()),
            None => {
                let expected = format!("a name for each id from 0 to {}", names.len().saturating_sub(1));
                Err(Error::field(self.file, format!("id2label.{id}"), "none", expected))
            }
        };
        (0..names.len()).map(name).collect()
    }
}
