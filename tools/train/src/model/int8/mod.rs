//! The runtime's int8 arithmetic (`docs/numerics.md`) on libtorch. The forward pass has the same
//! bits. The backward pass works as if nothing had been rounded (straight-through estimators:
//! Bengio, Léonard and Courville, 2013).
//!
//! int8 values are integers held in f32. Their products and sums are exact there, whatever the
//! order of the sum, so a matrix product in f32 equals the runtime's in int8. Everything else is
//! computed operation by operation as the runtime does.

mod arithmetic;
mod attention;

use std::fmt;

use tch::Tensor;

use self::arithmetic::{exact_linear, gelu, layer_norm, quantize_weight, straight_through};
use self::attention::attention;
use super::encoder::{Embeddings, Encoder, Layer, LayerNorm, Linear, Mode};
use super::{Classifier, Config};
use crate::error::Result;

/// A part of a model that can compute in int8 while the rest computes in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelPart {
    /// Word and position embeddings and their projection.
    Embeddings,
    /// Self-attention of a layer, counted from 0, with its output layer.
    Attention(usize),
    /// Feed-forward block of a layer, counted from 0.
    FeedForward(usize),
    /// The head on the encoder.
    Head,
}

/// Parts of a model that compute in int8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int8 {
    /// The whole model, as in the runtime.
    Everything,
    /// One part; the rest computes in f32.
    Only(ModelPart),
}

impl ModelPart {
    /// Returns every part of a model, from the input to the output.
    pub fn all(config: &Config) -> Vec<Self> {
        let mut parts = vec![Self::Embeddings];
        for layer in 0..config.num_hidden_layers as usize {
            parts.extend([Self::Attention(layer), Self::FeedForward(layer)]);
        }
        parts.push(Self::Head);
        parts
    }
}

impl fmt::Display for ModelPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embeddings => write!(formatter, "embeddings"),
            Self::Attention(layer) => write!(formatter, "layer {layer} attention"),
            Self::FeedForward(layer) => write!(formatter, "layer {layer} feed-forward"),
            Self::Head => write!(formatter, "head"),
        }
    }
}

impl Int8 {
    fn includes(self, part: ModelPart) -> bool {
        self == Self::Everything || self == Self::Only(part)
    }
}

impl Encoder {
    /// Computes [`Encoder::forward`] without dropout. The parts in `int8` are computed as in the
    /// runtime. The parameters must be f32.
    pub fn forward_int8(&self, ids: &Tensor, present: Option<&Tensor>, int8: Int8) -> Result<Tensor> {
        let config = &self.config;
        let epsilon = config.layer_norm_eps;
        let quantized = int8.includes(ModelPart::Embeddings);
        let mut states = match quantized {
            true => self.embeddings.forward_int8(ids, epsilon)?,
            false => self.embeddings.forward(ids, epsilon)?,
        };
        if let Some(projection) = &self.projection {
            states =
                if quantized { projection.forward_int8(&states)? } else { projection.forward(&states)? };
        }
        // [batch, 1, 1, tokens], broadcast over heads and queries.
        let mask = match present {
            Some(present) => Some(present.f_unsqueeze(1)?.f_unsqueeze(1)?),
            None => None,
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let attended = match int8.includes(ModelPart::Attention(index)) {
                true => layer.attend_int8(&states, mask.as_ref(), config)?,
                false => layer.attend(&states, mask.as_ref(), config, Mode::Evaluate)?,
            };
            states = match int8.includes(ModelPart::FeedForward(index)) {
                true => layer.feed_forward_int8(&attended, epsilon)?,
                false => layer.feed_forward(&attended, config, Mode::Evaluate)?,
            };
        }
        Ok(states)
    }
}

impl Classifier {
    /// Computes [`Classifier::forward`] without dropout, for ELECTRA's head: the runtime runs no
    /// other. It computes as the runtime if `int8` includes the head.
    pub fn forward_int8(&self, states: &Tensor, int8: Int8) -> Result<Tensor> {
        if !int8.includes(ModelPart::Head) {
            return self.forward(states, Mode::Evaluate);
        }
        let pooled = gelu(&self.dense.forward_int8(&states.f_select(1, 0)?)?)?;
        self.output.forward_int8(&pooled)
    }
}

impl Embeddings {
    /// Computes the embeddings. Only the rows that occur are quantized, because each row has a
    /// scale of its own.
    fn forward_int8(&self, ids: &Tensor, epsilon: f64) -> Result<Tensor> {
        let words = quantize_weight(&Tensor::f_embedding(&self.words, ids, -1, false, false)?)?;
        let positions = quantize_weight(&self.positions.f_narrow(0, 0, ids.size()[1])?)?;
        let sum = words.dequantize()?.f_add(&positions.dequantize()?)?;
        let sum = match &self.types {
            Some(types) => sum.f_add(&types.f_narrow(0, 0, 1)?)?,
            None => sum,
        };
        self.norm.forward_int8(&sum, epsilon)
    }
}

impl Layer {
    fn attend_int8(&self, states: &Tensor, mask: Option<&Tensor>, config: &Config) -> Result<Tensor> {
        let (batch, tokens) = (states.size()[0], states.size()[1]);
        let (heads, width) = (config.num_attention_heads, config.hidden_size / config.num_attention_heads);
        // [3, batch, heads, tokens, width]
        let stacked = self
            .query_key_value
            .forward_int8(states)?
            .f_view([batch, tokens, 3, heads, width])?
            .f_permute([2, 0, 3, 1, 4])?;
        let part = |index| stacked.f_select(0, index);
        let context = attention(&part(0)?, &part(1)?, &part(2)?, mask)?;
        let context = context.f_transpose(1, 2)?.f_reshape([batch, tokens, config.hidden_size])?;
        let attended = states.f_add(&self.attention_output.forward_int8(&context)?)?;
        self.attention_norm.forward_int8(&attended, config.layer_norm_eps)
    }

    fn feed_forward_int8(&self, attended: &Tensor, epsilon: f64) -> Result<Tensor> {
        let wide = gelu(&self.intermediate.forward_int8(attended)?)?;
        let narrow = self.output.forward_int8(&wide)?;
        self.output_norm.forward_int8(&attended.f_add(&narrow)?, epsilon)
    }
}

impl Linear {
    fn forward_int8(&self, input: &Tensor) -> Result<Tensor> {
        exact_linear(input, &self.weight, &self.bias)
    }
}

impl LayerNorm {
    fn forward_int8(&self, input: &Tensor, epsilon: f64) -> Result<Tensor> {
        straight_through(
            input,
            |input| layer_norm(input, &self.weight, &self.bias, epsilon),
            |input| self.forward(input, epsilon),
        )
    }
}
