//! Which of the related encoders a model is, and what differs between them.

use serde::{Deserialize, Serialize};

/// Which of the related encoders a model is. They compute nearly the same: ELECTRA may have embeddings narrower than the
/// encoder, MPNet adds a bias to its attention and has no token types, and the heads differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Clark et al., "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", 2020.
    #[default]
    Electra,
    /// Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2018.
    Bert,
    /// Song et al., "MPNet: Masked and Permuted Pre-training for Language Understanding", 2020.
    Mpnet,
}

/// Names of the parts of a layer's attention below the name of the layer.
#[derive(Clone, Copy, Debug)]
pub struct AttentionNames {
    /// The matrices of queries, keys and values.
    pub query_key_value: [&'static str; 3],
    /// The matrix that the heads' results go through.
    pub output: &'static str,
    /// The LayerNorm after it.
    pub norm: &'static str,
}

/// Names of the tokens that have a meaning of their own, as they stand in the vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct SpecialTokens {
    /// Fills short rows of a batch.
    pub pad: &'static str,
    /// First token of every input.
    pub cls: &'static str,
    /// Last token of every input.
    pub sep: &'static str,
    /// Stands where a token is to be guessed.
    pub mask: &'static str,
}

impl Family {
    /// What the names of the encoder's tensors begin with; `model_type` of `config.json`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Electra => "electra",
            Self::Bert => "bert",
            Self::Mpnet => "mpnet",
        }
    }

    /// What the names of the classes in `transformers` begin with.
    pub fn class(self) -> &'static str {
        match self {
            Self::Electra => "Electra",
            Self::Bert => "Bert",
            Self::Mpnet => "MPNet",
        }
    }

    /// Row of the position embeddings that the first token gets. MPNet counts from after its padding token's id.
    pub fn first_position(self) -> i64 {
        match self {
            Self::Electra | Self::Bert => 0,
            Self::Mpnet => 2,
        }
    }

    /// Whether the encoder has one table of biases for the distance of two tokens, which all layers share.
    pub fn has_position_bias(self) -> bool {
        self == Self::Mpnet
    }

    /// See [`AttentionNames`].
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

    /// How the tokenizer's files name special tokens. MPNet's vocabulary has BERT's special tokens too, as pieces that
    /// nothing uses.
    pub fn tokenizer(self) -> &'static electra_formats::tokenizer::Family {
        match self {
            Self::Electra | Self::Bert => &electra_formats::tokenizer::BERT,
            Self::Mpnet => &electra_formats::tokenizer::MPNET,
        }
    }
}
