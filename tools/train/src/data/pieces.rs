//! Maps the ids of one vocabulary to those of another that has the same pieces. MPNet numbers the
//! pieces from 4 on, after special tokens of its own.

use std::collections::HashMap;

use super::WordPieceTokenizer;
use crate::error::{Error, Result};

/// Returns, for each id of `from`, the id of the same piece in `to`; special tokens are matched by
/// their role. Returns `None` if all ids are the same. Fails if the vocabularies split a text into
/// different pieces.
pub fn piece_map(from: &WordPieceTokenizer, to: &WordPieceTokenizer) -> Result<Option<Vec<i64>>> {
    let (pieces, others) = (&from.pieces, &to.pieces);
    let special = |of: &WordPieceTokenizer| {
        let it = of.special;
        [it.pad, it.cls, it.sep, it.mask].map(usize::from)
    };
    let (special_from, special_to) = (special(from), special(to));
    let numbers: HashMap<&str, usize> =
        others.iter().enumerate().map(|(id, piece)| (piece.as_str(), id)).collect();
    let known: HashMap<&str, usize> =
        pieces.iter().enumerate().map(|(id, piece)| (piece.as_str(), id)).collect();
    let refuse = |of: &WordPieceTokenizer, id: usize, piece: &str, other: &WordPieceTokenizer| {
        let expected = format!("a piece of {}, because both must cut texts alike", other.file().display());
        Err(Error::field(of.file(), format!("line {}", id + 1), piece, expected))
    };
    for (id, piece) in others.iter().enumerate() {
        // No text contains this piece: a word that begins with a bracket is that bracket alone.
        let unreachable = piece.len() > 1 && piece.starts_with(['<', '[']);
        if !known.contains_key(piece.as_str()) && !unreachable {
            return refuse(to, id, piece, from);
        }
    }
    let mut map = Vec::with_capacity(pieces.len());
    for (id, piece) in pieces.iter().enumerate() {
        let number = match special_from.iter().position(|&it| it == id) {
            Some(role) => special_to[role],
            None => match numbers.get(piece.as_str()) {
                Some(&number) => number,
                None => return refuse(from, id, piece, to),
            },
        };
        map.push(number as i64);
    }
    let same = map.iter().enumerate().all(|(id, &number)| id as i64 == number);
    Ok((!same).then_some(map))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Family;

    fn tokenizer(root: &Path, name: &str, family: Family, pieces: &str) -> WordPieceTokenizer {
        let file = root.join(name);
        std::fs::write(&file, pieces.replace(' ', "\n")).unwrap();
        WordPieceTokenizer::read_for(family, &file).unwrap()
    }

    #[test]
    fn pieces_keep_their_meaning() {
        let root = tempfile::tempdir().unwrap();
        let new = |name: &str, family, pieces: &str| tokenizer(root.path(), name, family, pieces);
        let bert = new("bert", Family::Bert, "[PAD] [UNK] [CLS] [SEP] [MASK] a ##b <");
        assert_eq!(piece_map(&bert, &bert).unwrap(), None);
        let mpnet =
            new("mpnet", Family::Mpnet, "<s> <pad> </s> <unk> [PAD] [UNK] [CLS] [SEP] [MASK] a ##b < <mask>");
        assert_eq!(piece_map(&bert, &mpnet).unwrap(), Some(vec![1, 5, 0, 2, 12, 9, 10, 11]));
        let more = new("more", Family::Bert, "[PAD] [UNK] [CLS] [SEP] [MASK] a ##b < c");
        let error = piece_map(&bert, &more).unwrap_err().to_string();
        assert!(
            error.contains("more: line 9: found c, expected a piece of") && error.contains("/bert, "),
            "{error}"
        );
        let error = piece_map(&more, &mpnet).unwrap_err().to_string();
        assert!(
            error.contains("more: line 9: found c, expected a piece of") && error.contains("/mpnet, "),
            "{error}"
        );
    }
}
