//! The small files beside a vocabulary that say how a text is split.

use std::path::Path;

use electra_core::tokenizer::vocabulary::SPECIAL_TOKENS;
use serde_json::{Value, json};

use super::json::none_besides_special;
use super::{UNCASED, ids};
use crate::error::Error;
use crate::json::{Document, Object};

/// Tokenizer classes of `transformers` that stand for BERT's WordPiece, or leave everything to `tokenizer.json`.
const TOKENIZER_CLASSES: [&str; 8] = [
    "ElectraTokenizer",
    "ElectraTokenizerFast",
    "BertTokenizer",
    "BertTokenizerFast",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "PreTrainedTokenizerFast",
    "TokenizersBackend",
];

/// Which token `transformers` takes for which purpose.
const ROLES: [(&str, &str); 5] = [
    ("pad_token", "[PAD]"),
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("mask_token", "[MASK]"),
];

/// Checks the files of `folder` that exist.
pub(super) fn check_beside(folder: &Path, vocabulary: &[String]) -> Result<(), Error> {
    let read = |name: &str| {
        let file = folder.join(name);
        if file.exists() { Document::read(file).map(Some) } else { Ok(None) }
    };
    if let Some(document) = read("tokenizer_config.json")? {
        check_config(&document.root(), vocabulary)?;
    }
    if let Some(document) = read("special_tokens_map.json")? {
        check_roles(&document.root())?;
    }
    if let Some(document) = read("added_tokens.json")? {
        let root = document.root();
        for (token, id) in root.entries() {
            if !SPECIAL_TOKENS.contains(&token.as_str()) {
                return Err(Error::field(
                    &document.file,
                    token,
                    format!("{token:?}"),
                    none_besides_special(),
                ));
            }
            let expected = json!(ids(vocabulary).get(token.as_str()));
            if *id != expected {
                return Err(root.refuse(token, format!("{expected}, its id in the vocabulary")));
            }
        }
    }
    Ok(())
}

/// `tokenizer_config.json`, whose absent fields have the defaults of `ElectraTokenizer`.
fn check_config(settings: &Object<'_>, vocabulary: &[String]) -> Result<(), Error> {
    let classes: Vec<Value> = TOKENIZER_CLASSES.iter().map(|class| json!(class)).collect();
    settings.allow("tokenizer_class", &classes)?;
    if settings.get("do_lower_case").is_some_and(|value| *value != json!(true)) {
        return Err(settings.refuse("do_lower_case", UNCASED));
    }
    for field in ["strip_accents", "tokenize_chinese_chars", "do_basic_tokenize"] {
        settings.allow(field, &[json!(true)])?;
    }
    settings.allow("never_split", &[json!([])])?;
    check_roles(settings)?;
    if let Some(added) = settings.object("added_tokens_decoder")? {
        for (id, token) in added.entries() {
            let content = token.get("content").and_then(Value::as_str).unwrap_or("");
            if !SPECIAL_TOKENS.contains(&content) {
                return Err(added.refuse(id, none_besides_special()));
            }
            let expected = ids(vocabulary).get(content).map(usize::to_string);
            if Some(id) != expected.as_ref() {
                let expected = format!("{content} at {}, its id", expected.unwrap_or_default());
                return Err(added.refuse(id, expected));
            }
        }
    }
    Ok(())
}

/// The fields that `special_tokens_map.json` and `tokenizer_config.json` share.
fn check_roles(settings: &Object<'_>) -> Result<(), Error> {
    for (field, expected) in ROLES {
        let token = settings.get(field).map(|value| value.get("content").unwrap_or(value));
        if token.is_some_and(|token| token.as_str() != Some(expected)) {
            return Err(settings.refuse(field, format!("{expected:?}")));
        }
    }
    settings.allow("additional_special_tokens", &[json!([])])?;
    settings.allow("extra_special_tokens", &[json!([]), json!({})])
}
