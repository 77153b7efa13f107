//! The WordPiece vocabulary of a Hugging Face folder, and the tokenizer settings beside it.
//!
//! Only one tokenizer is supported: the uncased BERT tokenizer with the defaults of
//! `BertNormalizer` of the `tokenizers` crate. A [`Family`] gives the names of its special tokens.
//! Every file that can change the tokenizer is checked. Settings that would split a text
//! differently are refused instead of being ignored.

mod family;
mod json;
mod lines;
mod settings;

use std::collections::HashMap;
use std::path::Path;

use electra_core::tokenizer::vocabulary::MAX_TOKENS;

use crate::error::Error;
use crate::file::read_text;
use crate::json::Document;

pub use family::{BERT, Family, MPNET};
pub use lines::{tokens_of_text, write};

const UNCASED: &str = "true: only uncased tokenizers work";
const VOCABULARY: &str = "vocab.txt";
const TOKENIZER: &str = "tokenizer.json";

/// Reads the vocabulary of a Hugging Face folder. Returns the tokens in the order of their ids.
///
/// If `vocab.txt` and `tokenizer.json` both exist, they must agree. The files
/// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` beside them are
/// checked.
///
/// A token may occur twice, as in some published vocabularies. A text then gets the later id, as in
/// `transformers`.
///
/// # Errors
///
/// Fails if the folder has no vocabulary, if a file is damaged, or if the settings describe another
/// tokenizer.
pub fn read_folder(folder: &Path, family: &Family) -> Result<Vec<String>, Error> {
    let json_file = folder.join(TOKENIZER);
    let text_file = folder.join(VOCABULARY);
    let vocabulary = match (json_file.exists(), text_file.exists()) {
        (true, true) => {
            let vocabulary = read_vocabulary(&json_file, family)?;
            check_same(&text_file, &read_vocabulary(&text_file, family)?, &vocabulary)?;
            vocabulary
        }
        (true, false) => read_vocabulary(&json_file, family)?,
        (false, true) => read_vocabulary(&text_file, family)?,
        (false, false) => {
            let expected = "one of the two: they hold the vocabulary";
            return Err(Error::field(folder, "folder", "neither vocab.txt nor tokenizer.json", expected));
        }
    };
    settings::check_beside(folder, family, &vocabulary)?;
    Ok(vocabulary)
}

/// Returns whether `folder` contains a vocabulary.
pub fn has_vocabulary(folder: &Path) -> bool {
    [VOCABULARY, TOKENIZER].iter().any(|name| folder.join(name).exists())
}

/// Checks the tokenizer settings in `folder` against a vocabulary from elsewhere.
///
/// # Errors
///
/// Fails if the settings describe another tokenizer.
pub fn check_settings(folder: &Path, family: &Family, vocabulary: &[String]) -> Result<(), Error> {
    let tokenizer = folder.join(TOKENIZER);
    if tokenizer.exists() {
        // Checks the settings in the file. Its vocabulary is not used.
        json::parse(&Document::read(tokenizer)?, family)?;
    }
    settings::check_beside(folder, family, vocabulary)
}

/// Reads one vocabulary and checks the settings in its folder. A file whose name ends in `.json`
/// has the format of `tokenizers`; any other file has one token per line.
///
/// A file named `vocab.txt` or `tokenizer.json` stands for its folder, see [`read_folder`].
///
/// # Errors
///
/// Fails if the file is damaged or the settings describe another tokenizer.
pub fn read_file(file: &Path, family: &Family) -> Result<Vec<String>, Error> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let usual = [VOCABULARY, TOKENIZER].iter().any(|name| file.file_name().is_some_and(|it| it == *name));
    if usual && file.exists() {
        return read_folder(folder, family);
    }
    let vocabulary = read_vocabulary(file, family)?;
    check_settings(folder, family, &vocabulary)?;
    Ok(vocabulary)
}

/// Parses the text of a `tokenizer.json` and returns its tokens in the order of their ids. `file`
/// is the name in errors.
///
/// # Errors
///
/// Fails if the text is damaged or describes another tokenizer.
pub fn parse_json(file: &Path, text: &str, family: &Family) -> Result<Vec<String>, Error> {
    json::parse(&Document::parse(file.to_path_buf(), text)?, family)
}

/// Returns the ids by token. Of equal tokens, the last id is returned.
pub fn ids(vocabulary: &[String]) -> HashMap<&str, usize> {
    vocabulary.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect()
}

fn read_vocabulary(file: &Path, family: &Family) -> Result<Vec<String>, Error> {
    let text = read_text(file)?;
    if is_json(file) {
        return parse_json(file, &text, family);
    }
    let vocabulary = tokens_of_text(&text);
    check_tokens(file, family, &vocabulary)?;
    Ok(vocabulary)
}

fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn check_tokens(file: &Path, family: &Family, vocabulary: &[String]) -> Result<(), Error> {
    if vocabulary.len() > MAX_TOKENS {
        let found = format!("{} tokens", vocabulary.len());
        return Err(Error::field(file, "vocabulary", found, format!("at most {MAX_TOKENS}")));
    }
    for special in family.special() {
        if !vocabulary.iter().any(|token| token == special) {
            let found = format!("no {special} among {} tokens", vocabulary.len());
            let expected = format!("all of {}", family.special().join(" "));
            return Err(Error::field(file, "vocabulary", found, expected));
        }
    }
    Ok(())
}

/// Checks that the tokens of the `vocab.txt` at `file` are those of `tokenizer.json`.
fn check_same(file: &Path, lines: &[String], json: &[String]) -> Result<(), Error> {
    if let Some(id) = (0..lines.len().max(json.len())).find(|&id| lines.get(id) != json.get(id)) {
        let token =
            |tokens: &[String]| tokens.get(id).map_or("no token".to_owned(), |token| format!("{token:?}"));
        let expected = format!("{} as in tokenizer.json", token(json));
        return Err(Error::field(file, format!("line {}", id + 1), token(lines), expected));
    }
    Ok(())
}
