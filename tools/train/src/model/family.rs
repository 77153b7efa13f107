//! Families of related encoders, and the differences between them.

use serde::{Deserialize, Serialize};

/// Family of an encoder. All families compute nearly the same: ELECTRA may have embeddings narrower
/// than the encoder, MPNet adds a bias to its attention and has no token types, and the heads
/// differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Clark et al., "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than
    /// Generators", 2020.
    #[default]
    Electra,
    /// Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2018.
    Bert,
    /// Song et al., "MPNet: Masked and Permuted Pre-training for Language Understanding", 2020.
    Mpnet,
}

/// Tensor names in a layer's attention, relative to the name of the layer.
#[derive(Clone, Copy, Debug)]
pub struct AttentionNames {
    /// Matrices of queries, keys and values.
    pub query_key_value: [&'static str; 3],
    /// Output matrix of the attention.
    pub output: &'static str,
    /// LayerNorm after the attention.
    pub norm: &'static str,
}

/// Names of the special tokens in the vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct SpecialTokens {
    /// Padding of short rows in a batch.
    pub pad: &'static str,
    /// First token of every input.
    pub cls: &'static str,
    /// Last token of every input.
    pub sep: &'static str,
    /// Replacement of a token that the model predicts.
    pub mask: &'static str,
}

impl Family {
    /// Returns the prefix of the encoder's tensor names, which is also `model_type` in
    /// `config.json`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Electra => "electra",
            Self::Bert => "bert",
            Self::Mpnet => "mpnet",
        }
    }

    /// Returns the prefix of the class names in `transformers`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Electra => "Electra",
            Self::Bert => "Bert",
            Self::Mpnet => "MPNet",
        }
    }

    /// Returns the row of the position embeddings for the first token. MPNet's positions begin
    /// after the id of its padding token.
    pub fn first_position(self) -> i64 {
        match self {
            Self::Electra | Self::Bert => 0,
            Self::Mpnet => 2,
        }
    }

    /// Returns whether the encoder has a table of biases by the distance of two tokens, which all
    /// layers share.
    pub fn has_position_bias(self) -> bool {
        self == Self::Mpnet
    }

    /// Returns the tensor names in a layer's attention.
    pub fn attention_names(self) -> AttentionNames {
        match self {
            Self::Electra | Self::Bert => AttentionNames {
                query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
                output: "attention.output.dense",
                norm: "attention.output.LayerNorm",
            },
            Self::Mpnet => AttentionNames {
                query_key_value: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
                output: "attention.attn.o",
                norm: "attention.LayerNorm",
            },
        }
    }

    /// Returns the names of the special tokens in the tokenizer's files. MPNet's vocabulary has
    /// BERT's special tokens too, as pieces that are not used.
    pub fn tokenizer(self) -> &'static electra_formats::tokenizer::Family {
        match self {
            Self::Electra | Self::Bert => &electra_formats::tokenizer::BERT,
            Self::Mpnet => &electra_formats::tokenizer::MPNET,
        }
    }
}
