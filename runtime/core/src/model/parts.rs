//! Typed slices over the bytes of the weight sections.

use bytemuck::Pod;

use super::error::ModelError;
use super::format::{ALIGNMENT, SectionKind};
use crate::config::Config;
use crate::kernels::LANES;

/// A fully connected layer. Its columns are its outputs, padded to a multiple of sixteen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear<'m> {
    /// Number of inputs, which is the depth of its GEMM.
    pub inputs: usize,
    /// [columns/16][inputs/4][16][4]
    pub weights: &'m [i8],
    /// One per column.
    pub scales: &'m [f32],
    /// Sum of each column's weights.
    pub sums: &'m [i32],
    /// One per column.
    pub bias: &'m [f32],
}

/// Embedding tables in int8 with one scale per row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Embeddings<'m> {
    width: usize,
    words: &'m [i8],
    word_scales: &'m [f32],
    positions: &'m [i8],
    position_scales: &'m [f32],
    /// Token types x embedding size.
    pub types: &'m [f32],
    pub gamma: &'m [f32],
    pub beta: &'m [f32],
    pub projection: Option<Linear<'m>>,
}

/// One encoder layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'m> {
    pub query: Linear<'m>,
    pub key: Linear<'m>,
    pub value: Linear<'m>,
    pub attention_output: Linear<'m>,
    /// Gamma and beta.
    pub attention_norm: [&'m [f32]; 2],
    pub intermediate: Linear<'m>,
    pub output: Linear<'m>,
    /// Gamma and beta.
    pub output_norm: [&'m [f32]; 2],
}

/// A head of either kind: a dense layer and an output layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'m> {
    pub dense: Linear<'m>,
    pub output: Linear<'m>,
}

impl<'m> Embeddings<'m> {
    pub(super) fn read(config: &Config, bytes: &'m [u8]) -> Result<Self, ModelError> {
        let width = config.embedding_size;
        let mut parts = SectionReader { rest: bytes, section: SectionKind::Embeddings };
        let embeddings = Self {
            width,
            words: parts.take(config.vocab_size, width)?,
            word_scales: parts.take(config.vocab_size, 1)?,
            positions: parts.take(config.max_position_embeddings, width)?,
            position_scales: parts.take(config.max_position_embeddings, 1)?,
            types: parts.take(config.type_vocab_size, width)?,
            gamma: parts.take(width, 1)?,
            beta: parts.take(width, 1)?,
            projection: if config.has_projection() {
                Some(parts.linear(width, config.hidden_size)?)
            } else {
                None
            },
        };
        parts.finish()?;
        Ok(embeddings)
    }

    /// Returns the row and the scale of token `id`, which is below the vocabulary size.
    pub(crate) fn word(&self, id: usize) -> (&'m [i8], f32) {
        (&self.words[id * self.width..(id + 1) * self.width], self.word_scales[id])
    }

    /// Returns the row and the scale of `position`, which is below the number of positions.
    pub(crate) fn position(&self, position: usize) -> (&'m [i8], f32) {
        let row = position * self.width..(position + 1) * self.width;
        (&self.positions[row], self.position_scales[position])
    }
}

impl<'m> Layer<'m> {
    pub(super) fn read(config: &Config, bytes: &'m [u8]) -> Result<Self, ModelError> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let mut parts = SectionReader { rest: bytes, section: SectionKind::Encoder };
        let layer = Self {
            query: parts.linear(hidden, hidden)?,
            key: parts.linear(hidden, hidden)?,
            value: parts.linear(hidden, hidden)?,
            attention_output: parts.linear(hidden, hidden)?,
            attention_norm: [parts.take(hidden, 1)?, parts.take(hidden, 1)?],
            intermediate: parts.linear(hidden, wide)?,
            output: parts.linear(wide, hidden)?,
            output_norm: [parts.take(hidden, 1)?, parts.take(hidden, 1)?],
        };
        parts.finish()?;
        Ok(layer)
    }
}

impl<'m> Head<'m> {
    pub(super) fn read(config: &Config, bytes: &'m [u8]) -> Result<Self, ModelError> {
        let mut parts = SectionReader { rest: bytes, section: SectionKind::Head };
        let head = Self {
            dense: parts.linear(config.hidden_size, config.hidden_size)?,
            output: parts.linear(config.hidden_size, config.num_labels)?,
        };
        parts.finish()?;
        Ok(head)
    }
}

/// Takes consecutive parts of a section, each padded to [`ALIGNMENT`].
struct SectionReader<'m> {
    rest: &'m [u8],
    section: SectionKind,
}

impl<'m> SectionReader<'m> {
    fn take<T: Pod>(&mut self, rows: usize, columns: usize) -> Result<&'m [T], ModelError> {
        let wrong = ModelError::SectionLength(self.section);
        let len = rows.checked_mul(columns).and_then(|len| len.checked_mul(size_of::<T>())).ok_or(wrong)?;
        let padded = len.checked_next_multiple_of(ALIGNMENT).ok_or(wrong)?;
        let (part, rest) = self.rest.split_at_checked(padded).ok_or(wrong)?;
        self.rest = rest;
        bytemuck::try_cast_slice(&part[..len]).map_err(|_| ModelError::Misaligned)
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Result<Linear<'m>, ModelError> {
        let columns = outputs.next_multiple_of(LANES);
        Ok(Linear {
            inputs,
            weights: self.take(columns, inputs)?,
            scales: self.take(columns, 1)?,
            sums: self.take(columns, 1)?,
            bias: self.take(columns, 1)?,
        })
    }

    fn finish(self) -> Result<(), ModelError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ModelError::SectionLength(self.section)) }
    }
}
