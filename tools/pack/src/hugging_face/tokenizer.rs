//! The WordPiece vocabulary: `vocab.txt` or `tokenizer.json`, and the settings that go with it.
//!
//! The runtime has one tokenizer, BERT's uncased one with the defaults of `tokenizers`' `BertNormalizer`. Settings
//! that would make it split a text in another way are refused instead of being ignored.

use std::path::Path;

use serde_json::{Value, json};

use super::document::{Document, Object, read_text};
use crate::checkpoint::{MAX_VOCABULARY, SPECIAL_TOKENS};
use crate::error::Error;

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
const UNCASED: &str = "true: only uncased tokenizers work";

/// Reads the vocabulary of a Hugging Face folder. Where `vocab.txt` and `tokenizer.json` are both there, they have to
/// agree; `tokenizer_config.json` is checked where it exists.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<String>, Error> {
    let json_file = folder.join("tokenizer.json");
    let text_file = folder.join("vocab.txt");
    let vocabulary = match (json_file.exists(), text_file.exists()) {
        (true, true) => {
            let vocabulary = read_file(&json_file)?;
            check_same(&text_file, &read_file(&text_file)?, &vocabulary)?;
            vocabulary
        }
        (true, false) => read_file(&json_file)?,
        (false, true) => read_file(&text_file)?,
        (false, false) => {
            let expected = "one of the two: they hold the vocabulary";
            return Err(Error::field(folder, "folder", "neither vocab.txt nor tokenizer.json", expected));
        }
    };
    let settings = folder.join("tokenizer_config.json");
    if settings.exists() {
        check_settings(&Document::read(settings)?.root())?;
    }
    let added = folder.join("added_tokens.json");
    if added.exists() {
        let document = Document::read(added)?;
        for (token, _) in document.root().entries() {
            check_added(&document.file, token, token)?;
        }
    }
    Ok(vocabulary)
}

/// Reads one vocabulary: the `tokenizers` format if the name ends in `.json`, one token a line otherwise.
pub(crate) fn read_file(file: &Path) -> Result<Vec<String>, Error> {
    let is_json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let vocabulary = if is_json { read_json(file)? } else { read_lines(file)? };
    if vocabulary.len() > MAX_VOCABULARY {
        let found = format!("{} tokens", vocabulary.len());
        return Err(Error::field(file, "vocabulary", found, format!("at most {MAX_VOCABULARY}")));
    }
    for special in SPECIAL_TOKENS {
        if !vocabulary.iter().any(|token| token == special) {
            let found = format!("no {special} among {} tokens", vocabulary.len());
            return Err(Error::field(
                file,
                "vocabulary",
                found,
                format!("all of {}", SPECIAL_TOKENS.join(" ")),
            ));
        }
    }
    Ok(vocabulary)
}

/// One token a line, trailing white space removed as by `tokenizers`' `WordPiece::read_file`; empty lines at the end
/// do not count.
fn read_lines(file: &Path) -> Result<Vec<String>, Error> {
    let text = read_text(file)?;
    let mut tokens: Vec<String> = text.split('\n').map(|line| line.trim_end().to_owned()).collect();
    tokens.truncate(tokens.iter().rposition(|token| !token.is_empty()).map_or(0, |last| last + 1));
    if let Some(line) = tokens.iter().position(String::is_empty) {
        return Err(Error::field(file, format!("line {}", line + 1), "an empty line", "a token"));
    }
    Ok(tokens)
}

fn read_json(file: &Path) -> Result<Vec<String>, Error> {
    let document = Document::read(file.to_path_buf())?;
    let root = document.root();

    let model = root.required_object("model")?;
    model.allow("type", &[json!("WordPiece")])?;
    model.require("unk_token", &json!("[UNK]"))?;
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
    check_post_processor(&root.required_object("post_processor")?)?;
    check_added_tokens(&document)?;
    tokens_by_id(file, &model.required_object("vocab")?)
}

/// The template for one text has to be `[CLS] text [SEP]`; `BertProcessing` is the same by another name.
fn check_post_processor(post_processor: &Object) -> Result<(), Error> {
    post_processor.allow("type", &[json!("TemplateProcessing"), json!("BertProcessing")])?;
    if post_processor.get("type") == Some(&json!("BertProcessing")) {
        return Ok(());
    }
    let pieces = post_processor.array("single")?.iter();
    let pieces: Vec<_> =
        pieces.map(|piece| (piece.pointer("/SpecialToken/id"), piece.pointer("/Sequence/id"))).collect();
    let (start, text, end) = (json!("[CLS]"), json!("A"), json!("[SEP]"));
    if pieces != [(Some(&start), None), (None, Some(&text)), (Some(&end), None)] {
        return Err(post_processor.refuse("single", "[CLS], the text and [SEP]"));
    }
    Ok(())
}

/// The runtime finds exactly the five special tokens in raw text, as plain substrings.
fn check_added_tokens(document: &Document) -> Result<(), Error> {
    let added = document.root().array("added_tokens")?;
    for (index, token) in added.iter().enumerate() {
        let field = format!("added_tokens[{index}]");
        check_added(&document.file, &field, token.get("content").and_then(Value::as_str).unwrap_or(""))?;
        for flag in ["single_word", "lstrip", "rstrip", "normalized"] {
            match token.get(flag) {
                None | Some(Value::Bool(false)) => {}
                Some(other) => {
                    let field = format!("{field}.{flag}");
                    return Err(Error::field(&document.file, field, other.to_string(), "false"));
                }
            }
        }
    }
    for special in SPECIAL_TOKENS {
        if !added.iter().any(|token| token.get("content").and_then(Value::as_str) == Some(special)) {
            let expected = format!("an entry for each of {}", SPECIAL_TOKENS.join(" "));
            return Err(Error::field(&document.file, "added_tokens", format!("no {special}"), expected));
        }
    }
    Ok(())
}

fn check_added(file: &Path, field: &str, token: &str) -> Result<(), Error> {
    if SPECIAL_TOKENS.contains(&token) {
        return Ok(());
    }
    let expected = format!("no added tokens besides {}", SPECIAL_TOKENS.join(" "));
    Err(Error::field(file, field, format!("{token:?}"), expected))
}

/// Inverts the map from token to id, whose ids have to be 0, 1, 2, ... without gaps.
fn tokens_by_id(file: &Path, vocab: &Object) -> Result<Vec<String>, Error> {
    let count = vocab.entries().len();
    let mut tokens = vec![None; count];
    for (token, id) in vocab.entries() {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        match id.and_then(|id| tokens.get_mut(id)) {
            Some(slot @ None) => *slot = Some(token.clone()),
            _ => {
                return Err(
                    vocab.refuse(token, format!("an id of its own below {count}, the number of tokens"))
                );
            }
        }
    }
    // Every slot was filled: there are as many tokens as slots and none was written twice.
    tokens
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::field(file, "model.vocab", "ids with gaps", "ids without gaps"))
}

/// `tokenizer_config.json`, whose absent fields have the defaults of `ElectraTokenizer`.
fn check_settings(settings: &Object) -> Result<(), Error> {
    let classes: Vec<Value> = TOKENIZER_CLASSES.iter().map(|class| json!(class)).collect();
    settings.allow("tokenizer_class", &classes)?;
    if settings.get("do_lower_case").is_some_and(|value| *value != json!(true)) {
        return Err(settings.refuse("do_lower_case", UNCASED));
    }
    for field in ["strip_accents", "tokenize_chinese_chars", "do_basic_tokenize"] {
        settings.allow(field, &[json!(true)])?;
    }
    settings.allow("never_split", &[json!([])])?;
    settings.allow("additional_special_tokens", &[json!([])])?;
    settings.allow("extra_special_tokens", &[json!([]), json!({})])?;
    for (field, expected) in [
        ("pad_token", "[PAD]"),
        ("unk_token", "[UNK]"),
        ("cls_token", "[CLS]"),
        ("sep_token", "[SEP]"),
        ("mask_token", "[MASK]"),
    ] {
        let token = settings.get(field).map(|value| value.get("content").unwrap_or(value));
        if token.is_some_and(|token| token.as_str() != Some(expected)) {
            return Err(settings.refuse(field, format!("{expected:?}")));
        }
    }
    if let Some(added) = settings.object("added_tokens_decoder")? {
        for (id, token) in added.entries() {
            let content = token.get("content").and_then(Value::as_str);
            if !content.is_some_and(|content| SPECIAL_TOKENS.contains(&content)) {
                return Err(added.refuse(id, format!("none besides {}", SPECIAL_TOKENS.join(" "))));
            }
        }
    }
    Ok(())
}

fn check_same(file: &Path, lines: &[String], json: &[String]) -> Result<(), Error> {
    if let Some(id) = (0..lines.len().max(json.len())).find(|&id| lines.get(id) != json.get(id)) {
        let token =
            |tokens: &[String]| tokens.get(id).map_or("no token".to_owned(), |token| format!("{token:?}"));
        let expected = format!("{} as in tokenizer.json", token(json));
        return Err(Error::field(file, format!("line {}", id + 1), token(lines), expected));
    }
    Ok(())
}
