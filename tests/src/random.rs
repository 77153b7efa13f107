//! Makes checkpoints of any size from a seed.

use std::collections::BTreeMap;

use electra_pack::checkpoint::{Checkpoint, Config, Head, SPECIAL_TOKENS, Tensor};

/// The generator SplitMix64, which returns the same numbers on every machine.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Returns a generator whose numbers depend only on `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number of 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number from 0 to `end` - 1. `end` must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next_u64() % end as u64) as usize
    }

    /// Returns a number from -6 to 6 that is approximately normal with mean 0 and deviation 1: the
    /// sum of twelve uniform numbers, minus 6.
    pub fn normal(&mut self) -> f32 {
        let sum: f32 = (0..12).map(|_| (self.next_u64() >> 40) as f32 / (1u64 << 24) as f32).sum();
        sum - 6.0
    }

    /// Returns `len` ids below `vocab_size`.
    pub fn ids(&mut self, len: usize, vocab_size: usize) -> Vec<u16> {
        (0..len).map(|_| self.below(vocab_size) as u16).collect()
    }
}

/// Sizes of a random checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows of the word embeddings; at least as many as the vocabulary has tokens.
    pub vocab: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// Width of the encoder.
    pub hidden: usize,
    /// Number of encoder layers.
    pub layers: usize,
    /// Attention heads per layer.
    pub heads: usize,
    /// Width of the feed-forward blocks.
    pub intermediate: usize,
    /// Longest sequence in tokens.
    pub positions: usize,
    /// Number of labels of a classifier, or `None` for replaced-token detection.
    pub labels: Option<usize>,
}

impl Sizes {
    /// ELECTRA-Small with two labels.
    pub const SMALL: Self = Self {
        vocab: 30_522,
        embedding: 128,
        hidden: 256,
        layers: 12,
        heads: 4,
        intermediate: 1024,
        positions: 512,
        labels: Some(2),
    };

    /// Small enough for hundreds of runs, with 512 positions.
    pub const TINY: Self = Self {
        vocab: 200,
        embedding: 16,
        hidden: 32,
        layers: 2,
        heads: 2,
        intermediate: 48,
        positions: 512,
        labels: Some(3),
    };

    /// Returns a checkpoint with random weights and [`letters`] as its vocabulary.
    #[must_use]
    pub fn checkpoint(&self, seed: u64) -> Checkpoint {
        self.with_vocabulary(seed, letters())
    }

    /// Returns a checkpoint with random weights. They are large enough that attention prefers some
    /// tokens and logits differ.
    #[must_use]
    pub fn with_vocabulary(&self, seed: u64, vocabulary: Vec<String>) -> Checkpoint {
        let head = match self.labels {
            Some(labels) => {
                Head::Classification { labels: (0..labels).map(|at| format!("label {at}")).collect() }
            }
            None => Head::ReplacedTokenDetection,
        };
        let config = Config {
            vocab_size: self.vocab,
            embedding_size: self.embedding,
            hidden_size: self.hidden,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            intermediate_size: self.intermediate,
            max_position_embeddings: self.positions,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            head,
        };
        let mut random = Random::new(seed);
        let tensors = config
            .tensor_shapes()
            .into_iter()
            .map(|(name, shape)| {
                let data = values(&name, &shape, &mut random);
                (name, Tensor { shape, data })
            })
            .collect::<BTreeMap<_, _>>();
        Checkpoint { config, tensors, vocabulary }
    }
}

fn values(name: &str, shape: &[usize], random: &mut Random) -> Vec<f32> {
    let inputs = shape.last().copied().unwrap_or(1) as f32;
    let (mean, deviation) = match name {
        _ if name.ends_with("LayerNorm.weight") => (1.0, 0.2),
        _ if name.ends_with("bias") => (0.0, 0.1),
        _ if name.contains("_embeddings.") => (0.0, 0.5),
        _ if name.contains("out_proj") || name.contains("dense_prediction") => (0.0, 4.0 / inputs.sqrt()),
        _ if name.contains("query") || name.contains("key") => (0.0, 1.5 / inputs.sqrt()),
        _ => (0.0, 1.0 / inputs.sqrt()),
    };
    let len = shape.iter().product();
    (0..len).map(|_| mean + deviation * random.normal()).collect()
}

/// Returns a vocabulary of under a hundred tokens that can spell every text of small letters,
/// digits and some punctuation marks.
#[must_use]
pub fn letters() -> Vec<String> {
    let mut tokens: Vec<String> = SPECIAL_TOKENS.iter().map(|&token| token.to_owned()).collect();
    for character in ('a'..='z').chain('0'..='9') {
        tokens.push(character.to_string());
        tokens.push(format!("##{character}"));
    }
    tokens.extend(
        [".", ",", "!", "the", "not", "good", "bad", "film", "##ing", "##ly", "é"].map(str::to_owned),
    );
    tokens
}

/// Returns the published vocabulary of the uncased models, 30,522 tokens.
///
/// # Panics
/// When the repository does not contain it.
#[must_use]
pub fn published_vocabulary() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/electra-small-sentiment/vocab.txt");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    electra_formats::tokenizer::tokens_of_text(&text)
}
