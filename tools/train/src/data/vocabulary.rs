//! The lines of a vocabulary, from `vocab.txt` or from a `tokenizer.json` that says the same.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// The content of `vocab.txt`: one piece a line, the line is the id. Of a `.json` file, which must be a `tokenizer.json` of
/// BERT's uncased WordPiece, the same lines.
pub fn read_vocabulary(file: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(file).map_err(Error::read(file))?;
    if file.extension().is_none_or(|extension| extension != "json") {
        return Ok(bytes);
    }
    let document: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::field(file, "content", format!("no JSON ({error})"), "a tokenizer.json"))?;
    for (pointer, expected) in [
        ("/model/type", Value::from("WordPiece")),
        ("/model/unk_token", Value::from("[UNK]")),
        ("/model/continuing_subword_prefix", Value::from("##")),
        ("/normalizer/type", Value::from("BertNormalizer")),
        ("/normalizer/lowercase", Value::from(true)),
    ] {
        let found = document.pointer(pointer).unwrap_or(&Value::Null);
        if *found != expected {
            let field = pointer[1..].replace('/', ".");
            return Err(Error::field(file, field, found.to_string(), expected.to_string()));
        }
    }
    let pieces = document.pointer("/model/vocab").and_then(Value::as_object).into_iter().flatten();
    let added = document.get("added_tokens").and_then(Value::as_array).into_iter().flatten();
    let added = added.filter_map(|it| Some((it.get("content")?.as_str()?, it.get("id")?)));
    let all = pieces.map(|(piece, id)| (piece.as_str(), id)).chain(added);
    let mut lines: Vec<Option<&str>> = Vec::new();
    for (piece, id) in all {
        let refuse = |found: &str| {
            let expected = "a number of its own below 65536 for every piece";
            Err(Error::field(file, format!("model.vocab, {piece}"), found, expected))
        };
        let Some(id) = id.as_u64().filter(|&id| id < 1 << 16) else { return refuse(&id.to_string()) };
        let id = id as usize;
        if lines.len() <= id {
            lines.resize(id + 1, None);
        }
        match lines[id] {
            Some(other) if other != piece => return refuse(&format!("{id}, as of {other}")),
            _ => lines[id] = Some(piece),
        }
    }
    let mut text = String::new();
    for (id, line) in lines.iter().enumerate() {
        let Some(line) = line else {
            return Err(Error::field(file, "model.vocab", format!("no piece {id}"), "one for each number"));
        };
        text.push_str(line);
        text.push('\n');
    }
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizer_says_what_its_lines_say() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("tokenizer.json");
        let good = r###"{"added_tokens": [{"id": 1, "content": "[UNK]"}, {"id": 3, "content": "<mask>"}],
            "normalizer": {"type": "BertNormalizer", "lowercase": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "vocab": {"a": 2, "<s>": 0, "[UNK]": 1}}}"###;
        fs::write(&file, good).unwrap();
        assert_eq!(read_vocabulary(&file).unwrap(), b"<s>\n[UNK]\na\n<mask>\n");
        for (from, to, expected) in [
            (
                "\"lowercase\": true",
                "\"lowercase\": false",
                "normalizer.lowercase: found false, expected true",
            ),
            ("\"WordPiece\"", "\"BPE\"", "model.type: found \"BPE\", expected \"WordPiece\""),
            ("\"a\": 2", "\"a\": 4", "model.vocab: found no piece 2, expected one for each number"),
            ("\"a\": 2", "\"a\": 3", "model.vocab, <mask>: found 3, as of a, expected a number of its own"),
            ("\"a\": 2", "\"a\": -1", "model.vocab, a: found -1, expected a number of its own"),
        ] {
            fs::write(&file, good.replace(from, to)).unwrap();
            let error = read_vocabulary(&file).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
