//! A set of kernels that reports the duration of each call (feature `internals`).

use super::{Activation, KernelSet, Norm, Operand, Scaling};

/// The kinds of work in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a report must name every kind")]
pub enum Work {
    /// Int8 products: the GEMMs.
    Products,
    /// Scale, bias and GELU after a GEMM, and the quantization of the result.
    Gelu,
    /// Quantization of inputs, queries, keys, values and contexts. For queries and keys it includes
    /// scale and bias.
    Quantization,
    /// Softmax of the attention scores.
    Softmax,
    /// LayerNorm, with the scale, bias and residual connection before it.
    LayerNorm,
    /// Scale and bias of other GEMMs.
    Scaling,
    /// Sums of embeddings.
    Embedding,
}

impl Work {
    /// All kinds, in the order in which reports name them.
    pub const ALL: [Self; 7] = [
        Self::Products,
        Self::Gelu,
        Self::Quantization,
        Self::Softmax,
        Self::LayerNorm,
        Self::Scaling,
        Self::Embedding,
    ];

    /// Returns the name of the kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Gelu => "GELU, quantization",
            Self::Quantization => "quantization",
            Self::Softmax => "softmax",
            Self::LayerNorm => "residual, LayerNorm",
            Self::Scaling => "scale, bias",
            Self::Embedding => "embeddings",
        }
    }
}

/// Measures the calls of kernels.
pub trait Stopwatch: Sync {
    /// Begins a call.
    fn start(&self);
    /// Ends the call that began last.
    fn stop(&self, work: Work);
}

/// Calls `set` between [`Stopwatch::start`] and [`Stopwatch::stop`].
pub(crate) struct Timed<'a> {
    pub set: &'static dyn KernelSet,
    pub watch: &'a dyn Stopwatch,
}

impl Timed<'_> {
    fn time<T>(&self, work: Work, call: impl FnOnce(&dyn KernelSet) -> T) -> T {
        self.watch.start();
        let result = call(self.set);
        self.watch.stop(work);
        result
    }
}

impl KernelSet for Timed<'_> {
    fn name(&self) -> &'static str {
        self.set.name()
    }

    fn multiply_only(&self, rounds: usize) -> u64 {
        self.set.multiply_only(rounds)
    }

    fn quantize_rows(&self, x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]) {
        self.time(Work::Quantization, |set| set.quantize_rows(x, columns, out, scales));
    }

    fn gemm(
        &self,
        operand: Operand,
        a: &[u8],
        depth: usize,
        weights: &[i8],
        sums: &[i32],
        out: &mut [i32],
        next: &[i8],
    ) {
        self.time(Work::Products, |set| set.gemm(operand, a, depth, weights, sums, out, next));
    }

    fn requantize(
        &self,
        acc: &mut [i32],
        scaling: Scaling<'_>,
        activation: Activation,
        out: Option<(&mut [u8], &mut [f32])>,
    ) {
        let work = match (activation, &out) {
            (Activation::Gelu, _) => Work::Gelu,
            (Activation::Identity, Some(_)) => Work::Quantization,
            (Activation::Identity, None) => Work::Scaling,
        };
        self.time(work, |set| set.requantize(acc, scaling, activation, out));
    }

    fn add_norm(&self, acc: &[i32], scaling: Scaling<'_>, x: &mut [f32], norm: Norm<'_>) {
        self.time(Work::LayerNorm, |set| set.add_norm(acc, scaling, x, norm));
    }

    fn scale_rows(
        &self,
        acc: &[i32],
        columns: usize,
        factors: &[f32],
        out: &mut [f32],
        out_stride: usize,
        out_column: usize,
    ) {
        self.time(Work::Scaling, |set| set.scale_rows(acc, columns, factors, out, out_stride, out_column));
    }

    fn layer_norm(&self, x: &mut [f32], norm: Norm<'_>) {
        self.time(Work::LayerNorm, |set| set.layer_norm(x, norm));
    }

    fn embed(&self, word: (&[i8], f32), position: (&[i8], f32), token_type: &[f32], out: &mut [f32]) {
        self.time(Work::Embedding, |set| set.embed(word, position, token_type, out));
    }

    fn pack_keys(&self, keys: &[u8], depth: usize, packed: &mut [i8], sums: &mut [i32]) {
        self.time(Work::Quantization, |set| set.pack_keys(keys, depth, packed, sums));
    }

    fn pack_values(&self, x: &[f32], width: usize, packed: &mut [i8], sums: &mut [i32]) -> f32 {
        self.time(Work::Quantization, |set| set.pack_values(x, width, packed, sums))
    }

    fn softmax(
        &self,
        acc: &mut [i32],
        tokens: usize,
        key_scales: &[f32],
        factors: &mut [f32],
        out: &mut [u8],
    ) {
        self.time(Work::Softmax, |set| set.softmax(acc, tokens, key_scales, factors, out));
    }
}
