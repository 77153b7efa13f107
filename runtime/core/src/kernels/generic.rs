//! The element-wise kernels, each written once over [`Simd`].
//!
//! Formulas are those of `docs/numerics.md`; orders of operations are part of them.

use super::simd::{LANES, Simd};
use super::{Activation, Operand};

/// Rows whose greatest magnitude is below this quantize to zeros with scale 0: their reciprocal would overflow.
const SMALLEST_RANGE: f32 = 1e-30;

/// erf-GELU as x * (1/2 + x * P(x^2)) with |x| clamped to [`GELU_RANGE`] inside P: a minimax fit (weighted for
/// the error of x * Phi(x)) that is within 8.5e-5 of the exact function everywhere.
const GELU: [f32; 8] = [
    0.398_465_96,
    -0.065_528_35,
    0.009_298_31,
    -0.000_950_678_1,
    6.689_346_6e-5,
    -3.038_135e-6,
    7.942_107e-8,
    -9.018_697e-10,
];
const GELU_RANGE: f32 = 4.2;

/// e^x for x in [-1, 0] within 7.6e-7, minimax with the constant term fixed at 1.
const EXP: [f32; 6] = [1.0, 0.999_970_2, 0.499_609_77, 0.164_948_88, 0.038_246_796, 0.005_058_348_6];
/// The softmax takes e^x as EXP(x / 8)^8; below -8 a probability rounds to 0 of 255 anyway.
const EXP_RANGE: f32 = 8.0;

#[inline(always)]
fn lanes<T>(slice: &[T]) -> &[[T; LANES]] {
    slice.as_chunks().0
}

#[inline(always)]
fn lanes_mut<T>(slice: &mut [T]) -> &mut [[T; LANES]] {
    slice.as_chunks_mut().0
}

/// The int8 GEMM: for each row of `a` and each column, the i32 sum of products, biases of the encoding undone.
/// Shapes: `a` rows x `depth`, `weights` `[columns/16][depth/4][16][4]`, `sums` columns, `out` rows x columns.
#[inline(always)]
pub(crate) fn gemm<S: Simd>(
    s: S,
    operand: Operand,
    a: &[u8],
    depth: usize,
    weights: &[i8],
    sums: &[i32],
    out: &mut [i32],
) {
    let columns = sums.len();
    let rows = a.len() / depth;
    assert!(depth.is_multiple_of(4) && columns.is_multiple_of(LANES));
    assert!(a.len() == rows * depth && weights.len() == columns * depth && out.len() == rows * columns);
    let bias = match operand {
        Operand::Signed => S::SIGNED_BIAS,
        Operand::Unsigned => S::UNSIGNED_BIAS,
    };
    let job = Gemm { s, a, depth, weights, sums, bias, columns };
    let mut column = 0;
    while column < columns {
        let blocks = ((columns - column) / LANES).min(S::TILE_BLOCKS);
        match blocks {
            4 => job.columns::<4>(column, rows, out),
            3 => job.columns::<3>(column, rows, out),
            2 => job.columns::<2>(column, rows, out),
            _ => job.columns::<1>(column, rows, out),
        }
        column += blocks * LANES;
    }
}

struct Gemm<'a, S> {
    s: S,
    a: &'a [u8],
    depth: usize,
    weights: &'a [i8],
    sums: &'a [i32],
    bias: i32,
    columns: usize,
}

impl<S: Simd> Gemm<'_, S> {
    #[inline(always)]
    fn columns<const B: usize>(&self, column: usize, rows: usize, out: &mut [i32]) {
        if B > S::TILE_BLOCKS {
            return;
        }
        let mut row = 0;
        while row < rows {
            let tile_rows = (rows - row).min(S::TILE_ROWS);
            match tile_rows {
                6.. => self.tile::<6, B>(row, column, out),
                5 => self.tile::<5, B>(row, column, out),
                4 => self.tile::<4, B>(row, column, out),
                3 => self.tile::<3, B>(row, column, out),
                2 => self.tile::<2, B>(row, column, out),
                _ => self.tile::<1, B>(row, column, out),
            }
            row += tile_rows;
        }
    }

    #[inline(always)]
    fn tile<const R: usize, const B: usize>(&self, row: usize, column: usize, out: &mut [i32]) {
        // Both guards are known at compile time: tiles beyond the instruction set's are never compiled.
        if R > S::TILE_ROWS || B > S::TILE_BLOCKS {
            return;
        }
        let s = self.s;
        let sums = lanes(&self.sums[column..column + B * LANES]);
        let undo = s.splat_i(-self.bias);
        let start: [S::I; B] = core::array::from_fn(|b| s.mul_i(s.load_i(&sums[b]), undo));
        let mut acc = [start; R];
        let a = &self.a[row * self.depth..(row + R) * self.depth];
        let weights = &self.weights[column * self.depth..(column + B * LANES) * self.depth];
        // SAFETY: `a` holds R rows of `depth` bytes and `weights` B blocks of 16 * depth bytes, as sliced above.
        unsafe {
            s.tile(a.as_ptr(), self.depth, weights.as_ptr(), self.depth * LANES, self.depth / 4, &mut acc);
        }
        for (r, acc) in acc.iter().enumerate() {
            let start = (row + r) * self.columns + column;
            for (to, value) in lanes_mut(&mut out[start..start + B * LANES]).iter_mut().zip(acc) {
                s.store_i(*value, to);
            }
        }
    }
}

/// Quantizes one row symmetrically to [-127, 127]; returns its scale. `out` gets `x / scale + SIGNED_BIAS`.
#[inline(always)]
pub(crate) fn quantize_row<S: Simd>(s: S, x: &[f32], out: &mut [u8]) -> f32 {
    let greatest = greatest_magnitude(s, x);
    let (scale, reciprocal) = scale_of(greatest);
    let (reciprocal, bias) = (s.splat(reciprocal), s.splat_i(S::SIGNED_BIAS));
    for (x, out) in lanes(x).iter().zip(lanes_mut(out)) {
        let quantized = s.round(s.mul(s.load(x), reciprocal));
        s.store_low_bytes(s.add_i(quantized, bias), out);
    }
    scale
}

#[inline(always)]
fn greatest_magnitude<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut greatest = s.splat(0.0);
    for x in lanes(x) {
        greatest = s.max(s.abs(s.load(x)), greatest);
    }
    s.reduce_max(greatest)
}

/// Scale and reciprocal that map `greatest` to 127.
#[inline(always)]
fn scale_of(greatest: f32) -> (f32, f32) {
    if greatest >= SMALLEST_RANGE { (greatest / 127.0, 127.0 / greatest) } else { (0.0, 0.0) }
}

/// `acc * column scale * row scale + bias`, then the activation; into columns of `out` that start at
/// `out_column`, `out_stride` apart.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
pub(crate) fn dequantize<S: Simd>(
    s: S,
    acc: &[i32],
    row_scales: &[f32],
    scales: &[f32],
    bias: &[f32],
    activation: Activation,
    out: &mut [f32],
    out_stride: usize,
    out_column: usize,
) {
    let columns = scales.len();
    let rows = acc.chunks_exact(columns).zip(row_scales).zip(out.chunks_mut(out_stride));
    for ((acc, row_scale), out) in rows {
        let out = &mut out[out_column..out_column + columns];
        let row_scale = s.splat(*row_scale);
        let operands = lanes(acc).iter().zip(lanes(scales)).zip(lanes(bias)).zip(lanes_mut(out));
        for (((acc, scale), bias), out) in operands {
            let scaled = s.mul(s.mul(s.to_f32(s.load_i(acc)), s.load(scale)), row_scale);
            let value = s.add(scaled, s.load(bias));
            let value = match activation {
                Activation::Identity => value,
                Activation::Gelu => gelu(s, value),
                Activation::AddTo => s.add(s.load(out), value),
            };
            s.store(value, out);
        }
    }
}

#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let clamped = s.min(s.max(x, s.splat(-GELU_RANGE)), s.splat(GELU_RANGE));
    let polynomial = horner(s, &GELU, s.mul(clamped, clamped));
    s.mul(x, s.add(s.splat(0.5), s.mul(clamped, polynomial)))
}

#[inline(always)]
fn horner<S: Simd, const N: usize>(s: S, coefficients: &[f32; N], x: S::F) -> S::F {
    let mut sum = s.splat(coefficients[N - 1]);
    for coefficient in coefficients.iter().rev().skip(1) {
        sum = s.add(s.mul(sum, x), s.splat(*coefficient));
    }
    sum
}

/// `acc * factor` of each row, without bias: the context of one attention head.
#[inline(always)]
pub(crate) fn scale_rows<S: Simd>(
    s: S,
    acc: &[i32],
    columns: usize,
    factors: &[f32],
    out: &mut [f32],
    out_stride: usize,
    out_column: usize,
) {
    for ((acc, factor), out) in acc.chunks_exact(columns).zip(factors).zip(out.chunks_mut(out_stride)) {
        let factor = s.splat(*factor);
        let out = &mut out[out_column..out_column + columns];
        for (acc, out) in lanes(acc).iter().zip(lanes_mut(out)) {
            s.store(s.mul(s.to_f32(s.load_i(acc)), factor), out);
        }
    }
}

/// Normalises one row in place: mean 0, variance 1 (biased, plus epsilon), times `gamma` plus `beta`.
#[inline(always)]
pub(crate) fn layer_norm<S: Simd>(s: S, x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    let reciprocal = 1.0 / x.len() as f32;
    let mut sum = s.splat(0.0);
    for x in lanes(x) {
        sum = s.add(sum, s.load(x));
    }
    let mean = s.splat(s.reduce_add(sum) * reciprocal);
    let mut squares = s.splat(0.0);
    for x in lanes_mut(x) {
        let centred = s.sub(s.load(x), mean);
        s.store(centred, x);
        squares = s.add(squares, s.mul(centred, centred));
    }
    let variance = s.reduce_add(squares) * reciprocal;
    let reciprocal_deviation = s.splat(1.0 / crate::math::sqrt(variance + epsilon));
    for ((x, gamma), beta) in lanes_mut(x).iter_mut().zip(lanes(gamma)).zip(lanes(beta)) {
        let normalised = s.mul(s.load(x), reciprocal_deviation);
        s.store(s.add(s.mul(normalised, s.load(gamma)), s.load(beta)), x);
    }
}

/// The sum of a token's word, position and type embedding before LayerNorm.
#[inline(always)]
pub(crate) fn embed<S: Simd>(
    s: S,
    word: (&[i8], f32),
    position: (&[i8], f32),
    token_type: &[f32],
    out: &mut [f32],
) {
    let (word_scale, position_scale) = (s.splat(word.1), s.splat(position.1));
    let operands = lanes(word.0).iter().zip(lanes(position.0)).zip(lanes(token_type)).zip(lanes_mut(out));
    for (((word, position), token_type), out) in operands {
        let word = s.mul(s.to_f32(s.load_i8(word)), word_scale);
        let position = s.mul(s.to_f32(s.load_i8(position)), position_scale);
        s.store(s.add(s.add(word, position), s.load(token_type)), out);
    }
}

/// Quantizes rows of keys (one a token, `x` rows x `depth`) and lays them out as GEMM weights whose columns
/// are tokens, beginning at token `first`. Writes each token's sum and scale.
#[inline(always)]
pub(crate) fn pack_keys<S: Simd>(
    s: S,
    x: &[f32],
    depth: usize,
    first: usize,
    packed: &mut [i8],
    sums: &mut [i32],
    scales: &mut [f32],
) {
    for (row, x) in x.chunks_exact(depth).enumerate() {
        let token = first + row;
        let (scale, reciprocal) = scale_of(greatest_magnitude(s, x));
        let reciprocal = s.splat(reciprocal);
        let block = &mut packed[token / LANES * LANES * depth..][..LANES * depth];
        let (groups, _) = block.as_chunks_mut::<{ 4 * LANES }>();
        let at = token % LANES * 4;
        let mut sum = s.splat_i(0);
        for (x, groups) in lanes(x).iter().zip(groups.chunks_exact_mut(4)) {
            let quantized = s.round(s.mul(s.load(x), reciprocal));
            sum = s.add_i(sum, quantized);
            let mut bytes = [0u8; LANES];
            s.store_low_bytes(quantized, &mut bytes);
            for (group, bytes) in groups.iter_mut().zip(bytes.as_chunks::<4>().0) {
                group[at..at + 4].copy_from_slice(&bytes.map(|byte| byte as i8));
            }
        }
        sums[token] = s.reduce_add_i(sum);
        scales[token] = scale;
    }
}

/// Quantizes the values of one head (`x` tokens x `width`) with one scale, which is returned, and lays them
/// out as GEMM weights whose depth is the tokens, padded with zeros to a multiple of four.
#[inline(always)]
pub(crate) fn pack_values<S: Simd>(
    s: S,
    x: &[f32],
    width: usize,
    packed: &mut [i8],
    sums: &mut [i32],
) -> f32 {
    let (scale, reciprocal) = scale_of(greatest_magnitude(s, x));
    let reciprocal = s.splat(reciprocal);
    let depth = packed.len() / width;
    for (block, (packed, sums)) in packed.chunks_exact_mut(depth * LANES).zip(lanes_mut(sums)).enumerate() {
        let mut sum = s.splat_i(0);
        let (groups, _) = bytemuck::cast_slice_mut::<i8, u8>(packed).as_chunks_mut::<{ 4 * LANES }>();
        for (rows, group) in x.chunks(4 * width).zip(groups) {
            let mut quantized = [s.splat_i(0); 4];
            for (quantized, row) in quantized.iter_mut().zip(rows.chunks_exact(width)) {
                *quantized = s.round(s.mul(s.load(&lanes(row)[block]), reciprocal));
                sum = s.add_i(sum, *quantized);
            }
            s.store_interleaved(quantized, group);
        }
        s.store_i(sum, sums);
    }
    scale
}

/// Softmax of one row of attention scores (`acc`, a multiple of 16 long, `tokens` of them real), as
/// probabilities 0..=255 of the row's greatest, in this instruction set's encoding. Returns their sum.
///
/// A score is `acc * key scale * factor`. `acc` is used as scratch.
#[inline(always)]
pub(crate) fn softmax_row<S: Simd>(
    s: S,
    acc: &mut [i32],
    tokens: usize,
    key_scales: &[f32],
    factor: f32,
    out: &mut [u8],
) -> i32 {
    let factor = s.splat(factor);
    let mut greatest = s.splat(f32::NEG_INFINITY);
    let real = tokens.next_multiple_of(LANES).min(acc.len());
    let acc = &mut acc[..real];
    for (index, (acc, key_scale)) in lanes_mut(acc).iter_mut().zip(lanes(key_scales)).enumerate() {
        let score = s.mul(s.mul(s.to_f32(s.load_i(acc)), s.load(key_scale)), factor);
        let scores: &mut [f32; LANES] = bytemuck::cast_mut(acc);
        s.store(score, scores);
        let padding = ((index + 1) * LANES).saturating_sub(tokens);
        if padding > 0 {
            scores[LANES - padding..].fill(f32::NEG_INFINITY);
        }
        greatest = s.max(s.load(scores), greatest);
    }
    let greatest = s.splat(s.reduce_max(greatest));
    let bias = s.splat_i(S::UNSIGNED_BIAS);
    let mut sum = s.splat_i(0);
    let mut tail = [0u8; LANES];
    let (whole, rest) = out.as_chunks_mut::<LANES>();
    for (index, acc) in lanes(acc).iter().enumerate() {
        let scores: &[f32; LANES] = bytemuck::cast_ref(acc);
        let probability = exp_scaled(s, s.sub(s.load(scores), greatest));
        sum = s.add_i(sum, probability);
        s.store_low_bytes(s.add_i(probability, bias), whole.get_mut(index).unwrap_or(&mut tail));
    }
    rest.copy_from_slice(&tail[..rest.len()]);
    s.reduce_add_i(sum)
}

/// 255 * e^x for x <= 0, rounded.
#[inline(always)]
fn exp_scaled<S: Simd>(s: S, x: S::F) -> S::I {
    let eighth = s.mul(s.max(x, s.splat(-EXP_RANGE)), s.splat(1.0 / EXP_RANGE));
    let root = horner(s, &EXP, eighth);
    let square = s.mul(root, root);
    let fourth = s.mul(square, square);
    s.round(s.mul(s.mul(fourth, fourth), s.splat(255.0)))
}
