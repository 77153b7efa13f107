//! Families of models that cut texts into the same pieces and frame them with other special tokens.

/// The special tokens of a family, and how its tokenizer's files name things.
#[derive(Debug)]
pub struct Family {
    /// Fills short rows of a batch.
    pub pad: &'static str,
    /// Stands for a word that has no pieces.
    pub unk: &'static str,
    /// Begins a text.
    pub cls: &'static str,
    /// Ends a text.
    pub sep: &'static str,
    /// Stands where a token is to be guessed.
    pub mask: &'static str,
    /// Tokens that `tokenizers` finds in raw text, as plain substrings.
    pub(super) added: &'static [&'static str],
    /// Whether those may swallow white space or be normalised first.
    pub(super) added_flags: bool,
    /// Tokenizer classes of `transformers` that stand for this family, or leave everything to
    /// `tokenizer.json`.
    pub(super) classes: &'static [&'static str],
    /// Post-processors of `tokenizers` with the fields `cls` and `sep`.
    pub(super) post_processors: &'static [&'static str],
}

/// BERT, ELECTRA and DistilBERT, uncased.
pub const BERT: Family = Family {
    pad: "[PAD]",
    unk: "[UNK]",
    cls: "[CLS]",
    sep: "[SEP]",
    mask: "[MASK]",
    added: &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    added_flags: false,
    classes: &[
        "ElectraTokenizer",
        "ElectraTokenizerFast",
        "BertTokenizer",
        "BertTokenizerFast",
        "DistilBertTokenizer",
        "DistilBertTokenizerFast",
        "PreTrainedTokenizerFast",
        "TokenizersBackend",
    ],
    post_processors: &["BertProcessing"],
};

/// MPNet, whose pieces are those of BERT.
pub const MPNET: Family = Family {
    pad: "<pad>",
    unk: "[UNK]",
    cls: "<s>",
    sep: "</s>",
    mask: "<mask>",
    added: &["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"],
    added_flags: true,
    classes: &["MPNetTokenizer", "MPNetTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"],
    post_processors: &["RobertaProcessing", "BertProcessing"],
};

impl Family {
    /// The five tokens that have a meaning of their own.
    pub(super) fn special(&self) -> [&'static str; 5] {
        [self.pad, self.unk, self.cls, self.sep, self.mask]
    }

    pub(super) fn none_besides_added(&self) -> String {
        format!("no added tokens besides {}", self.added.join(" "))
    }
}
