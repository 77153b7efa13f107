//! Kernels that only attention uses: keys and values as GEMM weights, softmax into 8 bits.

use super::linear::horner;
use super::rows::{greatest_magnitude, scale_of};
use super::{lanes, lanes_mut, unroll};
use crate::kernels::simd::{LANES, Simd};

/// Coefficients of e^x for x in [-1, 0]: a minimax fit within 7.6e-7, with the constant term fixed
/// at 1.
const EXP: [f32; 6] = [1.0, 0.999_970_2, 0.499_609_77, 0.164_948_88, 0.038_246_796, 0.005_058_348_6];
/// The softmax computes e^x as EXP(x / 8)^8. Below -8 a probability rounds to 0 of 255 anyway.
const EXP_RANGE: f32 = 8.0;

/// Quantizes rows of keys (`x`, rows x `depth`, one row per token) and lays them out as GEMM
/// weights whose columns are tokens. Writes the sum and the scale of each token.
#[inline(always)]
pub(crate) fn pack_keys<S: Simd>(
    s: S,
    x: &[f32],
    depth: usize,
    packed: &mut [i8],
    sums: &mut [i32],
    scales: &mut [f32],
) {
    for (token, x) in x.chunks_exact(depth).enumerate() {
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

/// Quantizes the values of one head (`x`, tokens x `width`) with one scale and returns the scale.
/// Lays the values out as GEMM weights whose depth is the tokens, padded with zeros to a multiple
/// of four.
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

/// Computes the softmax of each row of attention scores in `acc`. Rows are as long as `key_scales`;
/// the first `tokens` scores of a row are real. The probabilities in `out` are 0..=255, relative to
/// the greatest of the row, in this instruction set's encoding.
///
/// A score is `acc * key scale * factor`. `acc` serves as scratch memory. Each factor is replaced
/// by the row's sum of probabilities.
#[inline(always)]
pub(crate) fn softmax_rows<S: Simd>(
    s: S,
    acc: &mut [i32],
    tokens: usize,
    key_scales: &[f32],
    factors: &mut [f32],
    out: &mut [u8],
) {
    let rows = acc.chunks_exact_mut(key_scales.len()).zip(out.chunks_exact_mut(tokens.next_multiple_of(4)));
    for ((acc, out), factor) in rows.zip(factors) {
        *factor = softmax_row(s, acc, tokens, key_scales, *factor, out) as f32;
    }
}

#[inline(always)]
fn softmax_row<S: Simd>(
    s: S,
    acc: &mut [i32],
    tokens: usize,
    key_scales: &[f32],
    factor: f32,
    out: &mut [u8],
) -> i32 {
    let vectors = tokens.div_ceil(LANES).min(acc.len() / LANES);
    let acc = &mut lanes_mut(acc)[..vectors];
    let key_scales = &lanes(key_scales)[..vectors];
    let mut greatest = s.splat(f32::NEG_INFINITY);
    let mut first = 0;
    while first < vectors {
        let (acc, key_scales) = (&mut acc[first..], &key_scales[first..]);
        let left = tokens - first * LANES;
        first +=
            unroll!(S, vectors - first, scores(s, acc, key_scales, s.splat(factor), left, &mut greatest));
    }
    let greatest = s.splat(s.reduce_max(greatest));
    let mut sum = s.splat_i(0);
    let mut first = 0;
    let (whole, rest) = out.as_chunks_mut::<LANES>();
    while first < whole.len().min(vectors) {
        let (acc, out) = (&acc[first..], &mut whole[first..]);
        first += unroll!(S, out.len().min(acc.len()), probabilities(s, acc, greatest, out, &mut sum));
    }
    if !rest.is_empty() {
        let mut tail = [[0u8; LANES]];
        probabilities::<_, 1>(s, &acc[first..], greatest, &mut tail, &mut sum);
        rest.copy_from_slice(&tail[0][..rest.len()]);
    }
    s.reduce_add_i(sum)
}

/// Replaces `N` vectors of sums by the bits of their scores. From the `left`-th on, the scores are
/// minus infinity.
#[inline(always)]
fn scores<S: Simd, const N: usize>(
    s: S,
    acc: &mut [[i32; LANES]],
    key_scales: &[[f32; LANES]],
    factor: S::F,
    left: usize,
    greatest: &mut S::F,
) {
    for (i, (acc, key_scales)) in acc[..N].iter_mut().zip(&key_scales[..N]).enumerate() {
        let mut score = s.mul(s.mul(s.to_f32(s.load_i(acc)), s.load(key_scales)), factor);
        let scores: &mut [f32; LANES] = bytemuck::cast_mut(acc);
        s.store(score, scores);
        let real = left.saturating_sub(i * LANES);
        if real < LANES {
            scores[real..].fill(f32::NEG_INFINITY);
            score = s.load(scores);
        }
        *greatest = s.max(score, *greatest);
    }
}

/// Computes 255 * e^(score - greatest) for `N` vectors, rounded. Adds the results to `sum` and
/// writes them to `out` in this instruction set's encoding.
#[inline(always)]
fn probabilities<S: Simd, const N: usize>(
    s: S,
    scores: &[[i32; LANES]],
    greatest: S::F,
    out: &mut [[u8; LANES]],
    sum: &mut S::I,
) {
    let (scores, out) = (&scores[..N], &mut out[..N]);
    let mut eighths = [greatest; N];
    for i in 0..N {
        let scores: &[f32; LANES] = bytemuck::cast_ref(&scores[i]);
        let x = s.sub(s.load(scores), greatest);
        eighths[i] = s.mul(s.max(x, s.splat(-EXP_RANGE)), s.splat(1.0 / EXP_RANGE));
    }
    let mut powers = horner(s, &EXP, eighths);
    for _ in 0..3 {
        for i in 0..N {
            powers[i] = s.mul(powers[i], powers[i]);
        }
    }
    let bias = s.splat_i(S::UNSIGNED_BIAS);
    for i in 0..N {
        let probability = s.round(s.mul(powers[i], s.splat(255.0)));
        *sum = s.add_i(*sum, probability);
        s.store_low_bytes(s.add_i(probability, bias), &mut out[i]);
    }
}
