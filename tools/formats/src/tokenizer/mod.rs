//! The WordPiece vocabulary of a Hugging Face folder, and the settings that go with it.
//!
//! There is one tokenizer: BERT's uncased one with the defaults of `BertNormalizer` of the
//! `tokenizers` crate, its special tokens named as by the [`Family`]. Every file that can ask for another one is looked at, and settings under which
//! a text would be split in another way are refused instead of being ignored.

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

/// Reads the vocabulary of a Hugging Face folder: the tokens in the order of their ids.
///
/// If `vocab.txt` and `tokenizer.json` both exist, they must agree. The files beside them are checked:
/// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`.
///
/// A token may stand there twice, as in some published vocabularies; the later id is the one that a
/// text gets, as in `transformers`.
///
/// # Errors
///
/// A folder without a vocabulary, one that is damaged, and settings of another tokenizer.
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

/// Whether `folder` holds a vocabulary.
pub fn has_vocabulary(folder: &Path) -> bool {
    [VOCABULARY, TOKENIZER].iter().any(|name| folder.join(name).exists())
}

/// Checks the settings of a tokenizer that lie in `folder`, against a vocabulary that came from elsewhere.
///
/// # Errors
///
/// Settings of another tokenizer.
pub fn check_settings(folder: &Path, family: &Family, vocabulary: &[String]) -> Result<(), Error> {
    let tokenizer = folder.join(TOKENIZER);
    if tokenizer.exists() {
        // What it says of the tokenizer counts, not its vocabulary.
        json::parse(&Document::read(tokenizer)?, family)?;
    }
    settings::check_beside(folder, family, vocabulary)
}

/// Reads one vocabulary, in the format of `tokenizers` if the name ends in `.json`, one token per line
/// otherwise, and checks the settings that lie beside it.
///
/// A file with one of the two usual names stands for its folder, see [`read_folder`].
///
/// # Errors
///
/// A file that is damaged, and settings of another tokenizer.
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

/// The vocabulary in the text of a `tokenizer.json`; `file` is its name in errors.
///
/// # Errors
///
/// Text that is damaged or that describes another tokenizer.
pub fn parse_json(file: &Path, text: &str, family: &Family) -> Result<Vec<String>, Error> {
    json::parse(&Document::parse(file.to_path_buf(), text)?, family)
}

/// Ids by token; of equal tokens the last one counts.
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

/// Refuses a `vocab.txt`, at `file`, whose tokens are not those of `tokenizer.json`.
fn check_same(file: &Path, lines: &[String], json: &[String]) -> Result<(), Error> {
    if let Some(id) = (0..lines.len().max(json.len())).find(|&id| lines.get(id) != json.get(id)) {
        let token =
            |tokens: &[String]| tokens.get(id).map_or("no token".to_owned(), |token| format!("{token:?}"));
        let expected = format!("{} as in tokenizer.json", token(json));
        return Err(Error::field(file, format!("line {}", id + 1), token(lines), expected));
    }
    Ok(())
}
