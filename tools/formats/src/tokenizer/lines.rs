//! `vocab.txt`: one token per line. The id of a token is the number of its line, counted from 0.

use std::fs;
use std::io;
use std::path::Path;

/// Returns the tokens in the text of a `vocab.txt`, without the empty lines at its end.
///
/// White space at the end of a line does not belong to the token (`WordPiece::read_file` of
/// `tokenizers`). A line that holds only white space is a token, as for `transformers`: the
/// published Chinese vocabularies have such lines, for example U+2028. No text contains that token,
/// because white space ends words.
#[must_use]
pub fn tokens_of_text(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = text.split('\n').map(token_of_line).collect();
    tokens.truncate(tokens.iter().rposition(|token| !token.is_empty()).map_or(0, |last| last + 1));
    tokens
}

fn token_of_line(line: &str) -> String {
    match line.trim_end() {
        "" => line.strip_suffix('\r').unwrap_or(line).to_owned(),
        token => token.to_owned(),
    }
}

/// Writes a `vocab.txt`.
///
/// # Errors
///
/// Returns an error of the operating system, or [`io::ErrorKind::InvalidData`] for a token with a
/// line break or with white space at its end, because a reader would get a different token.
pub fn write(file: &Path, vocabulary: &[String]) -> io::Result<()> {
    let mut text = vocabulary.join("\n");
    text.push('\n');
    let read = tokens_of_text(&text);
    if let Some(id) = (0..vocabulary.len()).find(|&id| read.get(id) != vocabulary.get(id)) {
        let token = &vocabulary[id];
        let reason = format!("token {id}, {token:?}, does not fit into one line of a vocab.txt");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    fs::write(file, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_readers_of_vocab_txt_end_them() {
        assert_eq!(tokens_of_text("[PAD]\r\na \n\nb\u{a0}\r\n\r\n\n"), ["[PAD]", "a", "", "b"]);
    }

    #[test]
    fn a_line_of_white_space_is_a_token() {
        assert_eq!(
            tokens_of_text("a\n\u{2028}\n\u{3000}\r\n\u{a0}\nb"),
            ["a", "\u{2028}", "\u{3000}", "\u{a0}", "b"]
        );
    }

    #[test]
    fn a_written_vocabulary_is_read_again_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vocab.txt");
        let tokens = ["[PAD]", "", "\u{2028}", "##a"].map(str::to_owned);
        write(&file, &tokens).unwrap();
        assert_eq!(tokens_of_text(&fs::read_to_string(&file).unwrap()), tokens);
        for bad in ["a\nb", "a ", "\r", ""] {
            let tokens = ["[PAD]", bad].map(str::to_owned);
            assert_eq!(write(&file, &tokens).unwrap_err().kind(), io::ErrorKind::InvalidData, "{bad:?}");
        }
    }
}
