//! Checks of the small files beside a vocabulary that contain tokenizer settings.

use std::path::Path;

use serde_json::{Value, json};

use super::{Family, UNCASED, ids};
use crate::error::Error;
use crate::json::{Document, Object};

/// Checks those of the files in `folder` that exist.
pub(super) fn check_beside(folder: &Path, family: &Family, vocabulary: &[String]) -> Result<(), Error> {
    let read = |name: &str| {
        let file = folder.join(name);
        if file.exists() { Document::read(file).map(Some) } else { Ok(None) }
    };
    if let Some(document) = read("tokenizer_config.json")? {
        check_config(&document.root(), family, vocabulary)?;
    }
    if let Some(document) = read("special_tokens_map.json")? {
        check_roles(&document.root(), family)?;
    }
    if let Some(document) = read("added_tokens.json")? {
        let root = document.root();
        for (token, id) in root.entries() {
            if !family.added.contains(&token.as_str()) {
                let expected = family.none_besides_added();
                return Err(Error::field(&document.file, token, format!("{token:?}"), expected));
            }
            let expected = json!(ids(vocabulary).get(token.as_str()));
            if *id != expected {
                return Err(root.refuse(token, format!("{expected}, its id in the vocabulary")));
            }
        }
    }
    Ok(())
}

/// Checks `tokenizer_config.json`. Absent fields have the defaults of `ElectraTokenizer`.
fn check_config(settings: &Object<'_>, family: &Family, vocabulary: &[String]) -> Result<(), Error> {
    let classes: Vec<Value> = family.classes.iter().map(|class| json!(class)).collect();
    settings.allow("tokenizer_class", &classes)?;
    if settings.get("do_lower_case").is_some_and(|value| *value != json!(true)) {
        return Err(settings.refuse("do_lower_case", UNCASED));
    }
    for field in ["strip_accents", "tokenize_chinese_chars", "do_basic_tokenize"] {
        settings.allow(field, &[json!(true)])?;
    }
    settings.allow("never_split", &[json!([])])?;
    // The runtime finds special tokens in raw text, as `transformers` does by default.
    settings.allow("split_special_tokens", &[json!(false)])?;
    check_roles(settings, family)?;
    if let Some(added) = settings.object("added_tokens_decoder")? {
        for (id, token) in added.entries() {
            let content = token.get("content").and_then(Value::as_str).unwrap_or("");
            if !family.added.contains(&content) {
                return Err(added.refuse(id, family.none_besides_added()));
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

/// Checks the fields that `special_tokens_map.json` and `tokenizer_config.json` share.
fn check_roles(settings: &Object<'_>, family: &Family) -> Result<(), Error> {
    let roles = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"];
    for (field, expected) in roles.into_iter().zip(family.special()) {
        let token = settings.get(field).map(|value| value.get("content").unwrap_or(value));
        if token.is_some_and(|token| token.as_str() != Some(expected)) {
            return Err(settings.refuse(field, format!("{expected:?}")));
        }
    }
    settings.allow("additional_special_tokens", &[json!([])])?;
    settings.allow("extra_special_tokens", &[json!([]), json!({})])
}
