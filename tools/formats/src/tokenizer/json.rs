//! `tokenizer.json`, as `tokenizers` writes it.

use serde_json::{Value, json};

use super::{Family, UNCASED, check_tokens, ids};
use crate::error::Error;
use crate::json::{Document, Object};

/// Checks the settings and returns the tokens in the order of their ids.
pub(super) fn parse(document: &Document, family: &Family) -> Result<Vec<String>, Error> {
    let root = document.root();

    let model = root.required_object("model")?;
    model.allow("type", &[json!("WordPiece")])?;
    model.require("unk_token", &json!(family.unk))?;
    model.require("continuing_subword_prefix", &json!("##"))?;
    model.require("max_input_chars_per_word", &json!(100))?;

    let normalizer = root.required_object("normalizer")?;
    normalizer.require("type", &json!("BertNormalizer"))?;
    if normalizer.get("lowercase") != Some(&json!(true)) {
        return Err(normalizer.refuse("lowercase", UNCASED));
    }
    normalizer.require("clean_text", &json!(true))?;
    normalizer.require("handle_chinese_chars", &json!(true))?;
    normalizer.allow("strip_accents", &[json!(true)])?;
    root.required_object("pre_tokenizer")?.require("type", &json!("BertPreTokenizer"))?;
    let tokens = tokens_by_id(document, &model.required_object("vocab")?)?;
    check_tokens(&document.file, family, &tokens)?;
    check_post_processor(&root.required_object("post_processor")?, family, &tokens)?;
    check_added_tokens(document, family, &tokens)?;
    Ok(tokens)
}

/// Checks that the template for one text is `[CLS] text [SEP]`, with the family's names of these
/// tokens and the ids of the vocabulary. A shorter form of the template has only the fields `cls`
/// and `sep`.
fn check_post_processor(
    post_processor: &Object<'_>,
    family: &Family,
    tokens: &[String],
) -> Result<(), Error> {
    let template = json!("TemplateProcessing");
    let short: Vec<Value> = family.post_processors.iter().map(|name| json!(name)).collect();
    post_processor.allow("type", &[&[template][..], &short].concat())?;
    let ends = [("cls", family.cls), ("sep", family.sep)];
    if post_processor.get("type").is_some_and(|kind| short.contains(kind)) {
        for (field, token) in ends {
            let expected = json!([token, ids(tokens).get(token)]);
            if post_processor.get(field) != Some(&expected) {
                return Err(post_processor.refuse(field, expected.to_string()));
            }
        }
        return Ok(());
    }
    let pieces = post_processor.array("single")?.iter();
    let pieces: Vec<_> =
        pieces.map(|piece| (piece.pointer("/SpecialToken/id"), piece.pointer("/Sequence/id"))).collect();
    let (start, text, end) = (json!(family.cls), json!("A"), json!(family.sep));
    if pieces != [(Some(&start), None), (None, Some(&text)), (Some(&end), None)] {
        return Err(post_processor.refuse("single", format!("{}, the text and {}", family.cls, family.sep)));
    }
    let Some(special) = post_processor.object("special_tokens")? else {
        let expected = format!("the ids of {} and {}", family.cls, family.sep);
        return Err(post_processor.refuse("special_tokens", expected));
    };
    for (_, token) in ends {
        let expected = json!([ids(tokens).get(token)]);
        special.required_object(token)?.require("ids", &expected)?;
    }
    Ok(())
}

/// Checks that special tokens are the only added tokens. `tokenizers` finds added tokens in raw
/// text before it splits the text into words.
fn check_added_tokens(document: &Document, family: &Family, tokens: &[String]) -> Result<(), Error> {
    let added = document.root().array("added_tokens")?;
    for (index, token) in added.iter().enumerate() {
        let refuse = |name: &str, found: String, expected: &str| {
            Err(Error::field(&document.file, format!("added_tokens[{index}].{name}"), found, expected))
        };
        let content = token.get("content").and_then(Value::as_str).unwrap_or("");
        if !family.added.contains(&content) {
            return refuse("content", format!("{content:?}"), &family.none_besides_added());
        }
        if let Some(id) = token.get("id") {
            let expected = json!(ids(tokens).get(content));
            if *id != expected {
                let expected = format!("{expected}, the id of {content} in model.vocab");
                return refuse("id", id.to_string(), &expected);
            }
        }
        for flag in ["single_word", "lstrip", "rstrip", "normalized"] {
            match token.get(flag) {
                None | Some(Value::Bool(false)) => {}
                Some(Value::Bool(true)) if family.added_flags => {}
                Some(other) => return refuse(flag, other.to_string(), "false"),
            }
        }
    }
    for special in family.special() {
        if !added.iter().any(|token| token.get("content").and_then(Value::as_str) == Some(special)) {
            let expected = format!("an entry for each of {}", family.special().join(" "));
            return Err(Error::field(&document.file, "added_tokens", format!("no {special}"), expected));
        }
    }
    Ok(())
}

/// Inverts the map from token to id. The ids must be 0, 1, 2, ... without gaps.
fn tokens_by_id(document: &Document, vocab: &Object<'_>) -> Result<Vec<String>, Error> {
    let count = vocab.entries().len();
    let mut tokens = vec![None; count];
    for (token, id) in vocab.entries() {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        match id.and_then(|id| tokens.get_mut(id)) {
            Some(slot @ None) => *slot = Some(token.clone()),
            _ => {
                let expected = format!("a unique id below {count}, the number of tokens");
                return Err(vocab.refuse(token, expected));
            }
        }
    }
    // Every slot is filled: there are as many tokens as slots, and no slot was written twice.
    tokens
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::field(&document.file, "model.vocab", "ids with gaps", "ids without gaps"))
}
