//! Both tokenizers with the same vocabulary.

use std::path::Path;

use electra_core::tokenizer::{Tokenizer, Vocabulary};
use electra_formats::tokenizer::tokens_of_text;
use electra_pack::vocabulary::build_section;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, TruncationParams};

/// A vocabulary section at an address where its numbers are aligned.
pub struct Section {
    bytes: Vec<u8>,
    start: usize,
}

impl Section {
    pub fn new(section: &[u8]) -> Self {
        let mut bytes = vec![0; section.len() + 3];
        let start = bytes.as_ptr().align_offset(4);
        bytes[start..start + section.len()].copy_from_slice(section);
        bytes.truncate(start + section.len());
        Self { bytes, start }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    pub fn tokenizer(&self) -> Tokenizer<'_> {
        Tokenizer::new(Vocabulary::from_bytes(self.bytes()).expect("a valid section"))
    }
}

/// Id of a token, and start and end of its bytes in the text.
pub type Piece = (u32, usize, usize);

/// BERT's uncased tokenizer of the crate `tokenizers`, and the tokenizer of this project.
pub struct Both {
    oracle: tokenizers::Tokenizer,
    pub section: Section,
}

impl Both {
    /// Returns both tokenizers for `vocabulary`, the content of a `vocab.txt`.
    pub fn new(vocabulary: &str) -> Self {
        let map = WordPiece::read_bytes(vocabulary.as_bytes()).expect("the vocabulary is UTF-8");
        let id = |token: &str| (token.to_owned(), map[token]);
        let ends = BertProcessing::new(id("[SEP]"), id("[CLS]"));
        let model = WordPiece::builder().vocab(map).build().expect("the vocabulary needs no file");
        let mut oracle = tokenizers::Tokenizer::new(model);
        oracle
            .with_normalizer(Some(BertNormalizer::default()))
            .expect("a normaliser without added tokens")
            .with_pre_tokenizer(Some(BertPreTokenizer))
            .with_post_processor(Some(ends));
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        oracle
            .add_special_tokens(special.map(|token| AddedToken::from(token, true)))
            .expect("the special tokens are in the vocabulary");
        let section = build_section(&tokens_of_text(vocabulary)).expect("the vocabulary can be built");
        Self { oracle, section: Section::new(&section) }
    }

    /// Returns both tokenizers for the vocabulary of BERT's uncased models.
    pub fn bert() -> Self {
        Self::new(&bert_vocabulary())
    }

    pub fn theirs(&self, text: &str) -> Vec<Piece> {
        let encoding = self.oracle.encode(text, false).expect("BERT's tokenizer takes any text");
        let offsets = encoding.get_offsets().iter();
        encoding.get_ids().iter().zip(offsets).map(|(&id, &(start, end))| (id, start, end)).collect()
    }

    pub fn ours(&self, text: &str) -> Vec<Piece> {
        pieces(&self.section.tokenizer(), text)
    }

    /// Compares the tokens of a text. The error shows where they differ.
    pub fn compare(&self, text: &str) -> Result<(), String> {
        difference(text, &self.ours(text), &self.theirs(text))
    }

    /// Compares whole sequences that are truncated to `length` tokens.
    pub fn compare_truncated(&mut self, text: &str, length: usize) -> Result<(), String> {
        let params = TruncationParams { max_length: length, ..TruncationParams::default() };
        self.oracle.with_truncation(Some(params)).expect("a length that leaves room for [CLS] and [SEP]");
        let theirs = self.oracle.encode(text, true).expect("BERT's tokenizer takes any text");
        self.oracle.with_truncation(None).expect("no truncation is always possible");
        let mut ids = vec![u16::MAX; length];
        let encoding = self.section.tokenizer().encode(text, &mut ids).expect("a text of less than 4 GiB");
        let ours: Vec<u32> = ids[..encoding.len].iter().map(|&id| id.into()).collect();
        let cut = !theirs.get_overflowing().is_empty();
        if ours == theirs.get_ids() && encoding.truncated == cut {
            Ok(())
        } else {
            Err(format!("{text:?} cut to {length}: {ours:?}, {}, but {theirs:?}", encoding.truncated))
        }
    }
}

pub fn pieces(tokenizer: &Tokenizer<'_>, text: &str) -> Vec<Piece> {
    let pieces = tokenizer.pieces(text).expect("a text of less than 4 GiB");
    pieces.map(|piece| (piece.id.into(), piece.start as usize, piece.end as usize)).collect()
}

/// Compares tokens. The error shows where they differ.
pub fn difference(text: &str, ours: &[Piece], theirs: &[Piece]) -> Result<(), String> {
    if ours == theirs {
        return Ok(());
    }
    let same = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
    let from = |pieces: &[Piece]| format!("{:?}", pieces[same..].iter().take(4).collect::<Vec<_>>());
    let near = theirs.get(same).or(ours.get(same)).map_or(0, |piece| piece.1);
    let near: String = text.chars().skip(text[..near].chars().count().saturating_sub(4)).take(40).collect();
    Err(format!("from token {same} on {}, but {} near {near:?}", from(ours), from(theirs)))
}

pub fn bert_vocabulary() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/electra-small-sentiment/vocab.txt");
    let text = std::fs::read(path).expect("the vocabulary lies in the repository");
    String::from_utf8(text).expect("the vocabulary is UTF-8")
}
