//! Families of models. All families split a text into the same pieces, but they have different
//! special tokens.

/// Special tokens of a family and the names that its tokenizer files use.
#[derive(Debug)]
pub struct Family {
    /// Pads short rows of a batch.
    pub pad: &'static str,
    /// Replaces a word that cannot be split into pieces.
    pub unk: &'static str,
    /// First token of a text.
    pub cls: &'static str,
    /// Last token of a text.
    pub sep: &'static str,
    /// Marks a position whose token is to be predicted.
    pub mask: &'static str,
    /// Tokens that `tokenizers` finds in raw text, as plain substrings.
    pub(super) added: &'static [&'static str],
    /// Whether the entries of `added` may set flags that strip white space around them or normalise
    /// them.
    pub(super) added_flags: bool,
    /// Tokenizer classes of `transformers` that belong to this family, and the generic ones that
    /// take all settings from `tokenizer.json`.
    pub(super) classes: &'static [&'static str],
    /// Post-processors of `tokenizers` with the fields `cls` and `sep` that are accepted.
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

/// MPNet, which has the same pieces as BERT.
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
    /// Returns the five special tokens, in the order of the fields.
    pub(super) fn special(&self) -> [&'static str; 5] {
        [self.pad, self.unk, self.cls, self.sep, self.mask]
    }

    pub(super) fn none_besides_added(&self) -> String {
        format!("no added tokens besides {}", self.added.join(" "))
    }
}
